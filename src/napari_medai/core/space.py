"""Where the voxels of a volume lie in the patient: one convention for every format.

World coordinates are millimetres along (S, P, L): up to the head, back, and to the patient's left.
These are the LPS coordinates of DICOM and ITK with their order reversed, as the axes (Z, Y, X) of
an array are; NIfTI's RAS differs by the signs of two axes. In this order an axial slice shows the
front of the patient above and the right side at the left, as radiologists look at it.

Viewers cut volumes along their own axes, so a volume is laid `upright` when it is read: its axes
are swapped and flipped, never resampled, until each runs along the world axis next to it. What
remains of an oblique volume stays in its affine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from napari_medai.core.errors import InputError

_RAS_TO_WORLD = np.diag([1.0, -1.0, -1.0, 1.0])
"""Signs of (S, A, R) as (S, P, L)."""


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Where a volume's samples lie: ``affine`` (4, 4) takes an index (k, j, i) to (S, P, L) in mm.

    Raises
    ------
    InputError
        If the affine is no invertible, finite map.
    """

    affine: np.ndarray

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=float)
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise InputError(
                f"the affine of a volume must be 4 x 4 finite numbers, got {affine.tolist()}; "
                "correct the header of the file"
            )
        steps = np.linalg.norm(affine[:3, :3], axis=0)
        # Of unit columns the determinant is the volume they span: 0 where they lie in a plane.
        if not steps.all() or abs(np.linalg.det(affine[:3, :3] / steps)) < 1e-4:
            raise InputError(
                f"the affine of a volume must not be singular, got {affine[:3, :3].tolist()}; "
                "correct the spacing and directions in the header of the file"
            )
        affine.flags.writeable = False
        object.__setattr__(self, "affine", affine)

    @classmethod
    def from_lps(cls, origin: Sequence[float], spacing: Sequence[float], direction: Any) -> Grid:
        """From what ITK and DICOM say, all in the order (x, y, z): the first sample, the steps
        along the axes (mm), and their directions as the columns of a matrix (3, 3).
        """
        affine = np.eye(4)
        columns = np.asarray(direction, dtype=float).reshape(3, 3) * np.asarray(spacing, float)
        affine[:3, :3] = columns[::-1, ::-1]
        affine[:3, 3] = np.asarray(origin, dtype=float)[::-1]
        return cls(affine)

    @classmethod
    def from_ras(cls, affine: Any) -> Grid:
        """From an affine of NIfTI or nibabel, of the index (i, j, k) to (R, A, S) in mm."""
        return cls(_RAS_TO_WORLD @ _reversed(np.asarray(affine, dtype=float)))

    @property
    def spacing(self) -> tuple[float, float, float]:
        """The step along each axis (k, j, i), in mm."""
        k, j, i = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(k), float(j), float(i)

    @property
    def slant(self) -> float:
        """What a voxel holds, over the product of its steps; 1 where no axis leans."""
        return round(abs(float(np.linalg.det(self.direction))), 6)

    @property
    def direction(self) -> np.ndarray:
        """(3, 3): the unit vector (S, P, L) of each axis (k, j, i), a column each."""
        return np.asarray(self.affine[:3, :3] / np.array(self.spacing))

    @property
    def origin(self) -> np.ndarray:
        """(S, P, L) of the first sample, in mm."""
        return np.asarray(self.affine[:3, 3])

    @property
    def is_oblique(self) -> bool:
        """Whether an axis does not run along one of the world."""
        return bool((np.sort(np.abs(self.direction), axis=0)[:2] > 1e-5).any())

    def as_lps(self) -> tuple[tuple[float, ...], tuple[float, ...], np.ndarray]:
        """Origin, spacing and direction (3, 3) as in `from_lps`."""
        origin = tuple(float(n) for n in self.origin[::-1])
        return origin, self.spacing[::-1], self.direction[::-1, ::-1].copy()

    def as_ras(self) -> np.ndarray:
        """The affine (4, 4) as in `from_ras`."""
        return _reversed(_RAS_TO_WORLD @ self.affine)

    def upright(self, shape: Sequence[int]) -> Upright:
        """How to lay a volume of this shape (k, j, i) along the axes of the world."""
        along = np.abs(self.direction)
        order = max(permutations(range(3)), key=lambda own: along[range(3), own].sum())
        flips = tuple(bool(self.affine[axis, own] < 0) for axis, own in enumerate(order))
        return Upright(self, tuple(int(n) for n in shape), order, flips)

    def cropped(self, starts: Sequence[float]) -> Grid:
        """The grid of a part that begins at this index."""
        affine = self.affine.copy()
        affine[:3, 3] = affine[:3, :3] @ np.asarray(starts, dtype=float) + affine[:3, 3]
        return Grid(affine)


@dataclass(frozen=True, slots=True, eq=False)
class Upright:
    """A volume's way to the axes of the world and back: axes in another order, some reversed.

    Axis ``n`` of the upright volume is axis ``order[n]`` of the volume as stored, reversed where
    ``flips[n]``. ``stored`` and ``shape`` are those of the volume as stored.
    """

    stored: Grid
    shape: tuple[int, ...]
    order: tuple[int, ...]
    flips: tuple[bool, ...]

    @property
    def grid(self) -> Grid:
        """Where the upright volume lies: on the same places."""
        to_stored = np.zeros((4, 4))
        to_stored[3, 3] = 1
        for axis, (own, flip) in enumerate(zip(self.order, self.flips, strict=True)):
            to_stored[own, axis] = -1 if flip else 1
            to_stored[own, 3] = self.shape[own] - 1 if flip else 0
        return Grid(self.stored.affine @ to_stored)

    def laid(self, data: Any) -> Any:
        """The stored volume upright; its last three axes turn. A view, or as lazy as it was."""
        lead = data.ndim - 3
        turned = data.transpose((*range(lead), *(lead + own for own in self.order)))
        return turned[(..., *self._steps)]

    def stored_again(self, data: Any) -> Any:
        """An upright volume as it was stored: undoes `laid`."""
        lead = data.ndim - 3
        back = tuple(lead + self.order.index(own) for own in range(3))
        return data[(..., *self._steps)].transpose((*range(lead), *back))

    @property
    def _steps(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1) if flip else slice(None) for flip in self.flips)


def carried(data: np.ndarray, grid: Grid, target: Grid, shape: Sequence[int]) -> np.ndarray:
    """A volume (k, j, i) on another grid whose samples lie on its own; 0 where it has none.

    Only axes change places, turn round or are cut: no value is resampled. ``shape`` is that of
    the target.

    Raises
    ------
    InputError
        If samples of the two lie more than a twentieth of a step apart.
    """
    to_target = np.linalg.inv(target.affine) @ grid.affine
    steps = np.round(to_target[:3, :3])
    start = np.round(to_target[:3, 3])
    far = np.array(data.shape[-3:]) - 1
    corners = np.stack(np.meshgrid(*((0, n) for n in far), indexing="ij"), axis=-1).reshape(-1, 3)
    apart = corners @ (to_target[:3, :3] - steps).T + (to_target[:3, 3] - start)
    if np.abs(apart).max() > 0.05 or not np.array_equal(np.abs(steps).sum(0), np.ones(3)):
        raise InputError(
            "the voxels of the two volumes do not lie on each other; make the labels on the "
            "image itself, or resample one of the two first"
        )
    order = tuple(int(n) for n in np.abs(steps).argmax(axis=1))
    signs = steps.sum(axis=1)
    turned = data.transpose(order)[tuple(slice(None, None, int(sign)) for sign in signs)]
    first = [
        int(b - (n - 1 if sign < 0 else 0))
        for b, n, sign in zip(start, turned.shape, signs, strict=True)
    ]
    result = np.zeros(tuple(shape), data.dtype)
    into = tuple(slice(max(0, a), max(0, a + n)) for a, n in zip(first, turned.shape, strict=True))
    room = result[into]
    from_ = tuple(slice(max(0, -a), max(0, -a) + n) for a, n in zip(first, room.shape, strict=True))
    room[...] = turned[from_]
    return result


def _reversed(affine: np.ndarray) -> np.ndarray:
    """An affine with the orders of its index and of its coordinates reversed."""
    if affine.shape != (4, 4):
        raise InputError(
            f"the affine of a volume must be 4 x 4, got {affine.shape}; "
            "correct the header of the file"
        )
    order = [2, 1, 0, 3]
    return affine[np.ix_(order, order)]
