from __future__ import annotations

import numpy as np
import pytest

from napari_medai.core.noise import CameraNoise
from napari_medai.tasks.restoring import _unexplained

NOISE = CameraNoise(gain=1.0, offset=0.0, read_noise=2.0)


def taken(part: float) -> np.ndarray:
    """How much of a residual of noise, and of as much structure besides, is given back."""
    rng = np.random.default_rng(0)
    light = np.full((96, 96), 50, np.float32)
    structure = np.sqrt(part * 54) * np.sign(np.sin(np.arange(96) * 2.0))
    residual = rng.normal(0, np.sqrt(54), light.shape) + structure
    everywhere = np.ones(light.shape, bool)
    return _unexplained(residual.astype(np.float32), light, everywhere, NOISE)


def test_noise_is_not_given_back() -> None:
    assert taken(0).mean() < 0.01


@pytest.mark.parametrize("part", [10.0, 100.0])
def test_structure_is_given_back_the_more_it_exceeds_noise(part: float) -> None:
    assert taken(part).mean() == pytest.approx(part / (1 + part), abs=0.05)


def test_what_says_nothing_does_not_count() -> None:
    light, residual = np.full((64, 64), 50, np.float32), np.zeros((64, 64), np.float32)
    residual[30, 30] = 1e5
    sound = np.ones((64, 64), bool)
    assert _unexplained(residual, light, sound, NOISE)[30, 30] > 0.9
    sound[30, 30] = False
    assert not _unexplained(residual, light, sound, NOISE).any()
