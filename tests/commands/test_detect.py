"""Boxes from the shell: what is written, learned and scored, and the status it ends with."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_medai.cli import main
from napari_medai.commands import box_outputs
from napari_medai.core.boxes import Boxes, box_ious
from napari_medai.io.box_coco import read_boxes_coco, write_boxes_coco
from napari_medai.io.box_csv import read_boxes_csv
from napari_medai.io.box_plane import BoxPlane
from napari_medai.models.package import read_model
from napari_medai.models.registry import find_model
from napari_medai.tasks.verify import full_check

Run = Callable[..., tuple[int, str, str]]
ENDINGS = ("_boxes.csv", "_boxes.json", "_boxes_record.json")
HOW = ("--device", "cpu", "--diameter", 17, "--threshold", 0.2)


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], box_package: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    monkeypatch.setenv("MEDAI_MODELS", str(box_package.parent))

    def run(*arguments: object) -> tuple[int, str, str]:
        status = main([str(one) for one in arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


@pytest.fixture
def smears(tmp_path: Path, blobs: Callable[..., Any]) -> Path:
    """Three images, and the true boxes beside their folder."""
    folder = tmp_path / "smears"
    folder.mkdir()
    planes = []
    for seed in (3, 4, 5):
        image, boxes = blobs(seed=seed)
        Image.fromarray(image).save(folder / f"smear{seed}.png")
        planes.append(BoxPlane(f"smear{seed}.png", boxes, size=image.shape))
    write_boxes_coco(tmp_path / "true.json", planes)
    return folder


@pytest.fixture
def find(run: Run, tmp_path: Path) -> Run:
    def find(*arguments: object) -> tuple[int, str, str]:
        return run("detect", *arguments, "--model", "discs", "--out", tmp_path / "out", *HOW)

    return find


def written(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_boxes_record_and_picture_are_written(
    find: Run, smears: Path, tmp_path: Path, blobs: Callable[..., Any]
) -> None:
    status, said, _ = find(smears / "smear3.png", "--overlay")
    _, true = blobs(seed=3)
    assert status == 0
    assert said.startswith("smear3.png: 9 objects: ")
    out = tmp_path / "out"
    assert written(out) == sorted(f"smear3{e}" for e in (*ENDINGS, "_boxes.png"))
    (coco,) = read_boxes_coco(out / "smear3_boxes.json").planes
    (table,) = read_boxes_csv(out / "smear3_boxes.csv").planes
    for plane in (coco, table):
        assert plane.image == "smear3.png"
        ious = box_ious(plane.boxes.corners, true.corners)
        assert ious.max(axis=1).min() > 0.6
        assert plane.boxes.kinds.tolist() == true.kinds[ious.argmax(axis=1)].tolist()
    assert np.array_equal(coco.boxes.corners, table.boxes.corners)
    assert np.array_equal(coco.boxes.scores, table.boxes.scores)
    assert coco.size == (96, 112)
    text = (out / "smear3_boxes_record.json").read_text()
    record = json.loads(text)
    assert record["task"] == "detect"
    assert record["model"]["sha256"] == find_model("discs").sha256
    assert record["files"] == ["_boxes_record.json", "_boxes.json", "_boxes.csv", "_boxes.png"]
    assert "smear3" not in text
    with Image.open(out / "smear3_boxes.png") as picture:
        shown = np.asarray(picture)
    assert shown.shape == (96, 112, 3)
    top, left = np.ceil(coco.boxes.corners[0, 0]).astype(int)
    colours = {one["name"]: one["colour"] for one in find_model("discs").config["classes"]}
    colour = colours[str(coco.boxes.kinds[0])].lstrip("#")
    assert tuple(shown[top, left]) == tuple(bytes.fromhex(colour))


def test_a_second_run_goes_on_and_another_is_refused(
    find: Run, smears: Path, tmp_path: Path
) -> None:
    find(smears / "smear4.png", "--overlay")
    status, said, _ = find(smears, "--overlay")
    assert status == 0
    assert "smear4.png: done already" in said
    assert said.count("objects") == 2
    # results among the images are no images
    assert find(smears, tmp_path / "out", "--overlay")[1].count("done already") == 3
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    status, _, error = find(smears, "--overlap", 0.3)
    assert status == 2
    assert "smear3_boxes_record.json exists already (and so for 2 more)" in error
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert find(smears / "smear3.png", "--overlap", 0.3, "--overwrite", "--overlay")[0] == 0
    # a picture of old boxes does not stay beside new ones
    assert find(smears / "smear3.png", "--overwrite")[0] == 0
    assert not (tmp_path / "out" / "smear3_boxes.png").exists()


def test_nothing_is_left_of_a_run_that_fails(
    find: Run, smears: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*args: object, **keywords: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(box_outputs, "write_boxes_csv", stop)
    assert find(smears)[0] == 130
    assert written(tmp_path / "out") == []


def test_no_object_gives_valid_empty_files(find: Run, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((40, 50), np.uint8)).save(tmp_path / "dark.png")
    status, said, _ = find(tmp_path / "dark.png", "--overlay")
    assert status == 0
    assert said.startswith("dark.png: no objects, ")
    out = tmp_path / "out"
    assert written(out) == sorted(f"dark{e}" for e in (*ENDINGS, "_boxes.png"))
    for file in (read_boxes_coco(out / "dark_boxes.json"), read_boxes_csv(out / "dark_boxes.csv")):
        (plane,) = file.planes
        assert plane.image == "dark.png"
        assert len(plane.boxes) == 0


def test_planes_of_a_stack(find: Run, tmp_path: Path, blobs: Callable[..., Any]) -> None:
    image, true = blobs(seed=3)
    stack = np.stack([image, np.zeros_like(image), image])
    tifffile.imwrite(tmp_path / "film.tif", stack, metadata={"axes": "TYX"}, ome=True)
    assert find(tmp_path / "film.tif", "--overlay")[0] == 0
    planes = read_boxes_coco(tmp_path / "out" / "film_boxes.json").planes
    assert [dict(plane.position) for plane in planes] == [{"T": 0}, {"T": 1}, {"T": 2}]
    assert [len(plane.boxes) for plane in planes] == [len(true), 0, len(true)]
    table = read_boxes_csv(tmp_path / "out" / "film_boxes.csv").planes
    for one, other in zip(planes, table, strict=True):
        assert np.array_equal(one.boxes.corners, other.boxes.corners)
    with Image.open(tmp_path / "out" / "film_boxes.png") as picture:
        assert not np.asarray(picture).any()  # the middle plane


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["{images}", "--threshold", "2"], "argument --threshold: must be 0.01 to 0.99, got 2"),
        (["{images}", "--overlap", "x"], "argument --overlap: must be a number, got 'x'"),
        (["{images}", "--classes", "dark"], "knows no class 'dark'; it finds bright, dim"),
        (["{images}/none.tif"], "none.tif does not exist"),
    ],
)
def test_bad_input(find: Run, smears: Path, tmp_path: Path, arguments, sentence) -> None:
    given = [one.format(images=smears) for one in arguments]
    status, said, error = find(*given)
    assert (status, said) == (2, "")
    assert sentence in error
    assert len(error.splitlines()) == 1


# train


def test_a_model_of_boxes_is_trained_and_used(
    run: Run, smears: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDAI_MODELS", str(tmp_path / "own"))
    rows = ["image,class,xmin,ymin,xmax,ymax", "smear3.png,dim,9,9,9,12", "smear4.png,,9,9,5,12"]
    for plane in read_boxes_coco(tmp_path / "true.json").planes:
        for (top, left), (bottom, right) in plane.boxes.corners + 0.5:
            rows.append(f"{plane.image},disc,{left},{top},{right},{bottom}")
    table = tmp_path / "boxes.csv"
    table.write_text("\n".join(rows))
    learn = ("train", "detect", "--images", smears, "--boxes", table, "--device", "cpu")
    learn += ("--steps", 1, "--batch", 1)
    status, said, error = run(*learn, "--name", "mine")
    assert status == 0
    assert "boxes.csv: skipped 2 boxes, line 2 (no area), line 3 (x2 < x1)\n" in error
    assert "3 images with 27 boxes: 27 disc\n" in said
    assert "on held-out images: mAP50 " in said
    assert "use it: napari-medai detect IN --model mine" in said
    assert run("detect", smears, "--model", "mine", "--out", tmp_path / "o")[0] == 0
    assert "'mine' already" in run(*learn, "--name", "mine")[2]
    assert "no box is of the class 'cell'" in run(*learn, "--name", "a", "--classes", "cell")[2]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["detect"], "train detect needs --boxes"),
        (["segment"], "train segment needs --masks"),
        (["detect", "--boxes", "b", "--masks", "m"], "takes --boxes, not --masks; leave it out"),
        (["detect", "--boxes", "b", "--mirror", "X"], "window and mirror are for segmentation"),
        (["detect", "--boxes", "none.json"], "none.json"),
    ],
)
def test_bad_input_to_training(run: Run, smears: Path, arguments, sentence) -> None:
    status, _, error = run("train", *arguments, "--images", smears, "--name", "never")
    assert status == 2
    assert sentence in error


# evaluate


def test_a_model_is_scored(run: Run, smears: Path, tmp_path: Path) -> None:
    told = tmp_path / "figures.json"
    score = ("evaluate", "detect", "--images", smears, "--boxes", tmp_path / "true.json")
    score += ("--model", "discs", *HOW, "--json", told)
    status, said, _ = run(*score)
    assert status == 0
    lines = said.splitlines()
    assert lines[0] == "discs 1.0.0, 3 images, 27 boxes"
    assert lines[1].split() == ["boxes", "AP@0.5", "AP@[.5:.95]", "precision", "recall", "F1"]
    assert [line.split()[0] for line in lines[2:5]] == ["bright", "dim", "all"]
    figures = json.loads(told.read_text())
    assert figures["model"]["name"] == "discs"
    assert figures["mAP@0.5"] > 0.9
    assert figures["classes"]["dim"]["boxes"] + figures["classes"]["bright"]["boxes"] == 27
    assert figures["right"] + figures["missed"] == 27
    assert f"{figures['mAP@0.5']:.3f}" in lines[4]
    assert "FROC" not in figures
    status, _, error = run(*score)
    assert status == 2
    assert "figures.json exists already" in error


def test_a_part_of_a_table_and_other_classes(run: Run, smears: Path, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []
    for plane in read_boxes_coco(tmp_path / "true.json").planes:
        for ((top, left), (bottom, right)), kind in zip(
            plane.boxes.corners + 0.5, plane.boxes.kinds, strict=True
        ):
            edges = {"xmin": left, "ymin": top, "xmax": right, "ymax": bottom}
            split = "val" if plane.image == "smear3.png" else "train"
            name = "dark" if kind == "dim" else str(kind)
            rows.append({"image": plane.image, "split": split, "label": name, **edges})
    with (tmp_path / "boxes.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    score = ("evaluate", "detect", "--images", smears, "--boxes", tmp_path / "boxes.csv", *HOW)
    status, said, _ = run(*score, "--model", "discs", "--split", "val")
    assert status == 0
    dark = sum(row["split"] == "val" and row["label"] == "dark" for row in rows)
    assert said.startswith(f"discs 1.0.0, 1 images, {9 - dark} boxes\n")
    assert f"of classes that were not looked for: {dark} dark" in said
    assert next(line for line in said.splitlines() if line.startswith("dim ")).split()[2] == "-"
    again = run(*score, "--model", "discs", "--split", "val", "--rename", "dark=dim")[1]
    assert again.startswith("discs 1.0.0, 1 images, 9 boxes\n")
    assert "not looked for" not in again
    for name, sentence in (("dark", "got 'dark'"), ("cell=dim", "no box is of the class 'cell'")):
        assert sentence in run(*score, "--model", "discs", "--rename", name)[2]
    assert "no row of the split 'test'" in run(*score, "--model", "discs", "--split", "test")[2]


# models, info


def test_thousands_are_told_where_the_encoding_lacks_thin_spaces(
    smears: Path, tmp_path: Path, box_package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Output that goes to a file or a pipe on Windows."""
    monkeypatch.setenv("MEDAI_MODELS", str(tmp_path / "own"))
    rows = ["image,class,xmin,ymin,xmax,ymax"]
    for plane in read_boxes_coco(tmp_path / "true.json").planes:
        for (top, left), (bottom, right) in plane.boxes.corners + 0.5:
            rows += [f"{plane.image},µ-ж,{left},{top},{right},{bottom}"] * 40
    table = tmp_path / "boxes.csv"
    table.write_text("\n".join(rows), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="cp1252"))
    learn = ["train", "detect", "--images", str(smears), "--boxes", str(table), "--device", "cpu"]
    assert main([*learn, "--steps", "1", "--batch", "1", "--name", "mine"]) == 0
    sys.stdout.seek(0)
    assert "3 images with 1 080 boxes: 1 080 µ-?\n" in sys.stdout.read()


def test_info_counts_boxes_by_class(run: Run, smears: Path, tmp_path: Path) -> None:
    (plane, *_) = read_boxes_coco(tmp_path / "true.json").planes
    counts = {kind: int(np.count_nonzero(plane.boxes.kinds == kind)) for kind in ("bright", "dim")}
    write_boxes_coco(tmp_path / "one.json", [plane, BoxPlane("b.png", Boxes.of([]))])
    status, said, _ = run("info", tmp_path / "one.json")
    assert status == 0
    assert "  images:   2\n  planes:   2, 1 without boxes\n  boxes:    9\n" in said
    assert f"  classes:  bright {counts['bright']}, dim {counts['dim']}\n" in said
    (tmp_path / "other.json").write_text("[]")
    assert "is not COCO JSON" in run("info", tmp_path / "other.json")[2]


def test_a_package_without_torchscript_is_shared_with_it(
    run: Run, box_package: Path, tmp_path: Path
) -> None:
    model = read_model(box_package)
    assert "torchscript" not in model.exports
    assert run("models", "verify", "discs")[:2] == (0, "discs: ok\n")
    assert any(
        line.startswith("discs 1.0.0 · detect") for line in run("models", "list")[1].split("\n")
    )
    assert json.loads(run("models", "show", "discs", "--json")[1])["exports"] == []
    archive = tmp_path / "discs.zip"
    assert run("models", "export", "discs", archive)[0] == 0
    shared = read_model(archive)
    assert shared.sha256 == model.sha256
    assert shared.spec == model.spec
    assert full_check(archive) == []
    assert set(model.files) < set(shared.files)
    assert "exists" in run("models", "export", "discs", archive)[2]
