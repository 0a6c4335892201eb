"""The noise of a camera: how much values scatter at each brightness, and how to even that out.

A camera that counts photo-electrons adds to each value a scatter that grows with the light (shot
noise) and one that does not (read noise): the variance is a straight line over the mean. On such
values the generalised Anscombe transform gives values of variance 1 everywhere, which is what a
denoiser that knows one kind of noise wants.

Sources: Foi et al. 2008 (the model), Murtagh et al. 1995 (the transform).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np

from napari_medai.core.errors import InputError

LEAST, MOST = 1e-30, 1e30
"""What gain and read noise, and how far from 0 the offset, may be: results are 32-bit numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraNoise:
    """Noise whose variance is ``gain * (mean - offset) + read_noise**2``.

    Parameters
    ----------
    gain
        Values of the image to one photo-electron; 0 where the noise is the same everywhere.
    offset
        The value without light.
    read_noise
        Standard deviation of the values without light.

    Raises
    ------
    InputError
        If a number is not finite, gain or read noise is negative, both are 0, or their squares
        would be too large or too small to be reckoned with.
    """

    gain: float
    offset: float
    read_noise: float

    def __post_init__(self) -> None:
        finite = -inf < self.offset < inf and self.gain < inf and self.read_noise < inf
        if not finite or not (self.gain >= 0 and self.read_noise >= 0):
            raise InputError(
                "gain and read noise must be numbers of 0 or more, and the offset a number, got "
                f"{self.gain!r}, {self.read_noise!r} and {self.offset!r}"
            )
        if self.gain == 0 == self.read_noise:
            raise InputError("gain and read noise are both 0: an image without noise needs nothing")
        most = max(self.gain, self.read_noise)
        if most < LEAST or max(most, abs(self.offset)) > MOST:
            raise InputError(
                f"noise of {most:.3g} at a dark level of {self.offset:.3g} is beyond 32-bit "
                f"numbers; multiply the image so that both are within {LEAST:g} and {MOST:g}"
            )

    @property
    def floor(self) -> float:
        """What stands under the root of the transform where there is no light."""
        return 0.375 * self.gain**2 + self.read_noise**2

    def variance(self, mean: np.ndarray) -> np.ndarray:
        """The variance at these expected values."""
        light = np.maximum(np.asarray(mean, np.float64) - self.offset, 0)
        return np.asarray(self.gain * light + self.read_noise**2)

    def noisy(self, mean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Values as the camera gives them where it is expected to give ``mean``; float32."""
        values: np.ndarray = np.asarray(mean, np.float64)
        if self.gain:
            light = np.maximum(values - self.offset, 0)
            values = self.gain * rng.poisson(light / self.gain) + self.offset
        return np.asarray(values + rng.normal(0, self.read_noise, values.shape), np.float32)

    def stabilised(self, values: np.ndarray) -> np.ndarray:
        """Values of variance about 1, 0 at the offset; float32.

        The transform is that of Anscombe, written so that it also holds for a gain of 0 and loses
        no digits for a small one.
        """
        light = np.asarray(values, np.float64) - self.offset
        root = np.sqrt(np.maximum(self.gain * light + self.floor, 0))
        low = np.sqrt(self.floor)
        light = np.maximum(light, -self.floor / self.gain) if self.gain else light
        return np.asarray(2 * light / (root + low), np.float32)

    def restored(self, stabilised: np.ndarray) -> np.ndarray:
        """The inverse of `stabilised`, for single values; float32. See `expected` for means."""
        return np.asarray(self._light(stabilised) + self.offset, np.float32)

    def expected(self, stabilised: np.ndarray) -> np.ndarray:
        """The expected values whose stabilised noisy values have these means; float32.

        That is what a denoiser of stabilised values finds: the root bends, so the plain inverse
        of a mean is too low by up to a quarter of a photo-electron (Makitalo and Foi 2013).
        """
        light = self._light(stabilised)
        total = np.maximum(self.gain * light + self.floor, self.floor)
        light += self.gain / 4 * (1 - 0.375 * self.gain**2 / total)
        return np.asarray(light + self.offset, np.float32)

    def _light(self, stabilised: np.ndarray) -> np.ndarray:
        root = np.asarray(stabilised, np.float64)
        return np.asarray(self.gain / 4 * root**2 + np.sqrt(self.floor) * root)
