"""The boxes that an image is segmented in, whatever they are given as."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.axes import SPACE
from napari_medai.core.boxes import Boxes, usable_boxes
from napari_medai.core.errors import InputError
from napari_medai.scripting.box_planes import box_planes
from napari_medai.scripting.sources import Subject, is_layer
from napari_medai.tasks.inside_boxes import PlacedBoxes

if TYPE_CHECKING:
    from napari_medai.io.drawn_boxes import DrawnBoxes


def placed_boxes(inside: Any, subject: Subject) -> PlacedBoxes:
    """The boxes of a Shapes or Labels layer, of labels, `Boxes` or numbers, within an image.

    Raises
    ------
    InputError
        If they are of no kind that can be used, do not fit the image, or none lies in it.
    """
    from napari_medai.ui.shape_boxes import boxes_of_layer, boxes_on_array

    image, source = subject.image, subject.source
    if is_layer(inside) and hasattr(inside, "shape_type"):
        if is_layer(source):
            return boxes_of_layer(inside, source, image.axes)
        return boxes_on_array(inside, image)
    name = str(getattr(source, "name", "") or "the image")
    planes, notes = box_planes(inside, source, image, name=name)
    for note in notes:
        warnings.warn(note, stacklevel=3)
    space = "".join(axis for axis in SPACE if axis in image.space)
    boxes = Boxes.of(
        np.concatenate([plane.boxes.corners for plane in planes]),
        np.concatenate([plane.boxes.kinds for plane in planes]),
        np.concatenate([plane.boxes.scores for plane in planes]),
        ndim=len(space),
    )
    lead = image.series
    places = [
        [plane.position.get(axis, 0) for axis in lead]
        for plane in planes
        for _ in plane.boxes.kinds
    ]
    where = np.array(places, dtype=np.int64).reshape(len(boxes), len(lead))
    return within(PlacedBoxes(boxes, where, lead, space), dict(image.sizes))


def within(drawn: DrawnBoxes | PlacedBoxes, sizes: dict[str, int]) -> PlacedBoxes:
    """Those within the image, cut at its edges.

    Raises
    ------
    InputError
        If there are none.
    """
    usable = usable_boxes(drawn.boxes, [sizes[axis] for axis in drawn.space])
    there = ~usable.degenerate & ~usable.outside
    limits = np.array([sizes[axis] for axis in drawn.lead], dtype=np.int64)
    places = drawn.places[there]
    kept = ((places >= 0) & (places < limits)).all(axis=1)
    if not kept.any():
        raise InputError(
            "none of the shapes is a box within the image; draw rectangles on it, or give "
            "other boxes"
        )
    return PlacedBoxes(usable.boxes.at(kept), places[kept], drawn.lead, drawn.space)
