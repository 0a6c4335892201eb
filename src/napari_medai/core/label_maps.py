"""What a net that paints objects is told of them: where they are, and how far edges are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

REACH = 16
"""Pixels beyond which a distance is no longer told apart: what is farther away does not matter."""
MAPS = ("inside", "depth", "distance", "border")
"""What `label_maps` gives, in this order."""


def label_maps(labels: np.ndarray) -> np.ndarray:
    """Maps of a label image (\\*space), float32 (4, \\*space), 0 to 1.

    ``inside`` is 1 in objects; ``depth`` the distance from within to the object's edge, and
    ``distance`` that from outside to the nearest object, in parts of `REACH`; ``border`` is 1
    where an object touches another one. A map's pixel depends on labels `REACH` + 1 pixels around
    it alone, so that maps of parts are parts of the maps.
    """
    inside = labels > 0
    edge, border = np.zeros(labels.shape, bool), np.zeros(labels.shape, bool)
    for axis in range(labels.ndim):
        near, far = (_but_one(labels.ndim, axis, end) for end in (-1, 0))
        differs = labels[near] != labels[far]
        touches = differs & inside[near] & inside[far]
        for side in (near, far):
            edge[side] |= differs
            border[side] |= touches
    if edge.any():
        away = np.minimum((ndimage.distance_transform_edt(~edge) + 1) / REACH, 1)
    else:
        away = np.ones(labels.shape)
    return np.stack([inside, inside * away, ~inside * away, border]).astype(np.float32)


def painted(labels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values of objects (n + 1, k), the first row for the background, as maps (k, \\*space)."""
    return np.ascontiguousarray(np.moveaxis(values.astype(np.float32)[labels], -1, 0))


def _but_one(ndim: int, axis: int, end: int) -> tuple[slice, ...]:
    """All but the last (-1) or the first (0) along an axis."""
    part: Sequence[slice] = [slice(None)] * ndim
    chosen = slice(None, -1) if end else slice(1, None)
    return tuple(chosen if i == axis else whole for i, whole in enumerate(part))
