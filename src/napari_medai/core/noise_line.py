"""The straight line of variance over mean that the smoothest blocks of an image lie on."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np
from scipy.stats import norm

from napari_medai.core.noise import CameraNoise
from napari_medai.core.noise_blocks import EDGE, Blocks

KEPT = 0.4
"""Of the blocks of about one brightness so many count: those with the least structure."""
QUANTILE = 0.4
"""The rank, among their variances, of the one that stands for all: texture only adds."""
EXPECTED = {28: 0.9110, 63: 0.9453}
"""That quantile of the variances of pure noise of variance 1, by degrees of freedom."""

_BINS = 64
_LEAST = 40
_FEWEST = 16
_CLIPPED = 0.6
"""Of at most this share of pixels that were cut off the scatter of the others tells."""
_BARELY = 0.03
_WIDTH = 4.0
_SURE = 2.0
_OUTLYING = 1.5
_FAR_OFF = 100.0
_COUNTED = 0.2
_ROUNDS = 20
_DARK = 0.01
_BRIGHT = 0.998
_BELOW = 2.33
"""So many standard deviations below the mean lies the darkest hundredth."""


@dataclass(frozen=True, slots=True)
class NoiseLine:
    """Noise, the most variance, and how much brighter than dark the image gets, in noises (snr)."""

    noise: CameraNoise
    most: float
    snr: float


@dataclass(frozen=True, slots=True)
class Floor:
    """A value that many pixels have and none is below.

    What is below ``edge`` was raised to it; ``step`` is the least difference of two values, 0
    where they are no whole numbers.
    """

    value: float
    edge: float
    step: float


@dataclass(frozen=True, slots=True, eq=False)
class _Points:
    """What the line is laid through: the smoothest blocks of each brightness, float64 (n,) each."""

    means: np.ndarray
    variances: np.ndarray
    counts: np.ndarray
    clipped: np.ndarray
    freedom: int

    @property
    def scatter(self) -> np.ndarray:
        """Of the variances, as a share of them; of blocks that overlap half are independent."""
        return np.asarray(1.3 * np.sqrt(2 / self.freedom / (self.counts / 2)))

    def raised(self) -> _Points:
        """As if the values at the floor had been lower, and the dark were cut off there.

        Where most of it was, nothing is known; if that is everywhere, the least counts.
        """
        known = self.clipped <= max(_CLIPPED, self.clipped.min())
        shift, factor = _cut(np.minimum(self.clipped, _CLIPPED))
        variances = self.variances / factor
        means = self.means - shift * np.sqrt(variances)
        return _Points(
            means[known], variances[known], self.counts[known], self.clipped[known], self.freedom
        )


@dataclass(frozen=True, slots=True)
class _Line:
    level: float
    slope: float
    misfit: float

    def at(self, mean: float) -> float:
        return self.level + self.slope * mean


def noise_line(blocks: Blocks, floor: Floor | None = None) -> NoiseLine | None:
    """The noise of these blocks; None if there are none, or none that varies.

    At the ``floor`` either the dark was cut off, or there was no photon to be counted, which is
    taken where it clearly fits better.
    """
    blocks = blocks.varying()
    if not len(blocks):
        return None
    points = _points(blocks)
    if not points.variances.any():
        return None
    line, cut = _fitted(points), None
    if floor is not None and _counted(points, floor):
        line = _Line(-floor.step * floor.value, floor.step, 0.0)
    elif floor is not None:
        other = _fitted(points.raised())
        line, cut = (line, None) if line.misfit < other.misfit - 1 else (other, floor.edge)
    dark = _dark_level(blocks, line, cut)
    at_dark = line.at(dark)
    if at_dark < 0:
        dark, at_dark = -line.level / line.slope, 0.0
    noise = CameraNoise(gain=line.slope, offset=float(dark), read_noise=float(np.sqrt(at_dark)))
    usual = float(noise.variance(blocks.mean).mean())
    bright = max(float(np.quantile(blocks.mean, _BRIGHT)), dark)
    snr = (bright - dark) / np.sqrt(usual) if usual else inf
    return NoiseLine(noise, max(line.at(bright), 0.0), float(snr))


def _points(blocks: Blocks) -> _Points:
    structure, every = blocks.structure, blocks.variance
    rows = []
    for bin_ in _bins(blocks.mean, every):
        kept = min(len(bin_), max(round(len(bin_) * KEPT), _FEWEST))
        smooth = bin_[np.argpartition(structure[bin_], kept - 1)[:kept]]
        variance = np.quantile(every[smooth], QUANTILE) / EXPECTED[blocks.freedom]
        rows.append((blocks.mean[smooth].mean(), variance, kept, blocks.clipped[smooth].mean()))
    means, variances, counts, clipped = np.array(rows, np.float64).T
    return _Points(means, variances, counts, clipped, blocks.freedom)


def _counted(points: _Points, floor: Floor) -> bool:
    """Whether values are counts of photons: the variance is the mean."""
    counts = (points.means - floor.value) * floor.step
    off = np.abs(points.variances - counts)
    return bool(np.median(off / np.maximum(points.variances, 1e-30)) < _COUNTED)


def _cut(shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of a normal distribution (0, 1), that lowest share raised to the cut."""
    at = norm.ppf(np.maximum(shares, 1e-12))
    density = norm.pdf(at)
    mean = at * shares + density
    return mean, at * at * shares + (1 - shares) + at * density - mean * mean


def _bins(means: np.ndarray, variances: np.ndarray) -> list[np.ndarray]:
    """Indices of blocks of about one brightness, from dark to bright, enough in each."""
    order = np.argsort(means, kind="stable")
    ranked = means[order]
    # finer in the dark, where most blocks are and the read noise shows
    edges = ranked[0] + (ranked[-1] - ranked[0]) * (np.arange(1, _BINS) / _BINS) ** 2
    bins, start = [], 0
    for cut in (*np.searchsorted(ranked, edges), len(order)):
        if cut - start >= _LEAST:
            # narrower than the scatter of means, a bin would sort noise
            scatter = np.sqrt(np.median(variances[order[start:cut]])) / EDGE
            if ranked[cut - 1] - ranked[start] >= _WIDTH * scatter:
                bins.append(order[start:cut])
                start = cut
    if bins:
        bins[-1] = np.concatenate([bins[-1], order[start:]])
    return bins or [order]


def _fitted(points: _Points) -> _Line:
    """A line that does not slope down; points above it count less, as texture adds."""
    means, variances, scatter = points.means, points.variances, points.scatter
    tiny = 1e-3 * float(np.median(variances)) or 1e-6 * float(variances.max())
    expected = np.maximum(variances, tiny)
    trust, off = np.ones_like(means), np.zeros_like(means)
    level, slope = float(np.average(variances, weights=points.counts)), 0.0
    for _ in range(_ROUNDS):
        level, slope = _line(means, variances, trust / (scatter * expected) ** 2)
        expected = np.maximum(level + slope * means, tiny)
        off = (variances - expected) / (scatter * expected)
        trust = np.minimum(1, _OUTLYING / np.maximum(off, _OUTLYING)) ** 2
    return _Line(level, slope, float(np.minimum(off**2, _FAR_OFF).mean()))


def _line(means: np.ndarray, variances: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Weighted least squares; flat unless the slope is surely above 0."""
    total = weights.sum()
    centre, height = (weights * means).sum() / total, (weights * variances).sum() / total
    spread = (weights * (means - centre) ** 2).sum()
    if spread > 0:
        slope = (weights * (means - centre) * (variances - height)).sum() / spread
        if slope > _SURE / np.sqrt(spread):
            return float(height - slope * centre), float(slope)
    return float(height), 0.0


def _dark_level(blocks: Blocks, line: _Line, cut: float | None) -> float:
    """The value without light: the middle of the darkest blocks, noise taken into account."""
    low = float(np.quantile(blocks.mean, _DARK))
    below = _BELOW * np.sqrt(max(line.at(low), 0)) / EDGE
    darkest = blocks.mean <= low + 2 * below
    dark = float(np.median(blocks.mean[darkest]))
    clipped = float(blocks.clipped[darkest].mean())
    if cut is None or not _BARELY < clipped < 1 - _BARELY:
        return dark
    # the cut moved their mean: what share of a normal distribution it took tells where that was
    for _ in range(_ROUNDS):
        dark = cut - np.sqrt(max(line.at(dark), 0)) * float(norm.ppf(clipped))
    return dark
