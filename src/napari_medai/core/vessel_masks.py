"""Which pixels a tree of vessels takes: exactly those whose centre lies within a segment's radius.

Each segment is looked at in the box around it alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from napari_medai.core.capsules import point_distances
from napari_medai.core.errors import InputError
from napari_medai.core.vessels import VesselTree


@dataclass(frozen=True, slots=True, eq=False)
class Around:
    """One segment: a ``box`` of the image, and the distance of its pixels to the axis, float64."""

    number: int
    box: tuple[slice, ...]
    distances: np.ndarray


def around_segments(
    tree: VesselTree, shape: Sequence[int], *, margin: float = 0.0
) -> Iterator[Around]:
    """Every segment that reaches into an image, with what lies within its radius and a margin.

    Raises
    ------
    InputError
        If the shape has another number of axes than the tree.
    """
    if len(shape) != tree.ndim:
        raise InputError(
            f"the tree has {tree.ndim} axes, but the shape {tuple(shape)} has {len(shape)}; give "
            f"{tree.ndim} numbers"
        )
    starts, ends = tree.starts, tree.ends
    reach = (tree.radii + margin)[:, None]
    low = np.maximum(np.ceil(np.minimum(starts, ends) - reach), 0).astype(int)
    last = np.floor(np.maximum(starts, ends) + reach).astype(int)
    high = np.minimum(last + 1, np.array(shape, int))
    for number in np.flatnonzero((low < high).all(axis=1)).tolist():
        box = tuple(map(slice, low[number].tolist(), high[number].tolist()))
        grid = np.stack(np.meshgrid(*(np.arange(b.start, b.stop) for b in box), indexing="ij"), -1)
        yield Around(number, box, point_distances(grid, starts[number], ends[number]))


def vessel_mask(tree: VesselTree, shape: Sequence[int] | None = None) -> np.ndarray:
    """True in vessels, bool; ``shape`` is that which the tree grew in by default."""
    mask = np.zeros(tree.shape if shape is None else tuple(shape), bool)
    for around in around_segments(tree, mask.shape):
        mask[around.box] |= around.distances <= tree.radii[around.number]
    return mask


def segment_labels(tree: VesselTree, shape: Sequence[int] | None = None) -> np.ndarray:
    """The number of the segment, counted from 1, that each pixel of `vessel_mask` belongs to.

    Where several overlap it is the one whose surface is farthest outside; one that is covered by
    others keeps the pixel nearest to its axis. int32, 0 is background. A segment has no pixel if
    no pixel's centre lies in it.
    """
    numbers = np.arange(1, len(tree.segments) + 1, dtype=np.int32)
    return _labels(tree, shape, numbers)


def branch_labels(tree: VesselTree, shape: Sequence[int] | None = None) -> np.ndarray:
    """As `segment_labels`, but the number of the branch."""
    return _labels(tree, shape, tree.branches.astype(np.int32) + 1)


def _labels(tree: VesselTree, shape: Sequence[int] | None, numbers: np.ndarray) -> np.ndarray:
    labels = np.zeros(tree.shape if shape is None else tuple(shape), np.int32)
    depth = np.zeros(labels.shape, np.float32)
    nearest: dict[int, tuple[int, ...]] = {}
    for around in around_segments(tree, labels.shape):
        inside = tree.radii[around.number] - around.distances
        before = depth[around.box]
        nearer = (inside >= 0) & ((inside > before) | (labels[around.box] == 0))
        before[nearer] = inside[nearer]
        label = int(numbers[around.number])
        labels[around.box][nearer] = label
        best = np.unravel_index(inside.argmax(), inside.shape)
        if inside[best] >= 0:
            corner = (b.start for b in around.box)
            nearest[label] = tuple(c + int(n) for c, n in zip(corner, best, strict=True))
    counts = np.bincount(labels.ravel(), minlength=int(numbers.max()) + 1)
    for label, pixel in nearest.items():
        if not counts[label] and counts[labels[pixel]] > 1:
            counts[labels[pixel]] -= 1
            labels[pixel], counts[label] = label, 1
    return labels


def centre_lines(tree: VesselTree, shape: Sequence[int] | None = None) -> np.ndarray:
    """True in the pixels that hold the centre lines, bool: lines without gaps, a pixel wide."""
    mask = np.zeros(tree.shape if shape is None else tuple(shape), bool)
    for start, end in zip(tree.starts, tree.ends, strict=True):
        count = int(np.ceil(np.abs(end - start).max())) + 1
        line = np.rint(start + np.linspace(0, 1, count)[:, None] * (end - start)).astype(int)
        inside = ((line >= 0) & (line < mask.shape)).all(axis=1)
        mask[tuple(line[inside].T)] = True
    return mask


def volume_fraction(tree: VesselTree) -> float:
    """The share of the pixels that lie in vessels."""
    return float(vessel_mask(tree).mean())
