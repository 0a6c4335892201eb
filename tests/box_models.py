"""A small model that finds boxes: trained within seconds, on discs and rings drawn at random."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from napari_medai.models.model import Model
from napari_medai.nn.box_net import BoxNet
from napari_medai.nn.box_targets import NOTHING, answers, detection_loss
from napari_medai.tasks.box_models import box_spec
from napari_medai.tasks.trained import write_trained

CLASSES = ("disc", "ring")
STEPS = 120
RADIUS = (5.0, 8.0)
_KWARGS = {
    "ndim": 2,
    "widths": [12, 24, 32],
    "finest": 1,
    "coarsest": 1,
    "shuffle": 2,
    "pool": 2,
    "channels_in": 1,
    "kinds": 2,
}


def drawn(
    shape: tuple[int, int], *, discs: int, rings: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture of discs and rings that do not touch, their corners (n, 2, 2), in pixels whose
    centres are whole numbers, and their classes: 0 for discs, 1 for rings.
    """
    rng = np.random.default_rng(seed)
    image = rng.uniform(0, 0.05, shape).astype(np.float32)
    image[0, 0] = 1.0  # the brightest, also where there is nothing
    grid = np.indices(shape)
    corners: list[np.ndarray] = []
    kinds = [0] * discs + [1] * rings
    for kind in kinds:
        radius = rng.uniform(*RADIUS)
        for _ in range(1000):
            centre = rng.uniform(radius + 1, np.array(shape) - radius - 2)
            box = np.stack([centre - radius, centre + radius])
            apart = [(box[1] + 2 < o[0]).any() or (o[1] + 2 < box[0]).any() for o in corners]
            if all(apart):
                break
        else:
            raise ValueError("there is no room for so many")
        far = np.sqrt(sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)))
        there = (far <= radius) & ((kind == 0) | (far >= radius - 2.5))
        image[there] = rng.uniform(0.8, 1.0)
        corners.append(box)
    return image, np.array(corners).reshape(-1, 2, 2), np.array(kinds, dtype=np.int64)


def trained_box_model(folder: Path, *, name: str = "rings") -> Model:
    """A model package that finds discs and rings in gray pictures of the size they are drawn in."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = BoxNet(**_KWARGS)
        optimizer = torch.optim.AdamW(net.parameters(), lr=4e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, total_steps=STEPS)
        pool = [_example(seed) for seed in range(64)]
        rng = np.random.default_rng(0)
        for _ in range(STEPS):
            chosen = rng.choice(len(pool), 8, replace=False)
            images, boxes, kinds = (torch.stack([pool[i][at] for i in chosen]) for at in range(3))
            found = answers(net(images), net.levels, kinds=len(CLASSES))
            loss = sum(detection_loss(found, boxes, kinds, torch.ones(2)).values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        net.eval()
        with torch.no_grad():
            for head in net.heads:
                # Probabilities of well-learned objects are about their overlap: above 0.5.
                head.to_kind.bias += 0.5
        spec = box_spec(
            name,
            _KWARGS,
            classes=CLASSES,
            description="Finds discs and rings.",
            config={
                "diameter": 13.0,
                "zoom": 1.0,
                "zoom_range": 3.0,
                "intensity": {"low": 0, "high": 100},
            },
        )
        return write_trained(folder, spec, net)


def _example(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A picture and its boxes, counted from the corner of the first pixel, padded to 8."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, 4, 2)
    image, corners, kinds = drawn((64, 64), discs=numbers[0], rings=numbers[1], seed=seed)
    boxes = np.zeros((8, 2, 2), np.float32)
    boxes[: len(corners)] = corners + 0.5
    padded = np.full(8, NOTHING, np.int64)
    padded[: len(kinds)] = kinds
    return torch.from_numpy(image[None]), torch.from_numpy(boxes), torch.from_numpy(padded)
