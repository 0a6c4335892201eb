"""Pixels that say nothing of the light: saturated, and hot or dead ones."""

from __future__ import annotations

from itertools import product

import numpy as np

from napari_medai.core.axes import check_dtype
from napari_medai.core.errors import InputError
from napari_medai.core.noise import CameraNoise

SIGMAS = 8.0
"""A hot or dead pixel differs from its neighbours by more than this times the noise."""

_SPREAD = 0.2
"""Light spreads to the neighbours: at most this share of what a hot pixel differs by does not."""

_TEXTURE = 0.5
"""The part of the light around it by which texture may differ."""

_RING = [at for at in product((-1, 0, 1), repeat=2) if at != (0, 0)]
_OUTER = [at for at in product(range(-2, 3), repeat=2) if max(map(abs, at)) == 2]


def defects(image: np.ndarray, noise: CameraNoise, *, saturated: float | None = None) -> np.ndarray:
    """Which pixels of a plane are saturated, hot, dead or not finite: bool (Y, X).

    A hot or dead pixel differs from the median of its 8 neighbours by more than 8 standard
    deviations of the noise and half the light there, none of them does so half as much, and they
    themselves do not stand out: even a point of light shines on its neighbours, and threads and
    their ends have some.

    Parameters
    ----------
    image
        One plane (Y, X), at least 5 x 5.
    noise
        Of this image.
    saturated
        The lowest value that counts as saturated; by default as `saturation` finds.

    Raises
    ------
    InputError
        If the image is no such plane, or its values are no real numbers.
    """
    check_dtype(image.dtype)
    if image.ndim != 2 or min(image.shape) < 5:
        raise InputError(
            "defects are found in planes of at least 5 x 5 pixels, got an array of shape "
            f"{image.shape}; give one plane at a time"
        )
    values = np.asarray(image, np.float64)
    mask = ~np.isfinite(values)
    ceiling = saturation(image) if saturated is None else saturated
    if ceiling is not None:
        mask |= values >= ceiling
    if mask.all():
        return mask
    if mask.any():
        values = np.where(mask, np.median(values[~mask]), values)
    return mask | _isolated(values, noise)


def _isolated(values: np.ndarray, noise: CameraNoise) -> np.ndarray:
    """Where single pixels stand out; ``values`` float64 (Y, X), finite."""
    padded = np.pad(values, 2, mode="reflect")
    near = (_sums_of_nine(padded[1:-1, 1:-1]) - values) / 8
    # the few that may be, quickly: half the limit, as the mean is no median
    rows, columns = np.nonzero((values - near) ** 2 > (SIGMAS / 2) ** 2 * noise.variance(near))
    centre = values[rows, columns]
    ring = np.stack([padded[rows + 2 + y, columns + 2 + x] for y, x in _RING])
    outer = np.stack([padded[rows + 2 + y, columns + 2 + x] for y, x in _OUTER])
    middle = np.median(ring, axis=0)
    apart = centre - middle
    alike = ((ring - middle) * np.sign(apart) > np.abs(apart) / 2).sum(axis=0)
    found = np.abs(apart) > SIGMAS * np.sqrt(noise.variance(middle))
    # with a lot of light, fine texture stands out of the noise as well
    found &= np.abs(apart) > _TEXTURE * np.maximum(middle - noise.offset, 0)
    found &= (alike == 0) & (np.abs(middle - np.median(outer, axis=0)) < _SPREAD * np.abs(apart))
    mask = np.zeros(values.shape, bool)
    mask[rows[found], columns[found]] = True
    return mask


def _sums_of_nine(values: np.ndarray) -> np.ndarray:
    """Of each pixel that has 8 neighbours, with them: (Y, X) -> (Y - 2, X - 2)."""
    rows = values[:-2] + values[1:-1] + values[2:]
    return np.asarray(rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:])


def saturation(values: np.ndarray) -> float | None:
    """The value at which a camera or a contrast stretch cut off, None where none did.

    That is the highest value, if it is the dtype's or many pixels have it.
    """
    if values.dtype.kind == "b" or not values.size:
        return None
    edge = _plateau(-values.astype(np.float64), at_least=1e-4)
    if edge is not None:
        return -edge
    if values.dtype.kind in "iu" and values.max() == np.iinfo(values.dtype).max:
        return float(values.max())
    return None


def floor(values: np.ndarray) -> float | None:
    """The value at which the dark was cut off, None where it was not."""
    if values.dtype.kind == "b" or not values.size:
        return None
    return _plateau(values.astype(np.float64), at_least=2e-3)


def _plateau(values: np.ndarray, *, at_least: float) -> float | None:
    """The lowest finite value, if it takes that share and half as many as have the next one."""
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    lowest = values.min()
    count = int((values == lowest).sum())
    others = values[values > lowest]
    if count < max(4.0, at_least * values.size) or not others.size:
        return None
    following = int((others == others.min()).sum())
    return float(lowest) if count > following / 2 else None
