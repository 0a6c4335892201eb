from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from napari_medai.core.noise import CameraNoise
from napari_medai.core.steps import finished
from napari_medai.nn.denoising import DenoiseObjective, expected, inputs_of, stabilised
from napari_medai.nn.shots import Masked, Own, Scene, Shot, Source, exposed

CPU = torch.device("cpu")


class First(nn.Module):
    """Says that the values are right as they are."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, :1]


def shot(*, light: float = 20.0, error: float = 2.0, usable: float = 1.0) -> Shot:
    noisy = torch.full((1, 8, 8), light + error)
    weight = torch.full((1, 8, 8), usable)
    return Shot(noisy, torch.full((1, 8, 8), light), weight, shot=0.0, read=3.0)


def told(part: float) -> float:
    """The loss where the squared error is so large a part of the noise."""
    return float(np.log(1 + 100 * part) / np.log(101))


@pytest.mark.parametrize(
    "noise",
    [
        CameraNoise(gain=1.0, offset=0.0, read_noise=2.0),
        CameraNoise(gain=1.0, offset=0.0, read_noise=0.0),
        CameraNoise(gain=0.0, offset=0.0, read_noise=1.0),
    ],
)
def test_values_are_stabilised_as_by_numpy(noise: CameraNoise) -> None:
    light = np.linspace(-3, 4000, 500).astype(np.float32)
    kind = torch.tensor(noise.gain), torch.tensor(noise.read_noise)
    root = stabilised(torch.from_numpy(light), *kind)
    np.testing.assert_allclose(root.numpy(), noise.stabilised(light), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        expected(root, *kind).numpy(), noise.expected(noise.stabilised(light)), rtol=1e-4, atol=1e-3
    )


def test_the_net_gets_stabilised_values_and_the_level_of_their_noise() -> None:
    loud = Shot(
        torch.full((1, 4, 4), 6.0), torch.zeros(1, 4, 4), torch.ones(1, 4, 4), 0.0, 2.0, 1.5
    )
    images, targets = inputs_of([loud, loud])
    assert images.shape == (2, 2, 4, 4)
    assert images[:, 0].unique().tolist() == [3.0]
    assert images[:, 1].unique().tolist() == [1.5]
    assert targets["variance"].tolist() == [4.0, 4.0]


def test_the_loss_is_the_squared_error_in_parts_of_the_noise() -> None:
    objective = DenoiseObjective([], [])
    images, targets = inputs_of([shot(light=20, error=2)])
    parts = objective.loss(images[:, :1], targets)
    assert float(parts["error"]) == pytest.approx(told(4 / 9), rel=1e-4)
    right = stabilised(targets["target"], targets["shot"], targets["read"])
    assert float(objective.loss(right, targets)["error"]) == pytest.approx(0, abs=1e-6)


def test_pixels_without_weight_do_not_count() -> None:
    images, targets = inputs_of([shot()])
    targets["weight"][..., :4] = 0
    wrong = images[:, :1].clone()
    wrong[..., :4] = 1e3
    objective = DenoiseObjective([], [])
    assert float(objective.loss(wrong, targets)["error"]) == pytest.approx(told(4 / 9), rel=1e-4)
    assert float(objective.loss(wrong, {**targets, "weight": 0 * targets["weight"]})["error"]) == 0


def test_the_score_is_the_decibels_gained() -> None:
    objective = DenoiseObjective([], [shot(error=2), shot(error=-5)])
    assert finished(objective.validate(First(), CPU))["score"] == pytest.approx(0, abs=1e-3)

    class Half(nn.Module):
        """Halves the error of a light of 20 with an error of 2."""

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            kind = torch.tensor(0.0), torch.tensor(3.0)
            return stabilised(torch.full_like(images[:, :1], 21.0), *kind)

    gained = finished(DenoiseObjective([], [shot(error=2)]).validate(Half(), CPU))
    assert gained["score"] == pytest.approx(20 * np.log10(2), abs=1e-3)


def test_shots_that_tell_nothing_do_not_spoil_the_score() -> None:
    telling, lost, still = shot(error=2), shot(usable=0), shot(error=0)
    objective = DenoiseObjective([], [telling, lost, still])
    assert finished(objective.validate(First(), CPU))["score"] == pytest.approx(0, abs=1e-3)
    nothing = finished(DenoiseObjective([], [lost, still]).validate(First(), CPU))
    assert nothing == {"score": 0, "worst": 0}


def test_sources_are_drawn_by_their_weight() -> None:
    flat = np.full((32, 32), 5, np.float32)
    own = [Own(k * flat, np.ones((32, 32), bool), 1.0, 1.0, weight=k) for k in (1.0, 3.0)]
    sources: list[Source] = [Masked(each) for each in own]
    objective = DenoiseObjective(sources, [], (16, 16))
    _, targets = objective.batch(np.random.default_rng(0), 400)
    bright = float((targets["target"][:, 0, 0, 0] > 10).float().mean())
    assert bright == pytest.approx(0.75, abs=0.07)


def test_exposures_scatter_as_they_say() -> None:
    """Over many cameras, the squared error is the variance that the loss divides by."""
    rng = np.random.default_rng(2)
    ratios, kinds = [], set()
    for _ in range(300):
        taken = exposed(torch.full((1, 40, 40), 0.5), rng)
        variance = taken.shot * taken.target + taken.read**2
        ratios.append(float(((taken.noisy - taken.target) ** 2).mean() / variance.mean()))
        kinds.add(taken.shot)
        assert 0.7 < taken.level < 1.3
    assert kinds == {0.0, 1.0}
    assert np.median(ratios) == pytest.approx(1, abs=0.03)
    assert np.mean(ratios) < 1.3, "rounding adds a little"


def test_scenes_are_cut_zoomed_and_never_negative() -> None:
    image = np.zeros((64, 64), np.float16)
    image[20:40, 20:40] = 1
    scene = Scene(image, zooms=(0.5, 1.0))
    rng = np.random.default_rng(0)
    taken = [scene.drawn(rng, (32, 32)) for _ in range(20)]
    assert all(t.target.shape == t.noisy.shape == (1, 32, 32) for t in taken)
    assert all(float(t.target.min()) >= 0 for t in taken)
    assert sum(float(np.ptp(t.target.numpy())) > 1 for t in taken) > 15
