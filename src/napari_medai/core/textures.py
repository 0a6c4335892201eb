"""Random fields that change slowly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def slow_texture(shape: Sequence[int], *, size: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth random values of mean 0 and variance 1 over many images, float32.

    They are cubic splines with knots ``size`` pixels apart.
    """
    weights = [_spline_weights(edge, size, rng.uniform()) for edge in shape]
    values: np.ndarray = rng.normal(size=[part.shape[1] for part in weights]).astype(np.float32)
    for part in weights:
        values = np.tensordot(values, part, axes=(0, 1))
    variance = np.prod([float((part**2).sum(axis=1).mean()) for part in weights])
    return np.asarray(values / np.sqrt(np.float32(variance)))


def _spline_weights(edge: int, size: float, shift: float) -> np.ndarray:
    """How much each knot counts at each pixel: uniform cubic B-splines, float32 (edge, knots)."""
    place = np.arange(edge) / size + shift
    first = np.floor(place).astype(int)
    t = place - first
    parts = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    weights = np.zeros((edge, int(first[-1]) + 4), np.float32)
    for number, part in enumerate(parts):
        weights[np.arange(edge), first + number] = part / 6
    return weights
