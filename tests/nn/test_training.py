"""The training loop: repeatable, resumable, stoppable, and never half a file."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_medai.core.errors import InputError, RunError
from napari_medai.core.steps import Steps, finished
from napari_medai.nn.training import Run, Schedule, Trained
from napari_medai.nn.unet import UNet

CPU = torch.device("cpu")


class Brighter:
    """Learn to say where an image is above 0.5; the score is given or the true one."""

    def __init__(self, scores: list[float] | None = None) -> None:
        self.scores = scores
        self.seen: list[dict[str, Tensor]] = []

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Tensor, Mapping[str, Tensor]]:
        images = torch.from_numpy(rng.random((size, 1, 8, 8)).astype(np.float32))
        return images, {"wanted": (images > 0.5).float()}

    def loss(self, outputs: Tensor, targets: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        loss = nn.functional.binary_cross_entropy_with_logits(outputs, targets["wanted"])
        return {"half": loss / 2, "other half": loss / 2}

    def validate(self, net: nn.Module, device: torch.device) -> Steps[Mapping[str, float]]:
        yield from ()
        self.seen.append({k: v.clone() for k, v in net.state_dict().items()})
        if self.scores is not None:
            return {"score": self.scores[len(self.seen) - 1]}
        images, targets = self.batch(np.random.default_rng(99), 4)
        with torch.no_grad():
            right = (net(images) > 0).float() == targets["wanted"]
        return {"score": float(right.float().mean())}


def schedule(**changes: Any) -> Schedule:
    return Schedule(**{"steps": 12, "batch": 2, "validate_every": 3, "seed": 4, **changes})


def run(
    plan: Schedule | None = None,
    *,
    checkpoint: Path | None = None,
    objective: Brighter | None = None,
    seed: int = 0,
) -> Run:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = UNet(widths=[4, 6])
    return Run(net, objective or Brighter(), plan or schedule(), device=CPU, checkpoint=checkpoint)


def assert_same(first: Trained, second: Trained) -> None:
    assert first.steps == second.steps
    assert first.state.keys() == second.state.keys()
    assert all(torch.equal(value, second.state[name]) for name, value in first.state.items())
    assert first.best == second.best
    for one, other in zip(first.history, second.history, strict=True):
        np.testing.assert_equal(one, other)


def test_it_learns_and_tells_how() -> None:
    told = []
    training = run(schedule(steps=60, validate_every=20, batch=8, learning_rate=3e-2))
    trained = finished(training.steps(), told.append)
    assert trained.steps == 60
    assert [step.done for step in told] == list(range(1, 61))
    assert {step.total for step in told} == {60}
    assert all(math.isfinite(step.values["loss"]) for step in told)
    assert [step.done for step in told if "score" in step.values] == [20, 40, 60]
    assert trained.best["score"] > 0.85
    assert told[-1].values["loss"] < 0.7 * told[0].values["loss"]


def test_the_same_seed_gives_the_same_weights() -> None:
    first, second, other = (finished(run(schedule(seed=seed)).steps()) for seed in (4, 4, 5))
    assert_same(first, second)
    assert any((value != other.state[name]).any() for name, value in first.state.items())


@pytest.mark.parametrize("stop", [3, 5, 6, 11])
def test_a_resumed_run_ends_as_if_never_stopped(tmp_path: Path, stop: int) -> None:
    """It goes on from the last check, bit for bit."""
    whole = finished(run().steps())
    path = tmp_path / "checkpoint.pt"
    first = run(checkpoint=path)
    steps = first.steps()
    for _ in range(stop):
        next(steps)
    steps.close()
    second = run(checkpoint=path, seed=77)
    assert second.trained.steps == stop // 3 * 3
    assert_same(finished(second.steps()), whole)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint.pt"]


def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    whole = finished(run(checkpoint=path).steps())
    told: list[Any] = []
    assert_same(finished(run(checkpoint=path).steps(), told.append), whole)
    assert told == []


def test_the_best_weights_are_kept_also_when_it_is_cancelled() -> None:
    objective = Brighter(scores=[0.5, 0.9, 0.2, 0.1])
    training = run(objective=objective)
    steps = training.steps()
    for _ in range(10):
        next(steps)
    steps.close()
    assert training.trained.best == {"step": 6, "score": 0.9}
    assert all(torch.equal(v, objective.seen[1][k]) for k, v in training.trained.state.items())
    assert [entry["score"] for entry in training.trained.history] == [0.5, 0.9, 0.2]


def test_a_run_between_checks_is_checked_at_its_end() -> None:
    trained = finished(run(schedule(steps=4, validate_every=100)).steps())
    assert [entry["step"] for entry in trained.history] == [4]
    assert trained.best["step"] == 4


def _pickle_of_code(path: Path) -> None:
    import pickle

    class Evil:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
            return Path.touch, (path.parent / "executed",)

    path.write_bytes(pickle.dumps(Evil()))


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda path: path.write_text("not a checkpoint"), id="text"),
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: path.mkdir(), id="folder"),
        pytest.param(lambda path: torch.save({"net": {}, "weights": 1}, path), id="other net"),
        pytest.param(lambda path: torch.save({"weights": 1}, path), id="other file"),
        pytest.param(_pickle_of_code, id="code"),
    ],
)  # fmt: skip
def test_a_foreign_file_is_refused_and_left_alone(
    tmp_path: Path, write: Callable[[Path], Any]
) -> None:
    path = tmp_path / "checkpoint.pt"
    write(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(InputError, match=r"checkpoint\.pt is not a checkpoint of this training"):
        run(checkpoint=path)
    assert (path.read_bytes() if path.is_file() else None) == before
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_no_space_for_the_checkpoint_is_said_and_leaves_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.pt"

    def full(content: Any, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(RunError, match="No space left on device"):
        finished(run(checkpoint=path).steps())
    assert list(tmp_path.iterdir()) == []


def test_minutes_end_a_run() -> None:
    told = []
    began = time.monotonic()
    trained = finished(
        run(schedule(steps=0, minutes=0.02, validate_every=10**6)).steps(), told.append
    )
    assert time.monotonic() - began > 1.0
    assert trained.steps == len(told) > 1
    assert told[-1].done <= told[-1].total
    assert len(trained.history) == 1


def test_a_step_that_explodes_changes_nothing() -> None:
    class Exploding(Brighter):
        def loss(self, outputs: Tensor, targets: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
            return {"endless": outputs.mean() * math.inf}

    training = run(schedule(steps=2), objective=Exploding())
    before = {k: v.clone() for k, v in training.net.named_parameters()}
    finished(training.steps())
    assert all(torch.equal(v, before[k]) for k, v in training.net.named_parameters())


def test_without_anything_better_patience_ends_it() -> None:
    plan = schedule(steps=60, validate_every=3, patience=2)
    done = run(plan, objective=Brighter(scores=[0.1, 0.5, 0.4, 0.3, 0.2]))
    trained = finished(done.steps())
    assert trained.best["step"] == 6
    assert trained.steps == 12, "two checks after the best one"


class Adviser(Brighter):
    """One that learns beside the net: how much it asks for rises with each batch."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0.0

    def loss(self, outputs: Tensor, targets: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        self.asked += 0.25
        parts = super().loss(outputs, targets)
        own = {name: part * self.asked for name, part in parts.items()}
        return {**own, "asked": torch.tensor(self.asked)}

    def state_dict(self) -> dict[str, Any]:
        return {"asked": self.asked}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.asked = state["asked"]


def test_what_an_objective_learned_is_resumed_as_well(tmp_path: Path) -> None:
    path, whole = tmp_path / "checkpoint.pt", finished(run(objective=Adviser()).steps())
    steps = run(objective=Adviser(), checkpoint=path).steps()
    for _ in range(7):
        next(steps)
    steps.close()
    adviser = Adviser()
    again = run(objective=adviser, checkpoint=path, seed=77)
    assert (again.trained.steps, adviser.asked) == (6, 1.5)
    assert_same(finished(again.steps()), whole)


def test_parts_of_the_loss_are_told_and_those_without_a_gradient_are_no_loss() -> None:
    told: list[Any] = []
    finished(run(objective=Adviser()).steps(), told.append)
    for number, step in enumerate(told, 1):
        values = step.values
        assert values["asked"] == 0.25 * number
        assert values["loss"] == pytest.approx(values["half"] + values["other half"], rel=1e-6)


def test_momentum_is_the_schedules() -> None:
    quick = run(schedule(momentum=0.5))
    assert quick.optimiser.param_groups[0]["betas"] == (0.5, 0.999)
    usual, other = (finished(run(schedule(**m)).steps()) for m in ({}, {"momentum": 0.5}))
    assert_same(usual, finished(run(schedule(momentum=0.9)).steps()))
    assert any((value != other.state[name]).any() for name, value in usual.state.items())
