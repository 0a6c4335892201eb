"""napari's readers and writers: files to layer data tuples and back, as npe2 calls them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.core.space import Grid
from napari_medai.io.image_data import ImageData
from napari_medai.io.layer_errors import told_by_napari
from napari_medai.io.layer_image import image_of_layer

LayerData = tuple[Any, dict[str, Any], str]

_OTHER_LABELS = (0.5, 0.5, 0.5, 1.0)
"""The colour of labels that have none of their own in a file that colours others."""


def get_reader(path: Any) -> Callable[[Any], list[LayerData]] | None:
    """A reader for ``path`` if it is an image by its name, or DICOM, else None; never raises."""
    from napari_medai.io.dicom.files import is_dicom
    from napari_medai.io.images import IMAGE_SUFFIXES, is_zarr
    from napari_medai.io.volumes import suffix_of

    try:
        given = _single(path)
        one = Path(given)
        if given == "":
            return None  # as a path, the current folder
        if one.is_dir():
            return read_layers if is_zarr(one) or is_dicom(one) else None
        known = suffix_of(one) in IMAGE_SUFFIXES and suffix_of(one) != ".zarr"
        return read_layers if (known and one.is_file()) or is_dicom(one) else None
    except (TypeError, ValueError, OSError):
        return None


def read_layers(path: Any) -> list[LayerData]:
    """The layers of one image file or folder."""
    from napari_medai.io.images import read_image

    images = read_image(_single(path))
    for image in images:
        for note in image.notes:
            warnings.warn(f"{image.name}: {note}", stacklevel=2)  # napari shows it
    return [layer_data(image) for image in images]


def layer_data(image: ImageData) -> LayerData:
    """An image as napari wants it: scale, units, axis labels, channels apart, labels as Labels."""
    kind = "labels" if image.labels else "image"
    apart = "C" in image.axes and not image.rgb
    axes = image.axes.replace("C", "")
    data: Any = list(image.levels) if len(image.levels) > 1 else image.levels[0]
    options: dict[str, Any] = {
        "name": image.name,
        "scale": tuple(float(image.spacing.get(axis, 1.0)) for axis in axes),
        "units": tuple(image.units.get(axis, "pixel") for axis in axes),
        "axis_labels": tuple(axis.lower() for axis in axes),
    }
    if image.grid is not None:
        options |= _lying_on(image.grid, axes)
    elif any(image.origin.values()):
        options["translate"] = tuple(float(image.origin.get(axis, 0.0)) for axis in axes)
    if image.contrast is not None and kind == "image":
        options["contrast_limits"] = image.contrast
    if image.features and kind == "labels":
        options["features"] = {name: list(values) for name, values in image.features.items()}
    if image.colours and kind == "labels":
        options["colormap"] = {None: _OTHER_LABELS, 0: (0.0, 0.0, 0.0, 0.0), **image.colours}
    if image.metadata:
        options["metadata"] = {"medai": dict(image.metadata)}
    if len(image.levels) > 1:
        options["multiscale"] = True
    if kind == "labels" and np.dtype(image.levels[0].dtype).kind == "b":
        data = np.asarray(data).astype(np.uint8) if len(image.levels) == 1 else data
    if image.rgb:
        options["rgb"] = True
    elif kind == "image" and not apart:
        options["rgb"] = False
    if apart:
        count = image.levels[0].shape[image.axes.index("C")]
        names = image.names or tuple(f"{image.name} C{number}" for number in range(count))
        options["channel_axis"] = image.axes.index("C")
        options["name"] = list(names)
    return data, options, kind


def _lying_on(grid: Grid, axes: str) -> dict[str, Any]:
    """Scale, and translate or affine, of a layer with these axes whose Z Y X lie on the grid."""
    space = [axes.index(axis) for axis in "ZYX"]
    translate, affine = np.zeros(len(axes)), np.eye(len(axes) + 1)
    if np.array_equal(grid.direction, np.eye(3)):
        translate[space] = grid.origin
        return {"translate": tuple(translate.tolist())}
    affine[np.ix_(space, space)] = grid.direction
    affine[space, -1] = grid.origin
    return {"affine": affine}


@told_by_napari
def write_image(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write an Image layer as OME-TIFF."""
    return _write(path, data, attributes, labels=False)


@told_by_napari
def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a Labels layer as OME-TIFF; `read_layers` knows it again."""
    return _write(path, data, attributes, labels=True)


def _write(path: str, data: Any, attributes: dict[str, Any], *, labels: bool) -> list[str]:
    from napari_medai.io.ome_tiff import write_tiff

    image = image_of_layer(data, attributes, labels=labels).image
    # napari's dialog has asked already whether a file may be replaced
    return [str(write_tiff(path, image, labels=labels, overwrite=True))]


def _single(path: Any) -> Any:
    """The path in a list of one, as napari gives it."""
    if isinstance(path, list | tuple):
        if len(path) != 1:
            raise InputError(f"one file is read at a time, got {len(path)}; open them one by one")
        return path[0]
    return path
