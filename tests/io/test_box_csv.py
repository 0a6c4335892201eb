"""Tables of boxes of other programs, and of Shapes layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.layers import Shapes

from napari_medai.core.errors import InputError
from napari_medai.io import box_csv
from napari_medai.io.box_csv import read_boxes_csv
from napari_medai.io.shape_layers import write_shapes_csv

COMMON = """image,split,label,xmin,ymin,xmax,ymax
a.jpg,val,cell,1,2,4,6
b.jpg,train,dot,0,0,2,3
a.jpg,train,dot,5,5,4,6
c.jpg,test,,,,,
"""


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_usual_table_counts_from_the_corner_of_the_first_pixel(tmp_path: Path) -> None:
    found = read_boxes_csv(_write(tmp_path / "a.csv", COMMON))
    one, two, three = found.planes
    assert [plane.image for plane in found.planes] == ["a.jpg", "b.jpg", "c.jpg"]
    assert one.boxes.corners.tolist() == [[[1.5, 0.5], [5.5, 3.5]], [[4.5, 4.5], [5.5, 3.5]]]
    assert one.boxes.kinds.tolist() == ["cell", "dot"]
    assert np.isnan(one.boxes.scores).all()
    assert list(one.rows) == ["line 2", "line 4"]
    assert two.boxes.corners.tolist() == [[[-0.5, -0.5], [2.5, 1.5]]]
    assert len(three.boxes) == 0
    assert not found.unnamed


def test_a_part_of_a_table_is_read(tmp_path: Path) -> None:
    found = read_boxes_csv(_write(tmp_path / "a.csv", COMMON), split="train")
    assert [(plane.image, list(plane.rows)) for plane in found.planes] == [
        ("b.jpg", ["line 3"]),
        ("a.jpg", ["line 4"]),
    ]
    assert found.elsewhere == {"c.jpg"}


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffPath;Class;XMin;YMin;XMax;YMax;Confidence\r\nd/a.png; cell ;1;2;4;6;0.5\r\n",
        "x1\ty1\tx2\ty2\tfilename\tlabel\tscore\n\n1\t2\t4\t6\td/a.png\tcell\t.5\n",
        'conf,confidence,file_name,category,y_min,x_min,y_max,x_max\n9,0.5,"d/a.png",cell,2,1,6,4\n',
    ],
)
def test_columns_are_found_by_name(text: str, tmp_path: Path) -> None:
    (plane,) = read_boxes_csv(_write(tmp_path / "a.csv", text)).planes
    assert plane.image == "d/a.png"
    assert plane.boxes.corners.tolist() == [[[1.5, 0.5], [5.5, 3.5]]]
    assert (plane.boxes.kinds.tolist(), plane.boxes.scores.tolist()) == (["cell"], [0.5])


def test_the_table_of_a_shapes_layer_comes_back(tmp_path: Path) -> None:
    box = np.array([[2.25, 3], [2.25, 9], [6, 9], [6, 3]])
    layer = Shapes(
        [np.insert(box, 0, at, axis=1) for at in (4, 7)],
        shape_type="rectangle",
        features={"class": ["cell", "dot"], "score": [0.25, np.nan]},
    )
    data, attributes, _ = layer.as_layer_data_tuple()
    write_shapes_csv(str(tmp_path / "a.csv"), data, attributes)
    found = read_boxes_csv(tmp_path / "a.csv")
    assert found.unnamed
    assert [(plane.image, plane.position) for plane in found.planes] == [
        ("a", {"Z": 4}),
        ("a", {"Z": 7}),
    ]
    assert found.planes[0].boxes.corners.tolist() == [[[2.25, 3], [6, 9]]]
    assert found.planes[0].boxes.scores.tolist() == [0.25]
    assert np.isnan(found.planes[1].boxes.scores).all()


def test_the_table_of_an_empty_layer_is_of_an_image_without_objects(tmp_path: Path) -> None:
    data, attributes, _ = Shapes(ndim=2).as_layer_data_tuple()
    write_shapes_csv(str(tmp_path / "a.csv"), data, attributes)
    (plane,) = read_boxes_csv(tmp_path / "a.csv").planes
    assert (plane.image, len(plane.boxes), plane.boxes.ndim) == ("a", 0, 2)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a.jpg,1,2,3,4,cell\n", "the columns a.jpg, 1, 2, 3, 4, cell, but image, class, xmin"),
        ("", "the columns -, but"),
        ("label,xmin,ymin,xmax,ymax\n", "the columns label, xmin, .* but image"),
        (COMMON + "a.jpg,val,cell,1,2,4,six\n", "line 6 of .*'six' is not a number"),
        (COMMON + "a.jpg,val,cell,1,2,4,\n", "line 6 of .*'' is not a number"),
        (COMMON + "a.jpg,val,cell,1,2,4\n", "line 6 of .* 6 fields, none for ymax"),
        (COMMON + "a.jpg,val,cell,1,2,4,inf\n", "line 6 of .*'inf' is not a number"),
        (COMMON + ",val,cell,1,2,4,5\n", "line 6 of .* names no image"),
        (COMMON + '"a.jpg,val', "no table .line 6"),
        ("image,z,top,left,bottom,right\na,-1,1,1,2,2\n", "line 2 .*Z must be a whole number"),
        ("image,z,top,left,bottom,right\na,1.5,1,1,2,2\n", "line 2 .*Z must be a whole number"),
        ("image,top,left,bottom,right,score\na,1,1,2,2,high\n", "line 2 .*'high'"),
    ],
)
def test_what_does_not_fit_is_named(text: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=complaint):
        read_boxes_csv(_write(tmp_path / "a.csv", text))


def test_a_part_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no row of the split 'dev'"):
        read_boxes_csv(_write(tmp_path / "a.csv", COMMON), split="dev")
    without = "image,xmin,ymin,xmax,ymax\n"
    with pytest.raises(InputError, match="xmax, ymax and split are needed"):
        read_boxes_csv(_write(tmp_path / "a.csv", without), split="dev")


def test_a_huge_table_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box_csv, "LARGEST_TABLE", 10)
    with pytest.raises(InputError, match="split it by images"):
        read_boxes_csv(_write(tmp_path / "a.csv", COMMON))


@settings(max_examples=200, deadline=None)
@given(end=st.integers(0, len(COMMON)), tail=st.binary(max_size=12))
def test_a_cut_table_never_breaks_the_reader(
    end: int, tail: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.csv"
    path.write_bytes(COMMON.encode()[:end] + tail)
    try:
        found = read_boxes_csv(path)
    except InputError as error:
        problem = str(error)
    else:
        assert all(np.isfinite(plane.boxes.corners).all() for plane in found.planes)
        return
    assert str(path) in problem
