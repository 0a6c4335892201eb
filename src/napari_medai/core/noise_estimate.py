"""The noise of a camera, told from one image or from the frames of a scene that stands still."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan, prod, sqrt

import numpy as np
from scipy.stats import chi2

from napari_medai.core.axes import ArrayLike, check_dtype
from napari_medai.core.errors import InputError
from napari_medai.core.noise import CameraNoise
from napari_medai.core.noise_blocks import EDGE, Blocks
from napari_medai.core.noise_line import noise_line
from napari_medai.core.noise_sample import sample_of

LEAST = 16
"""Rows and columns an image must have."""
CLEAN = 500.0
"""From this signal-to-noise ratio on (54 dB) there is nothing to remove."""
CORRELATED = 0.15
"""From this correlation of neighbours on noise counts as not white."""

_ROUNDING = 1.5 / 12
"""Whole numbers that vary no more than this are rounded, not noisy."""
_MOVED = 0.01
_ENOUGH = 2048
"""Of so many blocks the correlation is known to a hundredth."""
_RARE = 1e-3
_FAR_MOVED = 2e-4
_FAR = 3.0
_MISJUDGED = 1.5
"""A stack whose noise is this much more than was told differs by more than noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseEstimate:
    """What is known of an image's noise.

    Parameters
    ----------
    noise
        None where there is none.
    snr
        From the dark level to the brightest blocks (99.8 %), over the root of the mean variance;
        infinite without noise.
    blocks
        How many small blocks the figures are from; none could be used where it is 0.
    rows, columns
        Correlation of the noise of a pixel with that of the next in its row, in its column; near 0
        for white noise, NaN without noise. Where it is not, the variance is estimated too low.
    unusable
        Share of the pixels looked at that are saturated, hot, dead or not finite.
    """

    noise: CameraNoise | None
    snr: float
    blocks: int
    rows: float
    columns: float
    unusable: float

    @property
    def clean(self) -> bool:
        """Whether there is hardly any noise to remove."""
        return self.noise is None or self.snr >= CLEAN

    @property
    def correlated(self) -> bool:
        """Whether the noise of neighbours is alike: lines, resampling, compression, smoothing."""
        # few blocks tell it less surely
        limit = CORRELATED + 2 / sqrt(max(self.blocks, 1))
        return not self.clean and max(abs(self.rows), abs(self.columns)) > limit

    @property
    def sentence(self) -> str:
        """The same in words, for people."""
        if self.noise is None:
            return "No noise was found." if self.blocks else "No part of the image could be used."
        known = self.noise
        kind = f"gain {known.gain:.3g}, " if known.gain else "alike at every brightness, "
        text = f"Noise: {kind}offset {known.offset:.4g}, read noise {known.read_noise:.3g}"
        text += f"; signal to noise {self.snr:.3g}"
        text += "; hardly any to remove" if self.clean else ""
        text += "; neighbours are correlated" if self.correlated else ""
        return text + "."


def estimated_noise(
    image: ArrayLike, *, frames: bool = False, saturated: float | None = None
) -> NoiseEstimate:
    """The noise of one channel, from about a million of its pixels.

    Parameters
    ----------
    image
        (..., Y, X), lazy or not; at least 16 x 16. Pixels that are saturated, hot, dead or not
        finite are left out, and so are dark places that were cut off at a lowest value.
    frames
        Whether the first axis is time and the scene stands still (see `is_static`): neighbouring
        frames then differ by their noise alone, whatever structure there is.
    saturated
        The lowest value that counts as saturated; by default the highest, if it is the dtype's or
        many pixels have it.

    Raises
    ------
    InputError
        If the image is too small, empty, holds no finite value or no real numbers, or if ``frames``
        are asked for and there are fewer than two.
    """
    _check(image, frames=frames)
    sample = sample_of(image, frames=frames, saturated=saturated)
    blocks = sample.blocks()
    line = None if sample.constant else noise_line(blocks, sample.floor)
    if line is not None:
        # what the first line tells to be hot or dead is left out of the second
        before, sample = sample.unusable, sample.without_defects(line.noise)
        if sample.unusable > before:
            blocks = sample.blocks()
            line = noise_line(blocks, sample.floor)
    rounding = _ROUNDING / sample.unit**2 if np.dtype(image.dtype).kind in "iub" else 0.0
    if line is None or line.most <= rounding:
        return NoiseEstimate(
            noise=None,
            snr=inf,
            blocks=len(blocks),
            rows=nan,
            columns=nan,
            unusable=sample.unusable,
        )
    rows, columns = _correlations(blocks)
    return NoiseEstimate(
        noise=sample.in_values(line.noise),
        snr=line.snr,
        blocks=len(blocks),
        rows=rows,
        columns=columns,
        unusable=sample.unusable,
    )


def is_static(stack: ArrayLike, noise: CameraNoise) -> bool:
    """Whether the frames of a stack (T, ..., Y, X) differ by their noise alone.

    True if in at most 1 % of small blocks neighbouring frames differ by more than noise does in
    one of a thousand, and hardly any by thrice as much as usual. The noise may be misjudged by up
    to half; single pixels that flicker do not count.

    Raises
    ------
    InputError
        As `estimated_noise` with ``frames``.
    """
    _check(stack, frames=True)
    sample = sample_of(stack, frames=True, saturated=None)
    sample = sample.without_defects(sample.in_windows(noise))
    blocks = sample.blocks().varying()
    if not len(blocks):
        return True
    light = blocks.mean * sample.unit + sample.origin
    variance = noise.variance(light)
    # a noise of 0 where there is no light must not divide
    variance = np.maximum(variance, 1e-6 * variance.max())
    excess = blocks.powers.sum(axis=1, dtype=np.float64) * sample.unit**2 / variance / EDGE**2
    usual = float(np.median(excess))
    # few photons, perhaps in one corner of a block, scatter further than a normal distribution
    tails = np.sqrt(1 + noise.gain**2 / variance)
    limit = 1 + (chi2.ppf(1 - _RARE, EDGE**2) / EDGE**2 - 1) * tails
    far = 1 + (_FAR - 1) * tails
    moved = float((excess > limit * max(usual, 1 / _MISJUDGED)).mean())
    gone = float((excess > far * usual).mean())
    return usual <= _MISJUDGED and moved <= _MOVED and gone <= _FAR_MOVED


def _check(image: ArrayLike, *, frames: bool) -> None:
    check_dtype(image.dtype)
    shape = tuple(int(n) for n in image.shape)
    if len(shape) < 2 + frames or min(shape[-2:]) < LEAST or not prod(shape):
        raise InputError(
            f"noise is told from images of at least {LEAST} x {LEAST} pixels"
            f"{' and more than one frame' if frames else ''}, got an array of shape {shape}; "
            "choose a larger one, or give gain, offset and read noise"
        )
    if frames and shape[0] < 2:
        raise InputError(
            f"frames were to be compared, but there is only one (shape {shape}); "
            "estimate the noise of the image alone"
        )


def _correlations(blocks: Blocks) -> tuple[float, float]:
    """Of neighbours in a row and in a column, from the spectrum of the darker half of the blocks.

    Only frequencies without structure tell: of those that are high along one axis, how power
    falls along the other; and how much more lines that are alike from end to end have.
    """
    blocks = blocks.varying()
    dark = np.flatnonzero(blocks.mean <= np.median(blocks.mean))
    blocks = blocks.chosen(dark[:: max(1, len(dark) // _ENOUGH) | 1])  # odd: no column is left out
    variance = blocks.variance
    powers = blocks.powers[variance > 0] / variance[variance > 0, None]
    spectrum = np.median(powers, axis=0).reshape(EDGE, EDGE)
    return _along_rows(spectrum), _along_rows(spectrum.T)


def _along_rows(spectrum: np.ndarray) -> float:
    """Correlation of neighbours along the second axis of the spectrum of a block."""
    down, along = np.indices(spectrum.shape)
    # alike on both sides of the middle, so that white noise gives 0
    band = spectrum * (np.abs(along - EDGE // 2) <= down - EDGE // 2)
    total = float(band.sum())
    if not total:
        return nan
    near = float((band * np.cos(np.pi * along / EDGE)).sum()) / total
    finest = spectrum[-2:]
    lines = max(float(finest[:, 0].mean() / max(finest[:, 1:].mean(), 1e-30)) - 1, 0) / EDGE
    return (near + lines) / (1 + lines)
