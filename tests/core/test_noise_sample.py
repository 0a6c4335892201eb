from __future__ import annotations

import numpy as np
import pytest

from napari_medai.core.intensity import SAMPLES
from napari_medai.core.noise import CameraNoise
from napari_medai.core.noise_sample import PLANES, plane_windows, sample_of


@pytest.mark.parametrize(
    "shape", [(40, 30), (2048, 2048), (500, 64, 50), (3, 40, 700, 9000), (16, 100_000)]
)
def test_windows_stay_inside_and_within_the_budget(shape: tuple[int, ...]) -> None:
    keys = list(plane_windows(shape))
    seen = [np.broadcast_to(np.int8(0), shape)[key] for key in keys]
    assert all(part.ndim == 2 and min(part.shape) >= 16 for part in seen)
    assert min(SAMPLES / 2, np.prod(shape[-2:])) <= sum(part.size for part in seen) <= 2 * SAMPLES
    assert len({key[:-2] for key in keys}) == min(PLANES, int(np.prod(shape[:-2])))
    assert len(set(map(str, keys))) == len(keys)


def test_a_small_image_is_read_whole() -> None:
    assert list(plane_windows((40, 30))) == [(slice(0, 40), slice(0, 30))]


def test_values_and_their_noise_are_scaled_there_and_back() -> None:
    image = np.random.default_rng(0).normal(3e20, 1e19, (64, 64))
    sample = sample_of(image, frames=False, saturated=None)
    values = sample.windows[0].values[0]
    assert np.abs(values).max() < 3
    np.testing.assert_allclose(values * sample.unit + sample.origin, image)
    noise = CameraNoise(gain=2e19, offset=1e20, read_noise=1e18)
    back = sample.in_values(sample.in_windows(noise))
    assert back.gain == pytest.approx(noise.gain)
    assert back.offset == pytest.approx(noise.offset)
    assert back.read_noise == pytest.approx(noise.read_noise)


def test_pairs_are_neighbouring_frames() -> None:
    stack = np.arange(5.0)[:, None, None] * np.ones((1, 20, 20))
    sample = sample_of(stack, frames=True, saturated=None)
    pairs = [window.values[:, 0, 0] * sample.unit + sample.origin for window in sample.windows]
    np.testing.assert_allclose(pairs, [(0, 1), (1, 2), (2, 3), (3, 4)], atol=1e-12)


def test_what_is_not_finite_or_saturated_is_not_usable_in_either_frame() -> None:
    stack = np.random.default_rng(1).normal(10, 1, (2, 32, 32))
    stack[0, 3, 4], stack[1, 5, 6], stack[1, 7, 8] = np.nan, np.inf, 99
    sample = sample_of(stack, frames=True, saturated=50)
    found = [(int(y), int(x)) for y, x in np.argwhere(~sample.windows[0].usable)]
    assert found == [(3, 4), (5, 6), (7, 8)]
    assert sample.unusable == pytest.approx(3 / 1024)
