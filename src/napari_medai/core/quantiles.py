"""A few quantiles that stand for a distribution, and values drawn from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LEVELS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Those that are kept; between them the distribution is linear."""


def quantiles_of(values: np.ndarray, weights: np.ndarray) -> list[float]:
    """Of one value or more at `LEVELS`; as numpy's where weights are alike."""
    order = np.argsort(values)
    weights = weights[order]
    before = np.cumsum(weights) - weights / 2
    levels = (before - before[0]) / max(before[-1] - before[0], 1e-9)
    return [float(value) for value in np.interp(LEVELS, levels, values[order])]


def drawn_values(quantiles: Sequence[float], count: int, rng: np.random.Generator) -> np.ndarray:
    """So many values in any order, spread evenly over the distribution."""
    levels = (rng.permutation(count) + rng.uniform(0, 1, count)) / count
    return np.asarray(np.interp(levels, LEVELS, quantiles))
