"""What people draw around objects becomes boxes to learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from napari.layers import Image, Labels, Points, Shapes
from PIL import Image as Picture

import napari_medai as medai
from napari_medai.core.axes import AxesArray
from napari_medai.core.boxes import Boxes
from napari_medai.core.errors import InputError
from napari_medai.core.steps import finished
from napari_medai.scripting.box_pairs import box_pairs
from napari_medai.tasks.detect import DetectParams, detect_steps
from napari_medai.tasks.label_boxes import boxes_of_labels
from napari_medai.ui.box_layers import shapes_layer
from napari_medai.ui.layers import array_from_layer, place_of

PLANE = np.zeros((20, 30), np.uint8)
BOX = [[2.5, 3.5], [2.5, 9.5], [7.5, 9.5], [7.5, 3.5]]
CORNERS = [[[2.5, 3.5], [7.5, 9.5]]]


def told(pairs: list[Any]) -> list[tuple[str, list[Any], list[str]]]:
    return [(p.name, p.boxes.corners.tolist(), p.boxes.kinds.tolist()) for p in pairs]


def labels() -> np.ndarray:
    drawn = np.zeros(PLANE.shape, int)
    drawn[3:8, 4:10] = 5
    return drawn


@pytest.mark.parametrize(
    "drawn",
    [
        Shapes([BOX], shape_type="rectangle"),
        Shapes([BOX], shape_type="polygon"),
        Labels(labels()),
        labels(),
        labels() > 0,
        Boxes.of(CORNERS),
        np.array([[2.5, 3.5, 7.5, 9.5]]),
        [[2.5, 3.5, 7.5, 9.5]],
    ],
)
def test_whatever_is_drawn_gives_the_same_boxes(drawn: Any) -> None:
    pairs, notes = box_pairs([PLANE], [drawn])
    assert told(pairs) == [("image 1", CORNERS, ["object"])]
    assert notes == ()


def test_classes_come_from_features() -> None:
    two = labels()
    two[15:18, 20:25] = 7
    table = pd.DataFrame({"index": [7, 5], "class": ["WBC", "RBC"]})
    shapes = Shapes(
        [BOX, np.add(BOX, 10)], shape_type="rectangle", features={"class": ["RBC", "WBC"]}
    )
    pairs, _ = box_pairs([PLANE, PLANE], [Labels(two, features=table), shapes])
    assert [kinds for _, _, kinds in told(pairs)] == [["RBC", "WBC"], ["RBC", "WBC"]]
    fewer, notes = box_pairs([PLANE, PLANE], [Labels(two, features=table), shapes], classes=["WBC"])
    assert [kinds for _, _, kinds in told(fewer)] == [["WBC"], ["WBC"]]
    assert notes == ("2 boxes of other classes (RBC) were left out",)
    with pytest.raises(InputError, match="no box is of the class 'platelet'; they are of RBC, WBC"):
        box_pairs([PLANE], [shapes], classes=["platelet"])


def test_shapes_are_found_where_the_image_lies() -> None:
    image = Image(PLANE, scale=(2, 4), translate=(10, 20))
    world = np.array(BOX) * (2, 4) + (10, 20)
    pairs, _ = box_pairs([image], [Shapes([world], shape_type="rectangle")])
    np.testing.assert_allclose(pairs[0].boxes.corners, CORNERS, atol=1e-5)


def test_frames_of_a_movie_are_images_of_one_source() -> None:
    film = Image(np.stack([PLANE] * 3), axis_labels=("t", "y", "x"), name="film")
    drawn = np.stack([labels(), 0 * labels(), labels()])
    pairs, notes = box_pairs([film], [drawn])
    assert [(name, len(found)) for name, found, _ in told(pairs)] == [
        ("film, t 0", 1),
        ("film, t 1", 0),
        ("film, t 2", 1),
    ]
    assert {pair.source for pair in pairs} == {"1: film"}
    assert {pair.image.axes for pair in pairs} == {"YX"}
    shape = np.insert(np.array(BOX), 0, 2, axis=1)
    pairs, notes = box_pairs([film], [Shapes([shape], shape_type="rectangle")])
    assert told(pairs) == [("film, t 2", CORNERS, ["object"])]
    assert notes == ("2 of 3 frames of film have no shape; left out",)


def test_boxes_of_volumes() -> None:
    solid = np.zeros((6, 20, 30), int)
    solid[1:4, 3:8, 4:10] = 9
    corners = [[[0.5, 2.5, 3.5], [3.5, 7.5, 9.5]]]
    volume = np.zeros(solid.shape, np.uint8)
    slices = [np.insert(np.array(BOX), 0, z, axis=1) for z in (1, 2, 3)]
    table = {"index": [4, 4, 4], "class": ["node"] * 3}
    shapes = Shapes(slices, shape_type="rectangle", features=table)
    pairs, _ = box_pairs([volume] * 3, [solid, shapes, [[0.5, 2.5, 3.5, 3.5, 7.5, 9.5]]])
    assert [found for _, found, _ in told(pairs)] == [corners] * 3
    assert [kinds for _, _, kinds in told(pairs)] == [["object"], ["node"], ["object"]]
    with pytest.raises(InputError, match="have no feature 'index'"):
        box_pairs([volume], [Shapes(slices, shape_type="rectangle")])


def test_the_index_of_an_object_counts_in_its_own_frame() -> None:
    film = np.zeros((2, 6, 40, 40), np.uint8)
    drawn = np.zeros(film.shape, int)
    drawn[0, 1:3, 5:15, 5:15] = 1
    drawn[1, 2:5, 25:35, 25:35] = 1
    source = Image(film, axis_labels=("t", "z", "y", "x"), name="film")
    layer = Labels(drawn, axis_labels=("t", "z", "y", "x"))
    shapes = shapes_layer(boxes_of_labels(array_from_layer(layer), {}), place_of(layer))
    pairs, _ = box_pairs([source], [shapes])
    assert [(name, found) for name, found, _ in told(pairs)] == [
        ("film, t 0", [[[0.5, 4.5, 4.5], [2.5, 14.5, 14.5]]]),
        ("film, t 1", [[[1.5, 24.5, 24.5], [4.5, 34.5, 34.5]]]),
    ]


def test_a_rectangle_without_an_index_is_an_object_of_its_own() -> None:
    slices = [np.insert(np.array(BOX), 0, z, axis=1) for z in (1, 2, 4)]
    kinds = pd.Series(["node", "node", np.nan], dtype=object)
    table = {"index": [4, 4, np.nan], "class": kinds}
    shapes = Shapes(slices, shape_type="rectangle", features=table)
    pairs, _ = box_pairs([np.zeros((6, 20, 30), np.uint8)], [shapes])
    ((_, found, names),) = told(pairs)
    assert [(low[0], high[0]) for low, high in found] == [(0.5, 2.5), (3.5, 4.5)]
    assert names == ["node", "object"]


def test_fields_without_a_value_are_no_class() -> None:
    two = labels()
    two[15:18, 20:25] = 7
    table = pd.DataFrame({"index": [7, np.nan, 5], "class": [None, "odd", "RBC"]})
    shapes = Shapes([BOX], features={"class": pd.Series([pd.NA], dtype="string")})
    pairs, _ = box_pairs([PLANE, PLANE], [Labels(two, features=table), shapes])
    assert [kinds for _, _, kinds in told(pairs)] == [["RBC", "object"], ["object"]]


def test_shapes_may_have_other_units_than_their_image() -> None:
    image = Image(PLANE, scale=(2, 4), translate=(10, 20), units="um")
    world = (np.array(BOX) * (2, 4) + (10, 20)) * 1000
    pairs, _ = box_pairs([image], [Shapes([world], shape_type="rectangle", units="nm")])
    np.testing.assert_allclose(pairs[0].boxes.corners, CORNERS, atol=1e-4)


def test_flat_shapes_stand_for_all_frames_and_slices() -> None:
    film = Image(np.stack([PLANE] * 2), axis_labels=("t", "y", "x"), name="film")
    for image in (film, AxesArray(film.data, "TYX")):
        pairs, notes = box_pairs([image], [Shapes([BOX])])
        assert [found for _, found, _ in told(pairs)] == [CORNERS] * 2
        assert notes == ()
    pairs, _ = box_pairs([np.stack([PLANE] * 4)], [Shapes([BOX])])
    assert told(pairs)[0][1] == [[[-0.5, 2.5, 3.5], [3.5, 7.5, 9.5]]]


def test_boxes_of_no_use_are_told_and_left_out() -> None:
    given = [[2, 3, 7, 9], [5, 5, 5, 9], [50, 50, 60, 60], [-4, 2, 6, 8]]
    pairs, notes = box_pairs([PLANE], [given])
    assert pairs[0].boxes.corners.tolist() == [[[2, 3], [7, 9]], [[-0.5, 2], [6, 8]]]
    assert notes == ("image 1: skipped 2 boxes, box 2 (no area), box 3 (outside image 1)",)


def test_an_image_without_objects() -> None:
    pairs, notes = box_pairs([PLANE] * 3, [Shapes(ndim=2), np.zeros((0, 4)), 0 * labels()])
    assert [len(pair.boxes) for pair in pairs] == [0, 0, 0]
    assert notes == ()


def test_a_table_of_files(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        Picture.fromarray(PLANE).save(tmp_path / name)
    table = tmp_path / "boxes.csv"
    rows = ["image,class,xmin,ymin,xmax,ymax", "a.png,RBC,4,3,10,8", "b.png,,9,9,9,12"]
    table.write_text("\n".join([*rows, "b.png,,4,3,10,8"]))
    pairs, notes = box_pairs(str(tmp_path), table)
    assert told(pairs) == [("a.png", CORNERS, ["RBC"]), ("b.png", CORNERS, ["object"])]
    assert notes[0] == "boxes.csv: skipped 1 box, line 3 (no area)"
    assert "c.png" in notes[1]
    table.write_text("\n".join([*rows, "z.png,,4,3,10,8"]))
    with pytest.raises(InputError, match=r"1 of 3 images that .* names are missing \(z\.png\)"):
        box_pairs(tmp_path, table)


@pytest.mark.parametrize(
    ("images", "drawn", "sentence"),
    [
        ([PLANE], [], "1 images and 0 sets of boxes"),
        ([PLANE], [Points(np.zeros((3, 2)), name="dots")], "'dots' is a Points layer"),
        ([PLANE], [np.zeros((4, 5))], "numbers \\(n, 4\\) of top, left, bottom, right"),
        ([PLANE], [Labels(np.zeros((5, 5), int))], "has shape|have shape \\(5, 5\\)"),
        ([PLANE], [Boxes.of([], ndim=3)], "have 3 axes, but it has 2"),
        ([PLANE], [Shapes([np.insert(BOX, 0, 1, axis=1)], name="deep")], "'deep' have 3 axes"),
        ("nowhere", [PLANE], "two folders, or two lists"),
    ],
)
def test_bad_input(images: Any, drawn: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        box_pairs(images, drawn)


def test_a_movie_needs_to_know_its_frames() -> None:
    film = Image(np.stack([PLANE] * 2), axis_labels=("t", "y", "x"), name="film")
    with pytest.raises(InputError, match="film has several frames"):
        box_pairs([film], [np.array([[2, 3, 7, 9]])])


def test_a_model_is_trained_and_used_by_its_name(
    blobs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDAI_MODELS", str(tmp_path))
    images, boxes = zip(*(blobs(seed=seed) for seed in range(3)), strict=True)
    drawn: list[Any] = list(boxes)
    drawn[0] = Boxes.of([*boxes[0].corners, [[1, 1], [1, 5]]], [*boxes[0].kinds.tolist(), "dim"])
    how: dict[str, Any] = {"steps": 1, "batch": 1, "device": "cpu"}
    with pytest.warns(UserWarning, match="image 1: skipped 1 box, box 10 \\(no area\\)") as warned:
        model = medai.train("detect", list(images), drawn, name="mine", **how)
    assert warned[0].filename == __file__
    assert model.task == "detect"
    assert [one["name"] for one in model.config["classes"]] == ["bright", "dim"]
    assert "mine" in [one.name for one in medai.models("detect")]
    params = DetectParams(device="cpu", diameter=17)
    found = finished(detect_steps(AxesArray(images[0], "YX"), model, params))
    assert list(found.classes) == ["bright", "dim"]
    with pytest.raises(InputError, match="window and mirror are for segmentation"):
        medai.train("detect", list(images), list(boxes), name="other", mirror="X")
    with pytest.raises(InputError, match="keeps its own classes"):
        medai.train("detect", [PLANE] * 2, [labels()] * 2, name="other", start="mine", **how)
