from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from napari.layers import Shapes
from npe2 import PluginManager

from napari_medai.core.errors import InputError, RunError
from napari_medai.io.coco import read_coco
from napari_medai.io.shape_layers import (
    annotations_of,
    boxes_of_shapes,
    write_shapes_coco,
    write_shapes_csv,
)

BOX = np.array([[2.0, 3], [2, 9], [6, 9], [6, 3]])


def _layer(*shapes: tuple[np.ndarray, str], **options: object) -> Shapes:
    return Shapes(
        [points for points, _ in shapes], shape_type=[kind for _, kind in shapes], **options
    )


def _given(layer: Shapes) -> tuple[object, dict[str, object]]:
    data, attributes, _ = layer.as_layer_data_tuple()
    return data, attributes


def test_a_layer_is_saved_as_coco(tmp_path: Path) -> None:
    layer = _layer(
        (BOX, "rectangle"),
        (BOX[:3], "polygon"),
        features={"class": ["cell", "debris"], "score": [0.5, np.nan]},
        name="found",
    )
    write_shapes_coco(str(tmp_path / "a.json"), *_given(layer))
    box, polygon = read_coco(tmp_path / "a.json")["found"].outlines
    assert box.is_box
    assert (box.box, box.kind, box.score) == ((2, 3, 6, 9), "cell", 0.5)
    assert np.array_equal(polygon.points, BOX[:3])
    assert (polygon.kind, polygon.score) == ("debris", None)


def test_planes_are_images_of_their_own(tmp_path: Path) -> None:
    frames = [np.insert(BOX, 0, at, axis=1) for at in (0, 4)]
    layer = _layer(*((frame, "rectangle") for frame in frames), axis_labels=("t", "y", "x"))
    found = annotations_of(*_given(layer))
    assert found.axes == "T"
    assert [outline.position for outline in found.outlines] == [(0,), (4,)]


def test_an_ellipse_is_followed(tmp_path: Path) -> None:
    (outline,) = annotations_of(*_given(_layer((BOX, "ellipse")))).outlines
    assert outline.box == pytest.approx((2, 3, 6, 9))
    assert outline.area == pytest.approx(np.pi * 2 * 3, rel=0.01)


def test_lines_enclose_nothing() -> None:
    layer = _layer((BOX[:2], "line"), (BOX, "rectangle"))
    with pytest.warns(UserWarning, match="enclose nothing"):
        found = annotations_of(*_given(layer))
    assert [outline.box for outline in found.outlines] == [(2, 3, 6, 9)]


def test_a_shape_through_several_planes_is_refused() -> None:
    slanted = np.insert(BOX, 0, [0, 0, 3, 3], axis=1)
    with pytest.raises(InputError, match="several planes"):
        annotations_of(*_given(_layer((slanted, "polygon"))))


def test_boxes_of_a_layer_by_plane() -> None:
    shapes = [np.insert(BOX + at, 0, plane, axis=1) for at, plane in ((0, 4), (1, 2), (2, 4))]
    layer = _layer(
        (shapes[0], "rectangle"),
        (shapes[1][:2], "line"),
        (shapes[1], "polygon"),
        (shapes[2], "ellipse"),
        features={"class": ["cell", "?", "dot", "cell"], "score": [0.5, 0, np.nan, 0.25]},
        axis_labels=("t", "y", "x"),
        name="found",
    )
    (one, other), notes = boxes_of_shapes(*_given(layer))
    assert notes == ("1 lines and paths enclose nothing and were left out",)
    assert [(plane.image, plane.position) for plane in (one, other)] == [
        ("found", {"T": 2}),
        ("found", {"T": 4}),
    ]
    assert one.boxes.corners.tolist() == [[[3, 4], [7, 10]]]
    assert np.isnan(one.boxes.scores).all()
    assert other.boxes.corners.tolist() == [[[2, 3], [6, 9]], [[4, 5], [8, 11]]]
    assert (other.boxes.kinds.tolist(), other.boxes.scores.tolist()) == (["cell"] * 2, [0.5, 0.25])
    assert (list(one.rows), list(other.rows)) == (["shape 3"], ["shape 1", "shape 4"])


def test_a_layer_without_shapes_has_no_boxes() -> None:
    assert boxes_of_shapes(*_given(Shapes(ndim=3))) == ([], ())


def test_boxes_as_a_table(tmp_path: Path) -> None:
    layer = _layer(
        (np.insert(BOX, 0, 7, axis=1), "rectangle"),
        features={"class": ["cell"], "score": [0.25], "note": ["odd"]},
    )
    write_shapes_csv(str(tmp_path / "a.csv"), *_given(layer))
    with (tmp_path / "a.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row == {
        "index": "1",
        "z": "7",
        "top": "2.0",
        "left": "3.0",
        "bottom": "6.0",
        "right": "9.0",
        "class": "cell",
        "score": "0.25",
        "note": "odd",
    }


def test_an_empty_layer_is_an_empty_table(tmp_path: Path) -> None:
    write_shapes_csv(str(tmp_path / "a.csv"), *_given(Shapes(ndim=2)))
    assert (tmp_path / "a.csv").read_text().split() == ["index,top,left,bottom,right"]


def test_napari_says_why_a_layer_cannot_be_saved(tmp_path: Path) -> None:
    layer = _layer((np.insert(BOX, 0, [0, 0, 3, 3], axis=1), "polygon"))
    PluginManager.instance().discover()
    with pytest.raises(RunError, match="draw it again in one plane"):
        layer.save(str(tmp_path / "a.json"), plugin="napari-medai")
    assert not list(tmp_path.iterdir())
