"""Semantic segmentation as an objective: crops with classes, the loss, the score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_medai.core.errors import InputError
from napari_medai.core.intensity import Intensity, ZScore, intensity_range
from napari_medai.core.predict import predict
from napari_medai.core.scale import Scale
from napari_medai.core.steps import Steps
from napari_medai.core.tiling import Window
from napari_medai.nn import crops
from napari_medai.nn.backends import TorchBackend
from napari_medai.nn.class_net import ClassNet
from napari_medai.nn.runner import ScoreNet

GEOMETRY = crops.Geometry(zoom=1.2, stretch=1.1, turn=False, flip=False, tilt=0.25)
"""Scans lie much the same way up, and left is not right."""
APPEARANCE = crops.Appearance(
    gain=0.5, gamma=0.4, blur=0.15, noise=0.3, invert=0, gray=0, colour=0, shade=0.15, coarse=0.15
)
FOCUSED = 0.5
"""How often a crop lies around a pixel of a class, each class as often as the others."""
PLACES = 2000
"""Pixels of a class remembered to crop around."""
AUXILIARY_WEIGHT = 0.5
"""Of the loss of a level's maps, relative to those of the next finer one."""
VOID = -1
"""Target where a crop reaches beyond its image."""


@dataclass(frozen=True, slots=True)
class ClassExample:
    """One image with the class of each pixel, ready to be cropped.

    ``image`` float16 (channels, \\*space) as the net sees it; ``labels`` (\\*space) uint8, 0
    background; ``places`` for each class that occurs, pixels (n, ndim) of it; ``zoom`` pixels of
    the trained size to a pixel, one an axis; ``usual`` between which numbers most pixels lie.
    """

    image: np.ndarray
    labels: np.ndarray
    places: tuple[np.ndarray, ...]
    zoom: tuple[float, ...]
    usual: tuple[float, float] = (0.0, 1.0)
    weight: float = 1.0

    @classmethod
    def of(
        cls,
        image: np.ndarray,
        labels: np.ndarray,
        *,
        intensity: Intensity,
        classes: int,
        zoom: Sequence[float] = (),
        weight: float | None = None,
    ) -> ClassExample:
        """From an image (channels, \\*space) of any real dtype and its labels (\\*space).

        ``classes`` counts the background.

        Raises
        ------
        InputError
            If the labels hold anything but whole numbers below ``classes``.
        """
        checked = checked_classes(labels, classes)
        rng = np.random.default_rng(0)
        places = []
        for number in range(1, classes):
            where = np.flatnonzero(checked == number)
            if where.size:
                some = where if where.size <= PLACES else rng.choice(where, PLACES, replace=False)
                places.append(np.stack(np.unravel_index(some, checked.shape), axis=1))
        return cls(
            intensity_range(image, intensity).scaled(image).astype(np.float16),
            checked,
            tuple(places),
            tuple(float(z) for z in zoom) or (1.0,) * checked.ndim,
            (-2.5, 2.5) if isinstance(intensity, ZScore) else (0.0, 1.0),
            1.0 if weight is None else weight,
        )

    @property
    def scales(self) -> tuple[Scale, ...]:
        """The zoom of each axis as the net is given it when it predicts."""
        return tuple(Scale.nearest(z) for z in self.zoom)


def checked_classes(labels: np.ndarray, classes: int) -> np.ndarray:
    """Labels as uint8, refused if they are not the numbers of so many classes."""
    if labels.dtype.kind not in "biuf" or (
        labels.dtype.kind == "f" and not np.array_equal(labels, np.round(labels))
    ):
        raise InputError(
            f"labels must be whole numbers, got {labels.dtype} values; 0 is background, 1 the "
            "first class"
        )
    low, high = int(labels.min(initial=0)), int(labels.max(initial=0))
    if low < 0 or high >= classes:
        raise InputError(
            f"labels must be from 0 to {classes - 1} for {classes} classes (background is one), "
            f"got {low if low < 0 else high}; name every class"
        )
    return labels.astype(np.uint8)


@dataclass(slots=True)
class ClassObjective:
    """Crops of examples at one spacing, and how well the classes are found."""

    training: Sequence[ClassExample]
    held_out: Sequence[ClassExample]
    classes: Sequence[str]
    """Names of the classes 1, 2, ..."""
    channels: int = 1
    crop: tuple[int, ...] = (48, 48, 48)
    geometry: crops.Geometry = GEOMETRY
    appearance: crops.Appearance = field(default_factory=lambda: APPEARANCE)

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Tensor, Mapping[str, Tensor]]:
        return crops.batch(self.training, self._crop, rng, size)

    def _crop(
        self, example: ClassExample, rng: np.random.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        focus = None
        if example.places and rng.random() < FOCUSED:
            places = example.places[rng.integers(len(example.places))]
            focus = places[rng.integers(len(places))]
        shape = example.labels.shape
        window = crops.random_window(
            rng, shape, size=self.crop, zoom=example.zoom, geometry=self.geometry, focus=focus
        )
        cut = crops.Cut.of(shape, window)
        dark, bright = example.usual
        # Appearance is varied as of pixels from 0 to 1.
        image = (cut.smooth(example.image) - dark) / (bright - dark)
        varied = crops.varied(image.expand(self.channels, *self.crop), rng, self.appearance)
        labels = cut.nearest(example.labels).masked_fill(~cut.inside(), VOID)
        return varied * (bright - dark) + dark, {"classes": labels}

    def loss(self, outputs: Tensor, targets: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Dice and cross-entropy; of coarser levels too, where the net answers for them."""
        labels = targets["classes"]
        dice, entropy, total = outputs.new_zeros(()), outputs.new_zeros(()), 0.0
        for level, logits in enumerate(torch.split(outputs, 1 + len(self.classes), dim=1)):
            weight = AUXILIARY_WEIGHT**level
            dice = dice + weight * _dice_loss(logits, labels)
            # the mean alone would be 0 / 0 where a whole batch is void
            summed = functional.cross_entropy(logits, labels, ignore_index=VOID, reduction="sum")
            entropy = entropy + weight * summed / (labels != VOID).sum().clamp(min=1)
            total += weight
        return {"dice": dice / total, "entropy": entropy / total}

    def validate(self, net: nn.Module, device: torch.device) -> Steps[Mapping[str, float]]:
        """Dice of each class, averaged over the held-out images that hold it, and their mean.

        A class that no image holds is left out.
        """
        net = net.eval().to(device)
        dice: dict[int, list[float]] = {n: [] for n in range(1, 1 + len(self.classes))}
        for example in self.held_out:
            labels = yield from _classified(net, device, example)
            for number, values in dice.items():
                true, found = example.labels == number, labels == number
                if true.any():
                    overlap = 2 * float((true & found).sum())
                    values.append(overlap / float(true.sum() + found.sum()))
        figures = {
            f"Dice {name}": float(np.mean(values))
            for name, values in zip(self.classes, dice.values(), strict=True)
            if values
        }
        return {"score": float(np.mean(list(figures.values()) or [0.0])), **figures}


def _classified(net: nn.Module, device: torch.device, example: ClassExample) -> Steps[np.ndarray]:
    """The classes found in an image, tile by tile."""
    seeing = ClassNet(ScoreNet(net, TorchBackend(net, device), example.scales, 1))

    def read(window: Window) -> np.ndarray:
        return example.image[(slice(None), *window)].astype(np.float32)

    found = yield from predict(seeing, read, example.labels.shape, tile=seeing.tile)
    return np.asarray(found.scores[0].cpu())


def _dice_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """1 - soft Dice, averaged over the classes but the background, of the batch as a whole."""
    valid = (labels != VOID)[:, None]
    probability = torch.softmax(logits, dim=1)[:, 1:] * valid
    numbers = torch.arange(1, logits.shape[1], device=labels.device)
    true = (labels[:, None] == numbers.view(1, -1, *(1,) * (labels.ndim - 1))).to(logits.dtype)
    within = (0, *range(2, logits.ndim))
    overlap = (probability * true).sum(within)
    return 1 - ((2 * overlap + 1) / (probability.sum(within) + true.sum(within) + 1)).mean()
