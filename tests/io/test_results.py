from __future__ import annotations

import csv
import errno
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_medai.core.boxes import Boxes
from napari_medai.core.errors import InputError, RunError
from napari_medai.io.results import write_boxes_png, write_features_csv, write_overlay_png

FEATURES = {"index": np.array([1, 2]), "area": np.array([0.1, 1e7 + 0.5]), "class": ["a", "b,c"]}


def test_features_csv(tmp_path: Path) -> None:
    path = write_features_csv(tmp_path / "a.csv", FEATURES)
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [["index", "area", "class"], ["1", "0.1", "a"], ["2", "10000000.5", "b,c"]]
    with pytest.raises(InputError, match="exists already"):
        write_features_csv(path, FEATURES)
    with pytest.raises(InputError, match="equally long"):
        write_features_csv(tmp_path / "b.csv", {"a": [1], "b": []})


def test_an_overlay_shows_outlines(tmp_path: Path) -> None:
    labels = np.zeros((9, 9), dtype=np.int32)
    labels[2:7, 2:7] = 1
    image = np.where(labels > 0, 1000.0, 100.0)
    image[0, 0] = np.nan
    with Image.open(write_overlay_png(tmp_path / "a.png", image, labels)) as file:
        picture = np.asarray(file)
    outline = np.zeros((9, 9), dtype=bool)
    outline[2:7, 2:7] = True
    outline[3:6, 3:6] = False
    np.testing.assert_array_equal((picture == (255, 220, 0)).all(-1), outline)
    assert (picture[3:6, 3:6] == 255).all()
    assert (picture[8] < 60).all()


def test_an_overlay_of_colours_and_of_a_large_image(tmp_path: Path) -> None:
    image = np.zeros((5000, 40, 3), dtype=np.uint8)
    labels = np.zeros((5000, 40), dtype=np.int32)
    with Image.open(write_overlay_png(tmp_path / "a.png", image, labels)) as file:
        assert file.size == (20, 2500)
    with pytest.raises(InputError, match="do not fit"):
        write_overlay_png(tmp_path / "b.png", image, labels[:-1])


def test_boxes_are_drawn_along_their_pixels(tmp_path: Path) -> None:
    # The pixels of rows 2 to 6 and columns 1 to 4, and a box that reaches beyond the image.
    boxes = Boxes.of([[[1.5, 0.5], [6.5, 4.5]], [[6.5, 6.5], [20, 20]]], ["a", "b"])
    path = write_boxes_png(tmp_path / "a.png", np.zeros((9, 9)), boxes, colours={"a": "#0a141e"})
    with Image.open(path) as file:
        picture = np.asarray(file)
    first, second = np.zeros((2, 9, 9), dtype=bool)
    first[2:7, 1:5] = True
    first[3:6, 2:4] = False
    second[7:9, 7:9] = True
    np.testing.assert_array_equal((picture == (10, 20, 30)).all(-1), first)
    np.testing.assert_array_equal((picture == (255, 220, 0)).all(-1), second)
    with pytest.raises(InputError, match="exists already"):
        write_boxes_png(path, np.zeros((9, 9)), boxes, colours={})


def test_boxes_on_a_large_image_are_drawn_thinned_out(tmp_path: Path) -> None:
    boxes = Boxes.of([[[-0.5, 3999.5], [1.5, 8191.5]]], ["a"])
    path = write_boxes_png(tmp_path / "a.png", np.zeros((4, 8192)), boxes, colours={})
    with Image.open(path) as file:
        picture = np.asarray(file)
    assert picture.shape == (2, 4096, 3)
    drawn = (picture == (255, 220, 0)).all(-1)
    assert drawn[0, 2000:].all()
    assert not drawn[0, :2000].any()
    assert not drawn[1].any()


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(RunError, match="No space"):
        write_overlay_png(tmp_path / "a.png", np.zeros((9, 9)), np.zeros((9, 9), dtype=int))
    assert list(tmp_path.iterdir()) == []
