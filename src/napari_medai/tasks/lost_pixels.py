"""Pixels of an image that say nothing of the light, plane by plane."""

from __future__ import annotations

import numpy as np

from napari_medai.core.defects import defects
from napari_medai.core.noise import CameraNoise

LEAST = 5
"""Rows and columns of a plane below which a pixel has too few neighbours to tell."""


def lost_pixels(
    values: np.ndarray, noise: CameraNoise, *, saturated: float | None = None
) -> np.ndarray:
    """Which pixels (..., Y, X) are saturated, hot, dead or not finite, as `defects` finds them.

    In planes of fewer rows or columns, those that are not finite.
    """
    if min(values.shape[-2:]) < LEAST:
        return ~np.isfinite(values)
    flat = values.reshape(-1, *values.shape[-2:])
    found = [defects(plane, noise, saturated=saturated) for plane in flat]
    return np.stack(found).reshape(values.shape)
