"""How far made images are from real ones as a set, told by vectors that describe them.

Whether single ones are real ones come again is told by `napari_medai.core.memorisation`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.core.seeds import Seed, generator

FEWEST = 4
"""Images of each set, below which no half of them can be compared."""


@dataclass(frozen=True, slots=True)
class FrechetDistance:
    """What `frechet_distance` gives: ``counts`` samples of two sets, so many ``features``."""

    value: float
    counts: tuple[int, int]
    features: int

    @property
    def biased(self) -> bool:
        """Whether there are too few samples to know how features vary together."""
        return min(self.counts) <= self.features

    @property
    def sentence(self) -> str:
        first, second = self.counts
        told = f"Frechet distance {self.value:.4g} between {first} and {second} samples"
        if not self.biased:
            return told
        return (
            f"{told}; too high, since {self.features} features need more samples than that: "
            "compare it with that of as many others alone"
        )


def frechet_distance(first: np.ndarray, second: np.ndarray) -> FrechetDistance:
    """The distance of two normal distributions with the means and covariances of two sets.

    ``|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))``, 0 or more (Heusel et al. 2017, FID, there with
    other features). The trace of the root is the sum of the singular values of ``A1.T @ A2``, where
    ``C = A @ A.T``: no root of a matrix is taken, so covariances of less than full rank, those of
    fewer samples than features, are no matter; the value is then too high.

    Parameters
    ----------
    first, second
        (samples, features), 2 samples or more.

    Raises
    ------
    InputError
        If the sets are too small, differ in their features or hold what is no number.
    """
    first, second = check_features(first, second, least=2)
    roots = [_root_of_covariance(values) for values in (first, second)]
    shift = float(np.square(first.mean(0) - second.mean(0)).sum())
    spread = float(sum(np.square(root).sum() for root in roots))
    common = float(np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum())
    value = max(0.0, shift + spread - 2 * common)
    return FrechetDistance(value, (len(first), len(second)), first.shape[1])


@dataclass(frozen=True, slots=True)
class KernelDistance:
    """What `kernel_distance` gives; ``error`` is the standard error of ``value``."""

    value: float
    error: float
    counts: tuple[int, int]
    subsets: int

    @property
    def sentence(self) -> str:
        first, second = self.counts
        near = "; no difference is to be seen" if self.value < 2 * self.error else ""
        return (
            f"kernel distance {self.value:.4g} ± {self.error:.2g} between {first} and {second} "
            f"samples{near}"
        )


def kernel_distance(
    first: np.ndarray,
    second: np.ndarray,
    *,
    sources: tuple[np.ndarray, np.ndarray] | None = None,
    subsets: int = 100,
    seed: Seed = 0,
) -> KernelDistance:
    """The squared maximum mean discrepancy of two sets with the kernel ``(x . y / d + 1)^3``.

    After Binkowski et al. 2018 (KID, there with other features). Without bias: about 0, and below
    it as often as above, for two sets of one distribution, however many samples there are.
    Samples of one source, such as crops of one image, are not compared with each other: they are
    more alike than two images are. The error is the deviation among random halves of the sources
    (of both sets), which is that of the whole, and up to 1.7 times as large where the distance is
    0.

    Parameters
    ----------
    first, second
        (samples, features).
    sources
        Of each set the number (or name) of what each sample is part of; by default each sample is
        a source of its own. `FEWEST` or more sources in each.
    subsets
        Halves to draw, 2 or more.
    seed
        The same seed gives the same error; the value depends on no chance.

    Raises
    ------
    InputError
        If the sets do not fit each other, hold what is no number, or have too few sources.
    """
    first, second = check_features(first, second, least=FEWEST)
    if subsets < 2:
        raise InputError(f"the error is told from 2 subsets or more, got {subsets}; ask for more")
    given = sources or (np.arange(len(first)), np.arange(len(second)))
    (first, starts, counts), (second, starts2, counts2) = (
        _by_source(values, of) for values, of in zip((first, second), given, strict=True)
    )
    rng = generator(seed)
    halves, halves2 = (_with_halves(len(n), subsets, rng) for n in (counts, counts2))
    within = _within(_kernel_sums(first, first, starts, starts), counts, halves)
    within2 = _within(_kernel_sums(second, second, starts2, starts2), counts2, halves2)
    sums = ((halves @ _kernel_sums(first, second, starts, starts2)) * halves2).sum(1)
    values = within + within2 - 2 * sums / ((halves @ counts) * (halves2 @ counts2))
    error = float(values[1:].std(ddof=1))
    return KernelDistance(float(values[0]), error, (len(first), len(second)), subsets)


def check_features(
    first: np.ndarray, second: np.ndarray, *, least: int
) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64, if they can be compared."""
    for values in (first, second):
        if values.ndim != 2 or len(values) < least:
            raise InputError(
                f"sets of {least} samples or more with their features are compared, got an array "
                f"of shape {values.shape}; give more images"
            )
        if not np.isfinite(values).all():
            raise InputError("features must be numbers, but some are not finite; check the images")
    if first.shape[1] != second.shape[1]:
        raise InputError(
            f"samples of {first.shape[1]} and of {second.shape[1]} features cannot be compared; "
            "describe both sets in the same way"
        )
    return first.astype(np.float64), second.astype(np.float64)


def _root_of_covariance(values: np.ndarray) -> np.ndarray:
    """``R`` with ``C = R.T @ R``, of no more rows than features."""
    centred = (values - values.mean(0)) / np.sqrt(len(values) - 1)
    return np.asarray(np.linalg.qr(centred, mode="r"))


def _by_source(
    values: np.ndarray, sources: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The samples in the order of their sources, where each begins, and how many it has."""
    _, codes, counts = np.unique(np.asarray(sources), return_inverse=True, return_counts=True)
    if len(codes) != len(values) or len(counts) < FEWEST:
        raise InputError(
            f"{len(values)} samples of {len(counts)} images were given; {FEWEST} images at least "
            "are needed in each set, give more"
        )
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return values[np.argsort(codes, kind="stable")], starts, counts.astype(np.float64)


def _kernel_sums(
    first: np.ndarray, second: np.ndarray, starts: np.ndarray, starts2: np.ndarray
) -> np.ndarray:
    """The kernel summed over all samples of each two sources."""
    kernel = (first @ second.T / first.shape[1] + 1) ** 3
    return np.asarray(np.add.reduceat(np.add.reduceat(kernel, starts, axis=0), starts2, axis=1))


def _with_halves(count: int, subsets: int, rng: np.random.Generator) -> np.ndarray:
    """All of so many, then random halves: (subsets + 1, count), 1 for those that are in."""
    chosen = np.ones((subsets + 1, count))
    for row in chosen[1:]:
        row[rng.permutation(count)[count // 2 :]] = 0
    return chosen


def _within(sums: np.ndarray, counts: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The mean kernel of two samples of different sources, for each choice of sources."""
    others = sums - np.diag(np.diag(sums))
    pairs = (chosen @ counts) ** 2 - chosen @ counts**2
    return np.asarray(((chosen @ others) * chosen).sum(1) / pairs)
