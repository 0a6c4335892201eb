from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_medai.core.axes import AxesArray
from napari_medai.tasks.denoise import DenoiseParams
from napari_medai.tasks.evaluate_denoise import restoration_scores
from napari_medai.tasks.train_denoise import NoisyPair

AS_IT_IS = DenoiseParams(strength=0)


def frames(photons: float, *, count: int = 6, sharp: float = 1.5) -> AxesArray:
    """A scene that stands still, each time with other noise."""
    rng = np.random.default_rng(0)
    scene = ndimage.gaussian_filter(rng.random((96, 96)), sharp)
    scene = (scene - scene.min()) / np.ptp(scene)
    return AxesArray(rng.poisson(scene * photons, (count, 96, 96)).astype(np.float32), "TYX")


def test_frames_tell_the_detail_on_which_they_agree() -> None:
    pairs = [NoisyPair(frames(photons), name=str(photons)) for photons in (20, 2000)]
    faint, bright = restoration_scores(None, pairs, AS_IT_IS).images
    assert faint.noisy == faint.restored, "nothing was taken away"
    assert 2 <= bright.noisy["resolution"] < 0.8 * faint.noisy["resolution"]


def test_without_frames_there_is_no_detail_to_agree_on() -> None:
    alone = AxesArray(np.asarray(frames(50).data)[0], "YX")
    (found,) = restoration_scores(None, [NoisyPair(alone)], AS_IT_IS).images
    assert found.noisy == found.restored == {}
    assert found.residual["mean"] == pytest.approx(0)


def test_images_with_and_without_clean_ones_are_scored_together() -> None:
    stack = frames(50)
    clean = AxesArray(np.asarray(stack.data) + 2, "TYX")
    pairs = [NoisyPair(stack, clean, name="with"), NoisyPair(stack, name="without")]
    scores = restoration_scores(None, pairs, AS_IT_IS)
    known, judged = scores.images
    assert scores.means.noisy == {**known.noisy, **judged.noisy}
    assert set(scores.means.noisy) == {"PSNR", "SSIM", "scale-invariant PSNR", "resolution"}


def test_a_clean_image_is_what_is_compared_with() -> None:
    noisy = frames(50, count=1)
    clean = AxesArray(np.asarray(noisy.data) + 2, "TYX")
    scores = restoration_scores(None, [NoisyPair(noisy, clean, name="one")], AS_IT_IS)
    (found,) = scores.images
    most = float(np.ptp(np.asarray(clean.data)))
    assert found.noisy["PSNR"] == pytest.approx(20 * np.log10(most / 2), abs=1e-3)
    assert found.restored == found.noisy
    assert scores.described()["each"]["one"]["noisy"]["PSNR"] == pytest.approx(
        found.noisy["PSNR"], abs=1e-3
    )
