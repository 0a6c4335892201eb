"""The shipped model, and learning from the image itself, on real images made noisy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from skimage import io

from napari_medai.core.axes import AxesArray
from napari_medai.core.restoration import psnr
from napari_medai.core.steps import finished
from napari_medai.models.model import Model
from napari_medai.models.registry import find_model
from napari_medai.tasks.denoise import DenoiseParams, denoise_steps
from napari_medai.tasks.denoising import Restoration
from napari_medai.tasks.self_check import self_check

# OpenVINO traces nets, which this PyTorch calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


@pytest.fixture(scope="module")
def fluorescence() -> Model:
    return find_model("fluorescence", "denoise")


def scene(data: Path, photons: float) -> tuple[np.ndarray, np.ndarray]:
    """Membranes that training never saw, as taken by a camera: clean and noisy, with a dark level
    of 100 and two counts to a photo-electron.
    """
    image = io.imread(data / "denoise" / "membrane.png").astype(float)
    light = ndimage.gaussian_filter(image, 1.0)
    light *= photons / light.max()
    rng = np.random.default_rng(0)
    electrons = rng.poisson(light) + rng.normal(0, 2, light.shape)
    return 100 + 2 * light, np.round(100 + 2 * electrons).astype(np.uint16)


def denoised(noisy: np.ndarray, model: Model | None, **params: int) -> Restoration:
    return finished(denoise_steps(AxesArray(noisy, "YX"), model, DenoiseParams(**params)))


@pytest.mark.parametrize(("photons", "gained"), [(30, 11), (300, 8)])
def test_a_real_image_is_restored_in_its_own_units(
    data: Path, fluorescence: Model, photons: float, gained: float
) -> None:
    clean, noisy = scene(data, photons)
    result = denoised(noisy, fluorescence)
    found = np.asarray(result.image)
    most = float(np.ptp(clean))
    before, after = (psnr(x, clean, data_range=most) for x in (noisy, found))
    assert after > before + gained
    assert found.mean() == pytest.approx(noisy.mean(), rel=1e-5)
    quarters = [(x[:160, :160].mean(), x[160:, 160:].mean()) for x in (found, clean)]
    np.testing.assert_allclose(*quarters, rtol=0.01)
    image = AxesArray(noisy, "YX")
    assert self_check(result, image) == "What was taken away looks like noise."


def test_a_net_learns_to_restore_from_the_noisy_image_alone(data: Path) -> None:
    clean, noisy = scene(data, 30)
    result = denoised(noisy, None, steps=60, seed=1)
    most = float(np.ptp(clean))
    before, after = (psnr(x, clean, data_range=most) for x in (noisy, np.asarray(result.image)))
    assert after > before + 4


def test_an_image_with_hardly_any_noise_stays_as_it_is(data: Path, fluorescence: Model) -> None:
    clean, _ = scene(data, 1e5)
    result = denoised(clean, fluorescence)
    assert psnr(np.asarray(result.image), clean, data_range=float(np.ptp(clean))) > 60
