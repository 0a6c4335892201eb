"""Boxes of many images written as COCO JSON and as a table come back as they were."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medai.core.boxes import Boxes
from napari_medai.core.errors import InputError
from napari_medai.io.box_coco import read_boxes_coco, write_boxes_coco
from napari_medai.io.box_csv import read_boxes_csv, write_boxes_csv
from napari_medai.io.box_plane import BoxPlane

FORMATS = [(write_boxes_coco, read_boxes_coco), (write_boxes_csv, read_boxes_csv)]
IDS = ["coco", "csv"]
# numpy's texts end before a NUL; file systems have no other halves of surrogates.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@st.composite
def _boxes(draw: st.DrawFn, ndim: int) -> Boxes:
    count = draw(st.integers(0, 4))
    numbers = st.floats(-1e6, 1e6, width=32) | st.floats(-1, 1, width=32)
    corners = draw(hnp.arrays(np.float32, (count, 2, ndim), elements=numbers))
    # A 3D box is an image in each of its slices: few of them.
    if ndim == 3:
        corners[..., 0] = np.sort(np.mod(corners[..., 0], 9), axis=1)
        corners[..., 1:] = np.sort(corners[..., 1:], axis=1)
    scores = draw(hnp.arrays(np.float32, count, elements=st.floats(0, 1, width=32)))
    scores[draw(hnp.arrays(bool, count))] = np.nan
    return Boxes.of(
        corners, draw(st.lists(TEXT, min_size=count, max_size=count)), scores, ndim=ndim
    )


@st.composite
def _planes(draw: st.DrawFn) -> list[BoxPlane]:
    ndim = draw(st.sampled_from([2, 3]))
    axes = draw(st.sampled_from(["", "T", "TC" if ndim == 3 else "TZ"]))
    names = st.tuples(TEXT.filter(str.strip), *(st.integers(0, 99) for _ in axes))
    sized = draw(st.booleans())
    return [
        BoxPlane(
            name,
            draw(_boxes(ndim)),
            dict(zip(axes, position, strict=True)),
            (20, 40, 50)[3 - ndim :] if sized else None,
        )
        for name, *position in draw(st.lists(names, unique=True, max_size=4))
    ]


def _told(plane: BoxPlane, *, sizes: bool) -> tuple[Any, ...]:
    boxes = plane.boxes
    scores = [None if np.isnan(score) else score for score in boxes.scores.tolist()]
    position = list(plane.position.items())
    size = plane.size if sizes else None
    corners = (boxes.corners.shape, boxes.corners.tobytes())
    return (plane.image, position, size, corners, boxes.kinds.tolist(), scores)


@pytest.mark.parametrize(("write", "read"), FORMATS, ids=IDS)
@settings(max_examples=60, deadline=None)
@given(planes=_planes())
def test_boxes_come_back_bit_for_bit(
    write: Callable[..., Path],
    read: Callable[..., Any],
    planes: list[BoxPlane],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("boxes")
    path = write(folder / "a", planes)
    found = read(path)
    sizes = write is write_boxes_coco
    assert [_told(one, sizes=sizes) for one in found.planes] == [
        _told(one, sizes=sizes) for one in planes
    ]
    assert all(one.boxes.corners.dtype == np.float32 for one in found.planes)
    assert found.notes == ()
    again = write(folder / "b", found.planes)
    if sizes:
        assert again.read_bytes() == path.read_bytes()


# The pixels of rows 1 and 2 and columns 3 to 6, whole.
CELL = Boxes.of([[[0.5, 2.5], [2.5, 6.5]]], ["cell"], [0.75])
SOLID = Boxes.of([[[0.5, 1, 2], [2.5, 6, 9]], [[1.7, 0, 0], [1.9, 4, 4]]], ["a", "b"], [0.5, 0.25])


def test_coco_counts_from_the_corner_of_the_first_pixel(tmp_path: Path) -> None:
    planes = [BoxPlane("a.png", CELL, size=(10, 12)), BoxPlane("b.png", Boxes.of([]), size=(5, 6))]
    content = json.loads(write_boxes_coco(tmp_path / "a.json", planes).read_text())
    (one,) = content["annotations"]
    assert one["bbox"] == [3, 1, 4, 2]
    assert (one["area"], one["score"], one["image_id"]) == (8, 0.75, 1)
    assert content["images"] == [
        {"id": 1, "file_name": "a.png", "height": 10, "width": 12},
        {"id": 2, "file_name": "b.png", "height": 5, "width": 6},
    ]
    assert content["categories"] == [{"id": 1, "name": "cell"}]


def test_a_box_in_a_volume_is_a_rectangle_in_each_slice(tmp_path: Path) -> None:
    path = write_boxes_coco(tmp_path / "a.json", [BoxPlane("v", SOLID, {"T": 3}, (4, 10, 12))])
    content = json.loads(path.read_text())
    names = {image["id"]: image["file_name"] for image in content["images"]}
    assert list(names.values()) == ["v#T3#Z0", "v#T3#Z1", "v#T3#Z2", "v#T3#Z3"]
    found = [(names[one["image_id"]], one["object"]) for one in content["annotations"]]
    # The second holds no slice's centre and lies in the nearest.
    assert found == [("v#T3#Z1", 1), ("v#T3#Z2", 1), ("v#T3#Z2", 2)]
    assert content["annotations"][0]["bbox"] == [2.5, 1.5, 7, 5]


def test_a_rectangle_widened_by_another_program_widens_its_box(tmp_path: Path) -> None:
    path = write_boxes_coco(tmp_path / "a.json", [BoxPlane("v", SOLID, size=(4, 10, 12))])
    content = json.loads(path.read_text())
    content["annotations"][1]["bbox"][2] += 2
    path.write_text(json.dumps(content))
    (plane,) = read_boxes_coco(path).planes
    assert plane.boxes.corners[0].tolist() == [[0.5, 1, 2], [2.5, 6, 11]]


def test_pycocotools_reads_what_is_written(tmp_path: Path) -> None:
    pycocotools = pytest.importorskip("pycocotools.coco")
    planes = [
        BoxPlane("a.png", CELL, size=(10, 12)),
        BoxPlane("b.png", Boxes.of([]), size=(5, 6)),
        BoxPlane("m", CELL, {"T": 2}, size=(5, 6)),
    ]
    coco = pycocotools.COCO(str(write_boxes_coco(tmp_path / "a.json", planes)))
    assert [image["file_name"] for image in coco.loadImgs(coco.getImgIds())] == [
        "a.png",
        "b.png",
        "m#T2",
    ]
    assert [len(coco.getAnnIds(imgIds=[n])) for n in (1, 2, 3)] == [1, 0, 1]
    assert coco.loadAnns(coco.getAnnIds(catIds=coco.getCatIds(["cell"])))[0]["bbox"] == [3, 1, 4, 2]
    found = coco.loadRes([{"image_id": 1, "category_id": 1, "bbox": [3, 1, 4, 2], "score": 0.5}])
    assert len(found.getAnnIds()) == 1


def test_a_table_is_readable(tmp_path: Path) -> None:
    planes = [BoxPlane("m", CELL, {"T": 2}), BoxPlane("n", Boxes.of([]), {"Z": 1})]
    with write_boxes_csv(tmp_path / "a.csv", planes).open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == [
        "image",
        "index",
        "t",
        "z",
        "top",
        "left",
        "bottom",
        "right",
        "class",
        "score",
    ]
    assert rows[1] == ["m", "1", "2", "", "0.5", "2.5", "2.5", "6.5", "cell", "0.75"]
    assert rows[2] == ["n", "", "", "1", "", "", "", "", "", ""]


def test_a_table_of_volumes_has_front_and_back(tmp_path: Path) -> None:
    path = write_boxes_csv(tmp_path / "a.csv", [BoxPlane("v", SOLID)])
    assert path.read_text().split()[:2] == [
        "image,index,front,top,left,back,bottom,right,class,score",
        "v,1,0.5,1.0,2.0,2.5,6.0,9.0,a,0.5",
    ]


@pytest.mark.parametrize("write", [write_boxes_coco, write_boxes_csv], ids=IDS)
@pytest.mark.parametrize(
    ("planes", "complaint"),
    [
        ([BoxPlane("a", CELL), BoxPlane("a", CELL)], "'a' twice"),
        ([BoxPlane(" ", CELL)], "as a name"),
        ([BoxPlane("a", CELL), BoxPlane("b", SOLID)], "cannot share a file"),
        ([BoxPlane("a", CELL, {"X": 1})], "axes that its boxes lack"),
        ([BoxPlane("a", CELL, {"TT": 1})], "one capital letter"),
        ([BoxPlane("a", CELL, {"T": -1})], "whole number from 0"),
        ([BoxPlane("a", CELL, size=(1, 2, 3))], "the size"),
        ([BoxPlane("a", Boxes.of([[[0, 0], [1, 1]]], ["k" * 300]))], "has 300 letters"),
        ([BoxPlane("a", Boxes.of([[[0, 0], [np.inf, 1]]]))], "not a number"),
    ],
)
def test_what_could_not_be_read_again_is_not_written(
    write: Callable[..., Path], planes: Sequence[BoxPlane], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=complaint):
        write(tmp_path / "a", planes)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("write", [write_boxes_coco, write_boxes_csv], ids=IDS)
def test_nothing_is_overwritten_silently(write: Callable[..., Path], tmp_path: Path) -> None:
    path = write(tmp_path / "a", [BoxPlane("a", CELL)])
    before = path.read_bytes()
    with pytest.raises(InputError, match="exists"):
        write(path, [])
    assert path.read_bytes() == before
    assert write(path, [], overwrite=True).read_bytes() != before
