"""Whether what was taken away from an image looks like noise."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from napari_medai.core.axes import CHANNEL, AxesArray
from napari_medai.core.defects import defects
from napari_medai.core.noise import CameraNoise
from napari_medai.core.whiteness import Whiteness, whiteness
from napari_medai.tasks.denoising import Restoration
from napari_medai.tasks.planes import Planes, Position

PLANES = 6
"""The most planes that are looked at."""
EDGE = 512
"""The part of each in its middle that is looked at, in pixels a side."""
LEAST = 16
"""Rows and columns below which nothing can be told."""


def self_check(result: Restoration, image: AxesArray) -> str:
    """Whether the residual of a few planes looks like noise, in one sentence for people."""
    if min(image.sizes["Y"], image.sizes["X"]) < LEAST:
        return f"Images below {LEAST} x {LEAST} pixels are too small for a self-check."
    planes, restored = Planes(image, "YX"), AxesArray(result.image, result.axes)
    count, seen = planes.count, 0
    chosen = set(np.linspace(0, count - 1, min(count, PLANES)).round().astype(int).tolist())
    for number, at in enumerate(planes.positions()):
        if number not in chosen:
            continue
        noise = result.noise[at.get(CHANNEL, 0)]
        if noise is None:
            continue
        window = tuple(_middle(planes.shape))
        noisy = np.asarray(planes.plane(at).data[window])
        clean = np.asarray(Planes(restored, "YX").plane(at).data[window])
        found = taken_away(noisy, clean, noise, where=~defects(noisy, noise))
        if found is None:
            continue
        seen += 1
        if not found.white:
            return f"{found.sentence}{_where(at)}"
    if not seen:
        return "Nothing was taken away."
    looked = "" if count == 1 else f" ({seen} of {count} planes looked at)"
    return f"What was taken away looks like noise{looked}."


def taken_away(
    noisy: np.ndarray,
    restored: np.ndarray,
    noise: CameraNoise,
    *,
    where: np.ndarray | None = None,
) -> Whiteness | None:
    """How what was taken from a plane (Y, X) differs from white noise.

    Pixels that are not finite do not count, nor those that are not ``where``; None without any.
    """
    known = np.isfinite(noisy) & np.isfinite(restored)
    if where is not None:
        known &= where
    if not known.any():
        return None
    clean = np.where(known, restored, noise.offset).astype(np.float64)
    taken = np.full(clean.shape, np.nan)
    taken[known] = noisy[known].astype(np.float64) - clean[known]
    # where light is none and nothing is read, values do not scatter
    deviation = np.sqrt(np.maximum(noise.variance(clean), noise.floor))
    return whiteness(taken, deviation)


def _middle(shape: tuple[int, ...]) -> Iterator[slice]:
    for size in shape:
        edge = min(size, EDGE)
        yield slice((size - edge) // 2, (size + edge) // 2)


def _where(at: Position) -> str:
    words = ", ".join(f"{axis.lower()} {index}" for axis, index in at.items())
    return f" (At {words}.)" if words else ""
