from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_medai.core.boxes import Outline, box_outline
from napari_medai.core.errors import InputError
from napari_medai.io import coco_file
from napari_medai.io.coco import Annotations, read_coco, write_coco

TRIANGLE = Outline(np.array([[2.0, 3], [8, 3], [8, 11]]), (1,), "odd", None)
STACK = Annotations(
    (box_outline(1.5, 2, 6, 9.25, position=(0,), kind="cell", score=0.75), TRIANGLE), "T", (20, 30)
)


def _same(one: Outline, other: Outline) -> bool:
    alike = (one.position, one.kind, one.score) == (other.position, other.kind, other.score)
    return alike and np.array_equal(one.points, other.points)


def test_a_file_counts_from_the_corner_of_the_first_pixel(tmp_path: Path) -> None:
    # The pixels of rows 1 and 2 and columns 3 to 6, whole.
    box = box_outline(0.5, 2.5, 2.5, 6.5, kind="cell")
    path = write_coco(tmp_path / "a.json", Annotations((box,), size=(10, 12)))
    content = json.loads(path.read_text())
    (one,) = content["annotations"]
    assert one["bbox"] == [3, 1, 4, 2]
    assert one["area"] == 8
    assert (content["images"][0]["height"], content["images"][0]["width"]) == (10, 12)
    assert content["categories"] == [{"id": 1, "name": "cell"}]


def test_outlines_come_back_as_they_were(tmp_path: Path) -> None:
    path = write_coco(tmp_path / "a.json", STACK, name="movie")
    found = read_coco(path)
    assert list(found) == ["movie"]
    assert (found["movie"].axes, found["movie"].size) == ("T", (20, 30))
    assert all(map(_same, found["movie"].outlines, STACK.outlines))
    assert read_coco(write_coco(tmp_path / "b.json", found["movie"], name="movie")) is not None
    assert (tmp_path / "b.json").read_bytes() == path.read_bytes()


def test_no_class_and_no_size_come_back_as_none(tmp_path: Path) -> None:
    shapes = (box_outline(1, 2, 6, 9), box_outline(1, 2, 6, 9, kind="object"))
    found = read_coco(write_coco(tmp_path / "a.json", Annotations(shapes)))["a"]
    assert [outline.kind for outline in found.outlines] == ["", "object"]
    assert found.size is None
    content = json.loads((tmp_path / "a.json").read_text())
    assert [kind["name"] for kind in content["categories"]] == ["object", "object"]
    assert (content["images"][0]["height"], content["images"][0]["width"]) == (7, 10)


def test_nothing_drawn_is_a_file_without_annotations(tmp_path: Path) -> None:
    path = write_coco(tmp_path / "a.json", Annotations(()))
    assert json.loads(path.read_text())["annotations"] == []
    assert read_coco(path)["a"].outlines == ()


def _content(**changes: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "images": [{"id": 5, "file_name": "a.png"}],
        "categories": [{"id": 2, "name": "cell"}],
        "annotations": [{"id": 9, "image_id": 5, "category_id": 2, "bbox": [1, 2, 3, 4]}],
    }
    return whole | changes


def test_a_file_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(_content()))
    (outline,) = read_coco(path)["a.png"].outlines
    assert outline.box == (1.5, 0.5, 5.5, 3.5)
    assert outline.is_box
    assert outline.kind == "cell"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"annotations": [{"id": 9, "image_id": 6, "category_id": 2, "bbox": [1, 2, 3, 4]}]}, "9"),
        ({"annotations": [{"id": 9, "image_id": 5, "category_id": 3, "bbox": [1, 2, 3, 4]}]}, "9"),
        ({"annotations": [{"image_id": 5, "category_id": 2, "bbox": [1, 2, -3, 4]}]}, "number 1"),
        ({"annotations": [{"image_id": 5, "category_id": 2, "bbox": [1, 2, 3]}]}, "number 1"),
        ({"annotations": [{"id": 9, "image_id": 5, "category_id": 2, "bbox": 7}]}, "9"),
        ({"annotations": [{"id": 1}] * 2}, "two annotations of the id 1"),
        ({"images": [{"id": 5}, {"id": 5}]}, "two images of the id 5"),
        ({"images": None}, "not COCO JSON"),
    ],
)
def test_what_does_not_fit_is_named(
    changes: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(_content(**changes)))
    with pytest.raises(InputError, match=complaint):
        read_coco(path)


@pytest.mark.parametrize("text", ["{", "[]", "7"])
def test_what_is_no_coco_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"cannot be read as JSON|is not COCO JSON"):
        read_coco(path)


def test_a_huge_file_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coco_file, "LARGEST_FILE", 10)
    path = write_coco(tmp_path / "a.json", STACK)
    with pytest.raises(InputError, match="split it by images"):
        read_coco(path)


def test_nothing_is_overwritten_silently(tmp_path: Path) -> None:
    path = write_coco(tmp_path / "a.json", STACK)
    with pytest.raises(InputError, match="exists"):
        write_coco(path, Annotations(()))
    assert len(json.loads(path.read_text())["annotations"]) == 2


def test_a_box_inside_out_is_refused() -> None:
    with pytest.raises(InputError, match="top above its bottom"):
        box_outline(3, 0, 2, 1)
