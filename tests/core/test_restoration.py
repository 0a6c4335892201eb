from __future__ import annotations

from collections.abc import Callable
from math import inf

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from napari_medai.core.errors import InputError
from napari_medai.core.restoration import psnr, scale_invariant_psnr, ssim


@pytest.fixture
def truth() -> np.ndarray:
    return gaussian_filter(np.random.default_rng(0).normal(0, 30, (60, 50)), 2) + 7


@pytest.fixture
def found(truth: np.ndarray) -> np.ndarray:
    return truth + np.random.default_rng(1).normal(0, 1, truth.shape)


def test_psnr_by_hand() -> None:
    truth = np.array([[0, 10], [5, 5]])
    assert psnr(truth + 1, truth) == pytest.approx(20)
    assert psnr(truth + 1, truth, data_range=100) == pytest.approx(40)
    assert psnr(truth, truth) == inf


def test_psnr_and_ssim_are_those_of_scikit_image(found: np.ndarray, truth: np.ndarray) -> None:
    span = float(np.ptp(truth))
    assert psnr(found, truth) == pytest.approx(
        peak_signal_noise_ratio(truth, found, data_range=span)
    )
    assert ssim(found, truth) == pytest.approx(structural_similarity(truth, found, data_range=span))
    assert ssim(found, truth, data_range=50) == pytest.approx(
        structural_similarity(truth, found, data_range=50)
    )
    assert ssim(truth, truth) == 1


def test_ssim_takes_volumes() -> None:
    volume = np.random.default_rng(2).random((8, 9, 10))
    assert ssim(volume, volume) == 1
    assert ssim(volume[::-1], volume) < 0.5


def test_unsigned_values_are_not_subtracted_below_0() -> None:
    truth = np.array([[0, 200]], np.uint8)
    assert psnr(truth[:, ::-1], truth) == pytest.approx(0)


def _careamics(gt: np.ndarray, pred: np.ndarray) -> float:
    """As careamics.utils.metrics writes it."""
    zero = (gt - gt.mean()) / gt.std()
    guess = pred - pred.mean()
    guess = guess * (zero * guess).sum() / (guess * guess).sum()
    return float(peak_signal_noise_ratio(zero, guess, data_range=(gt.max() - gt.min()) / gt.std()))


def test_scale_invariant_psnr_is_that_of_careamics(found: np.ndarray, truth: np.ndarray) -> None:
    assert scale_invariant_psnr(found, truth) == pytest.approx(_careamics(truth, found))


@pytest.mark.parametrize("scale", [0.01, 1, 1e200])
def test_scale_and_offset_do_not_matter(scale: float, found: np.ndarray, truth: np.ndarray) -> None:
    usual = scale_invariant_psnr(found, truth)
    assert scale_invariant_psnr(found * scale + 3 * scale, truth) == pytest.approx(usual)
    assert scale_invariant_psnr(found, truth * scale - 5 * scale) == pytest.approx(usual)
    assert scale_invariant_psnr(truth * 4 + 1, truth) > 200


def test_a_constant_guess_is_as_good_as_the_mean(truth: np.ndarray) -> None:
    guess = np.full_like(truth, 3)
    expected = 20 * np.log10(np.ptp(truth) / truth.std())
    assert scale_invariant_psnr(guess, truth) == pytest.approx(expected)


@pytest.mark.parametrize("figure", [psnr, scale_invariant_psnr, ssim])
def test_only_pixels_that_count_are_compared(
    figure: Callable[..., float], found: np.ndarray, truth: np.ndarray
) -> None:
    where = np.ones(truth.shape, bool)
    where[:, :10] = False
    broken = found.copy()
    broken[~where] = np.nan
    value = figure(broken, truth, where=where)
    near = figure(found[:, 10:], truth[:, 10:])
    # windows of SSIM reach a little beyond, where both are alike
    assert value == pytest.approx(near, rel=0.02 if figure is ssim else 1e-9)


@pytest.mark.parametrize("figure", [psnr, scale_invariant_psnr, ssim])
def test_what_cannot_be_compared_is_refused(
    figure: Callable[..., float], found: np.ndarray, truth: np.ndarray
) -> None:
    missing = found.copy()
    missing[3, 4] = np.nan
    with pytest.raises(InputError, match=r"1 of the 3000 pixels of the restored image"):
        figure(missing, truth)
    with pytest.raises(InputError, match=r"true image are NaN"):
        figure(truth, missing)
    with pytest.raises(InputError, match="of one shape"):
        figure(found[1:], truth)
    with pytest.raises(InputError, match="of one shape"):
        figure(np.zeros((0, 3)), np.zeros((0, 3)))
    with pytest.raises(InputError, match="everywhere"):
        figure(found, np.full(truth.shape, 4.0))
    with pytest.raises(InputError, match="real numbers"):
        figure(found * 1j, truth)
    for where in (np.ones(truth.shape), np.zeros(truth.shape, bool), np.ones((3, 3), bool)):
        with pytest.raises(InputError, match="where must be bool"):
            figure(found, truth, where=where)


@pytest.mark.parametrize("figure", [psnr, ssim])
@pytest.mark.parametrize("peak", [0, -1, inf, float("nan")])
def test_a_range_must_be_above_0(
    figure: Callable[..., float], peak: float, found: np.ndarray, truth: np.ndarray
) -> None:
    with pytest.raises(InputError, match="data_range"):
        figure(found, truth, data_range=peak)


def test_ssim_needs_windows() -> None:
    with pytest.raises(InputError, match="windows of 7"):
        ssim(np.eye(6), np.eye(6))
