"""What a denoiser learns from: noise that tells nothing of other noise, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_medai.core.steps import finished
from napari_medai.nn.denoising import DenoiseObjective, expected, inputs_of, stabilised
from napari_medai.nn.shots import Frames, Masked, Own, Scene, Shot, Split, WithClean, exposed

SIZE = (64, 64)


def own(seed: int = 0, *, light: float = 30.0, read: float = 2.0, edge: int = 400) -> Own:
    rng = np.random.default_rng(seed)
    values = rng.poisson(light, (edge, edge)) + rng.normal(0, read, (edge, edge))
    return Own(values.astype(np.float32), np.ones((edge, edge), bool), shot=1.0, read=read)


def test_the_parts_of_a_split_know_nothing_of_each_other() -> None:
    source, rng = Split(own(), shares=(0.7, 0.7)), np.random.default_rng(0)
    shots = [source.drawn(rng, (256, 256)) for _ in range(4)]
    first = np.stack([shot.noisy.numpy() for shot in shots]) - 30
    second = np.stack([shot.target.numpy() for shot in shots]) - 30
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.01
    variance = 30 + 2**2
    assert first.var() == pytest.approx(variance * (1 + 0.7**2), rel=0.03)
    assert second.var() == pytest.approx(variance * (1 + 1 / 0.7**2), rel=0.03)
    assert shots[0].level == pytest.approx(np.hypot(1, 0.7))
    assert first.mean() == pytest.approx(second.mean(), abs=0.2)


def test_hidden_pixels_are_replaced_by_others_and_count_alone() -> None:
    source = Masked(own())
    shot = source.drawn(np.random.default_rng(1), SIZE)
    hidden = shot.weight > 0
    assert hidden.float().mean() == pytest.approx(1 / 16)
    cells = hidden[0].reshape(16, 4, 16, 4).sum(dim=(1, 3))
    assert (cells == 1).all()
    assert torch.equal(shot.noisy[~hidden], shot.target[~hidden])
    # with the noise that pixels have, so that nothing tells which ones are hidden
    replaced, target = shot.noisy[hidden].numpy(), shot.target[hidden].numpy()
    assert replaced.var() == pytest.approx(target.var(), rel=0.35)
    assert abs(np.corrcoef(replaced, target)[0, 1]) < 0.2


@pytest.mark.parametrize(("axis", "along"), [(-1, "rows"), (-2, "columns")])
def test_noise_along_lines_is_hidden(axis: int, along: str) -> None:
    del along
    rng = np.random.default_rng(0)
    lines = rng.normal(0, 10, (400, 1) if axis == -1 else (1, 400))
    values = np.broadcast_to(lines, (400, 400)).astype(np.float32)
    source = Masked(Own(values, np.ones((400, 400), bool), shot=0.0, read=10.0), axis, reach=5)
    for seed in range(5):
        shot = source.drawn(np.random.default_rng(seed), SIZE)
        counted = shot.weight > 0
        # what the line shares with the hidden pixel cannot be seen there
        replaced, target = shot.noisy[counted].numpy(), shot.target[counted].numpy()
        assert (replaced != target).mean() > 0.95
        turned = shot.noisy[0] if axis == -1 else shot.noisy[0].T
        wanted = shot.target[0] if axis == -1 else shot.target[0].T
        for y, x in np.argwhere((counted[0] if axis == -1 else counted[0].T).numpy()):
            part = slice(max(0, x - 5), x + 6)
            assert (turned[y, part] != wanted[y, part]).float().mean() > 0.8


def test_frames_are_two_of_one_place() -> None:
    first, second = own(1), own(2)
    ramp = np.linspace(0, 300, 400, dtype=np.float32)
    for one in (first, second):
        one.light[...] += ramp
    first.usable[100:200] = False
    source = Frames(first, second)
    rng = np.random.default_rng(0)
    for _ in range(6):
        shot = source.drawn(rng, SIZE)
        apart = (shot.noisy - shot.target).numpy()
        assert abs(apart.mean()) < 1
        assert apart.std() == pytest.approx(np.sqrt(2 * 34), rel=0.1)
        assert set(shot.weight.unique().tolist()) <= {0.0, 1.0}


def test_a_clean_image_is_brought_to_the_contrast_of_the_noisy_one() -> None:
    rng = np.random.default_rng(0)
    light = np.broadcast_to(np.linspace(5, 90, 200), (200, 200))
    noisy = Own(
        rng.poisson(light).astype(np.float32), np.ones((200, 200), bool), shot=1.0, read=0.0
    )
    noisy.light[3, 5], noisy.usable[3, 5] = 1e6, False  # saturated: does not count
    found = WithClean.fitted(noisy, 7 - 0.01 * light)
    assert np.abs(found.clean - light).max() < 1
    flat = WithClean.fitted(noisy, np.full((200, 200), 3.0))
    assert np.allclose(flat.clean, noisy.light[noisy.usable].mean(dtype=np.float64))
    shot = found.drawn(rng, SIZE)
    assert (shot.noisy - shot.target).var() == pytest.approx(float(shot.target.mean()), rel=0.2)
    torn = 7 - 0.01 * light
    torn[:50] = np.nan
    part = WithClean.fitted(noisy, torn)
    assert np.isfinite(part.clean).all()
    assert not part.own.usable[:50].any()
    assert np.abs(part.clean - light)[50:].max() < 1
    assert not WithClean.fitted(noisy, torn * np.nan).own.usable.any()


def test_simulated_exposures_have_the_noise_that_they_state() -> None:
    clean = torch.full((1, 200, 200), 0.5)
    for seed in range(20):
        shot = exposed(clean, np.random.default_rng(seed))
        stated = shot.level**2 * (shot.shot * float(shot.target.mean()) + shot.read**2)
        assert float((shot.noisy - shot.target).var()) == pytest.approx(stated, rel=0.5)
    crop = Scene(np.random.default_rng(0).random((90, 120))).drawn(
        np.random.default_rng(0), (32, 32)
    )
    assert crop.noisy.shape == crop.target.shape == crop.weight.shape == (1, 32, 32)


@pytest.mark.parametrize("shot", [0.0, 1.0])
def test_the_transform_evens_noise_out_and_back_to_its_mean(shot: float) -> None:
    factor, read = torch.tensor(shot), torch.tensor(1.5)
    rng = np.random.default_rng(0)
    values = np.full(200_000, 80.0)
    noisy = rng.poisson(values) if shot else values
    noisy = torch.from_numpy(noisy + rng.normal(0, 1.5, 200_000)).float()
    root = stabilised(noisy, factor, read)
    assert root.var() == pytest.approx(1, abs=0.02)
    assert expected(root.mean(), factor, read) == pytest.approx(80, abs=0.1)


def test_only_pixels_that_count_are_scored() -> None:
    noisy, target = torch.zeros(1, 8, 8), torch.zeros(1, 8, 8)
    weight = torch.zeros(1, 8, 8)
    noisy[0, 2, 3], weight[0, 2, 3] = 4.0, 1.0
    noisy[0, 5, 5] = 1000.0  # which does not count
    shots = [Shot(noisy, target, weight, 0.0, 1.0)]
    images, targets = inputs_of(shots)
    assert images.shape == (1, 2, 8, 8)
    assert torch.equal(targets["weight"][0], weight)

    class Half(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image[:, :1] / 2

    objective = DenoiseObjective([], shots, (8, 8))
    score = finished(objective.validate(Half(), torch.device("cpu")))["score"]
    assert score == pytest.approx(20 * np.log10(2))
    loss = objective.loss(torch.full((1, 1, 8, 8), 2.0), targets)
    assert float(loss["error"]) == pytest.approx(np.log(401) / np.log(101), rel=1e-4)
