"""The small part of a layer that a preview shows, and its colours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.axes import CHANNEL
from napari_medai.ui.region import in_layer
from napari_medai.ui.source import Source

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

EDGE = 256
DEPTH = 8
"""Neighbours along Z or T that come along for nets that see them."""
GREEN = 1
"""The colour of an RGB layer that is shown."""


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of a source, and which of its planes is shown if the net sees several at once."""

    part: Mapping[str, int | slice]
    plane: int = 0

    def shown(self, values: np.ndarray) -> np.ndarray:
        """The plane (Y, X) of what the net sees."""
        return values if values.ndim == 2 else values[self.plane]


def centre_of(viewer: ViewerModel, layer: Image) -> np.ndarray:
    """The middle of the canvas and the position of the sliders, in a layer's pixels."""
    point = np.array(viewer.dims.point, dtype=float)
    displayed = list(viewer.dims.displayed)
    point[displayed] = np.asarray(viewer.scene.camera.center)[-len(displayed) :]
    return np.nan_to_num(in_layer([point], layer, viewer.dims.units)[0])


def crop_of(source: Source, centre: np.ndarray, space: str) -> Crop:
    """The part of a source around a point of its layer; ``space`` is what the net sees at once."""
    point = dict(zip(source.axes, centre, strict=False))  # RGB has one axis more
    part: dict[str, int | slice] = {}
    plane = 0
    for axis, size in source.image.sizes.items():
        if axis == CHANNEL and axis not in point:
            part[axis] = min(GREEN, size - 1)
            continue
        first = source.place.window.get(axis, slice(0)).start or 0
        at = int(np.clip(np.round(point[axis]) - first, 0, size - 1))
        if axis not in space:
            part[axis] = at
            continue
        edge = min(size, EDGE if axis in "YX" else DEPTH)
        start = int(np.clip(at - edge // 2, 0, size - edge))
        part[axis] = slice(start, start + edge)
        if axis not in "YX":
            plane = at - start
    return Crop(part, plane)


def coloured(plane: np.ndarray, layer: Any) -> np.ndarray:
    """A plane (Y, X) in a layer's colours: (Y, X, 4), uint8; of RGB layers in gray."""
    low, high = (0, 255) if layer.rgb else layer.contrast_limits
    share = (np.nan_to_num(plane.astype(np.float64), nan=low) - low) / ((high - low) or 1)
    share = np.clip(share, 0, 1)
    if layer.rgb:
        colours = np.stack([share, share, share, np.ones_like(share)], axis=-1)
    else:
        colours = np.asarray(layer.colormap.map(share**layer.gamma))
    return np.asarray(np.rint(255 * colours), np.uint8)
