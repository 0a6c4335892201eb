from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from napari_medai.core.errors import InputError
from napari_medai.core.noise import CameraNoise

NOISES = {
    "usual": CameraNoise(gain=2.2, offset=100, read_noise=4),
    "no shot noise": CameraNoise(gain=0, offset=-3, read_noise=5),
    "tiny gain": CameraNoise(gain=1e-12, offset=10, read_noise=2),
    "photons counted": CameraNoise(gain=1, offset=0, read_noise=0),
    "scaled to 1": CameraNoise(gain=1e-4, offset=0.1, read_noise=2e-3),
}


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
def test_there_and_back_gives_the_same_values(noise: CameraNoise) -> None:
    span = 1000 * noise.gain + 10 * noise.read_noise
    values = noise.offset + np.linspace(0, 1, 1001) * span
    back = noise.restored(noise.stabilised(values))
    np.testing.assert_allclose(back, values, rtol=0, atol=1e-6 * (span + abs(noise.offset)))


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
def test_values_a_little_below_the_offset_come_back_too(noise: CameraNoise) -> None:
    low = noise.floor / noise.gain if noise.gain else 10 * noise.read_noise
    values = noise.offset - np.linspace(0, 0.99, 50) * min(low, 3 * np.sqrt(noise.floor))
    back = noise.restored(noise.stabilised(values))
    np.testing.assert_allclose(back, values, rtol=1e-5, atol=1e-5 * np.sqrt(noise.floor))


def test_the_variance_is_a_line_over_the_mean_and_flat_below_the_offset() -> None:
    noise = CameraNoise(gain=2, offset=100, read_noise=3)
    assert noise.variance(np.array([50, 100, 110, 200])).tolist() == [9, 9, 29, 209]


def test_a_gain_of_0_only_shifts_and_scales() -> None:
    noise = CameraNoise(gain=0, offset=10, read_noise=4)
    assert noise.stabilised(np.array([2.0, 10, 14])).tolist() == [-2, 0, 1]


def test_a_tiny_gain_is_like_none() -> None:
    values = np.linspace(-20, 300, 100)
    none = CameraNoise(gain=0, offset=10, read_noise=4).stabilised(values)
    tiny = CameraNoise(gain=1e-14, offset=10, read_noise=4).stabilised(values)
    np.testing.assert_allclose(tiny, none, rtol=1e-6)


def test_the_offset_becomes_0_and_order_is_kept() -> None:
    noise = NOISES["usual"]
    values = np.linspace(0, 60000, 5000)
    found = noise.stabilised(values)
    assert noise.stabilised(np.array([noise.offset])) == 0
    assert (np.diff(found[values > noise.offset]) > 0).all()
    assert (np.diff(found) >= 0).all()
    assert found.dtype == np.float32


@pytest.mark.parametrize("photons", [5, 20, 100, 2000])
@pytest.mark.parametrize("gain", [0.05, 1, 7])
def test_stabilised_camera_noise_has_a_variance_of_1(
    photons: float, gain: float, photo: Callable[..., np.ndarray]
) -> None:
    image = photo(np.ones((300, 300)), peak=photons, gain=gain, read=2, offset=100)
    noise = CameraNoise(gain=gain, offset=100, read_noise=2 * gain)
    assert noise.stabilised(image).var() == pytest.approx(1, abs=0.06)


def test_stabilised_values_without_light_have_a_variance_of_about_1() -> None:
    values = np.random.default_rng(0).normal(100, 8, (300, 300))
    noise = CameraNoise(gain=2, offset=100, read_noise=8)
    assert noise.stabilised(values).var() == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("photons", [0, 1, 3, 10, 100, 1000])
@pytest.mark.parametrize("read", [0, 0.5, 2, 6])
def test_the_mean_of_stabilised_values_tells_the_expected_value(
    photons: float, read: float, photo: Callable[..., np.ndarray]
) -> None:
    noise = CameraNoise(gain=3, offset=100, read_noise=3 * read)
    image = photo(np.ones((600, 600)), peak=photons, gain=3, read=read, dtype="float64")
    mean = noise.stabilised(image).mean(dtype=np.float64)
    found = float(noise.expected(np.array(mean)))
    # within a tenth of a photo-electron, and not as far off as the plain inverse
    assert found == pytest.approx(100 + 3 * photons, abs=0.3)
    if photons >= 3:
        plain = float(noise.restored(np.array(mean)))
        assert abs(found - image.mean()) < abs(plain - image.mean())


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
def test_expected_values_rise_with_the_mean(noise: CameraNoise) -> None:
    means = np.linspace(0, 50, 200)
    assert (np.diff(noise.expected(means)) > 0).all()


@pytest.mark.parametrize(
    "numbers",
    [
        {"gain": -1, "offset": 0, "read_noise": 1},
        {"gain": 1, "offset": 0, "read_noise": -1},
        {"gain": float("nan"), "offset": 0, "read_noise": 1},
        {"gain": 1, "offset": float("inf"), "read_noise": 1},
        {"gain": 1, "offset": float("nan"), "read_noise": 1},
        {"gain": 1, "offset": 0, "read_noise": float("inf")},
    ],
)
def test_impossible_numbers_are_refused(numbers: dict[str, float]) -> None:
    with pytest.raises(InputError, match="0 or more"):
        CameraNoise(**numbers)


@pytest.mark.parametrize(
    "numbers",
    [
        {"gain": 1e300, "offset": 0, "read_noise": 1},
        {"gain": 0, "offset": 0, "read_noise": 1e200},
        {"gain": 1, "offset": -1e300, "read_noise": 1},
        {"gain": 1e-200, "offset": 0, "read_noise": 1e-300},
    ],
)
def test_numbers_whose_squares_are_none_are_refused(numbers: dict[str, float]) -> None:
    with pytest.raises(InputError, match="beyond 32-bit numbers; multiply the image"):
        CameraNoise(**numbers)


def test_no_noise_at_all_is_refused() -> None:
    with pytest.raises(InputError, match="both 0"):
        CameraNoise(gain=0, offset=5, read_noise=0)


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
def test_noisy_values_have_the_mean_and_the_variance(noise: CameraNoise) -> None:
    mean = noise.offset + 40 * noise.gain + 3 * noise.read_noise
    values = noise.noisy(np.full((300, 300), mean), np.random.default_rng(0)).astype(np.float64)
    variance = float(noise.variance(np.array(mean)))
    assert values.mean() == pytest.approx(mean, abs=4 * np.sqrt(variance) / 300)
    assert values.var() == pytest.approx(variance, rel=0.03)


def test_noisy_values_are_whole_photo_electrons_without_read_noise() -> None:
    noise = CameraNoise(gain=2, offset=10, read_noise=0)
    values = noise.noisy(np.array([0.0, 10, 30, 30, 30]), np.random.default_rng(0))
    assert values.dtype == np.float32
    assert values[:2].tolist() == [10, 10]
    assert set(((values - 10) % 2).tolist()) == {0}
