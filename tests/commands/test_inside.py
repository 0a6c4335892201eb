"""Segmenting inside the boxes of a file, from the shell."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from skimage.io import imread

from napari_medai.cli import main
from napari_medai.core.boxes import Boxes, label_boxes
from napari_medai.io.box_coco import write_boxes_coco
from napari_medai.io.box_csv import write_boxes_csv
from napari_medai.io.box_plane import BoxPlane
from napari_medai.io.images import read_image

NUCLEI = Path(__file__).parents[1] / "data" / "nuclei"
NAME = "fluorescence-256"
IMAGE = NUCLEI / "images" / f"{NAME}.png"


def test_only_what_lies_in_boxes_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = imread(NUCLEI / "masks" / f"{NAME}.png")
    found, numbers = label_boxes(truth)
    large = np.flatnonzero((found.sizes > 12).all(axis=1))[:4]
    boxes = Boxes.of(found.corners[large], ["cell"] * 4)
    other = BoxPlane("other.png", Boxes.of([[[1, 1], [9, 9]]]))
    write_boxes_coco(tmp_path / "a.json", [BoxPlane(IMAGE.name, boxes), other])
    write_boxes_csv(tmp_path / "a.csv", [other, BoxPlane(IMAGE.name, boxes)])
    out = tmp_path / "out"
    run = ["segment", str(IMAGE), "--out", str(out), "--device", "cpu"]
    assert main([*run, "--inside", str(tmp_path / "a.json")]) == 0
    (image,) = read_image(out / f"{NAME}_labels.ome.tif")
    labels = np.asarray(image.levels[0])
    with (out / f"{NAME}_labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found_in = sorted((row["box"], row["class"]) for row in rows)
    assert found_in == [(str(number), "cell") for number in (1, 2, 3, 4)]
    for row in rows:
        own = truth == numbers[large[int(row["box"]) - 1]]
        mine = labels == int(row["index"])
        assert np.count_nonzero(own & mine) / np.count_nonzero(own | mine) > 0.5
    record = json.loads((out / f"{NAME}_labels.json").read_text())
    assert record["task"] == "segment inside boxes"
    capsys.readouterr()
    assert main([*run, "--inside", str(tmp_path / "a.json")]) == 0
    assert "done already" in capsys.readouterr().out
    for more in ([], ["--several"]):
        given = ["--inside", str(tmp_path / "a.json"), *more] if more else []
        assert main([*run, *given]) == 2
        assert "not made as asked for now" in capsys.readouterr().err
    assert main([*run, "--inside", str(tmp_path / "a.csv"), "--overwrite"]) == 0
    (image,) = read_image(out / f"{NAME}_labels.ome.tif")
    assert np.array_equal(np.asarray(image.levels[0]), labels)


@pytest.mark.parametrize(
    ("table", "more", "sentence"),
    [
        ("image,top,left,bottom,right\nother.png,1,1,9,9\n", [], "no boxes in fluorescence-256"),
        (f"image,top,left,bottom,right\n{NAME}.png,900,900,990,990\n", [], "within the image"),
        ("top,left,bottom,right\n1,1,9,9\n", [str(NUCLEI / "images")], "no column image"),
        (f"image,front,top,left,back,bottom,right\n{NAME}.png,0,1,1,2,9,9\n", [], "volumes"),
    ],
)
def test_bad_boxes(
    table: str, more: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_text(table)
    run = ["segment", str(IMAGE), *more, "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert main([*run, "--inside", str(tmp_path / "a.csv")]) == 2
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.glob("out/*"))


def test_several_is_for_boxes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["segment", str(IMAGE), "--out", "nowhere", "--several"]) == 2
    assert "add --inside FILE" in capsys.readouterr().err
