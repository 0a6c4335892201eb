"""Detection as an objective: crops with boxes, the loss, the score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_medai.core.boxes import Boxes
from napari_medai.core.detection import average_precisions, best_threshold
from napari_medai.core.predict import predict
from napari_medai.core.steps import Step, Steps, finished
from napari_medai.core.tiling import Window
from napari_medai.nn import crops
from napari_medai.nn.backends import TorchBackend
from napari_medai.nn.box_crops import BoxExample, Crop, cropped, mosaic, parts
from napari_medai.nn.box_net import Level
from napari_medai.nn.box_scorer import BoxScorer, distinct
from napari_medai.nn.box_targets import NOTHING, answers, detection_loss
from napari_medai.nn.runner import ScoreNet

LEAST = 0.01
"""Scores below are not looked at: average precision hardly sees them."""
OVERLAP = 0.6
RARE = 0.5
"""Power of a class's rarity in what it weighs and how often it is looked for."""
GEOMETRY = crops.Geometry(zoom=1.6, stretch=1.15, turn=False, quarter=True, tilt=0.2)
APPEARANCE = crops.Appearance(invert=0.0, gray=0.1, tint=0.4, gamma=0.3)


@dataclass(slots=True)
class BoxObjective:
    """Crops of examples, each at its zoom, and how well their boxes are found."""

    training: Sequence[BoxExample]
    held_out: Sequence[BoxExample]
    levels: tuple[Level, ...]
    classes: tuple[str, ...]
    channels: int = 3
    crop: tuple[int, ...] = (256, 256)
    geometry: crops.Geometry = GEOMETRY
    appearance: crops.Appearance = APPEARANCE
    mosaics: float = 0.4
    """Chance of a crop put together from several images."""
    _rare: np.ndarray = field(init=False)
    _weights: Tensor = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.classes)
        numbers = sum(np.bincount(e.kinds, minlength=count) for e in self.training)
        rarity = (max(1, np.max(numbers)) / np.maximum(numbers, 1)) ** RARE
        self._rare = rarity * np.maximum(numbers, 1e-9)
        self._weights = torch.tensor(rarity**0.5, dtype=torch.float32)

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Tensor, Mapping[str, Tensor]]:
        drawn = [self._crop(rng) for _ in range(size)]
        most = max(1, *(len(crop.kinds) for crop in drawn))
        corners = np.zeros((size, most, 2, len(self.crop)), np.float32)
        kinds = np.full((size, most), NOTHING, np.int64)
        for at, crop in enumerate(drawn):
            corners[at, : len(crop.kinds)] = crop.corners
            kinds[at, : len(crop.kinds)] = crop.kinds
        images = torch.stack([self._varied(crop, rng) for crop in drawn])
        return images, {"boxes": torch.from_numpy(corners), "kinds": torch.from_numpy(kinds)}

    def loss(self, outputs: Tensor, targets: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        found = answers(outputs, self.levels, kinds=len(self.classes))
        weights = self._weights.to(outputs.device)
        return detection_loss(found, targets["boxes"], targets["kinds"], weights)

    def validate(self, net: nn.Module, device: torch.device) -> Steps[Mapping[str, float]]:
        """Mean AP at IoU 0.5 and over 0.5 to 0.95 of the held-out images."""
        pairs = []
        for example in self.held_out:
            pairs.append((self._truth(example), self.found(net, device, example)))
            yield Step(len(pairs), len(self.held_out))
        figures = average_precisions(pairs, classes=self.classes)
        score = (figures.map50 + figures.map50_95) / 2
        return {"score": score, "mAP50": figures.map50, "mAP": figures.map50_95}

    def calibrate(self, net: nn.Module) -> dict[str, Any]:
        """Shift each class so that the threshold with the best F1 on held-out images is 0.5.

        Returns the figures, and under ``thresholds`` the scores that it was at, by class.
        """
        device = torch.device("cpu")
        net = net.eval().to(device)
        pairs = [(self._truth(e), self.found(net, device, e)) for e in self.held_out]
        best = best_threshold(pairs, classes=self.classes).by_class
        scores = np.array([best[name] for name in self.classes])
        scores = np.where(np.isfinite(scores), scores, 0.5).clip(0.05, 0.95)
        shift = torch.tensor(np.log(scores / (1 - scores)), dtype=torch.float32)
        with torch.no_grad():
            for head in net.heads:  # type: ignore[union-attr]
                head.to_kind.bias -= shift
        figures = average_precisions(pairs, classes=self.classes)
        thresholds = dict(zip(self.classes, scores.round(3).tolist(), strict=True))
        return {"mAP50": figures.map50, "mAP": figures.map50_95, "thresholds": thresholds}

    @torch.no_grad()
    def found(
        self, net: nn.Module, device: torch.device, example: BoxExample, *, overlap: float = OVERLAP
    ) -> Boxes:
        """The boxes that a net finds in an example, seen at its zoom."""
        backend = TorchBackend(net, device)
        scorer = BoxScorer(ScoreNet(net, backend, (example.zoom,) * len(self.crop), 1))
        shape = example.image.shape[1:]
        read = scorer.reader(lambda window: self._pixels(example, window), shape)
        maps = finished(predict(scorer, read, scorer.grid(shape), tile=scorer.tile)).scores
        found = scorer.candidates(maps, shape, least=LEAST)
        fewer, pairs = distinct(found, least=min(0.3, overlap))
        kept = pairs.kept(threshold=LEAST, overlap=overlap)
        names = np.array(self.classes)[fewer.kinds[kept].cpu().numpy()]
        return Boxes.of(fewer.corners[kept].cpu().numpy(), names, fewer.scores[kept].cpu().numpy())

    def _pixels(self, example: BoxExample, window: Window) -> np.ndarray:
        part = example.image[(slice(None), *window)].astype(np.float32)
        return np.broadcast_to(part, (self.channels, *part.shape[1:]))

    def _truth(self, example: BoxExample) -> Boxes:
        return Boxes.of(example.corners, np.array(self.classes)[example.kinds])

    def _crop(self, rng: np.random.Generator) -> Crop:
        ndim = len(self.crop)
        if rng.random() >= self.mosaics:
            return self._part(rng, self.crop)
        cut = [int(n * rng.uniform(0.3, 0.7)) for n in self.crop]
        sizes = list(parts(self.crop, cut))
        assert len(sizes) == 2**ndim, "one cut along each axis"
        return mosaic([self._part(rng, size) for size in sizes], self.crop)

    def _part(self, rng: np.random.Generator, size: tuple[int, ...]) -> Crop:
        example, focus = self._drawn(rng)
        return cropped(example, rng, size=size, geometry=self.geometry, focus=focus)

    def _drawn(self, rng: np.random.Generator) -> tuple[BoxExample, np.ndarray | None]:
        """An image, as often as it weighs, or one with a class that is drawn by its rarity, and
        where in it that is.
        """
        if rng.random() < 0.5:
            kind = int(rng.choice(len(self._rare), p=self._rare / self._rare.sum()))
            holding = [example for example in self.training if (example.kinds == kind).any()]
            if holding:
                weights = np.array([example.weight for example in holding])
                example = holding[rng.choice(len(holding), p=weights / weights.sum())]
                box = rng.choice(np.flatnonzero(example.kinds == kind))
                return example, example.corners[box].mean(axis=0)
        weights = np.array([example.weight for example in self.training])
        return self.training[rng.choice(len(weights), p=weights / weights.sum())], None

    def _varied(self, crop: Crop, rng: np.random.Generator) -> Tensor:
        image: Any = crop.image.expand(self.channels, *self.crop)
        return crops.varied(image, rng, self.appearance)
