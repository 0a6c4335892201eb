"""Small models that paint objects, with fresh weights, for tests of what is around the net."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from napari_medai.core.layout_statistics import LayoutStatistics
from napari_medai.core.looks import measured_look
from napari_medai.models.model import Model
from napari_medai.nn.runner import built_net
from napari_medai.nn.training import Trained
from napari_medai.tasks.painter_models import (
    Knowledge,
    knowledge_of,
    package_painter,
    painter_spec,
)


def disks(shape: tuple[int, ...] = (64, 64), *, every: int = 20, radius: int = 6) -> np.ndarray:
    """Labels of disks (balls) on a grid, int32."""
    labels = np.zeros(shape, np.int32)
    grid = np.indices(shape)
    centres = np.stack(
        np.meshgrid(*(np.arange(every // 2, n, every) for n in shape), indexing="ij"), -1
    ).reshape(-1, len(shape))
    for number, centre in enumerate(centres, 1):
        away = sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True))
        labels[away <= radius**2] = number
    return labels


def photograph(labels: np.ndarray, *, seed: int = 0, bright: float = 150.0) -> np.ndarray:
    """An image of labels with a brightness each, a background of 20 and noise; uint8."""
    rng = np.random.default_rng(seed)
    light = rng.uniform(0.5, 1, labels.max() + 1) * bright
    light[0] = 0
    return np.clip(20 + light[labels] + rng.normal(0, 3, labels.shape), 0, 255).astype(np.uint8)


def knowledge(ndim: int = 2) -> Knowledge:
    """Of three images with disks (balls) of different sizes."""
    looks, objects, drawn = [], [], []
    for number, radius in enumerate((4, 5, 6)):
        labels = disks((64,) * ndim if ndim == 2 else (24, 48, 48), radius=radius)
        look, traits = measured_look(photograph(labels, seed=number), labels)
        looks.append(look)
        objects.append(traits[1:])
        drawn.append(labels)
    return knowledge_of(
        looks, LayoutStatistics.of(drawn), np.concatenate(objects), np.dtype(np.uint8)
    )


def painter(folder: Path, *, name: str = "dots", ndim: int = 2, **config: object) -> Model:
    """A package in ``folder``; its net makes more or less what its maps are."""
    spec = painter_spec(
        name,
        ndim,
        description=f"Dots in {ndim}D, for tests.",
        config={**knowledge(ndim).as_config(), **config},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        net = built_net(*spec.architecture)
        torch.nn.init.normal_(net.get_parameter("head.weight"), std=0.1)
        torch.nn.init.constant_(net.get_parameter("head.bias"), 0.5)
    state = {key: value.clone() for key, value in net.state_dict().items()}
    best = {"score": -0.5, "variety": 0.9}
    trained = Trained(state=state, best=best)
    return package_painter(folder / name, spec, trained, recipe={"steps": 0})
