"""How objects lie to each other: how far the nearest one is, and which touch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import gamma, pi, prod
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

# How much nearest neighbours of a random pattern are farther for want of neighbours beyond the
# border: Donnelly 1978 for planes; for boxes the mean of simulated ones, 20 to 2000 points.
_BORDER = {2: 0.1028, 3: 0.06}


def ball_size(ndim: int) -> float:
    """The size of a disk (ball) of radius 1."""
    return pi if ndim == 2 else 4 * pi / 3


def ball_diameter(size: np.ndarray | np.floating[Any], ndim: int) -> np.ndarray:
    """The diameter of a disk (ndim 2) or ball (3) of so many pixels."""
    return np.asarray(2 * (size / ball_size(ndim)) ** (1 / ndim))


def clark_evans(centres: np.ndarray, shape: Sequence[int]) -> float:
    """Of points (n, ndim) in an image: `ImageLayout.clustering`."""
    count = len(centres)
    if count < 3:
        return 1.0
    nearest = cKDTree(centres).query(centres, k=2)[0][:, 1].mean()
    return float(nearest / random_distance(count, shape))


def random_distance(count: int, shape: Sequence[int]) -> float:
    """The mean distance to the nearest of as many random points in an image, in pixels."""
    ndim, size = len(shape), prod(shape)
    step = (size / count) ** (1 / ndim)
    border = 2 * sum(size / edge for edge in shape)
    mean = gamma(1 + 1 / ndim) / ball_size(ndim) ** (1 / ndim)
    return mean * step * (1 + _BORDER[ndim] * border / size * step)


def touching_share(labels: np.ndarray, count: int) -> float:
    """The share of ``count`` objects that touch another one by a side or a corner."""
    touches = [np.zeros(0, labels.dtype)]
    for offset in product((-1, 0, 1), repeat=labels.ndim):
        if offset <= (0,) * labels.ndim:
            continue
        first = labels[tuple(slice(max(0, -d), min(n, n - d)) for d, n in _with(offset, labels))]
        other = labels[tuple(slice(max(0, d), min(n, n + d)) for d, n in _with(offset, labels))]
        differ = (first != other) & (first > 0) & (other > 0)
        touches += [first[differ], other[differ]]
    return len(np.unique(np.concatenate(touches))) / max(count, 1)


def _with(offset: tuple[int, ...], labels: np.ndarray) -> list[tuple[int, int]]:
    return list(zip(offset, labels.shape, strict=True))
