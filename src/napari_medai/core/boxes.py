"""Boxes around objects, and the outlines that people draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.core.objects import numbered


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """The boxes of one plane or volume, drawn or found.

    ``corners`` float32 (n, 2, ndim): the low and the high corner of each, in pixels whose centres
    are whole numbers (a pixel alone is -0.5 to 0.5 around its own). ``kinds`` (n,) are the names of
    their classes, empty texts where there are none; ``scores`` float32 (n,) say how sure they are,
    0 to 1, NaN where nobody said.
    """

    corners: np.ndarray
    kinds: np.ndarray
    scores: np.ndarray

    @classmethod
    def of(
        cls,
        corners: Any,
        kinds: Sequence[str] | np.ndarray = (),
        scores: Any = None,
        *,
        ndim: int = 2,
    ) -> Boxes:
        """From anything like those arrays; ``ndim`` counts where there are no boxes.

        Raises
        ------
        InputError
            If their lengths differ.
        """
        places = np.asarray(corners, dtype=np.float32)
        places = places.reshape(-1, 2, places.shape[-1] if places.ndim == 3 else ndim)
        names = np.asarray(kinds, dtype=str) if len(kinds) else np.full(len(places), "", dtype="U1")
        sure = np.full(len(places), np.nan) if scores is None else np.asarray(scores)
        if not len(places) == len(names) == len(sure):
            raise InputError(
                f"boxes need a class and a score each, got {len(places)} boxes, {len(names)} "
                f"classes and {len(sure)} scores; give as many of each"
            )
        return cls(places, names, sure.astype(np.float32))

    def __len__(self) -> int:
        return len(self.corners)

    @property
    def ndim(self) -> int:
        """Axes of the plane or volume."""
        return int(self.corners.shape[-1])

    @property
    def sizes(self) -> np.ndarray:
        """Edges (n, ndim) in pixels."""
        return np.asarray(self.corners[:, 1] - self.corners[:, 0])

    @property
    def centres(self) -> np.ndarray:
        """(n, ndim), in pixels."""
        return np.asarray((self.corners[:, 0] + self.corners[:, 1]) / 2)

    def at(self, index: Any) -> Boxes:
        """Those of an index, a slice or a mask, in its order."""
        return Boxes(self.corners[index], self.kinds[index], self.scores[index])

    def clipped(self, shape: Sequence[int]) -> Boxes:
        """Cut at the edges of a plane or volume of that many pixels."""
        edge = np.asarray(shape, dtype=np.float32) - np.float32(0.5)
        corners = np.clip(self.corners, np.float32(-0.5), edge)
        return Boxes(corners, self.kinds, self.scores)


@dataclass(frozen=True, slots=True, eq=False)
class UsableBoxes:
    """Boxes that have an area within their image, and what became of each that was given.

    ``boxes`` are those kept, in order, cut at the edges of the image. The others are masks (n,)
    of what was given: ``degenerate`` of those whose high corner is not beyond the low one along
    every axis, ``outside`` of others that lie wholly outside the image, ``cut`` of those kept
    that reached beyond it.
    """

    boxes: Boxes
    degenerate: np.ndarray
    outside: np.ndarray
    cut: np.ndarray


def usable_boxes(boxes: Boxes, shape: Sequence[int]) -> UsableBoxes:
    """Those with an area within an image of that many pixels; nothing is turned round.

    Raises
    ------
    InputError
        If the boxes have other axes than the image.
    """
    if boxes.ndim != len(shape):
        raise InputError(
            f"boxes of {boxes.ndim} axes do not fit an image of {len(shape)}; give boxes of as many"
        )
    low, high = boxes.corners[:, 0], boxes.corners[:, 1]
    # Written so that corners that are not numbers count as degenerate.
    degenerate = ~(high > low).all(axis=1) | ~np.isfinite(boxes.corners).all(axis=(1, 2))
    within = boxes.clipped(shape)
    outside = ~degenerate & ~(within.corners[:, 1] > within.corners[:, 0]).all(axis=1)
    kept = ~degenerate & ~outside
    cut = kept & (within.corners != boxes.corners).any(axis=(1, 2))
    return UsableBoxes(within.at(kept), degenerate, outside, cut)


def label_boxes(labels: np.ndarray) -> tuple[Boxes, np.ndarray]:
    """The boxes around the objects of a label image (two or three axes), and their labels, rising.

    They follow the edges of pixels: an object on rows 3 to 7 reaches from 2.5 to 7.5. An object in
    several parts has one box around all; background is 0.

    Raises
    ------
    InputError
        If the labels are not whole numbers, or have another number of axes.
    """
    from scipy.ndimage import find_objects

    if labels.ndim not in (2, 3) or labels.dtype.kind not in "biu":
        raise InputError(
            f"boxes are drawn around labels of whole numbers along two or three axes, got "
            f"{labels.dtype} along {labels.ndim}; give one plane or volume of labels"
        )
    numbers, own = numbered(labels)
    edges = [[(one.start, one.stop) for one in place] for place in find_objects(own)]
    corners = np.array(edges, dtype=np.float32).reshape(-1, labels.ndim, 2).swapaxes(1, 2)
    return Boxes.of(corners - np.float32(0.5), ndim=labels.ndim), numbers


def box_ious(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union (n, m) of corners (n, 2, ndim) and (m, 2, ndim), 0 to 1."""
    return paired_ious(one[:, None], other[None])


def paired_ious(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union (n,) of corners (n, 2, ndim), each with its partner of the other."""
    low = np.maximum(one[..., 0, :], other[..., 0, :])
    high = np.minimum(one[..., 1, :], other[..., 1, :])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    whole = np.diff(one, axis=-2)[..., 0, :].prod(-1) + np.diff(other, axis=-2)[..., 0, :].prod(-1)
    return np.asarray(shared / np.maximum(whole - shared, 1e-9))


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """One closed shape in a plane of an image.

    ``points`` (n, 2) are its corners (y, x) in pixels, whose centres are whole numbers.
    ``position`` is its index along the other axes, rounded to whole pixels. ``kind`` is the class
    it belongs to, ``score`` how sure that is, 0 to 1, None where nobody said.
    """

    points: np.ndarray
    position: tuple[int, ...] = ()
    kind: str = ""
    score: float | None = None

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Top, left, bottom and right."""
        top, left = self.points.min(axis=0)
        bottom, right = self.points.max(axis=0)
        return float(top), float(left), float(bottom), float(right)

    @property
    def is_box(self) -> bool:
        """Whether it is a rectangle along the axes, so that `box` says it all."""
        top, left, bottom, right = self.box
        corners = {(top, left), (top, right), (bottom, right), (bottom, left)}
        found = {(float(y), float(x)) for y, x in self.points}
        return len(self.points) == 4 and found == corners

    @property
    def area(self) -> float:
        """In pixels (Gauss's area formula)."""
        y, x = self.points.T
        return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)


def box_outline(
    top: float,
    left: float,
    bottom: float,
    right: float,
    *,
    position: Sequence[int] = (),
    kind: str = "",
    score: float | None = None,
) -> Outline:
    """A rectangle along the axes.

    Raises
    ------
    InputError
        If an edge is not a number or lies on the wrong side of its opposite.
    """
    edges = np.array([top, left, bottom, right], dtype=float)
    if not np.isfinite(edges).all() or bottom < top or right < left:
        raise InputError(
            f"a box must have its top above its bottom and its left before its right, got top "
            f"{top:g}, left {left:g}, bottom {bottom:g}, right {right:g}; correct its corners"
        )
    points = np.array([[top, left], [top, right], [bottom, right], [bottom, left]], dtype=float)
    return Outline(points, tuple(int(n) for n in position), kind, score)
