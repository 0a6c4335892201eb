"""What may be drawn around objects (shapes, labels, boxes, corners) as boxes, plane by plane."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.axes import CHANNEL, SPACE, AxesArray
from napari_medai.core.boxes import Boxes, label_boxes
from napari_medai.core.errors import InputError
from napari_medai.io.box_plane import BoxPlane, label_classes
from napari_medai.io.drawn_boxes import drawn_boxes
from napari_medai.scripting.sources import finest, is_layer


def box_planes(
    drawn: Any, source: Any, image: AxesArray, *, name: str
) -> tuple[list[BoxPlane], list[str]]:
    """The boxes drawn in an image, by plane or volume, and what was left out.

    ``source`` is the image's layer, or its array. Of a movie, frames without a shape are left out;
    those without a label have no objects.

    Raises
    ------
    InputError
        If they are of no kind that can be used, or do not fit the image.
    """
    if is_layer(drawn):
        from napari.layers import Labels, Shapes

        if isinstance(drawn, Shapes):
            return _of_shapes(drawn, source, image, name=name)
        if not isinstance(drawn, Labels):
            raise InputError(
                f"layer {drawn.name!r} is a {type(drawn).__name__} layer; give Shapes or Labels"
            )
        return list(_of_labels(finest(drawn.data), image, name=name, table=drawn.features)), []
    if isinstance(drawn, Boxes):
        return [_alone(drawn, image, name)], []
    values = finest(drawn)
    shape = tuple(n for axis, n in image.sizes.items() if axis != CHANNEL)
    if tuple(values.shape) == shape:
        return list(_of_labels(values, image, name=name)), []
    return [_alone(_of_corners(np.asarray(values), image, name), image, name)], []


def _of_shapes(
    layer: Any, source: Any, image: AxesArray, *, name: str
) -> tuple[list[BoxPlane], list[str]]:
    from napari_medai.ui.shape_boxes import outlines_on, padded_outlines

    own = source.ndim if is_layer(source) else len(image.axes.replace(CHANNEL, ""))
    if layer.ndim > own:
        raise InputError(
            f"the shapes of {layer.name!r} have {layer.ndim} axes, but their image has {own}; draw "
            "them in the same axes"
        )
    if is_layer(source):
        outlines, axes = outlines_on(layer, source), image.axes[:own]
    else:
        outlines, axes = padded_outlines(layer, image)
    lacking = axes[: own - layer.ndim]
    volumes = "Z" in image.space
    if outlines and volumes and "Z" not in lacking and "index" not in layer.features:
        raise InputError(
            f"the shapes of {layer.name!r} lie in a volume and have no feature 'index' that tells "
            "which are of one object; give a Labels layer, or single planes as images"
        )
    drawn = drawn_boxes(
        outlines,
        layer.shape_type,
        layer.features,
        axes=axes,
        everywhere={axis: image.sizes[axis] for axis in lacking},
        volumes=volumes,
    )
    planes, notes = drawn.planes(name), list(drawn.notes)
    frames = int(np.prod([image.sizes[axis] for axis in image.series]))
    if image.series and len(planes) < frames:
        notes.append(f"{frames - len(planes)} of {frames} frames of {name} have no shape; left out")
    if not image.series and not planes:
        planes = [BoxPlane(name, Boxes.of([], ndim=len(image.space)))]
    return [_told(plane, layer.name) for plane in planes], notes


def _of_labels(
    values: Any, image: AxesArray, *, name: str, table: Any = None
) -> Iterator[BoxPlane]:
    axes = image.axes.replace(CHANNEL, "")
    shape = tuple(image.sizes[axis] for axis in axes)
    if tuple(values.shape) != shape:
        raise InputError(
            f"the labels of {name} have shape {tuple(values.shape)}, but its image has {shape}; "
            "give labels of the same size"
        )
    kinds = label_classes(table)
    in_image = [axis for axis in axes if axis in image.space]
    usual = [in_image.index(axis) for axis in SPACE if axis in in_image]
    for position in image.positions(image.series):
        key = tuple(position.get(axis, slice(None)) for axis in axes)
        frame = np.asarray(values[key]).transpose(usual)
        boxes, numbers = label_boxes(_numbered(frame))
        named = [kinds.get(int(number), "") for number in numbers]
        rows = [f"label {number}" for number in numbers]
        own = Boxes.of(boxes.corners, named, ndim=boxes.ndim)
        yield _told(BoxPlane(name, own, position, rows=rows), name)


def _numbered(values: np.ndarray) -> np.ndarray:
    """A number for each connected part where a mask tells objects from background alone."""
    from skimage.measure import label

    connected: Any = label
    return np.asarray(connected(values, connectivity=1)) if values.dtype.kind == "b" else values


def _of_corners(values: np.ndarray, image: AxesArray, name: str) -> Boxes:
    wanted = 2 * len(image.space)
    if not values.size:
        return Boxes.of([], ndim=len(image.space))
    if values.ndim != 2 or values.shape[1] != wanted or values.dtype.kind not in "iuf":
        edges = "top, left, bottom, right"
        raise InputError(
            f"the boxes of {name} must be a Shapes or Labels layer, labels of the size of their "
            f"image, Boxes, or numbers (n, {wanted}) of "
            f"{edges if wanted == 4 else 'front, top, left, back, bottom, right'}; got an array of "
            f"shape {values.shape} of {values.dtype}"
        )
    return Boxes.of(values.reshape(-1, 2, len(image.space)))


def _alone(boxes: Boxes, image: AxesArray, name: str) -> BoxPlane:
    """The boxes of an image that is one plane or volume."""
    if any(image.sizes[axis] > 1 for axis in image.series):
        raise InputError(
            f"{name} has several frames ({image.axes}), and its boxes do not say in which they "
            "are; give its frames one by one, or a layer"
        )
    if boxes.ndim != len(image.space):
        raise InputError(
            f"the boxes of {name} have {boxes.ndim} axes, but it has {len(image.space)}; draw them "
            "in the same axes"
        )
    rows = [f"box {number}" for number in range(1, len(boxes) + 1)]
    return _told(BoxPlane(name, boxes, rows=rows), name)


def _told(plane: BoxPlane, name: str) -> BoxPlane:
    """With the name that notes give to where it comes from."""
    return replace(plane, source=Path(name))
