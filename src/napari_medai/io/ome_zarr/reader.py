"""Reading Zarr folders: plain arrays and OME-Zarr (0.1 to 0.5), images and labels."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.axes import CHANNEL, SPACE, guessed_axes, looks_rgb
from napari_medai.core.errors import InputError
from napari_medai.io.image_data import ImageData
from napari_medai.io.images import is_zarr
from napari_medai.io.ome_zarr.anatomy import laid_in_patient
from napari_medai.io.ome_zarr.metadata import (
    LABELS,
    label_colors,
    label_features,
    ome_attributes,
    placed_axes,
    shown_between,
    tells_rgb,
)
from napari_medai.io.tiff import image_name

_LARGEST_PIECE = 2**33
_MOST_PIECES = 2**20
"""Along one axis."""


def read_zarr(path: str | Path) -> list[ImageData]:
    """The images of a Zarr folder, lazily.

    OME-Zarr keeps axes, pixel size, place, units and names; the labels of an image follow it. Axes
    of space come in the order Z Y X; if they tell how they run in a patient, upright on its grid.
    The folder may also be the group of the labels, or one of them.

    Raises
    ------
    InputError
        If it is no Zarr folder, a group that holds no image, or its metadata are broken.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="zarr")  # of how other programs write
            images = _opened(path)
    except InputError as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    except Exception as error:  # zarr and its codecs raise whatever broken metadata provokes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} cannot be read as Zarr ({reason}); write it again") from error
    if not images:
        raise InputError(f"{path} is a Zarr group without an image; choose an array inside it")
    return images


def _opened(path: Path) -> list[ImageData]:
    import zarr

    node: Any = zarr.open(path, mode="r", use_consolidated=False)
    if isinstance(node, zarr.Array):
        return [_plain(_lazy(node), path.stem)]
    return _images(node, path) or [
        image for group in _series(node) for image in _images(group, path)
    ]


def _plain(array: Any, name: str) -> ImageData:
    rgb = looks_rgb(array.shape)
    array = array[..., :3] if rgb else array
    return ImageData((array,), guessed_axes(array.shape, rgb=rgb), name=name, rgb=rgb)


def _series(group: Any) -> Iterator[Any]:
    """The images of a folder that bioformats2raw made: groups by their number."""
    import zarr

    for number in count():
        found = group.get(str(number))
        if not isinstance(found, zarr.Group):
            return
        yield found


def _images(group: Any, path: Path) -> list[ImageData]:
    """The images of a group, followed by their labels."""
    attributes = ome_attributes(group)
    if LABELS in attributes and "multiscales" not in attributes:
        return _labels(group)[0]
    own = group.path.split("/")[-1] or path.name
    listed = not group.path and path.parent.name == LABELS and is_zarr(path.parent)
    if "image-label" in attributes or listed:
        return [_label(image, attributes) for image in _scales(group, attributes, own)]
    images = [_image(image, attributes) for image in _scales(group, attributes, path.name)]
    if images and LABELS in group:
        labels, missing = _labels(group[LABELS])
        notes = (f"its labels {', '.join(missing)} are missing in the file",) if missing else ()
        images = [replace(images[0], notes=images[0].notes + notes), *images[1:], *labels]
    return images


def _labels(group: Any) -> tuple[list[ImageData], list[str]]:
    """The label images that a group lists, and the names of those that are not there."""
    found: list[ImageData] = []
    missing = []
    for name in map(str, ome_attributes(group).get(LABELS) or ()):
        if name not in group:
            missing.append(name)
            continue
        attributes = ome_attributes(group[name])
        images = _scales(group[name], attributes, name.split("/")[-1])
        found += [_label(image, attributes) for image in images]
    return found, missing


def _scales(group: Any, attributes: Mapping[str, Any], name: str) -> list[ImageData]:
    return [_scale(group, scale, name) for scale in attributes.get("multiscales") or ()]


def _scale(group: Any, scale: Mapping[str, Any], name: str) -> ImageData:
    """What images and labels have in common."""
    levels = [_lazy(group[dataset["path"]]) for dataset in scale["datasets"]]
    place = placed_axes(scale)
    if any(level.ndim != len(place.axes) for level in levels):
        raise InputError(
            f"its levels have {', '.join(str(level.ndim) for level in levels)} dimensions, but "
            f"{len(place.axes)} axes are named; write it again"
        )
    shapes = np.array([level.shape for level in levels])
    if (np.diff(shapes, axis=0) > 0).any():
        raise InputError("a level is larger than the one before; write the finest one first")
    order = place.usual_order
    if order != place.axes:
        levels = [level.transpose([place.axes.index(axis) for axis in order]) for level in levels]
    told = str(scale.get("name") or "")
    told = told.strip("/").split("/")[-1] if told.startswith("/") else told  # a path, by some
    image = ImageData(
        levels=tuple(levels),
        axes=order,
        spacing=place.spacing,
        units=place.units,
        origin=place.origin,
        name=told or image_name(Path(name)),
        notes=place.notes,
    )
    return laid_in_patient(image, place.ways) if order.endswith(SPACE) else image


def _image(image: ImageData, attributes: Mapping[str, Any]) -> ImageData:
    """An image with what is told of its channels."""
    omero = attributes.get("omero")
    channels = omero.get("channels") if isinstance(omero, dict) else None
    channels = [one if isinstance(one, dict) else {} for one in channels or ()]
    names = tuple("" if one.get("label") is None else str(one["label"]) for one in channels)
    size = image.image.sizes.get(CHANNEL)
    if size is None:
        return replace(image, contrast=shown_between(channels[0]) if len(channels) == 1 else None)
    if len(channels) != size:
        return image
    if tells_rgb(channels):
        return _with_colours_last(image)
    return replace(image, names=names if any(names) else ())


def _with_colours_last(image: ImageData) -> ImageData:
    axes = image.axes.replace(CHANNEL, "") + CHANNEL
    order = [image.axes.index(axis) for axis in axes]
    levels = tuple(level.transpose(order) for level in image.levels)  # type: ignore[attr-defined]
    return replace(image, levels=levels, axes=axes, rgb=True)


def _label(image: ImageData, attributes: Mapping[str, Any]) -> ImageData:
    """Labels with their table and colours; a channel axis that says nothing is dropped."""
    whole = np.dtype(image.levels[0].dtype).kind in "biu"
    note = f"labels are whole numbers, but the values are {image.levels[0].dtype}"
    axes, levels = image.axes, image.levels
    if image.image.sizes.get(CHANNEL) == 1:
        levels = tuple(level.squeeze(axes.index(CHANNEL)) for level in levels)  # type: ignore[attr-defined]
        axes = axes.replace(CHANNEL, "")
    told = attributes.get("image-label")
    told = told if isinstance(told, dict) else {}
    return replace(
        image,
        levels=levels,
        axes=axes,
        labels=whole,
        features=label_features(told.get("properties")),
        colours=label_colors(told.get("colors")),
        notes=image.notes if whole else (*image.notes, note),
    )


def _lazy(array: Any) -> Any:
    """A stored array, read where it is looked at, unless no memory could hold a piece of it."""
    import dask.array

    counts = [-(-n // max(1, edge)) for n, edge in zip(array.shape, array.chunks, strict=True)]
    large = prod(array.chunks) * array.dtype.itemsize > _LARGEST_PIECE
    if large or max(counts, default=0) > _MOST_PIECES:
        raise InputError(
            f"its array {array.path} claims to be {array.shape} in pieces of {array.chunks}; "
            "write it again in pieces of about a million values"
        )
    return dask.array.from_zarr(array)
