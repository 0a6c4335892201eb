"""Painting of objects as an objective: pairs, the game of two nets, and its score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_medai.core.looks import Look, TraitScale, measured_look, scaled
from napari_medai.core.objects import numbered
from napari_medai.core.paint_maps import GIVEN, given_maps, noise_maps
from napari_medai.core.steps import Step, Steps
from napari_medai.nn import crops
from napari_medai.nn.patch_distance import patch_distance
from napari_medai.nn.playful import augmented, detailed, drawn_changes
from napari_medai.nn.synthesis_net import Critic, mean_of
from napari_medai.nn.unet import MEAN

FEATURES, BRIGHTNESS = 0.5, 5.0
"""How much it counts, beside being taken for a photograph, that a painting is like the one with
the same labels in what the critic sees of it (as a share of that), and in the mean of 8 pixels."""
LEAST_NOISE = 0.004
"""Of an image that a critic looks at, in parts of its window."""
PLACES = 50_000
"""Pixels of objects, about, that crops of an image may lie around."""
STEEPEST = 5.0
"""Longer gradients of the critic are cut to this; what is no number changes nothing."""
AIMED = 0.7
"""Part of the crops that lie around an object; of the others some are empty."""
COLLAPSED = 0.3
"""Paintings that differ by less than this part of what photographs do are one and the same."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """An image with its objects: ``image`` float32 (\\*space) as its look's window has it,
    ``labels`` int32 from 1 on, ``objects`` their traits (n + 1, 2), ``step`` the distance of
    neighbouring values (0 where there is none), ``weight`` how often it is drawn, ``places`` some
    pixels of objects, flat.
    """

    image: np.ndarray
    labels: np.ndarray
    look: Look
    objects: np.ndarray
    step: float
    weight: float
    places: np.ndarray

    @classmethod
    def of(cls, image: np.ndarray, labels: np.ndarray, weight: float | None = None) -> Example:
        """From an image of any real dtype and its labels; see `measured_look`."""
        _, labels = numbered(labels)
        look, objects = measured_look(image, labels)
        low, high = look.window
        step = 1 / (high - low) if image.dtype.kind in "iub" else 0.0
        weight = math.sqrt(image.size) if weight is None else weight
        places = np.flatnonzero(labels)
        places = places[:: max(1, len(places) // PLACES)]
        return cls(scaled(image, look.window), labels, look, objects, step, weight, places)


@dataclass(slots=True)
class SynthesisObjective:
    """A painter learns what a critic, which learns beside it, takes for photographs.

    Hinge losses; the painting is also to be like the photograph with the same labels and traits in
    the critic's features and in its brightness over 8 pixels. What the critic sees is moved and
    cut, photographs and paintings alike, so that few images do (Zhao et al. 2020).
    """

    training: Sequence[Example]
    held_out: Sequence[Example]
    scales: tuple[TraitScale, TraitScale]
    """Of the traits of images, and of objects."""
    crop: tuple[int, ...] = (128, 128)
    """Square in the plane, as crops are turned."""
    rate: float = 1e-3
    seed: int = 0
    critic: Critic = field(init=False)
    optimiser: torch.optim.Optimizer = field(init=False)
    samples: np.ndarray | None = field(init=False, default=None)
    """Paintings of the last check, (n, \\*space)."""

    def __post_init__(self) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.critic = Critic(len(self.crop), len(GIVEN))
        self.optimiser = torch.optim.AdamW(
            self.critic.parameters(), lr=self.rate, betas=(0.5, 0.99), weight_decay=1e-4
        )

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint: what learns beside the net."""
        return {"critic": self.critic.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        # where the state is, or that of the optimiser would stay behind
        self.critic.to(next(iter(state["critic"].values())).device)
        self.critic.load_state_dict(state["critic"])
        self.optimiser.load_state_dict(state["optimiser"])
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Tensor, Mapping[str, Tensor]]:
        inputs, targets = crops.batch(self.training, self._crop, rng, size)
        changes = torch.from_numpy(drawn_changes(rng, size, len(self.crop)))
        return inputs, {**targets, "given": inputs[:, : len(GIVEN)], "changes": changes}

    def loss(self, outputs: Tensor, targets: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Of the painter; the critic then learns from the same batch. ``critic`` is told."""
        self.critic.to(outputs.device).train()
        real, fake = (
            augmented(detailed(image, targets["noise"]), targets["given"], targets["changes"])
            for image in (targets["image"], outputs)
        )
        self.critic.requires_grad_(False)
        told = self.critic(fake)
        self.critic.requires_grad_(True)
        good, bad = self.critic(real), self.critic(fake.detach())
        near = mean_of(
            [
                functional.l1_loss(a, b.detach()) / b.detach().abs().mean().clamp(min=1e-6)
                for one, other in zip(told, good, strict=True)
                for a, b in zip(one[:-1], other[:-1], strict=True)
            ]
        )
        window = [min(8, n) for n in self.crop]
        smooth = MEAN[len(self.crop)]
        dim = functional.l1_loss(smooth(outputs, window), smooth(targets["image"], window))
        return {
            "adversarial": -mean_of([scale[-1].mean() for scale in told]),
            "features": FEATURES * near,
            "brightness": BRIGHTNESS * dim,
            "critic": self._learned(good, bad),
        }

    @torch.no_grad()
    def validate(self, net: nn.Module, device: torch.device) -> Steps[Mapping[str, float]]:
        """How far held-out images are from paintings with their labels and traits.

        ``score`` is the negative distance of their patches (see `patch_distance`), ``variety`` the
        part of the differences between photographs that is between paintings.
        """
        rng = np.random.default_rng(0)
        real, fake = [], []
        for at, example in enumerate(self.held_out):
            maps, targets = self._crop(example, rng)
            real.append(targets["image"].numpy())
            fake.append(net(maps[None].to(device))[0].float().cpu().numpy())
            yield Step(at + 1, len(self.held_out))
        photographs, paintings = np.stack(real)[:, 0], np.stack(fake)[:, 0]
        self.samples = paintings
        distance = patch_distance(photographs, paintings)
        return {"score": -distance, "variety": _variety(paintings, photographs)}

    def _learned(self, good: list[list[Tensor]], bad: list[list[Tensor]]) -> Tensor:
        """One step of the critic by its verdicts; its loss, without a gradient.

        The painter's gradient may still pass through the critic as it was: its weights are
        computed anew from what the step changes.
        """
        loss = mean_of([functional.relu(1 - scale[-1]).mean() for scale in good]) + mean_of(
            [functional.relu(1 + scale[-1]).mean() for scale in bad]
        )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.critic.parameters(), STEEPEST)
        if torch.isfinite(norm):
            self.optimiser.step()
        return loss.detach()

    def _crop(self, example: Example, rng: np.random.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Maps (`CHANNELS`, \\*space) of a random part, turned, and its image (1, \\*space)."""
        image, labels = example.image, example.labels
        part = self._part(example, rng)
        turn = int(rng.integers(8))
        turned = [_turned(values[part], turn) for values in (image, labels)]
        objects = self.scales[1].normal(example.objects)
        traits = self.scales[0].normal(example.look.traits)
        maps = [given_maps(turned[1], objects, traits), noise_maps(self.crop, rng)]
        # grades of gray would give photographs away
        image = turned[0] + rng.uniform(-0.5, 0.5, self.crop) * example.step
        return torch.from_numpy(np.concatenate(maps)), {
            "image": torch.from_numpy(image[None].astype(np.float32)),
            "noise": torch.tensor(max(example.look.noise, LEAST_NOISE)),
        }

    def _part(self, example: Example, rng: np.random.Generator) -> tuple[slice, ...]:
        """Where a crop lies: mostly around an object."""
        labels = example.labels
        room = np.array(labels.shape) - np.array(self.crop)
        corner = rng.integers(0, room + 1)
        if rng.random() < AIMED:
            where = np.unravel_index(rng.choice(example.places), labels.shape)
            near = np.array(where) - rng.integers(0, np.array(self.crop))
            corner = np.clip(near, 0, room)
        return tuple(slice(int(a), int(a) + c) for a, c in zip(corner, self.crop, strict=True))


def _turned(values: np.ndarray, turn: int) -> np.ndarray:
    """By one of 8 turns and reflections of the last two axes."""
    values = np.rot90(values, turn % 4, axes=(-2, -1)) if turn % 4 else values
    return np.ascontiguousarray(values[..., ::-1] if turn >= 4 else values)


def _variety(paintings: np.ndarray, photographs: np.ndarray) -> float:
    """How much images differ from their mean over all of them, compared."""
    spreads = [float(images.std(axis=0).mean()) for images in (paintings, photographs)]
    return spreads[0] / max(spreads[1], 1e-9)
