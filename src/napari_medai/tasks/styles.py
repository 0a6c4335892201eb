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
from napari_medai.core.looks import Look, measured_look, scaled, window_of

LEAST_OBJECT = 9
"""Pixels of what counts as an object."""
MOST_PIXELS = 2**24
"""Of a larger image the middle is looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Style:
    """The look of an image with these axes (any, where empty) to be followed, and its dtype."""

    look: Look
    dtype: np.dtype[Any]
    axes: str = ""


def measured_style(image: AxesArray, labels: np.ndarray | None = None) -> Style:
    """The look of a plane or volume of one channel; without labels, what is bright is an object.

    Raises
    ------
    InputError
        If it has other axes, values that are no finite numbers, or nothing stands out in it.
    """
    if CHANNEL in image.axes:
        image = image.at(C=0) if image.sizes[CHANNEL] == 1 else image
    if image.axes not in ("YX", "ZYX"):
        raise InputError(
            f"a style is taken from a plane or a volume of one channel, got axes "
            f"{' '.join(image.axes)}; choose one channel and one point in time"
        )
    if labels is not None and labels.shape != image.shape:
        raise InputError(
            f"the labels of a style have its shape {image.shape}, got {labels.shape}; give those "
            "of the same image"
        )
    values = np.asarray(image.data[_middle(image.shape)])
    _check_values(values)
    found = _bright(values) if labels is None else labels[_middle(image.shape)]
    look, _ = measured_look(values, found)
    kind = values.dtype.newbyteorder("=") if values.dtype.kind in "iu" else np.dtype(np.float32)
    return Style(look, kind, image.axes)


def _check_values(values: np.ndarray) -> None:
    if values.dtype.kind == "b":
        raise InputError("a style is taken from an image, got a mask (yes or no); choose another")
    if not values.size:
        raise InputError(f"the style image is empty (shape {values.shape}); choose another")
    # NaN is within no limits
    strange = values.size - int((np.abs(values) <= np.finfo(np.float32).max).sum())
    if strange:
        raise InputError(
            f"a style is taken from an image of finite numbers, got one with {strange} values "
            "that are none (NaN, infinite or beyond float32); replace them, or choose another"
        )
    if values.min() == values.max():
        raise InputError(
            f"nothing stands out in the style image, whose values are all {values.min():g}; choose "
            "one with objects in it"
        )


def _middle(shape: tuple[int, ...]) -> tuple[slice, ...]:
    share = min(1.0, (MOST_PIXELS / max(1, prod(shape))) ** (1 / len(shape)))
    starts = [int(n * (1 - share) / 2) for n in shape]
    return tuple(slice(s, n - s) for s, n in zip(starts, shape, strict=True))


def _bright(values: np.ndarray) -> np.ndarray:
    """Objects told from the background by Otsu's threshold, after a little smoothing."""
    # in parts of the window: squares of large values have no room in float32
    smooth = ndimage.gaussian_filter(scaled(values, window_of(values)), 1)
    labels, _ = ndimage.label(smooth > threshold_otsu(smooth))  # type: ignore[no-untyped-call]
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    kept = np.flatnonzero(sizes >= LEAST_OBJECT)
    if not len(kept):
        raise InputError(
            f"no object of {LEAST_OBJECT} pixels or more stands out in the style image; choose one "
            "with objects in it"
        )
    numbers = np.zeros(len(sizes), np.int32)
    numbers[kept] = np.arange(1, len(kept) + 1)
    return np.asarray(numbers[labels])
