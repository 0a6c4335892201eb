"""The boxes of a Shapes layer, in the pixels of an image layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_medai.core.axes import CHANNEL
from napari_medai.core.boxes import Boxes, usable_boxes
from napari_medai.core.errors import InputError
from napari_medai.tasks.inside_boxes import PlacedBoxes
from napari_medai.ui.region import in_layer

if TYPE_CHECKING:
    from napari.layers import Image, Shapes

OPEN = ("line", "path")


def boxes_of_layer(shapes: Shapes, image: Image, axes: str) -> PlacedBoxes:
    """The boxes around the shapes of a layer, with the class and score of its features.

    ``axes`` are the image's. Rectangles with one ``index`` on several slices are one box of a
    volume; a layer of fewer dimensions than the image stands for all positions along the others.
    What lies outside of the image is left out, and so are lines.

    Raises
    ------
    InputError
        If nothing lies within the image.
    """
    axes = axes[: image.ndim]
    kept = [at for at, kind in enumerate(shapes.shape_type) if kind not in OPEN]
    low, high = _bounds(shapes, image, kept)
    table = shapes.features.iloc[kept]
    index = table["index"].to_numpy() if "index" in table else np.arange(len(kept))
    kinds = (
        ["" if kind != kind else str(kind) for kind in table["class"]]
        if "class" in table
        else [""] * len(kept)
    )
    scores = (
        table["score"].to_numpy(dtype=float) if "score" in table else np.full(len(kept), np.nan)
    )
    lead = "".join(axis for axis in axes if axis not in ("Y", "X", CHANNEL))
    columns = [axes.index(axis) for axis in lead]
    places = np.round((low + high)[:, columns] / 2).astype(np.int64)
    flat = [axes.index("Y"), axes.index("X")]
    corners = np.stack([low[:, flat], high[:, flat]], axis=1)
    sizes = dict(zip(axes, _shape(image), strict=False))
    missing = [axis for axis in axes[: max(0, image.ndim - shapes.ndim)] if axis in lead]
    boxes = Boxes.of(corners, kinds, scores)
    if "Z" in lead and "Z" not in missing and len(set(index.tolist())) < len(index):
        return _within(_stacked(boxes, places, lead, index), sizes)
    for axis in missing:
        at, count = lead.index(axis), sizes[axis]
        rows = np.repeat(np.arange(len(boxes)), count)
        places, boxes = places[rows], boxes.at(rows)
        places[:, at] = np.tile(np.arange(count), len(rows) // count)
    return _within(PlacedBoxes(boxes, places, lead, "YX"), sizes)


def _bounds(shapes: Shapes, image: Image, kept: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """The low and the high corner (n, axes) of shapes, in the pixels of an image."""
    unit = np.vstack([np.zeros(shapes.ndim), np.eye(shapes.ndim)])
    world = [shapes.data_to_world(point) for point in unit]
    probes = in_layer(world, image, shapes.units)
    matrix, origin = probes[1:] - probes[0], probes[0]
    data = shapes.data
    outlines = [np.asarray(data[at]) @ matrix + origin for at in kept]
    shape = (len(kept), image.ndim)
    low = np.array([outline.min(axis=0) for outline in outlines]).reshape(shape)
    return low, np.array([outline.max(axis=0) for outline in outlines]).reshape(shape)


def _stacked(boxes: Boxes, places: np.ndarray, lead: str, index: np.ndarray) -> PlacedBoxes:
    """Rectangles put together, by their index, to boxes of volumes."""
    depth = lead.index("Z")
    others = np.delete(places, depth, axis=1)
    keys = np.column_stack([others, np.unique(index, return_inverse=True)[1]])
    _, first, group = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    corners = np.zeros((len(first), 2, 3), np.float32)
    corners[:, 0], corners[:, 1] = np.inf, -np.inf
    z = places[:, depth, None]
    np.minimum.at(corners[:, 0], group, np.hstack([z - 0.5, boxes.corners[:, 0]]))
    np.maximum.at(corners[:, 1], group, np.hstack([z + 0.5, boxes.corners[:, 1]]))
    found = Boxes.of(corners, boxes.kinds[first], boxes.scores[first], ndim=3)
    return PlacedBoxes(found, others[first], lead.replace("Z", ""), "ZYX")


def _within(placed: PlacedBoxes, sizes: dict[str, int]) -> PlacedBoxes:
    """Those within the image, cut at its edges."""
    usable = usable_boxes(placed.boxes, [sizes[axis] for axis in placed.space])
    there = ~usable.degenerate & ~usable.outside
    limits = np.array([sizes[axis] for axis in placed.lead], dtype=np.int64)
    places = placed.places[there]
    kept = ((places >= 0) & (places < limits)).all(axis=1)
    if not kept.any():
        raise InputError(
            "none of the shapes is a box within the image; draw rectangles on it, or choose "
            "another Shapes layer"
        )
    return PlacedBoxes(usable.boxes.at(kept), places[kept], placed.lead, placed.space)


def _shape(image: Image) -> tuple[int, ...]:
    return tuple(int(n) for n in (image.data[0] if image.multiscale else image.data).shape)
