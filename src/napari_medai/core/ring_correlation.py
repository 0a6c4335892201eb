"""Fourier ring and shell correlation: up to which frequency two images of one scene agree.

Of two halves of the frames (even and odd, each averaged) it tells the resolution without a true
image. Sources: Saxton and Baumeister 1982; Nieuwenhuizen et al., Nature Methods 2013 (1/7).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np
from scipy import fft
from scipy.signal.windows import hann

from napari_medai.core.axes import check_dtype
from napari_medai.core.errors import InputError

LEAST = 16
"""Pixels along each axis."""


@dataclass(frozen=True, slots=True, eq=False)
class RingCorrelation:
    """The correlation (-1 to 1) at each frequency, and how many waves it is from.

    ``frequencies`` are in cycles per pixel, up to 0.5; all are float64 (n,).
    """

    frequencies: np.ndarray
    correlations: np.ndarray
    counts: np.ndarray


def ring_correlation(first: np.ndarray, second: np.ndarray) -> RingCorrelation:
    """Fourier ring correlation of planes, or shell correlation of volumes.

    The images fade out to their edges (Hann), as these would count as structure. Rings are one
    wave of the shortest axis wide; the constant part is left out.

    Raises
    ------
    InputError
        If the images differ in shape, have not 2 or 3 axes of at least 16 pixels, hold NaN, or
        one of them is constant.
    """
    spectra = [_spectrum(image) for image in _checked(first, second)]
    shape = np.shape(first)
    radius, weight = _radii(shape)
    rings = np.rint(radius * min(shape)).astype(np.int64)
    count = min(shape) // 2 + 1

    def summed(values: np.ndarray) -> np.ndarray:
        parts = np.bincount(rings.ravel(), (values * weight).ravel(), minlength=count)
        return np.asarray(parts[1:count])

    one, two = spectra
    shared = summed((one * two.conj()).real)
    powers = summed(np.abs(one) ** 2) * summed(np.abs(two) ** 2)
    correlations = np.divide(shared, np.sqrt(powers), out=np.zeros_like(shared), where=powers > 0)
    counts = summed(np.ones_like(radius))
    return RingCorrelation(summed(radius) / counts, correlations, counts)


def resolution(rings: RingCorrelation, *, threshold: float = 1 / 7) -> float:
    """The finest detail on which the two images agree, in pixels (one over the frequency).

    That is where the correlation, over three rings, first falls below the threshold: 2 if it
    never does, infinite if it is never above.

    Raises
    ------
    InputError
        If the threshold is not between 0 and 1.
    """
    if not 0 < threshold < 1:
        raise InputError(
            f"the threshold of a ring correlation is between 0 and 1, got {threshold!r}; "
            "1/7 is usual"
        )
    kernel = np.ones(3)
    weights = np.convolve(rings.counts, kernel, mode="same")
    curve = np.convolve(rings.correlations * rings.counts, kernel, mode="same") / weights
    below = np.flatnonzero(curve < threshold)
    if not len(below):
        return 2.0
    at = int(below[0])
    if at == 0:
        return inf
    share = (curve[at - 1] - threshold) / (curve[at - 1] - curve[at])
    low, high = rings.frequencies[at - 1], rings.frequencies[at]
    return float(1 / (low + share * (high - low)))


def _checked(*images: np.ndarray) -> list[np.ndarray]:
    arrays = [np.asarray(image) for image in images]
    shapes = [array.shape for array in arrays]
    if shapes[0] != shapes[1] or len(shapes[0]) not in {2, 3} or min(shapes[0]) < LEAST:
        raise InputError(
            "ring correlation compares two planes or two volumes of one shape, of at least "
            f"{LEAST} pixels along each axis, got shapes {shapes[0]} and {shapes[1]}"
        )
    for array in arrays:
        check_dtype(array.dtype)
        if not np.isfinite(array).all():
            raise InputError(
                "an image to correlate holds NaN or infinite values, which no frequency has; "
                "crop them away, or fill them in both images"
            )
        if array.min() == array.max():
            raise InputError(
                f"an image to correlate is {array.flat[0]} everywhere; choose one with structure"
            )
    return arrays


def _spectrum(image: np.ndarray) -> np.ndarray:
    values = image.astype(np.float64)
    values -= values.mean()
    values /= np.abs(values).max()
    for axis, length in enumerate(values.shape):
        window = hann(length, sym=False)
        values *= window.reshape([-1 if a == axis else 1 for a in range(values.ndim)])
    return np.asarray(fft.rfftn(values))


def _radii(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The frequency of each number of a spectrum, and for how many waves it stands."""
    axes = [*(fft.fftfreq(n) for n in shape[:-1]), fft.rfftfreq(shape[-1])]
    grids = np.meshgrid(*axes, indexing="ij", sparse=True)
    radius = np.sqrt(sum(grid**2 for grid in grids))
    twice = np.full(len(axes[-1]), 2.0)
    # the first, and of an even length the last, have no mirrored twin
    twice[0] = 1.0
    if shape[-1] % 2 == 0:
        twice[-1] = 1.0
    return radius, np.broadcast_to(twice, radius.shape)
