"""The look of an image that others are to have."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

from napari_medai.core.axes import CHANNEL, AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.looks import Look, measured_look

LEAST_OBJECT = 9
"""Pixels of what counts as an object."""
MOST_PIXELS = 2**24
"""Of a larger image the middle is looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Style:
    """The look of an image with these axes to be followed, and its dtype."""

    look: Look
    dtype: np.dtype[Any]
    axes: str


def measured_style(image: AxesArray, labels: np.ndarray | None = None) -> Style:
    """The look of a plane or volume of one channel; without labels, what is bright is an object.

    Raises
    ------
    InputError
        If it has other axes, or nothing stands out in it.
    """
    if CHANNEL in image.axes:
        image = image.at(C=0) if image.sizes[CHANNEL] == 1 else image
    if image.axes not in ("YX", "ZYX"):
        raise InputError(
            f"a style is taken from a plane or a volume of one channel, got axes "
            f"{' '.join(image.axes)}; choose one channel and one point in time"
        )
    values = np.asarray(image.data[_middle(image.shape)])
    if values.dtype.kind == "b" or not np.isfinite(values).all():
        raise InputError("a style is taken from an image of finite numbers; choose another layer")
    found = _bright(values) if labels is None else labels[_middle(image.shape)]
    look, _ = measured_look(values, found)
    kind = values.dtype if values.dtype.kind in "iu" else np.dtype(np.float32)
    return Style(look, kind, image.axes)


def _middle(shape: tuple[int, ...]) -> tuple[slice, ...]:
    share = min(1.0, (MOST_PIXELS / max(1, prod(shape))) ** (1 / len(shape)))
    starts = [int(n * (1 - share) / 2) for n in shape]
    return tuple(slice(s, n - s) for s, n in zip(starts, shape, strict=True))


def _bright(values: np.ndarray) -> np.ndarray:
    """Objects told from the background by Otsu's threshold, after a little smoothing."""
    smooth = ndimage.gaussian_filter(values.astype(np.float32), 1)
    if smooth.min() == smooth.max():
        raise InputError("nothing stands out in the style image; choose one with objects in it")
    labels, _ = ndimage.label(smooth > threshold_otsu(smooth))  # type: ignore[no-untyped-call]
    sizes = np.bincount(labels.ravel())
    kept = np.flatnonzero(sizes >= LEAST_OBJECT)[1:]
    numbers = np.zeros(len(sizes), np.int32)
    numbers[kept] = np.arange(1, len(kept) + 1)
    return np.asarray(numbers[labels])
