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
from napari_medai.io.box_plane import BoxPlane
from napari_medai.io.shape_layers import boxes_of_shapes
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
    axes = _order(image)
    attributes = {
        "name": name,
        "shape_type": list(layer.shape_type),
        "features": layer.features,
        "axis_labels": tuple(axes.lower()),
    }
    data = list(_in_pixels(layer, source, image))
    if "Z" in axes:
        planes, said = _solid(data, attributes, layer.name)
    else:
        planes, said = boxes_of_shapes(data, attributes)
    notes = list(said)
    frames = int(np.prod([image.sizes[axis] for axis in image.series]))
    if image.series and len(planes) < frames:
        notes.append(f"{frames - len(planes)} of {frames} frames of {name} have no shape; left out")
    if not image.series and not planes:
        planes = [BoxPlane(name, Boxes.of([], ndim=len(image.space)))]
    return [_told(plane, layer.name) for plane in planes], notes


def _solid(
    data: list[np.ndarray], attributes: dict[str, Any], layer: str
) -> tuple[list[BoxPlane], tuple[str, ...]]:
    """Boxes of volumes: the rectangles that share an ``index``, one a slice."""
    table = attributes["features"]
    if data and "index" not in table:
        raise InputError(
            f"the shapes of {layer!r} lie in a volume and have no feature 'index' that tells which "
            "are of one object; give a Labels layer, or single planes as images"
        )
    found: dict[tuple[tuple[str, int], ...], list[tuple[np.ndarray, str]]] = {}
    notes: dict[str, None] = {}
    indices = np.asarray(table["index"]) if data else np.array([])
    for index in dict.fromkeys(indices.tolist()):
        own = np.flatnonzero(indices == index)
        part = attributes | {
            "shape_type": [attributes["shape_type"][at] for at in own],
            "features": table.iloc[own],
        }
        planes, said = boxes_of_shapes([data[at] for at in own], part)
        notes |= dict.fromkeys(said)
        if not planes:
            continue
        depths = [plane.position["Z"] for plane in planes]
        corners = np.concatenate([plane.boxes.corners for plane in planes])
        low = [min(depths) - 0.5, *corners[:, 0].min(axis=0)]
        high = [max(depths) + 0.5, *corners[:, 1].max(axis=0)]
        rest = tuple((a, at) for a, at in planes[0].position.items() if a != "Z")
        kind = str(planes[0].boxes.kinds[0])
        found.setdefault(rest, []).append((np.array([low, high]), kind))
    planes = []
    for position, solids in sorted(found.items()):
        boxes = Boxes.of([one for one, _ in solids], [kind for _, kind in solids])
        rows = [f"object {number}" for number in range(1, len(boxes) + 1)]
        planes.append(BoxPlane(attributes["name"], boxes, dict(position), rows=rows))
    return planes, tuple(notes)


def _in_pixels(layer: Any, source: Any, image: AxesArray) -> Iterator[np.ndarray]:
    """The corners of each shape in pixels of the image, along the axes of `_order`."""
    own = source.ndim if is_layer(source) else len(image.axes.replace(CHANNEL, ""))
    if layer.ndim != own:
        raise InputError(
            f"the shapes of {layer.name!r} have {layer.ndim} axes, but their image has {own}; draw "
            "them in the same axes"
        )
    letters = image.axes[:own] if is_layer(source) else image.axes.replace(CHANNEL, "")
    kept = [letters.index(axis) for axis in _order(image)]
    for points in layer.data:
        places = np.asarray(points, dtype=float)
        if is_layer(source):
            world = [layer.data_to_world(point) for point in places]
            places = np.array([source.world_to_data(point) for point in world])
        yield places.reshape(-1, own)[:, kept]


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
    kinds: dict[int, str] = {}
    if table is not None and {"index", "class"} <= set(table.columns):
        kinds = {
            int(at): str(kind) for at, kind in zip(table["index"], table["class"], strict=True)
        }
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


def _order(image: AxesArray) -> str:
    """The axes of an image without ``C``, those of space last and in their usual order."""
    return image.series + "".join(axis for axis in SPACE if axis in image.space)


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
