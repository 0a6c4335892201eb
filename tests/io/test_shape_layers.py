from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from napari.layers import Shapes
from npe2 import PluginManager

from napari_medai.core.errors import InputError, RunError
from napari_medai.io.box_coco import read_boxes_coco
from napari_medai.io.box_csv import read_boxes_csv
from napari_medai.io.coco import read_coco
from napari_medai.io.drawn_boxes import drawn_boxes
from napari_medai.io.shape_layers import (
    annotations_of,
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
    found = drawn_boxes(layer.data, layer.shape_type, layer.features, axes="TYX")
    assert found.notes == ("1 lines and paths enclose nothing and were left out",)
    one, other = found.planes("found")
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
    assert drawn_boxes([], [], None, axes="TYX").planes("found") == []


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


def _volumes() -> Shapes:
    """Two boxes of volumes in two frames, and a flat one."""
    spots = [(0, 1), (0, 2), (1, 2), (1, 3), (1, 4), (1, 0)]
    data = [np.insert(BOX + 5 * t, 0, [[t], [z]], axis=1) for t, z in spots]
    table = {"index": [7, 7, 7, 7, 7, 9], "class": ["a"] * 2 + ["b"] * 3 + [None], "note": range(6)}
    labels = ("t", "z", "y", "x")
    return Shapes(data, shape_type="rectangle", features=table, axis_labels=labels, name="found")


@pytest.mark.parametrize("ending", ["csv", "json"])
def test_boxes_of_volumes_come_back(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"found.{ending}"
    write, read = {
        "csv": (write_shapes_csv, read_boxes_csv),
        "json": (write_shapes_coco, read_boxes_coco),
    }[ending]
    write(str(path), *_given(_volumes()))
    one, other = sorted(read(path).planes, key=lambda plane: plane.position["T"])
    assert (one.position, other.position) == ({"T": 0}, {"T": 1})
    assert one.boxes.corners.tolist() == [[[0.5, 2, 3], [2.5, 6, 9]]]
    assert other.boxes.corners.tolist() == [
        [[1.5, 7, 8], [4.5, 11, 14]],
        [[-0.5, 7, 8], [0.5, 11, 14]],
    ]
    assert (one.boxes.kinds.tolist(), other.boxes.kinds.tolist()) == (["a"], ["b", ""])


def test_a_table_keeps_the_index(tmp_path: Path) -> None:
    write_shapes_csv(str(tmp_path / "a.csv"), *_given(_volumes()))
    flat = _layer((BOX, "rectangle"), (BOX, "rectangle"), features={"index": [4, np.nan]})
    write_shapes_csv(str(tmp_path / "b.csv"), *_given(flat))
    rows = []
    for name in ("a.csv", "b.csv"):
        with (tmp_path / name).open(newline="") as file:
            rows.append(list(csv.DictReader(file)))
    assert [(row["index"], row["note"]) for row in rows[0]] == [("7", "0"), ("7", "2"), ("9", "5")]
    assert [row["index"] for row in rows[1]] == ["4", ""]


def test_a_result_of_a_region_is_saved_in_pixels_of_the_image(tmp_path: Path) -> None:
    window = {"T": [4, 6], "Y": [100, 200], "X": [None, 50], "C": [1, 2]}
    record = {"source": {"axes": "CTYX", "window": window}}
    layer = _layer(
        (np.insert(BOX, 0, 1, axis=1), "rectangle"), metadata={"medai": record}, name="found"
    )
    write_shapes_csv(str(tmp_path / "a.csv"), *_given(layer))
    write_shapes_coco(str(tmp_path / "a.json"), *_given(layer))
    for (plane,) in (
        read_boxes_csv(tmp_path / "a.csv").planes,
        read_boxes_coco(tmp_path / "a.json").planes,
    ):
        assert plane.position == {"T": 5}
        assert plane.boxes.corners.tolist() == [[[102, 3], [106, 9]]]


@pytest.mark.parametrize("empty", [None, np.nan, pd.NA])
def test_shapes_without_a_class_are_saved_without_one(empty: object, tmp_path: Path) -> None:
    table = {"class": pd.Series(["cell", empty], dtype=object)}
    layer = _layer((BOX, "rectangle"), (BOX, "rectangle"), features=table)
    assert [one.kind for one in annotations_of(*_given(layer)).outlines] == ["cell", ""]
    write_shapes_csv(str(tmp_path / "a.csv"), *_given(layer))
    (plane,) = read_boxes_csv(tmp_path / "a.csv").planes
    assert plane.boxes.kinds.tolist() == ["cell", ""]


def test_an_empty_layer_is_an_empty_table(tmp_path: Path) -> None:
    write_shapes_csv(str(tmp_path / "a.csv"), *_given(Shapes(ndim=2)))
    assert (tmp_path / "a.csv").read_text().split() == ["index,top,left,bottom,right"]


def test_napari_says_why_a_layer_cannot_be_saved(tmp_path: Path) -> None:
    layer = _layer((np.insert(BOX, 0, [0, 0, 3, 3], axis=1), "polygon"))
    PluginManager.instance().discover()
    with pytest.raises(RunError, match="draw it again in one plane"):
        layer.save(str(tmp_path / "a.json"), plugin="napari-medai")
    assert not list(tmp_path.iterdir())
