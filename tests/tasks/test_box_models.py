"""Images are seen at one zoom in training and when boxes are looked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_medai.core.axes import AxesArray
from napari_medai.core.boxes import Boxes
from napari_medai.core.errors import InputError
from napari_medai.core.steps import finished
from napari_medai.models.package import read_model
from napari_medai.tasks.box_models import NETS, box_spec, sizes_of, with_zoom, zoom_of
from napari_medai.tasks.pairs import BoxPair
from napari_medai.tasks.train import TrainParams
from napari_medai.tasks.train_boxes import BoxCourse, check_box_pairs, train_boxes_steps

CONFIG = {"diameter": 52.0, "zoom": 0.5, "zoom_range": 1.2}


def squares(edge: float, count: int = 8) -> Boxes:
    low = np.arange(count)[:, None] * [3.0, 5.0]
    return Boxes.of(np.stack([low, low + edge], axis=1), ["cell"] * count)


def pair(edge: float, count: int = 8) -> BoxPair:
    return BoxPair(AxesArray(np.zeros((64, 64), np.uint8), "YX"), squares(edge, count))


@pytest.mark.parametrize(
    ("edge", "count", "zoom"),
    [
        (104, 8, 0.5),
        (110, 8, 0.5),  # within the range: as usual
        (26, 8, 2.0),
        (208, 8, 0.25),
        (26, 3, 0.5),  # too few to tell
        (26, 0, 0.5),
    ],
)
def test_each_image_is_seen_as_its_boxes_ask(edge: float, count: int, zoom: float) -> None:
    assert float(zoom_of(squares(edge, count), CONFIG)) == zoom


def test_without_a_zoom_images_are_seen_as_they_are() -> None:
    assert float(zoom_of(squares(20, 2), {"diameter": 20.0})) == 1


def test_the_usual_zoom_is_that_of_all_boxes() -> None:
    found = sizes_of([pair(100), pair(104), pair(120)], "YX")
    assert found["zoom"] == 0.5
    assert found["diameter"] == 52


def test_going_on_with_smaller_objects_they_are_seen_as_large_as_before() -> None:
    spec = box_spec(
        "cells",
        {**NETS[2], "channels_in": 1, "kinds": 1},
        classes=("cell",),
        description="For tests.",
        config=CONFIG,
    )
    new = with_zoom(spec, [pair(26), pair(26)])
    assert new.config["zoom"] == 2
    assert new.config["diameter"] == 52
    examples = BoxCourse(new).examples([pair(26), pair(13), pair(26, 2)])
    assert [float(example.zoom) for example in examples] == [2, 4, 2]


def test_a_model_without_a_zoom_can_be_trained_on(box_package: Path, tmp_path: Path) -> None:
    start = read_model(box_package)
    start.spec.config.pop("zoom")
    pairs = [
        BoxPair(AxesArray(np.eye(64, dtype=np.uint8) * 9, "YX"), squares_of("dim"), f"image {at}")
        for at in range(2)
    ]
    params = TrainParams(steps=1, device="cpu")
    model = finished(train_boxes_steps(pairs, params, name="more-discs", start=start))
    assert model.config["zoom"] == 1
    assert "held out" in model.config["scores"]


def squares_of(kind: str) -> Boxes:
    boxes = squares(17)
    return Boxes.of(boxes.corners, [kind] * len(boxes))


@pytest.mark.parametrize("name", ["cell, big", " cell", "cell "])
def test_classes_that_could_not_be_chosen_are_refused(name: str) -> None:
    boxes = Boxes.of([[[0, 0], [9, 9]]], [name])
    image = AxesArray(np.zeros((16, 16)), "YX")
    with pytest.raises(InputError, match="no comma and no blanks at their ends; rename it"):
        check_box_pairs([BoxPair(image, boxes), BoxPair(image, boxes)])
    with pytest.raises(InputError, match="no comma and no blanks"):
        box_spec(
            "cells",
            {**NETS[2], "channels_in": 1, "kinds": 1},
            classes=(name,),
            description="For tests.",
            config=CONFIG,
        )
