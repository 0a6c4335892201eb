from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_medai.core.errors import InputError
from napari_medai.core.noise import CameraNoise
from napari_medai.core.whiteness import Whiteness, whiteness


def test_correlations_and_mean_by_hand() -> None:
    residual = np.array([[1.0, -1, 1, -1], [1, -1, 1, -1]]) + 0.5
    found = whiteness(residual, 2.0)
    assert found.mean == 0.25
    assert found.mean_error == pytest.approx(0.5 / np.sqrt(8))
    assert found.correlations == pytest.approx((1, -1))
    assert found.count == 8
    assert found.coarse == 0


@pytest.mark.parametrize("shape", [(300, 200), (20, 60, 50), (500,)])
@pytest.mark.parametrize("noise", [None, 3.0])
def test_white_noise_is_white(shape: tuple[int, ...], noise: float | None) -> None:
    residual = np.random.default_rng(0).normal(0, 3, shape)
    found = whiteness(residual, noise)
    assert found.white
    assert found.sentence == "What was taken away looks like noise."
    assert found.correlations == pytest.approx((0,) * len(shape), abs=4 / np.sqrt(residual.size))
    assert found.coarse == pytest.approx(1, abs=0.5)


@pytest.mark.parametrize("given", [True, False])
def test_noise_that_grows_with_the_light_is_white(
    given: bool, scene: Callable[[str], np.ndarray], photo: Callable[..., np.ndarray]
) -> None:
    light = scene("drawn")
    true = 100 + 2 * 300 * light
    deviation = np.sqrt(CameraNoise(gain=2, offset=100, read_noise=4).variance(true))
    residual = photo(light, peak=300, gain=2, read=2) - true
    assert whiteness(residual, deviation if given else None).white


def test_what_a_blur_takes_from_structure_is_not_white(
    scene: Callable[[str], np.ndarray], photo: Callable[..., np.ndarray]
) -> None:
    image = photo(scene("drawn"), peak=300, gain=2, read=2)
    restored = gaussian_filter(image, 4)
    deviation = np.sqrt(CameraNoise(gain=2, offset=100, read_noise=4).variance(restored))
    found = whiteness(image - restored, deviation)
    assert not found.white
    assert found.sentence.startswith("Structure is left in what was taken away: neighbours along")
    assert not whiteness(image - restored).white


def test_lines_show_along_their_axis() -> None:
    rng = np.random.default_rng(1)
    residual = rng.normal(0, 1, (200, 200)) + rng.normal(0, 0.7, (200, 1))
    found = whiteness(residual)
    assert found.correlations[0] == pytest.approx(0, abs=0.1)
    assert found.correlations[1] == pytest.approx(0.33, abs=0.05)
    assert "along axis 1 correlate by 0.3" in found.sentence
    assert "along axis 0" not in found.sentence


def test_faint_structure_that_is_wide_shows_in_blocks() -> None:
    rng = np.random.default_rng(2)
    wide = gaussian_filter(rng.normal(0, 1, (256, 256)), 8)
    residual = rng.normal(0, 1, (256, 256)) + 0.25 * wide / wide.std()
    found = whiteness(residual, 1.0)
    assert max(found.correlations) < 0.1
    assert "blocks of 8 pixels vary" in found.sentence


def test_noise_of_which_only_the_finest_part_was_taken_is_no_structure() -> None:
    noise = np.random.default_rng(6).normal(0, 2, (200, 200))
    found = whiteness(noise - gaussian_filter(noise, 0.6), 2.0)
    assert max(found.correlations) < -0.15
    assert not found.white
    assert "coarser noise was left along axis 0" in found.sentence
    assert "Structure" not in found.sentence
    # a usual denoiser averages over more
    assert whiteness(noise - gaussian_filter(noise, 1.5), 2.0).white


def test_a_mean_that_is_off_is_told() -> None:
    residual = np.random.default_rng(3).normal(0.4, 2, (200, 200))
    found = whiteness(residual, 2.0)
    assert found.mean == pytest.approx(0.2, abs=0.02)
    assert "its mean is 0.2" in found.sentence
    assert "neighbours" not in found.sentence


def test_pixels_not_known_do_not_count() -> None:
    residual = np.random.default_rng(4).normal(0, 2, (200, 200))
    residual[50:100, 50:100] = np.nan
    residual[::7, ::5] = np.inf
    found = whiteness(residual)
    assert found.white
    assert found.count == np.isfinite(residual).sum()
    assert found.coarse == pytest.approx(1, abs=0.3)


def test_where_nothing_was_taken_it_says_so() -> None:
    found = whiteness(np.zeros((30, 30)))
    assert found.sentence == "Nothing was taken away."
    assert found.white


def test_a_corner_without_residual_does_no_harm() -> None:
    residual = np.random.default_rng(5).normal(0, 2, (200, 200))
    residual[:80, :80] = 0
    assert whiteness(residual).white


def test_a_constant_residual_is_off_by_its_mean() -> None:
    found = whiteness(np.full((30, 30), 5), 10.0)
    assert found.mean == 0.5
    assert "its mean is 0.50" in found.sentence
    assert found.correlations == (0, 0)


@pytest.mark.parametrize(
    ("residual", "noise", "words"),
    [
        (np.zeros((1, 30)), None, "at least 2 pixels"),
        (np.float64(3), None, "at least 2 pixels"),
        (np.full((5, 5), np.nan), None, "no finite value"),
        (np.ones((5, 5)), np.ones((4, 5)), "residual's shape"),
        (np.ones((5, 5)), 0.0, "above 0"),
        (np.ones((5, 5)), np.full((5, 5), np.nan), "above 0"),
        (np.ones((5, 5)) * 1j, None, "real numbers"),
    ],
)
def test_what_cannot_be_judged_is_refused(
    residual: np.ndarray, noise: np.ndarray | float | None, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        whiteness(residual, noise)


def test_few_pixels_are_judged_with_care() -> None:
    found = Whiteness(correlations=(0.3, 0.2), coarse=2, mean=0.1, mean_error=0.1, count=100)
    assert found.white
    many = Whiteness(correlations=(0.3, 0.2), coarse=2, mean=0.1, mean_error=0.001, count=10**6)
    assert not many.white
