"""Where vessels may grow: an image, or a part of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_medai.core.errors import InputError

SHORTEST = 16
"""Pixels that each edge of an image has at least."""


@dataclass(frozen=True, slots=True, eq=False)
class Domain:
    """``shape``, and for a part of it the distance of each of its pixels to the outside."""

    shape: tuple[int, ...]
    depth: np.ndarray | None = None
    pixels: np.ndarray | None = None

    @classmethod
    def of(cls, shape: Sequence[int], mask: np.ndarray | None) -> Domain:
        """Of an image of two or three axes, or of the True pixels of a mask.

        Raises
        ------
        InputError
            If the shape is too small, or the mask has another shape, is no bool, or is empty.
        """
        edges = tuple(int(edge) for edge in shape)
        if len(edges) not in (2, 3) or min(edges) < SHORTEST:
            raise InputError(
                f"vessels grow in 2 or 3 axes of {SHORTEST} pixels or more, got {edges}; enlarge "
                "the shape"
            )
        if mask is None:
            return cls(edges)
        if mask.dtype != bool or mask.shape != edges:
            raise InputError(
                f"the mask must hold bool values of the shape {edges}, got {mask.dtype} of "
                f"{mask.shape}; give one of that shape"
            )
        if not mask.any():
            raise InputError("the mask is empty, so there is no place to grow; mark where")
        depth = ndimage.distance_transform_edt(mask).astype(np.float32)
        return cls(edges, depth, np.argwhere(mask))

    def room(self, points: np.ndarray) -> np.ndarray:
        """The largest radius that is surely within at points (n, ndim); negative outside."""
        ends = np.array(self.shape) - 0.5
        room = np.minimum(points + 0.5, ends - points).min(axis=1)
        if self.depth is None:
            return np.asarray(room)
        nearest = np.clip(np.rint(points), 0, np.array(self.shape) - 1).astype(int)
        aside = np.linalg.norm(points - nearest, axis=1)
        return np.asarray(np.minimum(room, self.depth[tuple(nearest.T)] - aside - 0.5))

    def fits(self, starts: np.ndarray, ends: np.ndarray, radii: np.ndarray) -> np.ndarray:
        """Which capsules lie within, (n,) bool."""
        # an image is convex: what its ends fit in, all fits in
        count = 2
        if self.depth is not None and len(starts):
            count = int(np.ceil(np.linalg.norm(ends - starts, axis=1).max())) + 2
        between = starts + np.linspace(0, 1, count)[:, None, None] * (ends - starts)
        room = self.room(between.reshape(-1, len(self.shape))).reshape(count, -1)
        return np.asarray((room >= radii - 1e-9).all(axis=0))

    def drawn(self, rng: np.random.Generator, count: int, radius: float) -> np.ndarray:
        """Points at random where a radius fits, (count or fewer, ndim)."""
        if self.pixels is None:
            low, high = radius - 0.5, np.array(self.shape) - 0.5 - radius
            points = rng.uniform(np.minimum(low, high), high, (count, len(self.shape)))
        else:
            chosen = self.pixels[rng.integers(len(self.pixels), size=count)]
            points = chosen + rng.uniform(-0.5, 0.5, chosen.shape)
        return np.asarray(points[self.room(points) >= radius])

    def entrance(self, radius: float) -> np.ndarray:
        """Where a vessel of a radius comes in: first along the first axis, amid the others.

        Raises
        ------
        InputError
            If it fits nowhere.
        """
        if self.pixels is None:
            place = np.array([radius - 0.5, *((n - 1) / 2 for n in self.shape[1:])])
            inside = self.room(place[None])[0] >= radius - 1e-9
        else:
            fitting = self.pixels[self.room(self.pixels.astype(float)) >= radius]
            inside = len(fitting) > 0
            if inside:
                first = fitting[fitting[:, 0] == fitting[0, 0]]
                middle = np.linalg.norm(first - first.mean(axis=0), axis=1).argmin()
                place = first[middle].astype(float)
        if not inside:
            raise InputError(
                f"the widest vessel has a radius of {radius:.3g} pixels and does not fit into "
                f"{self.shape}; ask for fewer segments or a smaller radius, or enlarge the shape"
            )
        return place
