"""Outlines drawn on an image, and the boxes around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_medai.core.errors import InputError


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
