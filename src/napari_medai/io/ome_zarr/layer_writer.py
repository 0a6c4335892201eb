"""Writing layers as OME-Zarr, as npe2 calls it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from napari_medai.core.axes import CHANNEL
from napari_medai.core.errors import InputError
from napari_medai.io.image_data import ImageData
from napari_medai.io.layer_errors import told_by_napari
from napari_medai.io.layer_grid import affine_of_layer
from napari_medai.io.layer_image import image_of_layer
from napari_medai.io.ome_zarr.writer import write_zarr

_LEAN = 1e-5
"""How far an axis may lean from that of the world, in steps."""


@told_by_napari
def write_zarr_layer(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write an Image layer as OME-Zarr."""
    # napari's dialog has asked already whether a file may be replaced
    return [str(write_zarr(path, placed_image(data, attributes, labels=False), overwrite=True))]


@told_by_napari
def write_labels_zarr(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a Labels layer as OME-Zarr: of its own, or into the image that ``path`` is."""
    return [str(write_zarr(path, placed_image(data, attributes, labels=True), overwrite=True))]


def placed_image(data: Any, attributes: Mapping[str, Any], *, labels: bool) -> ImageData:
    """A layer as an image at its origin.

    Raises
    ------
    InputError
        If the layer is rotated, sheared or mirrored.
    """
    image = image_of_layer(data, attributes, labels=labels)
    axes = image.axes.removesuffix(CHANNEL) if image.rgb else image.axes
    affine = affine_of_layer({"scale": np.ones(len(axes)), **attributes})
    steps = affine.diagonal()[:-1]
    leaning = np.abs(affine[:-1, :-1] - np.diag(steps)).max(initial=0)
    if (steps <= 0).any() or leaning > _LEAN * steps.min():
        raise InputError(
            "the layer is rotated, sheared or mirrored, which OME-Zarr has no words for; save it "
            "as .nii.gz, .nrrd or .mha, or undo its rotation"
        )
    return replace(
        image,
        spacing=dict(zip(axes, steps.tolist(), strict=True)),
        origin=dict(zip(axes, affine[:-1, -1].tolist(), strict=True)),
    )
