"""Whether what a denoiser took away looks like noise: white, and 0 on average.

No true image is needed. What is judged is how far the residual is from white noise, not whether
it surely is none: of millions of pixels, any trace is sure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy import ndimage

from napari_medai.core.axes import check_dtype
from napari_medai.core.errors import InputError

CORRELATED = 0.1
"""Neighbours that correlate more than this have structure in common."""
OPPOSED = -0.15
"""Where neighbours correlate less than this, only the finest part of the noise was taken."""
COARSE = 1.6
"""Means of blocks whose variance is this many times that of white noise tell of structure."""
OFF = 0.05
"""A mean further from 0 than this many standard deviations of the noise is off."""

_SURE = 4.0
_BLOCK = 8
_AROUND = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Whiteness:
    """How a residual differs from white noise.

    Parameters
    ----------
    correlations
        Of neighbours along each axis, -1 to 1; 0 for white noise. A little below 0 is usual: the
        restored image follows the noise a little.
    coarse
        Variance of the means of blocks (8 pixels along each axis), over what it is for white
        noise. Structure raises it; noise that was left in the restored image lowers it.
    mean
        Of the residual, in standard deviations of the noise.
    mean_error
        Standard error of that mean.
    count
        Pixels it is from.
    """

    correlations: tuple[float, ...]
    coarse: float
    mean: float
    mean_error: float
    count: int

    @property
    def white(self) -> bool:
        """Whether the residual looks like noise."""
        return not self._structure() and not self._other()

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        if self.mean == self.mean_error == 0:
            return "Nothing was taken away."
        structure, other = self._structure(), self._other()
        if structure:
            return f"Structure is left in what was taken away: {'; '.join(structure + other)}."
        if other:
            return f"What was taken away is not all noise, or not all of it: {'; '.join(other)}."
        return "What was taken away looks like noise."

    def _structure(self) -> list[str]:
        flaws = []
        for axis, value in enumerate(self.correlations):
            if value > max(CORRELATED, _SURE / np.sqrt(max(self.count, 1))):
                flaws.append(f"neighbours along axis {axis} correlate by {value:.2f}")
        blocks = max(self.count / _BLOCK ** len(self.correlations), 1.0)
        if self.coarse > max(COARSE, 1 + _SURE * np.sqrt(2 / blocks)):
            flaws.append(f"blocks of {_BLOCK} pixels vary {self.coarse:.1f} times as much as noise")
        return flaws

    def _other(self) -> list[str]:
        flaws = []
        for axis, value in enumerate(self.correlations):
            if value < min(OPPOSED, -_SURE / np.sqrt(max(self.count, 1))):
                flaws.append(f"coarser noise was left along axis {axis} ({value:.2f})")
        if abs(self.mean) > max(OFF, _SURE * self.mean_error):
            flaws.append(f"its mean is {self.mean:.2f} standard deviations instead of 0")
        return flaws


def whiteness(residual: np.ndarray, noise: np.ndarray | float | None = None) -> Whiteness:
    """How much the residual (noisy - restored) is like white noise.

    Parameters
    ----------
    residual
        Of one channel, with axes that are all space or time; NaN where nothing is known.
    noise
        Standard deviation of the noise, one for all pixels or of the residual's shape, such as
        ``np.sqrt(camera.variance(restored))``; by default that of the residual about each pixel,
        which does not tell where too much was taken away.

    Raises
    ------
    InputError
        If the residual has an axis shorter than 2 or no finite pixel, or the noise does not fit.
    """
    check_dtype(np.asarray(residual).dtype)
    values = np.asarray(residual, np.float64)
    if not values.ndim or min(values.shape) < 2:
        raise InputError(
            f"neighbours are compared along each axis, got a residual of shape {values.shape}; "
            "give one with at least 2 pixels along each"
        )
    known = np.isfinite(values)
    if not known.any():
        raise InputError("the residual holds no finite value; check how it was computed")
    values = np.where(known, values, 0.0)
    if not values.any():
        return Whiteness(
            correlations=(0.0,) * values.ndim, coarse=0.0, mean=0.0, mean_error=0.0, count=0
        )
    scaled = np.where(known, values / _deviation(values, known, noise), 0.0)
    count = int(known.sum())
    mean = float(scaled.sum()) / count
    centred = np.where(known, scaled - mean, 0.0)
    variance = float((centred**2).sum()) / count
    neighbours = _neighbours(centred, known)
    return Whiteness(
        correlations=tuple(neighbours),
        coarse=_coarse(centred, known) / variance if variance else 0.0,
        mean=mean,
        mean_error=float(np.sqrt(variance / count)),
        count=count,
    )


def _deviation(
    values: np.ndarray, known: np.ndarray, noise: np.ndarray | float | None
) -> np.ndarray:
    """Standard deviation of the noise, above 0 where values are known."""
    if noise is None:
        return _around(values, known)
    given = np.asarray(noise, np.float64)
    if given.shape not in {(), values.shape}:
        raise InputError(
            f"the noise must be one number or of the residual's shape {values.shape}, got shape "
            f"{given.shape}; give np.sqrt(camera.variance(restored))"
        )
    given = np.broadcast_to(given, values.shape)
    if not (np.isfinite(given) & (given > 0))[known].all():
        raise InputError(
            "the noise must be a standard deviation above 0 at each pixel; set the pixels of the "
            "residual without noise to NaN"
        )
    return np.where(known, given, 1.0)


def _around(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The root mean square of the residual about each pixel."""
    largest = float(np.abs(values).max())
    power = ndimage.uniform_filter((values / largest) ** 2, _AROUND)
    share = ndimage.uniform_filter(known.astype(np.float64), _AROUND)
    local = power / np.maximum(share, 1e-12)
    # a place without residual has no deviation to divide by
    return np.asarray(largest * np.sqrt(np.maximum(local, 1e-6 * local[known].mean())))


def _neighbours(centred: np.ndarray, known: np.ndarray) -> Iterator[float]:
    """The correlation of neighbours along each axis."""
    for axis in range(centred.ndim):
        one = tuple(slice(None, -1) if a == axis else slice(None) for a in range(centred.ndim))
        two = tuple(slice(1, None) if a == axis else slice(None) for a in range(centred.ndim))
        both = known[one] & known[two]
        first, second = centred[one][both], centred[two][both]
        power = sqrt(float((first**2).sum()) * float((second**2).sum()))
        yield float((first * second).sum()) / power if power else 0.0


def _coarse(centred: np.ndarray, known: np.ndarray) -> float:
    """Variance that one pixel would have to explain that of the sums over blocks."""
    edges = [min(_BLOCK, n) for n in centred.shape]
    whole = tuple(slice(0, n // e * e) for n, e in zip(centred.shape, edges, strict=True))
    split = [part for n, e in zip(centred.shape, edges, strict=True) for part in (n // e, e)]
    inner = tuple(range(1, 2 * centred.ndim, 2))
    sums = centred[whole].reshape(split).sum(axis=inner)
    counts = known[whole].reshape(split).sum(axis=inner)
    total = float(counts.sum())
    return float((sums**2).sum()) / total if total else 0.0
