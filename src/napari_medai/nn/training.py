"""The training loop every task shares: it knows steps, schedules and checkpoints, not images."""

from __future__ import annotations

import copy
import math
import time
from ast import literal_eval
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from napari_medai.core.errors import InputError, RunError
from napari_medai.core.steps import Step, Steps, retold
from napari_medai.nn.backends import is_out_of_memory
from napari_medai.nn.device import mixed_precision


class Objective(Protocol):
    """What a task gives the loop: batches, a loss, and a score on what was held out."""

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Inputs (batch, channels, *space) and targets."""
        ...

    def loss(self, outputs: Tensor, targets: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Parts of the loss, to be summed; those without a gradient are told only."""
        ...

    def validate(self, net: nn.Module, device: torch.device) -> Steps[Mapping[str, float]]:
        """Figures on the held-out part; ``"score"`` (higher is better) picks the checkpoint."""
        ...


@runtime_checkable
class Stateful(Protocol):
    """An objective that learns too, such as the critic of a painter: it is kept in checkpoints."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


@runtime_checkable
class Showing(Protocol):
    """An objective that keeps something to look at from its last check, such as paintings."""

    samples: np.ndarray | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long and how fast to train.

    ``steps`` fixes the number of optimiser steps: the same seed then gives the same weights on
    the same machine. With ``steps`` 0 the loop runs for ``minutes`` instead. With ``patience``, it
    ends after so many checks without a better score.
    """

    steps: int = 0
    minutes: float = 15.0
    batch: int = 8
    learning_rate: float = 3e-3
    momentum: float = 0.9
    weight_decay: float = 1e-4
    validate_every: int = 500
    patience: int = 0
    seed: int = 0


@dataclass(slots=True)
class Trained:
    """The best weights seen, the live numbers, and how far training came."""

    state: dict[str, Tensor]
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, float] = field(default_factory=dict)
    steps: int = 0
    seconds: float = 0.0


class Run:
    """One training run: net, averaged net, optimiser and generator, and their checkpoint.

    `steps` is the job; it may be closed at any yield (cancel), and `trained` is then the best so
    far. Setting ``ended`` ends it at the next step, as if its time were up. A run whose checkpoint
    file exists goes on from it.
    """

    def __init__(
        self,
        net: nn.Module,
        objective: Objective,
        schedule: Schedule,
        *,
        device: torch.device,
        checkpoint: Path | None = None,
    ) -> None:
        self.objective = objective
        self.schedule = schedule
        self.device = device
        self.checkpoint = checkpoint
        self.net = net.to(device=device)
        self.layout = _layout(net, device)
        self.net = self.net.to(memory_format=self.layout)  # type: ignore[call-overload]
        self.averaged = copy.deepcopy(self.net).eval().requires_grad_(False)
        self.optimiser = torch.optim.AdamW(
            self.net.parameters(),
            lr=schedule.learning_rate,
            betas=(schedule.momentum, 0.999),
            weight_decay=schedule.weight_decay,
        )
        self.rng = np.random.default_rng(schedule.seed)
        self.trained = Trained(state=_state(self.averaged))
        self.ended = False
        self._saved_seconds = 0.0
        if checkpoint is not None and checkpoint.exists():
            self._resume(checkpoint)

    def steps(self) -> Steps[Trained]:
        """Train; a `Step` an optimiser step tells ``loss``, and after each check ``score``."""
        began = time.monotonic() - self._saved_seconds
        total = self._total()
        while not self._over(time.monotonic() - began):
            try:
                loss, parts = self._optimise(self._progress(time.monotonic() - began))
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                raise RunError(
                    f"{self.device.type} has no room for a batch of {self.schedule.batch} crops; "
                    "train with a smaller batch"
                ) from error
            done = self.trained.steps = self.trained.steps + 1
            self.trained.seconds = time.monotonic() - began
            values: dict[str, Any] = {"loss": loss, **parts}
            if done % self.schedule.validate_every == 0:
                values |= yield from self._check(loss)
                if isinstance(self.objective, Showing):
                    values["samples"] = self.objective.samples
                text = f"step {done}: loss {loss:.3f}, score {values['score']:.3f}"
            else:
                text = f"step {done}: loss {loss:.3f}"
            yield Step(self._done(), total, text, values)
        if self.trained.steps % self.schedule.validate_every or not self.trained.history:
            yield from self._check(math.nan)
        return self.trained

    def so_far(self) -> Trained:
        """What training has come to; before the first check, the weights as they are now."""
        if self.trained.history:
            return self.trained
        return replace(self.trained, state=_state(self.averaged))

    def _optimise(self, progress: float) -> tuple[float, dict[str, float]]:
        """One optimiser step at this point (0 to 1) of the schedule; the loss and its parts."""
        inputs, targets = self.objective.batch(self.rng, self.schedule.batch)
        inputs = inputs.to(self.device).contiguous(memory_format=self.layout)
        targets = {name: value.to(self.device) for name, value in targets.items()}
        for group in self.optimiser.param_groups:
            group["lr"] = self.schedule.learning_rate * _rate(progress)
        self.net.train()
        with mixed_precision(self.device, self.net):
            outputs = self.net(inputs)
        parts = self.objective.loss(outputs.float(), targets)
        loss = torch.stack([part for part in parts.values() if part.requires_grad]).sum()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        if not torch.isfinite(norm):
            self.optimiser.zero_grad(set_to_none=True)
        else:
            self.optimiser.step()
            self._average()
        return float(loss.detach()), {name: float(part.detach()) for name, part in parts.items()}

    @torch.no_grad()
    def _average(self) -> None:
        """Exponential moving average of the weights: steadier than the last step's."""
        decay = min(0.998, (1 + self.trained.steps) / (10 + self.trained.steps))
        for mean, value in zip(
            self.averaged.state_dict().values(), self.net.state_dict().values(), strict=True
        ):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)

    def _check(self, loss: float) -> Steps[dict[str, float]]:
        checking = self.objective.validate(self.averaged, self.device)
        told = Step(self._done(), self._total(), f"checking after {self.trained.steps} steps")
        figures = dict((yield from retold(checking, lambda _: told)))
        self.trained.history.append({"step": self.trained.steps, "loss": loss, **figures})
        if figures["score"] >= self.trained.best.get("score", -math.inf):
            self.trained.best = {"step": self.trained.steps, **figures}
            self.trained.state = _state(self.averaged)
        self._save()
        return figures

    def _progress(self, seconds: float) -> float:
        if self.schedule.steps:
            return self.trained.steps / self.schedule.steps
        return min(1.0, seconds / (60 * self.schedule.minutes))

    def _over(self, seconds: float) -> bool:
        since = self.trained.steps - self.trained.best.get("step", self.trained.steps)
        if (
            self.schedule.patience
            and since >= self.schedule.patience * self.schedule.validate_every
        ):
            return True
        if self.ended:
            return True
        if self.schedule.steps:
            return self.trained.steps >= self.schedule.steps
        return seconds >= 60 * self.schedule.minutes

    def _total(self) -> int:
        return self.schedule.steps or round(60 * self.schedule.minutes)

    def _done(self) -> int:
        """Steps done, or seconds where time is what is counted."""
        if self.schedule.steps:
            return self.trained.steps
        return min(self._total(), round(self.trained.seconds))

    def _save(self) -> None:
        if self.checkpoint is None:
            return
        partial = self.checkpoint.with_suffix(".partial")
        content = {
            "net": self.net.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rng": repr(self.rng.bit_generator.state),
            "best_state": self.trained.state,
            "best": self.trained.best,
            "history": self.trained.history,
            "steps": self.trained.steps,
            "seconds": self.trained.seconds,
        }
        if isinstance(self.objective, Stateful):
            content["objective"] = self.objective.state_dict()
        try:
            torch.save(content, partial)
            partial.replace(self.checkpoint)
        except (OSError, RuntimeError) as error:  # torch's own writer raises the latter
            partial.unlink(missing_ok=True)
            why = getattr(error, "strerror", None) or "the disk may be full"
            raise RunError(
                f"the checkpoint {self.checkpoint} could not be written ({why}); "
                "free some space and run again, training goes on from the last checkpoint"
            ) from error

    def _resume(self, path: Path) -> None:
        try:
            content = torch.load(path, map_location=self.device, weights_only=True)
            self.net.load_state_dict(content["net"])
            self.averaged.load_state_dict(content["averaged"])
            self.optimiser.load_state_dict(content["optimiser"])
            self.rng.bit_generator.state = literal_eval(content["rng"])
            if isinstance(self.objective, Stateful):
                self.objective.load_state_dict(content["objective"])
            self.trained = Trained(
                state=content["best_state"],
                history=content["history"],
                best=content["best"],
                steps=content["steps"],
                seconds=content["seconds"],
            )
        except Exception as error:
            raise InputError(
                f"{path} is not a checkpoint of this training ({type(error).__name__}); "
                "delete it to begin again"
            ) from error
        self._saved_seconds = self.trained.seconds


def _rate(progress: float) -> float:
    """Warm up over the first 2 %, then fall as a cosine to 1 %."""
    if progress < 0.02:
        return 0.05 + 0.95 * progress / 0.02
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (progress - 0.02) / 0.98))


def _state(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in net.state_dict().items()}


def _layout(net: nn.Module, device: torch.device) -> torch.memory_format:
    """How arrays lie in memory: channels last is faster, for volumes on the CPU alone."""
    if any(isinstance(module, nn.Conv2d) for module in net.modules()):
        return torch.channels_last
    return torch.channels_last_3d if device.type == "cpu" else torch.contiguous_format
