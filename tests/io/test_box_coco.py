"""COCO files of other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medai.core.errors import InputError
from napari_medai.io import coco_file
from napari_medai.io.box_coco import read_boxes_coco

CONTENT: dict[str, Any] = {
    "images": [{"id": 5, "file_name": "a.png", "width": 30, "height": 20}],
    "categories": [{"id": 2, "name": "cell"}],
    "annotations": [{"id": 9, "image_id": 5, "category_id": 2, "bbox": [1, 2, 3, 4]}],
}


def _write(path: Path, **changes: Any) -> Path:
    path.write_text(json.dumps(CONTENT | changes))
    return path


def _one(**changes: Any) -> list[dict[str, Any]]:
    return [CONTENT["annotations"][0] | changes]


def test_boxes_are_read_with_where_they_stand(tmp_path: Path) -> None:
    (plane,) = read_boxes_coco(_write(tmp_path / "a.json")).planes
    assert (plane.image, plane.size, plane.position) == ("a.png", (20, 30), {})
    assert plane.boxes.corners.tolist() == [[[1.5, 0.5], [5.5, 3.5]]]
    assert plane.boxes.kinds.tolist() == ["cell"]
    assert (plane.source, list(plane.rows)) == (tmp_path / "a.json", ["annotation 9"])


def test_a_box_inside_out_is_read_as_it_stands(tmp_path: Path) -> None:
    (plane,) = read_boxes_coco(_write(tmp_path / "a", annotations=_one(bbox=[5, 5, -2, 0]))).planes
    assert plane.boxes.corners.tolist() == [[[4.5, 4.5], [4.5, 2.5]]]


def test_polygons_without_a_box_have_one_around_them(tmp_path: Path) -> None:
    rings = [[1, 1, 4, 1, 4, 3], [2, 2, 8, 2, 8, 9]]
    path = _write(tmp_path / "a", annotations=_one(bbox=None, segmentation=rings))
    assert read_boxes_coco(path).planes[0].boxes.corners.tolist() == [[[0.5, 0.5], [8.5, 7.5]]]


def test_crowds_are_left_out_and_told(tmp_path: Path) -> None:
    found = read_boxes_coco(_write(tmp_path / "a.json", annotations=_one(iscrowd=1)))
    assert len(found.planes[0].boxes) == 0
    assert found.notes == ("a.json: left out 1 crowd, regions of many objects",)


def test_exact_corners_of_a_box_that_was_moved_are_stale(tmp_path: Path) -> None:
    near, far = [[1.5, 0.5], [5.5, 3.5001]], [[1.5, 0.5], [5.5, 4.5]]
    path = _write(tmp_path / "a", annotations=[*_one(corners=near), *_one(id=10, corners=far)])
    right = read_boxes_coco(path).planes[0].boxes.corners[:, 1, 1]
    assert right.tolist() == [pytest.approx(3.5001, abs=1e-6), 3.5]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"annotations": _one(category_id=3)}, "annotation 9 .*category_id 3 is none"),
        ({"annotations": _one(image_id=3)}, "annotation 9 .*3 is missing or unknown"),
        ({"annotations": _one(bbox=[1, 2, 3])}, "annotation 9"),
        ({"annotations": _one(bbox=[1, 2, 3, "wide"])}, "annotation 9 .*'wide' is not a number"),
        ({"annotations": _one(bbox=[1, 2, 3, float("nan")])}, "annotation 9 .*'nan'"),
        ({"annotations": _one(bbox=[1, 2, 3, 1e300])}, "annotation 9 .*1e"),
        ({"annotations": _one(bbox=None)}, "annotation 9"),
        ({"annotations": _one(score="high")}, "annotation 9 .*'high'"),
        ({"annotations": _one(bbox=None, segmentation={"counts": "x", "size": [1, 2]})}, "9"),
        ({"annotations": ["a box"]}, "number 1"),
        ({"annotations": [[]]}, "number 1"),
        ({"annotations": _one() * 2}, "two annotations of the id 9"),
        ({"images": CONTENT["images"] * 2}, "two images of the id 5"),
        ({"categories": CONTENT["categories"] * 2}, "two categories of the id 2"),
        ({"images": [{"id": 5, "position": {"T": -1}}]}, "T must be a whole number"),
        ({"images": [{"id": 5, "position": "first"}]}, "not COCO JSON"),
        ({"images": [{"id": [5]}]}, "not COCO JSON"),
        ({"images": 7}, "not COCO JSON"),
    ],
)
def test_what_does_not_fit_is_named(
    changes: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=complaint):
        read_boxes_coco(_write(tmp_path / "a.json", **changes))


def test_deeply_nested_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match="cannot be read as JSON"):
        read_boxes_coco(tmp_path / "a.json")


def test_a_huge_file_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coco_file, "LARGEST_FILE", 10)
    with pytest.raises(InputError, match="split it by images"):
        read_boxes_coco(_write(tmp_path / "a.json"))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
PARTS = [
    (),
    ("images",),
    ("categories",),
    ("annotations",),
    *(("images", 0, key) for key in ("id", "file_name", "width", "position", "depth")),
    *(("categories", 0, key) for key in ("id", "name")),
    *(
        ("annotations", 0, key)
        for key in (
            *("id", "image_id", "category_id", "bbox", "score", "iscrowd", "corners"),
            *("segmentation", "object", "front"),
        )
    ),
]


@settings(max_examples=300, deadline=None)
@given(where=st.sampled_from(PARTS), what=JSON)
def test_odd_values_never_break_the_reader(
    where: tuple[Any, ...], what: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = json.loads(json.dumps(CONTENT))
    content["images"][0] |= {"position": {"Z": 1}, "depth": 4}
    inner = content
    for key in where[:-1]:
        inner = inner[key]
    if where:
        inner[where[-1]] = what
    path = tmp_path_factory.getbasetemp() / "odd.json"
    path.write_text(json.dumps(content if where else what))
    try:
        found = read_boxes_coco(path)
    except InputError as error:
        problem = str(error)
    else:
        assert sum(len(plane.boxes) for plane in found.planes) <= 1
        return
    assert str(path) in problem


@settings(max_examples=100, deadline=None)
@given(end=st.integers(0, 400), tail=st.binary(max_size=8))
def test_a_cut_file_never_breaks_the_reader(
    end: int, tail: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.json"
    path.write_bytes(json.dumps(CONTENT).encode()[:end] + tail)
    try:
        found = read_boxes_coco(path)
    except InputError as error:
        problem = str(error)
    else:
        assert len(found.planes) == 1
        return
    assert str(path) in problem
