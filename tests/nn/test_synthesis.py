"""The game of two nets: both learn, it can be left and gone on with, and it gets somewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_medai.core.errors import InputError
from napari_medai.core.looks import TraitScale
from napari_medai.core.paint_maps import CHANNELS, GIVEN
from napari_medai.core.steps import finished
from napari_medai.nn.synthesis import BRIGHTNESS, FEATURES, Example, SynthesisObjective
from napari_medai.nn.synthesis_net import Painter
from napari_medai.nn.training import Run, Schedule, Stateful

CPU = torch.device("cpu")
SHAPES: dict[int, tuple[int, ...]] = {2: (32, 32), 3: (8, 16, 16)}
NETS: dict[int, dict[str, Any]] = {
    2: {"ndim": 2, "widths": [8, 12]},
    3: {"ndim": 3, "widths": [6, 8], "pool": [1, 2, 2]},
}


@pytest.fixture(scope="module")
def examples(painting: ModuleType) -> dict[int, list[Example]]:
    found = {}
    for ndim, shape in {2: (48, 56), 3: (12, 24, 24)}.items():
        labels = painting.disks(shape, every=12, radius=4)
        found[ndim] = [Example.of(painting.photograph(labels, seed=n), labels) for n in range(3)]
    return found


def scales(examples: list[Example]) -> tuple[TraitScale, TraitScale]:
    return (
        TraitScale.of(np.stack([one.look.traits for one in examples])),
        TraitScale.of(np.concatenate([one.objects[1:] for one in examples])),
    )


def objective(examples: list[Example], **options: Any) -> SynthesisObjective:
    ndim = examples[0].image.ndim
    given: dict[str, Any] = {"crop": SHAPES[ndim], **options}
    return SynthesisObjective(examples, examples, scales(examples), **given)


def painter(ndim: int = 2, seed: int = 0) -> Painter:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Painter(channels_in=len(CHANNELS), **NETS[ndim])


def run(
    examples: list[Example], *, checkpoint: Path | None = None, seed: int = 0, **plan: Any
) -> Run:
    settings: dict[str, Any] = {
        "steps": 6,
        "batch": 2,
        "validate_every": 2,
        "momentum": 0.5,
        "learning_rate": 1e-3,
    }
    net, game = painter(examples[0].image.ndim, seed), objective(examples, seed=seed)
    return Run(net, game, Schedule(**settings | plan), device=CPU, checkpoint=checkpoint)


def test_an_example_is_as_its_look_has_it(painting: ModuleType) -> None:
    labels = np.where(painting.disks((48, 48)) > 0, painting.disks((48, 48)) * 3, 0)
    image = painting.photograph(labels)
    one = Example.of(image, labels)
    low, high = one.look.window
    assert np.unique(one.labels).tolist() == [0, 1, 2, 3, 4]
    assert ((one.labels > 0) == (labels > 0)).all()
    assert one.image * (high - low) + low == pytest.approx(image.astype(float), abs=1e-3)
    assert one.step == pytest.approx(1 / (high - low))
    assert (one.weight, len(one.objects)) == (48, 5)
    smooth = Example.of(image.astype(np.float32), labels, weight=2.0)
    assert (smooth.step, smooth.weight) == (0, 2)
    with pytest.raises(InputError, match="background alone"):
        Example.of(image, np.zeros_like(labels))


@pytest.mark.parametrize("ndim", [2, 3])
def test_batches_hold_crops_with_their_maps(examples: dict[int, list[Example]], ndim: int) -> None:
    game = objective(examples[ndim])
    inputs, targets = game.batch(np.random.default_rng(0), 5)
    assert inputs.shape == (5, len(CHANNELS), *SHAPES[ndim])
    assert targets["image"].shape == (5, 1, *SHAPES[ndim])
    assert torch.equal(targets["given"], inputs[:, : len(GIVEN)])
    # objects are bright: maps and image are turned alike
    inside = inputs[:, :1] > 0
    assert float(targets["image"][inside].min()) > float(targets["image"][~inside].max())
    again, _ = objective(examples[ndim]).batch(np.random.default_rng(0), 5)
    assert torch.equal(inputs, again)


def test_grades_of_gray_are_filled(examples: dict[int, list[Example]]) -> None:
    game = objective(examples[2])
    _, targets = game.batch(np.random.default_rng(0), 1)
    grades = {len(np.unique(one.image)) for one in examples[2]}
    assert len(targets["image"].unique()) > max(grades)


def test_heavier_examples_are_drawn_more_often(examples: dict[int, list[Example]]) -> None:
    light, heavy = (replace(examples[2][n], weight=w) for n, w in ((0, 0.0), (1, 5.0)))
    game = objective([light, heavy])
    inputs, _ = game.batch(np.random.default_rng(0), 6)
    wanted = float(game.scales[0].normal(heavy.look.traits)[0])
    assert inputs[:, GIVEN.index("background")].unique().tolist() == pytest.approx([wanted])


def played(game: SynthesisObjective, net: Painter) -> tuple[Any, Tensor]:
    inputs, targets = game.batch(np.random.default_rng(0), 2)
    outputs = net.train()(inputs)
    return game.loss(outputs, targets), outputs


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_loss_teaches_the_critic_and_has_gradients_for_the_painter(
    examples: dict[int, list[Example]], ndim: int
) -> None:
    game, net = objective(examples[ndim]), painter(ndim)
    before = {name: value.clone() for name, value in game.critic.named_parameters()}
    parts, _ = played(game, net)
    assert list(parts) == ["adversarial", "features", "brightness", "critic"]
    assert [part.requires_grad for part in parts.values()] == [True, True, True, False]
    still = [n for n, value in game.critic.named_parameters() if torch.equal(value, before[n])]
    assert still == []
    for name in ("adversarial", "features", "brightness"):
        net.zero_grad()
        parts[name].backward(retain_graph=True)
        lacking = [n for n, v in net.named_parameters() if v.grad is None or not v.grad.any()]
        # a shift of all that is painted leaves the critic as it was only where it saw nothing
        assert lacking == [], name


def test_the_painter_is_judged_by_the_critic_as_it_was(
    examples: dict[int, list[Example]],
) -> None:
    """Its gradient is the same whether the critic has learned from the batch or not."""
    grads = []
    for rate in (0.0, 4e-4):
        game, net = objective(examples[2], rate=rate), painter()
        parts, outputs = played(game, net)
        outputs.retain_grad()
        (parts["adversarial"] + parts["features"]).backward()
        assert outputs.grad is not None
        grads.append(outputs.grad)
    assert torch.equal(*grads)
    assert grads[0].abs().sum() > 0


def test_the_painters_step_leaves_no_gradient_in_the_critic(
    examples: dict[int, list[Example]],
) -> None:
    game, net = objective(examples[2]), painter()
    parts, _ = played(game, net)
    learned = {n: v.grad.clone() for n, v in game.critic.named_parameters() if v.grad is not None}
    sum(part for part in parts.values() if part.requires_grad).backward()
    assert learned
    for name, value in game.critic.named_parameters():
        assert value.grad is not None
        assert torch.equal(value.grad, learned[name])


def test_a_painting_like_the_photograph_has_no_loss_beside_the_critics(
    examples: dict[int, list[Example]],
) -> None:
    game = objective(examples[2])
    _, targets = game.batch(np.random.default_rng(0), 2)
    parts = game.loss(targets["image"].clone().requires_grad_(True), targets)
    # a critic's power iteration goes on between the two
    assert float(parts["features"].detach()) < 0.02 * FEATURES
    assert float(parts["brightness"].detach()) == 0
    dark = game.loss((targets["image"] - 0.5).requires_grad_(True), targets)
    assert float(dark["brightness"].detach()) == pytest.approx(BRIGHTNESS / 2, rel=1e-3)
    assert float(dark["features"].detach()) > 0.05 * FEATURES


def test_what_learns_is_kept_and_comes_back(examples: dict[int, list[Example]]) -> None:
    game = objective(examples[2])
    assert isinstance(game, Stateful)
    played(game, painter())
    state = game.state_dict()
    other = objective(examples[2], seed=5)
    assert any(
        not torch.equal(value, other.critic.state_dict()[name])
        for name, value in state["critic"].items()
    )
    other.load_state_dict(state)
    for name, value in game.critic.state_dict().items():
        assert torch.equal(value, other.critic.state_dict()[name])
    assert len(other.optimiser.state_dict()["state"]) == len(list(game.critic.parameters()))


@pytest.mark.parametrize("stop", [2, 3, 5])
def test_a_resumed_game_ends_as_if_never_stopped(
    examples: dict[int, list[Example]], tmp_path: Path, stop: int
) -> None:
    whole = run(examples[2])
    trained = finished(whole.steps())
    first = run(examples[2], checkpoint=tmp_path / "game.pt")
    steps = first.steps()
    for _ in range(stop + len(examples[2]) * (stop // 2)):  # a check tells of each image
        next(steps)
    steps.close()
    again = run(examples[2], checkpoint=tmp_path / "game.pt", seed=77)
    assert again.trained.steps == stop // 2 * 2
    resumed = finished(again.steps())
    assert all(torch.equal(value, resumed.state[name]) for name, value in trained.state.items())
    assert resumed.best == trained.best
    games = [one.objective for one in (whole, again)]
    first_critic, second_critic = (g.critic.state_dict() for g in games)  # type: ignore[attr-defined]
    assert all(torch.equal(value, second_critic[name]) for name, value in first_critic.items())


def test_a_checkpoint_without_the_critic_is_refused(
    examples: dict[int, list[Example]], tmp_path: Path
) -> None:
    path = tmp_path / "game.pt"
    finished(run(examples[2], checkpoint=path, steps=2).steps())
    content = torch.load(path, weights_only=True)
    del content["objective"]
    torch.save(content, path)
    with pytest.raises(InputError, match=r"is not a checkpoint of this training .*; delete it"):
        run(examples[2], checkpoint=path)


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_critic_says_features_and_a_verdict_at_two_scales(
    examples: dict[int, list[Example]], ndim: int
) -> None:
    game, told = objective(examples[ndim]), []
    game.critic.register_forward_hook(lambda critic, given, said: told.append(said))
    played(game, painter(ndim))
    full = SHAPES[ndim]
    for scale, by in zip(told[0], (1, 2), strict=True):
        first, *_, last, verdict = scale
        assert first.shape[2:] == tuple(n // by for n in full)
        assert verdict.shape == (2, 1, *(n // by // 4 for n in full))
        assert last.shape[2:] == verdict.shape[2:]


def test_a_critic_is_held_to_a_gain_of_1(examples: dict[int, list[Example]]) -> None:
    game = objective(examples[2], rate=0.0)
    held = [
        part
        for part in game.critic.modules()
        if isinstance(part, torch.nn.Conv2d)
        and "SpectralNorm" in type(part.parametrizations.weight[0]).__name__  # type: ignore[index, union-attr]
    ]
    assert len(held) >= 6
    with torch.no_grad():
        for part in held:
            part.parametrizations.weight.original.mul_(50)  # type: ignore[union-attr, operator]
    for _ in range(8):  # one step of the power iteration each
        played(game, painter())
    for part in held:
        gain = torch.linalg.matrix_norm(part.weight.detach().flatten(1), 2)
        assert float(gain) == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_check_says_how_far_paintings_are_and_how_they_vary(
    examples: dict[int, list[Example]], ndim: int
) -> None:
    game = objective(examples[ndim])
    figures = finished(game.validate(painter(ndim).eval(), CPU))
    assert set(figures) == {"score", "variety"}
    assert figures["score"] < 0
    assert finished(game.validate(painter(ndim).eval(), CPU)) == figures
    assert game.samples is not None
    assert game.samples.shape == (3, *SHAPES[ndim])

    class Same(torch.nn.Module):
        def forward(self, maps: Tensor) -> Tensor:
            return torch.full_like(maps[:, :1], 0.3)

    assert finished(game.validate(Same(), CPU))["variety"] == pytest.approx(0, abs=1e-6)


def test_a_few_steps_bring_paintings_nearer(examples: dict[int, list[Example]]) -> None:
    training = run(examples[2], steps=30, batch=4, validate_every=30, learning_rate=6e-3)
    before = finished(training.objective.validate(training.averaged, CPU))["score"]
    told: list[Any] = []
    trained = finished(training.steps(), told.append)
    assert trained.best["score"] > 0.6 * before > before
    values = [step.values for step in told if "critic" in step.values]
    assert len(values) == 30
    assert set(values[0]) == {"loss", "adversarial", "features", "brightness", "critic"}
    own = ("adversarial", "features", "brightness")
    assert values[3]["loss"] == pytest.approx(sum(values[3][name] for name in own), rel=1e-4)
    assert values[-1]["brightness"] < 0.5 * values[0]["brightness"]


def test_what_is_no_number_leaves_the_critic_as_it_was(examples: dict[int, list[Example]]) -> None:
    game = objective(examples[2])
    _, targets = game.batch(np.random.default_rng(0), 2)
    before = {name: value.clone() for name, value in game.critic.named_parameters()}
    game.loss(torch.full_like(targets["image"], torch.nan).requires_grad_(), targets)
    assert all(torch.equal(before[name], p) for name, p in game.critic.named_parameters())
    game.loss(torch.zeros_like(targets["image"]).requires_grad_(), targets)
    assert any(not torch.equal(before[name], p) for name, p in game.critic.named_parameters())
