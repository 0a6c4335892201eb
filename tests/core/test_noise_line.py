from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_medai.core.noise_blocks import (
    COARSE,
    EDGE,
    FINE,
    VARYING,
    Blocks,
    blocks_of_frames,
    blocks_of_plane,
)
from napari_medai.core.noise_line import EXPECTED, QUANTILE, Floor, noise_line


def _blocks(plane: np.ndarray, usable: np.ndarray | None = None) -> Blocks:
    every = np.ones(plane.shape, bool)
    return blocks_of_plane(plane, every if usable is None else usable, ~every)


def test_the_expected_quantile_is_that_of_pure_noise() -> None:
    tiles = np.random.default_rng(0).normal(0, 1, (20_000 * EDGE, EDGE))
    tiles = tiles.reshape(-1, EDGE * EDGE)
    for freedom, factor in EXPECTED.items():
        variances = (tiles[:, :freedom] ** 2).mean(axis=1)
        assert np.quantile(variances, QUANTILE) == pytest.approx(factor, abs=0.005)


def test_frequencies_are_either_fine_or_coarse() -> None:
    assert FINE.sum() == 28
    assert VARYING.sum() == 63
    assert (FINE ^ COARSE == VARYING).all()


def test_variance_and_structure_of_pure_noise_are_independent_and_right() -> None:
    plane = np.random.default_rng(1).normal(50, 3, (800, 800))
    blocks = _blocks(plane)
    assert blocks.variance.mean() == pytest.approx(9, rel=0.02)
    assert blocks.structure.mean() == pytest.approx(9 * COARSE.sum(), rel=0.02)
    assert abs(np.corrcoef(blocks.variance, blocks.structure)[0, 1]) < 0.05


def test_smooth_structure_does_not_count_as_noise() -> None:
    plane = 100 * gaussian_filter(np.random.default_rng(2).normal(0, 5, (400, 400)), 2)
    blocks = _blocks(plane)
    # faint against what there is: 35 frequencies of it against one
    assert np.median(blocks.variance) < 1e-3 * np.median(blocks.structure)


def test_blocks_with_a_pixel_that_is_not_usable_are_left_out() -> None:
    plane = np.random.default_rng(3).normal(0, 1, (200, 200))
    usable = np.ones(plane.shape, bool)
    usable[50, 50], plane[50, 50] = False, 1e5
    assert len(_blocks(plane, usable)) < len(_blocks(plane))
    assert _blocks(plane, usable).variance.max() < 5


def test_frames_differ_by_twice_the_noise_whatever_they_show() -> None:
    rng = np.random.default_rng(4)
    scene = rng.integers(0, 1000, (300, 300)).astype(float)
    first, second = (scene + rng.normal(0, 3, scene.shape) for _ in range(2))
    every = np.ones(scene.shape, bool)
    blocks = blocks_of_frames(first, second, every, ~every)
    assert blocks.variance.mean() == pytest.approx(9, rel=0.02)


def test_a_known_line_is_found() -> None:
    rng = np.random.default_rng(5)
    light = np.repeat(np.linspace(0, 400, 50), 16)[None] * np.ones((400, 1))
    plane = 20 + light + rng.normal(0, 1, light.shape) * np.sqrt(0.5 * light + 9)
    line = noise_line(_blocks(plane))
    assert line is not None
    assert line.noise.gain == pytest.approx(0.5, rel=0.06)
    assert line.noise.offset == pytest.approx(20, abs=2)
    assert line.noise.read_noise == pytest.approx(3, rel=0.06)


def test_noise_alike_everywhere_has_no_gain() -> None:
    plane = np.linspace(0, 100, 300) + np.random.default_rng(6).normal(0, 2, (300, 300))
    line = noise_line(_blocks(plane))
    assert line is not None
    assert line.noise.gain < 0.01
    assert line.noise.read_noise == pytest.approx(2, rel=0.05)


def test_of_no_block_or_of_constant_ones_no_line_is_made() -> None:
    assert noise_line(_blocks(np.full((64, 64), 5.0))) is None
    assert noise_line(_blocks(np.ones((64, 64)), np.zeros((64, 64), bool))) is None


def test_noise_cut_off_at_the_dark_is_told_from_what_was_left() -> None:
    rng = np.random.default_rng(7)
    light = np.repeat(np.linspace(0, 60, 25), 16)[None] * np.ones((600, 1))
    plane = np.maximum(light + rng.normal(0, 4, light.shape), 0)
    blocks = blocks_of_plane(plane, np.ones(plane.shape, bool), plane <= 0)
    line = noise_line(blocks, Floor(0, 0, 0))
    assert line is not None
    assert line.noise.read_noise == pytest.approx(4, rel=0.1)
    assert line.noise.offset == pytest.approx(0, abs=1.3)
    blind = noise_line(blocks)
    assert blind is not None
    assert blind.noise.read_noise < 3.2


def test_counted_photons_are_not_taken_for_a_cut() -> None:
    rng = np.random.default_rng(8)
    light = np.repeat(np.linspace(0.1, 3, 25), 16)[None] * np.ones((400, 1))
    plane = 7.0 * rng.poisson(light)
    blocks = blocks_of_plane(plane, np.ones(plane.shape, bool), plane <= 0)
    line = noise_line(blocks, Floor(0, 0.5, 7))
    assert line is not None
    assert line.noise.gain == 7
    assert line.noise.variance(np.array([7.0])) == pytest.approx(49)
