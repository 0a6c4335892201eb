"""Where in other images a small part of one is found again, turned, mirrored or shifted.

Parts are compared by the correlation of their pixels, so that neither brightness nor contrast
counts. Each is looked for at every place of every image, first coarsely, then near the best places.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage

from napari_medai.core.errors import InputError
from napari_medai.core.memorisation import Nearest
from napari_medai.core.steps import Step, Steps

PART = 64
"""Edge of a part that is looked for, in pixels of the shrunken images."""
CANDIDATES = 4
"""Images in which a part is looked for again, finely."""
ANSWERS = 1 << 23
"""Correlations of parts with places that are held at once."""

_COARSE = 4
"""Pixels of the shrunken images, along an edge, that are one where a part is first looked for."""


def shrunken(image: np.ndarray, factor: int) -> np.ndarray:
    """An image (Y, X) with so many times fewer rows and columns, smoothed before.

    Rows and columns at the far edges that do not fill a pixel are left out.
    """
    rows, columns = (n // factor for n in image.shape)
    whole = np.asarray(image[: rows * factor, : columns * factor], np.float32)
    # Else noise, and a shift by less than a pixel, would hide what is the same.
    smooth = ndimage.gaussian_filter(whole, 0.75 * factor)
    return np.asarray(smooth.reshape(rows, factor, columns, factor).mean((1, 3)))


def nearest_parts(
    parts: np.ndarray,
    images: Sequence[np.ndarray],
    *,
    apart: tuple[np.ndarray, np.ndarray] | None = None,
) -> Steps[Nearest]:
    """The image in which each part is found best, under the 8 turns and mirrorings.

    A step an image. Distances are ``sqrt(2 - 2 r)`` with the correlation ``r`` at the best place:
    0 for the same picture, about 1.4 for others that have nothing in common.

    Parameters
    ----------
    parts
        (n, `PART`, `PART`), of shrunken images.
    images
        Shrunken images (Y, X) of at least that size.
    apart
        The sources of the parts and of the images, where those of one source are not to be
        compared; a part without any other has an infinite distance.

    Raises
    ------
    InputError
        If parts have another size, or an image is smaller than they are.
    """
    _check(parts, images)
    views = np.stack([_turned(parts, turn) for turn in range(8)], axis=1)
    coarse = _standardised(_coarse(views))
    best = np.full((len(parts), len(images)), -np.inf)
    where = np.zeros((len(parts), len(images), 3), np.int32)
    for at, image in enumerate(images):
        best[:, at], where[:, at] = _best_places(coarse, _coarse(image))
        yield Step(at + 1, len(images), "looking for copies")
    if apart is not None:
        best[np.asarray(apart[0])[:, None] == np.asarray(apart[1])] = -np.inf
    fine = _standardised(views)
    distances, indices = np.full(len(parts), np.inf), np.zeros(len(parts), np.int64)
    for number, row in enumerate(best):
        for at in np.argsort(-row)[:CANDIDATES]:
            if np.isfinite(row[at]):
                found = _refined(fine[number], images[at], where[number, at])
                if found < distances[number]:
                    distances[number], indices[number] = found, at
    return Nearest(distances, indices)


def _check(parts: np.ndarray, images: Sequence[np.ndarray]) -> None:
    if parts.ndim != 3 or parts.shape[1:] != (PART, PART):
        raise InputError(
            f"parts of {PART} x {PART} pixels are looked for, got an array of shape {parts.shape}; "
            "cut them from the shrunken images"
        )
    for image in images:
        if image.ndim != 2 or min(image.shape) < PART:
            raise InputError(
                f"an image of shape {image.shape} is too small to hold a part of {PART} x {PART} "
                "pixels; shrink it less, or leave it out"
            )


def _turned(parts: np.ndarray, turn: int) -> np.ndarray:
    """One of the 8 views of each part."""
    turned = np.rot90(parts, turn % 4, (1, 2))
    return turned[:, :, ::-1] if turn >= 4 else turned


def _coarse(images: np.ndarray) -> np.ndarray:
    """The means of squares of `_COARSE` pixels, over the last two axes."""
    rows, columns = (n // _COARSE for n in images.shape[-2:])
    whole = images[..., : rows * _COARSE, : columns * _COARSE]
    cells = whole.reshape(*images.shape[:-2], rows, _COARSE, columns, _COARSE)
    return np.asarray(cells.mean((-3, -1)))


def _standardised(windows: np.ndarray) -> np.ndarray:
    """Windows (\\*, rows, columns) as vectors of mean 0 and length 1; zeros if all is alike."""
    flat = windows.reshape(*windows.shape[:-2], -1).astype(np.float32)
    flat = flat - flat.mean(-1, keepdims=True)
    length = np.linalg.norm(flat, axis=-1, keepdims=True)
    return np.asarray(flat / np.where(length > 1e-6, length, np.inf))


def _best_places(coarse: np.ndarray, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each part the best correlation in an image, with the view and the corner there."""
    count, views, size = coarse.shape
    edge = PART // _COARSE
    windows = sliding_window_view(image, (edge, edge))
    columns = windows.shape[1]
    rows_at_once = max(1, ANSWERS // (count * views * columns))
    best = np.full(count, -np.inf)
    where = np.zeros((count, 3), np.int32)
    for top in range(0, windows.shape[0], rows_at_once):
        places = _standardised(windows[top : top + rows_at_once]).reshape(-1, size)
        found = (coarse.reshape(-1, size) @ places.T).reshape(count, -1)
        at = found.argmax(1)
        value = found[np.arange(count), at]
        view, place = np.divmod(at, len(places))
        better = value > best
        corner = np.stack([view, top + place // columns, place % columns], axis=1)
        best[better], where[better] = value[better], corner[better]
    return best, where


def _refined(fine: np.ndarray, image: np.ndarray, where: np.ndarray) -> float:
    """The smallest distance of a part (views, pixels) near a coarse place of an image."""
    view, *corner = where.tolist()
    window = tuple(
        slice(max(0, _COARSE * (at - 1)), min(n, _COARSE * (at + 1) + PART))
        for at, n in zip(corner, image.shape, strict=True)
    )
    places = _standardised(sliding_window_view(image[window], (PART, PART)))
    nearest = places.reshape(-1, PART**2)
    # From the difference: of a copy nothing but rounding would be left of 2 - 2 r.
    gaps = np.linalg.norm(nearest - fine[view], axis=1)
    shown = nearest.any(1) & fine[view].any()
    return float(np.where(shown, gaps, 2**0.5).min())
