"""Scenes without noise, and a camera that takes pictures of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from skimage.io import imread

DATA = Path(__file__).parents[1] / "data" / "denoise"


@cache
def _scene(name: str) -> np.ndarray:
    """Light from about 0 to about 1, float64 (Y, X)."""
    if name == "drawn":
        return _drawn(256)
    smooth = ndimage.gaussian_filter(imread(DATA / f"{name}.png").astype(np.float64), 1)
    low, high = np.percentile(smooth, (0.5, 99.9))
    return np.clip((smooth - low) / (high - low), 0, None)


def _drawn(edge: int) -> np.ndarray:
    """Cells and threads on black."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:edge, :edge]
    cells, threads = np.zeros((edge, edge)), np.zeros((edge, edge))
    for _ in range(9):
        y, x, size = *rng.uniform(0, edge, 2), rng.uniform(5, 20)
        far = ((rows - y) ** 2 + (columns - x) ** 2) / (2 * size**2)
        cells += rng.uniform(0.3, 1) * np.exp(-far)
    for _ in range(12):
        path = rng.uniform(0, edge, 2) + np.cumsum(
            _heading(rng.uniform(0, 6) + np.cumsum(rng.normal(0, 0.05, 300))), axis=0
        )
        path = path[(path >= 0).all(axis=1) & (path < edge).all(axis=1)].astype(int)
        threads[path[:, 0], path[:, 1]] = 1
    threads = ndimage.gaussian_filter(threads, 1.2)
    both = cells / cells.max() + 0.8 * threads / threads.max()
    return np.asarray(both / both.max())


def _heading(angles: np.ndarray) -> np.ndarray:
    return np.stack([np.sin(angles), np.cos(angles)], axis=1)


def _photo(
    light: np.ndarray,
    *,
    seed: int = 0,
    peak: float = 30,
    gain: float = 2,
    read: float = 2,
    offset: float = 100,
    dtype: str = "float32",
) -> np.ndarray:
    """A picture with ``peak`` photons where light is 1; ``read`` noise in photo-electrons."""
    rng = np.random.default_rng(seed)
    values = gain * (rng.poisson(light * peak) + rng.normal(0, read, light.shape)) + offset
    if np.dtype(dtype).kind == "f":
        return values.astype(dtype)
    return np.clip(np.rint(values), 0, np.iinfo(dtype).max).astype(dtype)


@pytest.fixture(scope="session")
def scene() -> Callable[[str], np.ndarray]:
    return _scene


@pytest.fixture(scope="session")
def photo() -> Callable[..., np.ndarray]:
    return _photo
