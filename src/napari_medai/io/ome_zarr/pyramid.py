"""Pyramids: which axes are halved from level to level, and levels made a block at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np

from napari_medai.core.axes import SPACE
from napari_medai.core.units import in_micrometers

SMALLEST_EDGE = 512
"""A level whose rows or columns are no more than this is the last."""

COPIED_BYTES = 2**26
AVERAGED_BYTES = 2**25
_MUCH_COARSER = 1.5
_LARGE_PLANE = 2**22

Window = tuple[slice, ...]


def halvings(
    sizes: Mapping[str, int], spacing: Mapping[str, float], units: Mapping[str, str]
) -> list[str]:
    """The axes that are halved for each further level.

    Rows and columns always; planes too where their step is by then not much coarser, so that
    voxels become cubes.
    """
    sizes = dict(sizes)
    steps = {axis: _length(spacing, units, axis) for axis in SPACE if axis in sizes}
    found = []
    while min(sizes["Y"], sizes["X"]) > SMALLEST_EDGE:
        finest = min(steps["Y"], steps["X"])
        deep = sizes.get("Z", 1) > 1 and steps["Z"] <= _MUCH_COARSER * finest
        halved = ("Z" if deep else "") + "YX"
        for axis in halved:
            sizes[axis] = -(-sizes[axis] // 2)
            steps[axis] *= 2
        found.append(halved)
    return found


def _length(spacing: Mapping[str, float], units: Mapping[str, str], axis: str) -> float:
    step = float(spacing.get(axis, 1.0))
    micrometers = in_micrometers(step, units.get(axis))
    return step if micrometers is None else micrometers


def chunk_shape(axes: str, shape: Sequence[int]) -> tuple[int, ...]:
    """Chunks of about a million values: flat boxes of a volume, or squares of a plane.

    Planes too large to be held by the dozen are cut into squares too, so that each is read once.
    """
    sizes = dict(zip(axes, shape, strict=True))
    deep = sizes.get("Z", 1) > 1 and sizes["Y"] * sizes["X"] <= _LARGE_PLANE
    edges = {"Z": 16, "Y": 256, "X": 256} if deep else {"Y": 1024, "X": 1024}
    return tuple(max(1, min(n, edges.get(axis, 1))) for axis, n in zip(axes, shape, strict=True))


def windows(
    shape: Sequence[int], chunks: Sequence[int], *, itemsize: int, most: int
) -> Iterator[Window]:
    """Windows that cover an array, none through a chunk, each of at most ``most`` bytes.

    Grown from the last axis on, so that whole rows and planes are read together. A chunk is never
    cut, even if it is larger.
    """
    edges = list(chunks)
    for axis in reversed(range(len(edges))):
        room = most // (prod(edges) * itemsize)
        edges[axis] = min(shape[axis], max(1, room) * edges[axis])
    starts = (range(0, n, edge) for n, edge in zip(shape, edges, strict=True))
    for corner in product(*starts):
        yield tuple(
            slice(start, min(start + edge, n))
            for start, edge, n in zip(corner, edges, shape, strict=True)
        )


def copy_level(source: Any, target: Any) -> None:
    """Write an array that can be sliced to a stored one of its shape."""
    itemsize = max(np.dtype(source.dtype).itemsize, np.dtype(target.dtype).itemsize)
    for window in windows(target.shape, target.chunks, itemsize=itemsize, most=COPIED_BYTES):
        target[window] = np.asarray(source[window]).astype(target.dtype, copy=False)


def halve_level(source: Any, target: Any, halved: Sequence[int], *, labels: bool) -> None:
    """Write a stored array to one that is half as long along some axes (rounded up).

    Of labels every other sample is taken; of other values the mean, at the end of an odd axis of
    those that are left.
    """
    itemsize = 8 * 2 ** len(halved)
    for window in windows(target.shape, target.chunks, itemsize=itemsize, most=AVERAGED_BYTES):
        doubled = {n: slice(2 * window[n].start, 2 * window[n].stop) for n in halved}
        block = np.asarray(source[tuple(doubled.get(n, part) for n, part in enumerate(window))])
        target[window] = _every_other(block, halved) if labels else mean_of_pairs(block, halved)


def _every_other(block: np.ndarray, halved: Sequence[int]) -> np.ndarray:
    return block[tuple(slice(None, None, 2 if n in halved else 1) for n in range(block.ndim))]


def mean_of_pairs(block: np.ndarray, halved: Sequence[int]) -> np.ndarray:
    """The mean of neighbours along some axes, in the dtype of the block; integers are rounded."""
    small = block.dtype.itemsize <= 2 or block.dtype == np.float32
    total: Any = block.astype(np.float32 if small else np.float64)
    for axis in halved:
        if total.shape[axis] % 2:
            last = total.take([-1], axis=axis)
            total = np.concatenate([total, last], axis=axis)
        before = tuple(slice(0, None, 2) if n == axis else slice(None) for n in range(total.ndim))
        after = tuple(slice(1, None, 2) if n == axis else slice(None) for n in range(total.ndim))
        total = (total[before] + total[after]) / 2
    whole = block.dtype.kind in "iu"
    return np.asarray((np.rint(total) if whole else total).astype(block.dtype))
