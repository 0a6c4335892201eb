"""Whether labels lie on an image pixel on pixel, maybe on a part of it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

from napari_medai.core.axes import CHANNEL, AxesArray

_APART = 0.5
"""Steps by which pixels may miss each other."""


def cut_to(
    image: AxesArray, labels: AxesArray, to_image: Callable[[np.ndarray], np.ndarray]
) -> AxesArray | None:
    """The part of an image that labels lie on, as lazy as it was; None where they do not so.

    Segmentations in DICOM often hold only the slices that have something in them.

    Parameters
    ----------
    to_image
        From an index of the labels to that of the image at the same place, both without channels.
    """
    axes = labels.axes.replace(CHANNEL, "")
    if image.axes.replace(CHANNEL, "") != axes:
        return None
    far = [labels.sizes[axis] - 1 for axis in axes]
    corners = [np.array(corner, dtype=float) for corner in product(*((0, n) for n in far))]
    apart = np.array([to_image(corner) - corner for corner in corners])
    start = np.round(apart[0])
    if not np.abs(apart - start).max() <= _APART:
        return None
    window = {
        axis: slice(int(first), int(first) + n + 1)
        for axis, first, n in zip(axes, start, far, strict=True)
    }
    inside = all(cut.start >= 0 and cut.stop <= image.sizes[axis] for axis, cut in window.items())
    return image.cropped(**window) if inside else None
