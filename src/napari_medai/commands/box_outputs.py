"""Detecting in one image into files: boxes, as COCO JSON and CSV, record, and a picture."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np

from napari_medai.commands.outputs import Outputs, staged, write_record
from napari_medai.commands.pictures import plane_at
from napari_medai.core.boxes import Boxes
from napari_medai.core.steps import Steps
from napari_medai.io.box_coco import write_boxes_coco
from napari_medai.io.box_csv import write_boxes_csv
from napari_medai.io.box_plane import BoxPlane
from napari_medai.io.image_data import ImageData
from napari_medai.io.results import write_boxes_png
from napari_medai.models.model import Model
from napari_medai.tasks.detect import DetectParams, detect_steps
from napari_medai.tasks.detection import Detection


def written_boxes_steps(
    image: ImageData,
    model: Model,
    params: DetectParams,
    outputs: Outputs,
    *,
    notes: Mapping[str, Any],
    overlay: bool = False,
    overwrite: bool = False,
) -> Steps[Detection]:
    """Find the objects in an image and write their boxes, all of it or nothing.

    ``notes`` are added to the record. The picture shows the middle plane.
    """
    array = image.image
    with staged(outputs, overwrite=overwrite) as new:
        result = yield from detect_steps(array, model, params)
        planes = planes_of(result, outputs.source.name)
        (coco,) = new.files.results
        write_boxes_coco(new.at(coco), planes)
        write_boxes_csv(new.table, planes)
        if overlay:
            middle = {a: array.sizes[a] // 2 for a in result.lead + result.space if a not in "YX"}
            boxes = _through(result, middle)
            colours = {name: colour for name, colour in result.classes.items() if colour}
            write_boxes_png(new.picture, plane_at(array, **middle), boxes, colours=colours)
        write_record(new, result.record, notes=result.notes, more=notes)
    return result


def planes_of(result: Detection, name: str) -> list[BoxPlane]:
    """The boxes of every plane or volume of the image of this name, also where there are none."""
    sizes, lead = result.candidates.grid.shape, result.lead
    size = tuple(sizes[len(lead) :])
    positions = list(product(*(range(n) for n in sizes[: len(lead)])))
    number = np.zeros(result.count, dtype=np.int64)
    for at, count in enumerate(sizes[: len(lead)]):
        number = number * count + result.places[:, at]
    order = np.argsort(number, kind="stable")
    edges = np.searchsorted(number[order], np.arange(len(positions) + 1))
    return [
        BoxPlane(
            name,
            result.boxes.at(order[edges[at] : edges[at + 1]]),
            dict(zip(lead, position, strict=True)),
            size,
        )
        for at, position in enumerate(positions)
    ]


def _through(result: Detection, position: Mapping[str, int]) -> Boxes:
    """The boxes that a plane cuts, along y and x."""
    inside = np.ones(result.count, dtype=bool)
    for at, axis in enumerate(result.lead):
        inside &= result.places[:, at] == position[axis]
    if result.boxes.ndim == 3:
        low, high = result.boxes.corners[:, 0, 0], result.boxes.corners[:, 1, 0]
        inside &= (low <= position["Z"]) & (position["Z"] <= high)
    cut = result.boxes.at(inside)
    return Boxes.of(cut.corners[..., -2:], cut.kinds, cut.scores)
