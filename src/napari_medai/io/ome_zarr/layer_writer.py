"""Writing layers as OME-Zarr, as npe2 calls it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.axes import CHANNEL
from napari_medai.core.errors import InputError
from napari_medai.io.image_data import ImageData
from napari_medai.io.layer_data import LayerData
from napari_medai.io.layer_errors import told_by_napari
from napari_medai.io.layer_grid import affine_of_layer
from napari_medai.io.layer_image import image_of_layer
from napari_medai.io.ome_zarr.host import found_host
from napari_medai.io.ome_zarr.writer import write_zarr

_ALIKE = ("axes", "spacing", "units", "origin")
_LEAN = 1e-5
"""How far an axis may lean from that of the world, in steps."""


@told_by_napari
def write_zarr_layers(path: str, layers: list[LayerData]) -> list[str]:
    """Write Image and Labels layers as one OME-Zarr.

    Several images become its channels; labels lie beside them. Labels alone are an OME-Zarr of
    their own, or join the image that ``path`` is.
    """
    placed = [placed_image(*layer[:2], labels=layer[2] == "labels") for layer in layers]
    images = [image for image in placed if not image.labels]
    labels = [image for image in placed if image.labels]
    # napari's dialog has asked already whether a file may be replaced
    if images:
        return [str(write_zarr(path, _with_channels(images), labels=labels, overwrite=True))]
    if len(labels) > 1 and found_host(Path(path), "") is None:
        raise InputError(
            f"{len(labels)} layers of labels need the image that they belong to; "
            "save it with them, or save them one by one"
        )
    return [str(write_zarr(path, one, overwrite=True)) for one in labels]


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


def _with_channels(images: Sequence[ImageData]) -> ImageData:
    """Images that lie on each other as the channels of one, by their layers' names."""
    import dask.array

    first = images[0]
    if len(images) == 1:
        return first
    for image in images:
        alike = all(getattr(image, name) == getattr(first, name) for name in _ALIKE)
        shapes = {one.levels[0].shape for one in (first, image)}
        if not alike or len(shapes) > 1 or image.rgb or CHANNEL in image.axes:
            raise InputError(
                f"the layers {first.name} and {image.name} are not of the same shape, scale, "
                "place and units, in one color each, so they are no channels of one image; "
                "save them one by one"
            )
    levels = [dask.array.asarray(image.levels[0]) for image in images]
    return replace(
        first,
        levels=(dask.array.stack(levels),),
        axes=CHANNEL + first.axes,
        names=tuple(image.name for image in images),
        name="",
    )
