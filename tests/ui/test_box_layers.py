from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from napari.layers import Labels

from napari_medai.core.axes import AxesArray
from napari_medai.core.boxes import Boxes
from napari_medai.tasks.label_boxes import boxes_of_labels
from napari_medai.ui.box_layers import rectangle_count, shapes_layer


@pytest.mark.parametrize(
    ("low", "high", "slices"),
    [
        (9.2, 9.5, [9]),
        (-0.5, -0.2, [0]),
        (3.2, 3.6, [4]),
        (2.5, 5.5, [3, 4, 5]),
        (-0.5, 9.5, list(range(10))),
    ],
)
def test_boxes_of_volumes_lie_on_slices_that_are_there(
    low: float, high: float, slices: list[int]
) -> None:
    labels = np.zeros((2, 10, 20, 30), int)
    labels[1, 2:4, 2:6, 3:9] = 1
    made = boxes_of_labels(AxesArray(labels, "TZYX"), {})
    corners = made.boxes.corners.copy()
    corners[0, :, 0] = low, high
    found = replace(made, boxes=Boxes(corners, made.boxes.kinds, made.boxes.scores))
    layer = shapes_layer(found, Labels(labels, axis_labels=("t", "z", "y", "x")))
    assert [float(box[0, 1]) for box in layer.data] == slices
    assert rectangle_count(found) == len(slices)
