"""Denoising as an objective: shots, the loss, the score."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from napari_medai.core.steps import Step, Steps
from napari_medai.nn.shots import Shot, Source

LEAST = 1e-12
"""The part of the noise below which an error is none."""
FINE = 0.01
"""The part of the noise below which errors hardly count."""


def floor_of(shot: Tensor, read: Tensor) -> Tensor:
    """What stands under the root of the transform where there is no light."""
    return 0.375 * shot + read**2


def stabilised(light: Tensor, shot: Tensor, read: Tensor) -> Tensor:
    """`napari_medai.core.noise.CameraNoise.stabilised` of light."""
    floor = floor_of(shot, read)
    least = torch.where(shot > 0, -floor, -torch.inf)
    light = torch.maximum(light, least)
    return 2 * light / ((shot * light + floor).clamp(min=0).sqrt() + floor.sqrt())


def expected(root: Tensor, shot: Tensor, read: Tensor) -> Tensor:
    """`napari_medai.core.noise.CameraNoise.expected` of what a net says of stabilised values."""
    floor = floor_of(shot, read)
    light = shot / 4 * root**2 + floor.sqrt() * root
    total = torch.maximum(shot * light + floor, floor)
    return light + shot / 4 * (1 - 0.375 * shot / total)


@dataclass(slots=True)
class DenoiseObjective:
    """Shots of sources, and how much of the noise is gone from held-out ones.

    The loss is the squared error of the light, in parts of the variance of its noise: what is
    learned is the mean of what an image may be, so that brightness is kept. Crops count by their
    decibels, or those with the most structure would be all that is learned from: 1 is as wrong as
    the noise, 0 is right.
    """

    training: Sequence[Source]
    held_out: Sequence[Shot]
    crop: tuple[int, ...] = (128, 128)

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Tensor, Mapping[str, Tensor]]:
        weights = np.array([source.weight for source in self.training])
        chosen = rng.choice(len(weights), size, p=weights / weights.sum())
        return inputs_of([self.training[i].drawn(rng, self.crop) for i in chosen])

    def loss(self, outputs: Tensor, targets: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        found = expected(outputs, targets["shot"], targets["read"])
        weight = targets["weight"]
        error = (weight * (found - targets["target"]) ** 2).flatten(1).sum(1)
        part = error / (targets["variance"] * weight.flatten(1).sum(1)).clamp(min=1e-9)
        return {"error": ((1 + part / FINE).log() / math.log(1 + 1 / FINE)).mean()}

    @torch.no_grad()
    def validate(self, net: nn.Module, device: torch.device) -> Steps[Mapping[str, float]]:
        """Decibels by which the error of the held-out shots is below that of their noise.

        Shots without a pixel that counts, or without noise, do not tell: 0 if that is all of them.
        """
        gains = []
        for at, shot in enumerate(self.held_out):
            images, targets = inputs_of([shot])
            root = net(images.to(device)).cpu()
            found = expected(root, targets["shot"], targets["read"])[0]
            # of a shot with hidden pixels these alone count: the others are given
            before, after = (
                (shot.weight * (x - shot.target) ** 2).sum() for x in (shot.noisy, found)
            )
            if before > 0:
                gains.append(-10 * math.log10(max(float(after / before), LEAST)))
            yield Step(at + 1, len(self.held_out))
        told = gains or [0.0]
        return {"score": float(np.mean(told)), "worst": float(np.min(told))}


def inputs_of(shots: Sequence[Shot]) -> tuple[Tensor, dict[str, Tensor]]:
    """What the net takes, (batch, 2, \\*space): stabilised values and the level of their noise."""
    noisy = torch.stack([shot.noisy for shot in shots])
    one = (len(shots), *(1 for _ in noisy.shape[1:]))

    def column(values: Iterable[float]) -> Tensor:
        return torch.tensor(list(values), dtype=torch.float32).reshape(one)

    shot, read = column(s.shot for s in shots), column(s.read for s in shots)
    level = column(s.level for s in shots)
    images = torch.cat([stabilised(noisy, shot, read), level.expand_as(noisy)], 1)
    variance = shot * noisy.clamp(min=0) + read**2
    return images, {
        "target": torch.stack([s.target for s in shots]),
        "weight": torch.stack([s.weight for s in shots]),
        "variance": variance.flatten(1).mean(1),
        "shot": shot,
        "read": read,
    }
