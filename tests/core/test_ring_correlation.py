from __future__ import annotations

from math import inf

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_medai.core.errors import InputError
from napari_medai.core.ring_correlation import RingCorrelation, resolution, ring_correlation


@pytest.mark.parametrize("shape", [(64, 64), (65, 40), (30, 64, 41), (16, 16)])
def test_equal_images_correlate_fully_at_every_frequency(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).normal(100, 1, shape)
    rings = ring_correlation(image, 3 * image + 7)
    np.testing.assert_allclose(rings.correlations, 1)
    assert resolution(rings) == 2
    np.testing.assert_allclose(ring_correlation(image, -image).correlations, -1)


@pytest.mark.parametrize("shape", [(256, 200), (48, 50, 52)])
def test_white_noise_does_not_correlate(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    rings = ring_correlation(rng.normal(0, 1, shape), rng.normal(0, 1, shape))
    assert abs(np.average(rings.correlations, weights=rings.counts)) < 0.02
    assert np.abs(rings.correlations[20:]).max() < 0.25
    assert resolution(rings) > 12


def test_frequencies_rise_to_half_a_cycle_and_waves_are_counted() -> None:
    image = np.random.default_rng(2).random((64, 64))
    rings = ring_correlation(image, image)
    np.testing.assert_allclose(rings.frequencies, np.arange(1, 33) / 64, atol=0.01)
    whole = np.rint(np.hypot(*np.meshgrid(*[np.fft.fftfreq(64) * 64] * 2))).astype(int)
    assert rings.counts.tolist() == np.bincount(whole.ravel())[1:33].tolist()


@pytest.mark.parametrize("cut", [0.1, 0.25, 0.4])
def test_images_that_agree_up_to_a_frequency_resolve_that_much(cut: float) -> None:
    rng = np.random.default_rng(3)
    shared = np.fft.fft2(rng.normal(0, 1, (256, 256)))
    shared *= np.hypot(*np.meshgrid(*[np.fft.fftfreq(256)] * 2)) < cut
    scene = np.fft.ifft2(shared).real
    halves = [scene + rng.normal(0, 0.1 * scene.std(), scene.shape) for _ in range(2)]
    assert 1 / resolution(ring_correlation(*halves)) == pytest.approx(cut, abs=0.02)


def test_more_noise_resolves_less() -> None:
    rng = np.random.default_rng(4)
    scene = gaussian_filter(rng.normal(0, 1, (200, 200)), 1.5)
    found = []
    for noise in (0.1, 0.5, 2):
        deviation = noise * scene.std()
        halves = [scene + rng.normal(0, deviation, scene.shape) for _ in range(2)]
        found.append(resolution(ring_correlation(*halves)))
    assert 2 < found[0] < found[1] < found[2] < inf


def test_the_threshold_is_met_between_two_rings() -> None:
    frequencies = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    rings = RingCorrelation(frequencies, np.array([1.0, 1, 0.5, 0, 0]), np.ones(5))
    # over three rings: 2/3 (with nothing before), 5/6, 1/2, 1/6, 0
    curve = [1, 2.5 / 3, 0.5, 0.5 / 3, 0]
    expected = 0.3 + 0.1 * (curve[2] - 0.25) / (curve[2] - curve[3])
    assert resolution(rings, threshold=0.25) == pytest.approx(1 / expected)


def test_without_agreement_nothing_is_resolved() -> None:
    rings = RingCorrelation(np.linspace(0.1, 0.5, 5), np.zeros(5), np.ones(5))
    assert resolution(rings) == inf


@pytest.mark.parametrize("threshold", [0, 1, -1, float("nan")])
def test_the_threshold_is_between_0_and_1(threshold: float) -> None:
    rings = RingCorrelation(np.linspace(0.1, 0.5, 5), np.zeros(5), np.ones(5))
    with pytest.raises(InputError, match="between 0 and 1"):
        resolution(rings, threshold=threshold)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (np.eye(20), np.eye(21), "of one shape"),
        (np.eye(15), np.eye(15), "at least 16"),
        (np.ones(50), np.ones(50), "two planes or two volumes"),
        (np.eye(20), np.full((20, 20), np.nan), "NaN"),
        (np.eye(20), np.full((20, 20), 4), "is 4 everywhere"),
        (np.eye(20), np.eye(20) * 1j, "real numbers"),
    ],
)
def test_what_cannot_be_correlated_is_refused(
    first: np.ndarray, second: np.ndarray, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        ring_correlation(first, second)
