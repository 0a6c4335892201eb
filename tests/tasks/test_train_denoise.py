"""Models that denoise are trained, with clean images and without, and scored."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.restoration import psnr
from napari_medai.core.steps import finished
from napari_medai.models.model import Model
from napari_medai.models.registry import find_model
from napari_medai.tasks.denoise import DenoiseParams, denoise_steps
from napari_medai.tasks.evaluate_denoise import restoration_scores
from napari_medai.tasks.train import TrainParams
from napari_medai.tasks.train_denoise import NoisyPair, train_denoise_steps
from napari_medai.tasks.verify import full_check

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture(autouse=True)
def own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDAI_MODELS", str(tmp_path / "own"))
    return tmp_path / "own"


def pairs_of(denoising: ModuleType, *, clean: bool, axes: str = "YX", count: int = 3) -> list[Any]:
    found = []
    for seed in range(count):
        truth = denoising.scene(*(4,) * (len(axes) - 2), 48, 48, seed=seed)
        image = AxesArray(denoising.noisy(truth, seed=seed), axes)
        # in another contrast, as an average of many frames is
        other = AxesArray((truth * 7 + 1).astype(np.float32), axes) if clean else None
        found.append(NoisyPair(image, other, f"scene {seed}", source=str(seed)))
    return found


def trained(pairs: list[Any], *, steps: int = 5, **how: Any) -> Model:
    params = TrainParams(steps=steps, batch=2, device="cpu")
    return finished(train_denoise_steps(pairs, params, **{"name": "mine", **how}))


@pytest.mark.parametrize("clean", [True, False])
def test_a_model_is_trained_and_found_by_its_name(denoising: ModuleType, clean: bool) -> None:
    model = trained(pairs_of(denoising, clean=clean))
    assert find_model("mine", "denoise").sha256 == model.sha256
    assert full_check("mine") == []
    assert model.config["recipe"]["steps"] == 5
    assert model.config["recipe"]["held_out_images"] == 1
    assert list(model.config["scores"]) == ["gain in dB, held out"]
    assert "medai.denoise(image" in model.card
    with pytest.raises(InputError, match="there is a model 'mine' already"):
        trained(pairs_of(denoising, clean=clean))


def test_training_takes_noise_away(denoising: ModuleType) -> None:
    model = trained(pairs_of(denoising, clean=True, count=6), steps=100)
    truth = denoising.scene(64, 64, seed=50)
    image = denoising.noisy(truth, seed=50)
    found = finished(denoise_steps(AxesArray(image, "YX"), model, DenoiseParams(device="cpu")))
    wanted = 100 + 80 * truth
    assert psnr(found.image, wanted) > psnr(image, wanted) + 4


@pytest.mark.parametrize(("axes", "across", "seen"), [("ZYX", "Z", None), ("TYX", "T", "TYX")])
def test_neighbours_may_be_seen(
    denoising: ModuleType, axes: str, across: str, seen: str | None
) -> None:
    pairs = pairs_of(denoising, clean=True, axes=axes)
    model = trained(pairs, across=across, steps=1)
    assert model.axes == "CZYX"
    assert model.config.get("seen") == seen
    further = trained(pairs, start=model, name="further", steps=1)
    assert further.config.get("seen") == seen
    assert further.config["recipe"]["from"] == "mine"
    with pytest.raises(InputError, match=r"mine sees \w Y X at once, not"):
        trained(pairs, start=model, name="other", across="T" if across == "Z" else "Z")


def test_what_cannot_be_learned_from(denoising: ModuleType) -> None:
    (pair,) = pairs_of(denoising, clean=False, count=1)
    flat = NoisyPair(AxesArray(np.full((48, 48), 3, np.uint8), "YX"))
    small = NoisyPair(AxesArray(denoising.noisy(denoising.scene(24, 40)), "YX"), name="small one")
    unlike = NoisyPair(pair.image, AxesArray(np.zeros((48, 40)), "YX"), name="unlike")
    for pairs, sentence in (
        ([], "there is no image to learn from"),
        ([flat], "no noise was found in any of the images"),
        ([small], "small one has planes of 24 x 40 pixels"),
        ([unlike], "the clean image of unlike has Y 48, X 40, but the noisy one Y 48, X 48"),
    ):
        with pytest.raises(InputError, match=sentence):
            trained(pairs)


# Scores


@pytest.fixture
def identity(denoising: ModuleType, tmp_path: Path) -> Model:
    model: Model = denoising.denoiser(tmp_path / "own" / "identity")
    return model


def test_restored_images_are_compared_with_clean_ones(
    denoising: ModuleType, identity: Model
) -> None:
    truth = 100 + 80 * np.stack([denoising.scene(48, 48), denoising.scene(48, 48, seed=1)])
    image = denoising.noisy((truth - 100) / 80)
    clean = AxesArray(truth.transpose(1, 2, 0), "YXC")
    pair = NoisyPair(AxesArray(image, "CYX"), clean, "two")
    scores = restoration_scores(identity, [pair], DenoiseParams(strength=0, device="cpu"))
    (one,) = scores.images
    wanted = np.mean([psnr(a, b) for a, b in zip(image, truth, strict=True)])
    assert one.noisy["PSNR"] == pytest.approx(wanted)
    assert one.restored == one.noisy
    assert set(one.noisy) == {"PSNR", "SSIM", "scale-invariant PSNR"}
    assert scores.described()["noisy"]["PSNR"] == round(wanted, 4)
    better = restoration_scores(None, [pair], DenoiseParams(steps=60, device="cpu"))
    assert better.means.restored["PSNR"] > wanted + 4
    assert better.means.restored["SSIM"] > one.noisy["SSIM"]


def test_without_clean_images_what_was_taken_away_is_judged(
    denoising: ModuleType, identity: Model
) -> None:
    image = AxesArray(denoising.noisy(denoising.scene(64, 64)), "YX")
    found = restoration_scores(None, [NoisyPair(image)], DenoiseParams(steps=60, device="cpu"))
    told = found.means.residual
    assert set(told) == {
        "correlation along rows",
        "correlation along columns",
        "coarse",
        "mean",
        "white",
    }
    assert abs(told["mean"]) < 0.05
    assert abs(told["correlation along rows"]) < 0.15
    flat = NoisyPair(AxesArray(np.full((48, 48), 3, np.uint8), "YX"), name="flat")
    assert restoration_scores(identity, [flat]).images[0].residual == {}


def test_nothing_to_score(identity: Model) -> None:
    with pytest.raises(InputError, match="there are no images to score"):
        restoration_scores(identity, [])
    image = AxesArray(np.zeros((48, 48), np.uint8), "YX")
    with pytest.raises(InputError, match="nothing can be compared; leave it out"):
        restoration_scores(identity, [NoisyPair(image, image)])
