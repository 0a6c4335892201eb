from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from napari_medai.core.errors import InputError
from napari_medai.io import yolo
from napari_medai.io.image_index import ImageIndex
from napari_medai.io.yolo import read_yolo


@pytest.fixture
def images(tmp_path: Path) -> ImageIndex:
    """One image of 20 rows and 40 columns."""
    (tmp_path / "images").mkdir()
    Image.new("L", (40, 20)).save(tmp_path / "images" / "a.png")
    return ImageIndex.of(tmp_path / "images")


def _labels(folder: Path, text: str) -> Path:
    labels = folder / "set" / "labels" / "train"
    labels.mkdir(parents=True, exist_ok=True)
    (labels / "a.txt").write_text(text)
    return labels


def test_fractions_become_pixels(images: ImageIndex, tmp_path: Path) -> None:
    labels = _labels(tmp_path, "1 0.5 0.5 1 1\n\n0 0.125 0.25 0.05 0.1 0.75\n")
    found = read_yolo(labels, images)
    (plane,) = found.planes
    corners = [[[-0.5, -0.5], [19.5, 39.5]], [[3.5, 3.5], [5.5, 5.5]]]
    assert np.allclose(plane.boxes.corners, corners)
    assert plane.boxes.kinds.tolist() == ["class 1", "class 0"]
    assert np.isnan(plane.boxes.scores[0])
    assert plane.boxes.scores[1] == 0.75
    assert (plane.image, list(plane.rows)) == ("a", ["line 1", "line 3"])
    assert found.silent_is_empty


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.txt", "RBC\nWBC\n\n"),
        ("../obj.names", "RBC\r\nWBC"),
        ("../../data.yaml", "nc: 2\nnames: [RBC, WBC]\n"),
        ("../../dataset.yaml", "names:\n  1: WBC\n  0: RBC\n"),
    ],
)
def test_names_of_classes_are_found(
    name: str, text: str, images: ImageIndex, tmp_path: Path
) -> None:
    labels = _labels(tmp_path, "1 .5 .5 1 1\n0 .5 .5 1 1\n")
    (labels / name).write_text(text)
    (plane,) = read_yolo(labels, images).planes
    assert plane.boxes.kinds.tolist() == ["WBC", "RBC"]


def test_an_empty_file_is_an_image_without_objects(images: ImageIndex, tmp_path: Path) -> None:
    (plane,) = read_yolo(_labels(tmp_path, ""), images).planes
    assert (plane.image, len(plane.boxes)) == ("a", 0)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("2 .5 .5 1 1", "line 2 of .*a.txt: the class 2 is unknown, as there are 2 names"),
        ("-1 .5 .5 1 1", "line 2 of .*the class must be a whole number"),
        ("RBC .5 .5 1 1", "line 2 of .*'RBC' is not a number"),
        ("0 .5 .5 1", "line 2 of .*it has 4 fields"),
        ("0 .5 .5 1 1 1 1 1 1", "line 2 of .*it has 9 fields"),
        ("0 .5 .5 1 one", "line 2 of .*'one'"),
        ("0 .5 .5 1 nan", "line 2 of .*'nan'"),
    ],
)
def test_what_does_not_fit_is_named(
    line: str, complaint: str, images: ImageIndex, tmp_path: Path
) -> None:
    labels = _labels(tmp_path, f"0 .5 .5 1 1\n{line}\n")
    (labels / "classes.txt").write_text("RBC\nWBC\n")
    with pytest.raises(InputError, match=complaint):
        read_yolo(labels, images)


@pytest.mark.parametrize(
    "text", ["names: 7", "[", "nc: 2", "names: {a: b}", "", "names: {}", "names: {9999999: a}"]
)
def test_a_broken_list_of_classes_is_refused(text: str, images: ImageIndex, tmp_path: Path) -> None:
    labels = _labels(tmp_path, "0 .5 .5 1 1")
    (labels / "data.yaml").write_text(text)
    with pytest.raises(InputError, match=r"data\.yaml does not list the classes"):
        read_yolo(labels, images)


def test_a_list_of_something_else_is_refused(images: ImageIndex, tmp_path: Path) -> None:
    labels = _labels(tmp_path, "0 .5 .5 1 1")
    (labels / "classes.txt").write_text("k" * 300)
    with pytest.raises(InputError, match=r"classes\.txt does not list classes: .* 300 letters"):
        read_yolo(labels, images)


def test_a_huge_file_is_refused_unread(
    images: ImageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yolo, "LARGEST_LABELS", 10)
    with pytest.raises(InputError, match="split it by images"):
        read_yolo(_labels(tmp_path, "0 .5 .5 1 1\n" * 3), images)


@settings(max_examples=100, deadline=None)
@given(end=st.integers(0, 24), tail=st.binary(max_size=12))
def test_a_cut_file_never_breaks_the_reader(
    end: int, tail: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "yolo"
    folder.mkdir(exist_ok=True)
    Image.new("L", (40, 20)).save(folder / "a.png")
    (folder / "a.txt").write_bytes(b"0 .5 .5 1 1\n1 .2 .2 .1 .1"[:end] + tail)
    try:
        (plane,) = read_yolo(folder, ImageIndex.of(folder)).planes
    except InputError as error:
        problem = str(error)
    else:
        assert np.isfinite(plane.boxes.corners).all()
        return
    assert "a.txt" in problem
