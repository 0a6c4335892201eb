"""Instance segmentation as an objective: crops with targets, the loss, the score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from napari_medai.core.intensity import Intensity, intensity_range
from napari_medai.core.metrics import IOUS, matchings, mean_average_precision
from napari_medai.core.neighbours import ball_diameter
from napari_medai.core.objects import numbered
from napari_medai.core.scale import Scale
from napari_medai.core.steps import Step, Steps
from napari_medai.nn import crops
from napari_medai.nn.decode import DISTANCE, FOREGROUND, OFFSET, OFFSETS_PER_DIAMETER, decode
from napari_medai.nn.runner import score_maps

THRESHOLDS = tuple(round(0.3 + 0.05 * i, 2) for i in range(11))
EMPTY_WEIGHT = 15.0
"""An image without objects counts like one with so many."""


@dataclass(frozen=True, slots=True)
class Example:
    """One image with its objects, ready to be cropped.

    ``maps`` float16 (channels + 1, \\*space): the image, about 0 to 1 (one channel if it is gray),
    then the distance to the object's edge over the object's largest, 0 to 1; ``labels``
    (\\*space) int32, 0 background; ``centres`` (n + 1, ndim) pixels; ``diameter`` the median one in
    pixels; ``weight`` how often it is drawn, relative to others.
    """

    maps: np.ndarray
    labels: np.ndarray
    centres: np.ndarray
    diameter: float
    weight: float = 1.0

    @classmethod
    def of(
        cls,
        image: np.ndarray,
        labels: np.ndarray,
        *,
        intensity: Intensity,
        weight: float | None = None,
        anisotropy: float = 1.0,
    ) -> Example:
        """From an image (channels, \\*space) of any real dtype and its labels (\\*space).

        Without a ``weight``, an image counts by its number of objects.
        """
        ready = intensity_range(image, intensity).scaled(image)
        index, labels = numbered(labels)
        count = len(index)
        centres = np.zeros((count + 1, labels.ndim))
        if count:
            centres[1:] = ndimage.center_of_mass(labels > 0, labels, np.arange(1, count + 1))
        maps = np.concatenate([ready, _depth(labels, count)[None]]).astype(np.float16)
        weight = count + EMPTY_WEIGHT if weight is None else weight
        # In pixels of the plane: a ball of so many voxels is flatter, the thicker the slices.
        diameter = median_diameter(labels) * (anisotropy ** (1 / 3) if labels.ndim == 3 else 1)
        return cls(maps, labels, centres, diameter, weight)

    @property
    def image(self) -> np.ndarray:
        """(channels, \\*space), float16, about 0 to 1."""
        return self.maps[:-1]


def median_diameter(labels: np.ndarray) -> float:
    """Median diameter of the objects, as of circles or balls of their size; 0 without objects."""
    sizes = np.bincount(labels.ravel())[1:]
    sizes = sizes[sizes > 0]
    if not sizes.size:
        return 0.0
    return float(ball_diameter(np.median(sizes), labels.ndim))


def _depth(labels: np.ndarray, count: int) -> np.ndarray:
    """Distance to the nearest pixel of something else, 1 at each object's deepest point."""
    inner = labels > 0
    for axis in range(labels.ndim):
        step = np.diff(labels, axis=axis) != 0
        low = [slice(None)] * labels.ndim
        high = [slice(None)] * labels.ndim
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        touching = step & (labels[tuple(low)] > 0) & (labels[tuple(high)] > 0)
        inner[tuple(low)] &= ~touching
        inner[tuple(high)] &= ~touching
    depth = ndimage.distance_transform_edt(np.pad(inner, 1, mode="edge"))
    depth = depth[(slice(1, -1),) * labels.ndim]
    if not count:
        return depth.astype(np.float16)
    deepest = ndimage.maximum(depth, labels, np.arange(count + 1))
    deepest = np.maximum(np.asarray(deepest), 1)
    deepest[0] = 1
    return (depth / deepest[labels]).astype(np.float16)


@dataclass(slots=True)
class InstanceObjective:
    """Crops of examples, brought to one object diameter, and how well objects are found."""

    training: Sequence[Example]
    held_out: Sequence[Example]
    diameter: float
    channels: int = 3
    crop: tuple[int, ...] = (192, 192)
    geometry: crops.Geometry = field(default_factory=crops.Geometry)
    appearance: crops.Appearance = field(default_factory=crops.Appearance)
    anisotropy: float = 1.0
    min_size: float = 0.1
    min_score: float = 0.75
    wild: float = 0.1
    """Chance of a crop at the image's own scale within a factor of 2, so that a first look at an
    image of unknown magnification finds something to measure."""

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Tensor, Mapping[str, Tensor]]:
        return crops.batch(self.training, self._crop, rng, size)

    def _crop(self, example: Example, rng: np.random.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        zoom = self.diameter / example.diameter if example.diameter else 1.0
        if rng.random() < self.wild:
            zoom *= float(np.exp(rng.uniform(-1, 1) * np.log(2.0)))
        focus = None
        if len(example.centres) > 1 and rng.random() < 0.5:
            focus = example.centres[rng.integers(1, len(example.centres))]
        window = crops.random_window(
            rng,
            example.labels.shape,
            size=self.crop,
            zoom=zoom,
            geometry=self.geometry,
            focus=focus,
        )
        cut = crops.Cut.of(example.labels.shape, window)
        labels = cut.nearest(example.labels)
        maps = cut.smooth(example.maps)
        image = maps[:-1].expand(self.channels, *self.crop)
        return crops.varied(image, rng, self.appearance), {
            "labels": labels,
            "offsets": self._offsets(labels, crops.target_positions(example.centres, window)),
            "depth": maps[-1].clamp(0, 1) * (labels > 0),
            "valid": cut.inside(),
        }

    def _offsets(self, labels: Tensor, centres: np.ndarray) -> Tensor:
        """(ndim, \\*space): from each pixel to its object's centre, in quarters of the diameter."""
        unit = self.diameter / OFFSETS_PER_DIAMETER
        at = torch.from_numpy(centres)[labels]
        axes = [torch.arange(n, dtype=torch.float32) for n in labels.shape]
        here = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
        return torch.movedim((at - here) / unit * (labels > 0)[..., None], -1, 0)

    def loss(self, outputs: Tensor, targets: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        valid = targets["valid"].to(outputs.dtype)
        inside = (targets["labels"] > 0).to(outputs.dtype)
        logits = outputs[:, FOREGROUND]
        entropy = functional.binary_cross_entropy_with_logits(logits, inside, reduction="none")
        probability = torch.sigmoid(logits) * valid
        within = tuple(range(1, inside.ndim))
        overlap = (probability * inside).sum(within)
        dice = 1 - (2 * overlap + 50) / (probability.sum(within) + inside.sum(within) + 50)
        depth = functional.binary_cross_entropy_with_logits(
            outputs[:, DISTANCE], targets["depth"], reduction="none"
        )
        miss = functional.smooth_l1_loss(
            outputs[:, OFFSET:], targets["offsets"], reduction="none", beta=0.2
        ).sum(1)
        area = valid.sum().clamp(min=1)
        return {
            "foreground": (entropy * valid).sum() / area + 0.5 * dice.mean(),
            "depth": 0.5 * (depth * valid).sum() / area,
            "offsets": 0.5 * (miss * inside).sum() / inside.sum().clamp(min=1),
        }

    def validate(self, net: nn.Module, device: torch.device) -> Steps[Mapping[str, float]]:
        """AP at IoU 0.5 and its mean over 0.5 to 0.9, pooled over the held-out images."""
        scores = []
        for example in self.held_out:
            scores.append(self._scores(net, device, example))
            yield Step(len(scores), len(self.held_out))
        return self._figures(scores, threshold=0.5)

    def calibrate(self, net: nn.Module) -> dict[str, float]:
        """Shift the foreground so that the best threshold on the held-out images is 0.5.

        Returns the figures then, and under ``threshold`` the probability that it was.
        """
        scores = [self._scores(net, torch.device("cpu"), example) for example in self.held_out]
        figures = {t: self._figures(scores, threshold=t) for t in THRESHOLDS}
        best = max(figures, key=lambda t: (figures[t]["score"], -abs(t - 0.5)))
        shift = math.log(best / (1 - best))
        per_map = net.head.bias.numel() // (OFFSET + len(self.crop))  # type: ignore[operator, union-attr]
        with torch.no_grad():
            net.head.bias[:per_map] -= shift  # type: ignore[operator, index, union-attr]
        return {**figures[best], "threshold": best}

    def _figures(self, scores: Sequence[Tensor], *, threshold: float) -> dict[str, float]:
        pairs = [
            (example.labels, self._labels(example, maps, threshold=threshold))
            for example, maps in zip(self.held_out, scores, strict=True)
        ]
        found = matchings(pairs, ious=IOUS)
        mean = mean_average_precision(found)
        return {"score": mean, "AP50": found[0].accuracy, "mAP": mean}

    @torch.no_grad()
    def _scores(self, net: nn.Module, device: torch.device, example: Example) -> Tensor:
        """Score maps of an image, seen at the trained diameter."""
        image = torch.from_numpy(self._seen(example)).to(device)
        return score_maps(net.eval().to(device), image, self._scale(example))

    def _seen(self, example: Example) -> np.ndarray:
        image = example.image.astype(np.float32)
        return np.broadcast_to(image, (self.channels, *image.shape[1:])).copy()

    def _scale(self, example: Example) -> Scale:
        return Scale.nearest(self.diameter / example.diameter if example.diameter else 1.0)

    def _labels(self, example: Example, maps: Tensor, *, threshold: float) -> np.ndarray:
        width = self.diameter / float(self._scale(example))
        flat = len(self.crop) == 2
        size = math.pi * (width**2 / 4 if flat else width**3 / 6 / self.anisotropy)
        shifted = maps.clone()
        shifted[FOREGROUND] -= math.log(threshold / (1 - threshold))
        found = decode(
            shifted,
            threshold=0.5,
            diameter=width,
            min_size=self.min_size * size,
            min_score=self.min_score,
        )
        return np.asarray(found.labels.cpu().numpy())
