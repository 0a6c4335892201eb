"""Training crops with boxes: one image, or four side by side (mosaic).

Source: Bochkovskiy et al. 2020 (YOLOv4: mosaic).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor

from napari_medai.core.boxes import Boxes
from napari_medai.core.intensity import Intensity, intensity_range
from napari_medai.core.scale import Scale
from napari_medai.nn.box_targets import IGNORED
from napari_medai.nn.crops import Cut, Geometry, Window, random_window, target_positions

ONE = Scale()
SEEN = 0.65
"""Part of a box from which what is left of it in a crop still is an object: people who draw boxes
leave out most objects that the edge of an image cuts further than that."""
TRACE = 0.4
"""Part below which nothing of it is left; what is between nobody learns from."""
SMALLEST = 2.0
"""Pixels of a crop, along each axis, below which nobody could see an object."""


@dataclass(frozen=True, slots=True)
class BoxExample:
    """One image with its boxes, ready to be cropped.

    ``image`` float16 (channels, \\*space), about 0 to 1; ``corners`` float32 (n, 2, ndim) in its
    pixels, whose centres are whole numbers; ``kinds`` int64 (n,), classes counted from 0;
    ``weight`` how often it is drawn, relative to others; ``zoom`` pixels of the net to one of the
    image, along each axis, at which it is seen.
    """

    image: np.ndarray
    corners: np.ndarray
    kinds: np.ndarray
    weight: float = 1.0
    zoom: Scale = ONE

    @classmethod
    def of(
        cls,
        image: np.ndarray,
        boxes: Boxes,
        *,
        classes: Sequence[str],
        intensity: Intensity,
        weight: float | None = None,
        zoom: Scale = ONE,
    ) -> BoxExample:
        """From an image (channels, \\*space) of any real dtype and its boxes.

        Without a ``weight``, all images count alike. Boxes of other classes are left out.
        """
        ready = intensity_range(image, intensity).scaled(image).astype(np.float16)
        numbers = {name: at for at, name in enumerate(classes)}
        kinds = np.array([numbers.get(str(kind), -1) for kind in boxes.kinds], dtype=np.int64)
        known = kinds >= 0
        often = 1.0 if weight is None else weight
        return cls(ready, boxes.corners[known], kinds[known], often, zoom)


@dataclass(frozen=True, slots=True)
class Crop:
    """Pixels (channels, \\*size), and boxes (n, 2, ndim) counted from the first pixel's corner."""

    image: Tensor
    corners: np.ndarray
    kinds: np.ndarray


def cropped(
    example: BoxExample,
    rng: np.random.Generator,
    *,
    size: tuple[int, ...],
    geometry: Geometry,
    focus: np.ndarray | None = None,
) -> Crop:
    """A crop of one image at its zoom; see `napari_medai.nn.crops.random_window`."""
    shape = example.image.shape[1:]
    zoom = float(example.zoom)
    window = random_window(rng, shape, size=size, zoom=zoom, geometry=geometry, focus=focus)
    cut = Cut.of(shape, window)
    # Beyond the image there is one even colour: edges drawn out would look like objects.
    fill = float(rng.uniform(0, 1))
    image = torch.where(cut.inside(), cut.smooth(example.image), fill)
    corners, kinds = _visible(_moved(example.corners, window), example.kinds, size)
    return Crop(image, corners, kinds)


def mosaic(crops: Sequence[Crop], size: tuple[int, ...]) -> Crop:
    """Crops side by side in one image, in the order of `parts`."""
    image = torch.empty((crops[0].image.shape[0], *size))
    corner = np.zeros(len(size), dtype=int)
    corners, kinds = [], []
    middle = np.array(crops[0].image.shape[1:])
    for at, crop in zip(product((0, 1), repeat=len(size)), crops, strict=True):
        corner = np.where(at, middle, 0)
        place = [slice(c, c + n) for c, n in zip(corner, crop.image.shape[1:], strict=True)]
        image[(slice(None), *place)] = crop.image
        corners.append(crop.corners + corner.astype(np.float32))
        kinds.append(crop.kinds)
    return Crop(image, np.concatenate(corners), np.concatenate(kinds))


def parts(size: tuple[int, ...], cut: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Sizes of the parts of an image that is cut once along each axis."""
    for at in product((0, 1), repeat=len(size)):
        yield tuple(n - c if far else c for far, c, n in zip(at, cut, size, strict=True))


def _moved(corners: np.ndarray, window: Window) -> np.ndarray:
    """Boxes as they lie in the window, counted from its first pixel's corner.

    Where the window is turned, what a box holds is taken for an ellipse that fills it.
    """
    if not len(corners):
        return np.zeros((0, 2, len(window.size)), np.float32)
    inverse = np.linalg.inv(window.matrix)
    half = (corners[:, 1] - corners[:, 0]) / 2
    reach = np.sqrt((half**2) @ (inverse**2).T)
    centres = target_positions(corners.mean(axis=1), window) + 0.5
    return np.stack([centres - reach, centres + reach], axis=1).astype(np.float32)


def _visible(
    corners: np.ndarray, kinds: np.ndarray, size: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """What is left of boxes within a crop, and what is to be made of it."""
    if not len(corners):
        return corners, kinds
    inside = np.clip(corners, 0, np.array(size, dtype=np.float32))
    edges = inside[:, 1] - inside[:, 0]
    part = edges.prod(axis=-1) / np.maximum((corners[:, 1] - corners[:, 0]).prod(axis=-1), 1e-6)
    clear = (part >= SEEN) & (edges >= SMALLEST).all(axis=-1)
    kept = clear | (part >= TRACE)
    return inside[kept], np.where(clear, kinds, IGNORED)[kept]
