"""Rectangles drawn slice by slice become boxes of volumes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from napari_medai.core.boxes import Boxes

SAME = 0.01
"""Pixels by which the edges of rectangles of one box may differ."""


@dataclass(frozen=True, slots=True, eq=False)
class Stacks:
    """Boxes of volumes, put together of rectangles.

    ``boxes`` (z, y, x) reach half a slice beyond their outermost ones; ``places`` are the positions
    along the other axes, ``first`` (n,) the first rectangle of each, rising, ``counts`` how many
    it has.
    """

    boxes: Boxes
    places: np.ndarray
    first: np.ndarray
    counts: np.ndarray


def stacked_boxes(boxes: Boxes, places: np.ndarray, groups: np.ndarray, *, depth: int) -> Stacks:
    """Join the rectangles of a group that lie on adjacent slices and have the same edges.

    ``places`` int64 (n, axes) are their positions, with the slice in column ``depth``; those of
    one box agree along the others. ``groups`` (n,) are whole numbers; a rectangle of a negative
    one is a box alone. Two rectangles in one slice are never of the same box. Class and score are
    those of the first rectangle.
    """
    slices, others = places[:, depth], np.delete(places, depth, axis=1)
    alone = groups.max(initial=-1) + 1 + np.arange(len(groups))
    keys = np.column_stack([others, np.where(groups < 0, alone, groups)])
    spot = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
    owner = np.arange(len(boxes))
    for row, above in _joints(spot, slices, boxes.corners.reshape(len(boxes), 4)):
        owner[row] = owner[above]
    _, number, counts = np.unique(owner, return_inverse=True, return_counts=True)
    first = np.full(len(counts), len(boxes))
    np.minimum.at(first, number, np.arange(len(boxes)))
    corners = np.zeros((len(counts), 2, 3), np.float32)
    corners[:, 0], corners[:, 1] = np.inf, -np.inf
    z = slices[:, None]
    np.minimum.at(corners[:, 0], number, np.hstack([z - 0.5, boxes.corners[:, 0]]))
    np.maximum.at(corners[:, 1], number, np.hstack([z + 0.5, boxes.corners[:, 1]]))
    order = np.argsort(first)
    first = first[order]
    solids = Boxes.of(corners[order], boxes.kinds[first], boxes.scores[first], ndim=3)
    return Stacks(solids, others[first], first, counts[order])


def _joints(spot: np.ndarray, slices: np.ndarray, edges: np.ndarray) -> Iterator[tuple[int, int]]:
    """Each rectangle that goes on with one in the slice before, and that one; slices rising."""
    before: list[int] = []
    here: list[int] = []
    last = (-1, 0)
    for row in np.lexsort((slices, spot)).tolist():
        now = (int(spot[row]), int(slices[row]))
        if now != last:
            before = here if now == (last[0], last[1] + 1) else []
            here, last = [], now
        if before:
            apart = np.abs(edges[before] - edges[row]).max(axis=1)
            nearest = int(apart.argmin())
            if apart[nearest] < SAME:
                yield row, before.pop(nearest)
        here.append(row)
