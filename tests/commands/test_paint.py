"""Objects painted in the shell: labels and a style are files."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tifffile

from napari_medai.cli import main
from napari_medai.core.axes import AxesArray
from napari_medai.core.steps import finished
from napari_medai.io.ome_tiff import write_tiff
from napari_medai.models.model import Model
from napari_medai.tasks.object_params import ObjectParams
from napari_medai.tasks.styles import measured_style
from napari_medai.tasks.synthesize_objects import objects_steps

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def model(tmp_path: Path, painting: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Model:
    folder = tmp_path / "models"
    monkeypatch.setenv("MEDAI_MODELS", str(folder))
    painter: Model = painting.painter(folder, name="dots-painter", alias="dots")
    return painter


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, model: Model) -> Run:
    def run(*arguments: object, name: str = "dots") -> tuple[int, str, str]:
        given = ["synthesize", name, "--out", tmp_path / "out", *arguments]
        status = main([str(one) for one in given])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


@pytest.fixture
def drawn(painting: ModuleType, tmp_path: Path) -> np.ndarray:
    """Labels, in ``labels.ome.tif``; a photograph of others is in ``style.ome.tif``."""
    labels = np.asarray(painting.disks((48, 64)) * 5)
    places = dict.fromkeys("YX", 0.5), dict.fromkeys("YX", "micrometer")
    write_tiff(tmp_path / "labels.ome.tif", AxesArray(labels, "YX", *places), labels=True)
    photograph = painting.photograph(painting.disks((64, 64))).astype(np.uint16) * 9
    write_tiff(tmp_path / "style.ome.tif", AxesArray(photograph, "YX"))
    return labels


def test_files_hold_what_was_made(run: Run, tmp_path: Path, model: Model) -> None:
    status, said, error = run("--shape", 48, 64, "--count", 3, "--images", 2, "--seed", 4)
    assert (status, error) == (0, "")
    assert said.startswith("dots_0001: 3 objects, ")
    for number in (1, 2):
        steps = objects_steps((48, 64), ObjectParams(seed=4, count=3), number, model=model)
        one, stem = finished(steps), tmp_path / "out" / f"dots_000{number}"
        assert (tifffile.imread(f"{stem}.ome.tif") == one.image.data).all()
        assert (tifffile.imread(f"{stem}_labels.ome.tif") == one.labels).all()
        with Path(f"{stem}_labels.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [float(row["area"]) for row in rows] == one.features["area"].tolist()
        record = json.loads(Path(f"{stem}_labels.json").read_text())
        assert record["model"] == {
            "name": "dots-painter", "version": "1.0.0", "sha256": model.sha256
        }  # fmt: skip
        assert record["number"] == number
    assert run("--shape", 48, 64, "--count", 3, "--images", 2, "--seed", 4)[1].startswith(
        "2 of 2 images: done already"
    )


def test_labels_and_a_style_are_files(
    run: Run, tmp_path: Path, model: Model, drawn: np.ndarray
) -> None:
    files = ("--labels", tmp_path / "labels.ome.tif", "--style", tmp_path / "style.ome.tif")
    status, _, error = run(*files)
    assert (status, error) == (0, "")
    stem = tmp_path / "out" / "dots_0001"
    style = measured_style(AxesArray(tifffile.imread(tmp_path / "style.ome.tif"), "YX"))
    one = finished(objects_steps((48, 64), ObjectParams(), model=model, labels=drawn, style=style))
    assert (tifffile.imread(f"{stem}.ome.tif") == one.image.data).all()
    assert (tifffile.imread(f"{stem}_labels.ome.tif") == drawn).all()
    record = json.loads(Path(f"{stem}_labels.json").read_text())
    assert record["image"]["spacing"] == {"Y": 0.5, "X": 0.5}
    assert record["image"]["dtype"] == "uint16"
    assert len(record["options"]["labels"]) == 64
    assert "style.ome" not in json.dumps(record)


def test_other_labels_in_the_same_file_are_painted_anew(
    run: Run, tmp_path: Path, drawn: np.ndarray
) -> None:
    path = tmp_path / "labels.ome.tif"
    assert run("--labels", path)[0] == 0
    assert run("--labels", path)[1] == "1 of 1 images: done already\n"
    write_tiff(path, AxesArray(drawn[::-1].copy(), "YX"), labels=True, overwrite=True)
    status, _, error = run("--labels", path)
    assert status == 2
    assert "not made as asked for now; choose another folder, or add --overwrite" in error
    assert run("--labels", path, "--overwrite")[0] == 0
    found = tifffile.imread(tmp_path / "out" / "dots_0001_labels.ome.tif")
    assert (found == drawn[::-1]).all()


def test_a_model_goes_by_its_own_name_as_well(run: Run, tmp_path: Path) -> None:
    assert run("--shape", 48, 64, "--count", 2, name="dots-painter")[0] == 0
    assert (tmp_path / "out" / "dots-painter_0001.ome.tif").exists()


def test_what_finds_no_room_is_said(run: Run) -> None:
    status, _, error = run("--shape", 48, 48, "--count", 900)
    assert status == 0
    assert "of 900 objects found room; enlarge the image" in error


def test_bad_files_are_refused_in_one_line(run: Run, tmp_path: Path, drawn: np.ndarray) -> None:
    paths = {name: tmp_path / f"{name}.tif" for name in ("float", "rgb", "none")}
    tifffile.imwrite(paths["float"], drawn.astype(np.float32))
    tifffile.imwrite(paths["rgb"], np.zeros((48, 64, 3), np.uint8), photometric="rgb")
    for arguments, message in (
        (("--labels", paths["float"]), "labels must be whole numbers, got float32"),
        (("--labels", paths["none"]), "none.tif"),
        (("--style", paths["rgb"]), "a plane or a volume of one channel, got axes"),
        (("--labels", tmp_path / "labels.ome.tif", "--shape", 48, 48), "leave the shape out"),
        (("--shape", 20, 64), "2 or 3 whole numbers of 32 or more"),
        (("--count", "many"), "count: must be a whole number, got 'many'"),
    ):
        status, _, error = run(*arguments)
        assert status == 2
        assert message in error
        assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_vessels_take_no_labels(run: Run, tmp_path: Path, drawn: np.ndarray) -> None:
    status, _, error = run("--labels", tmp_path / "labels.ome.tif", name="vessels")
    assert status == 2
    assert "--labels" in error


def test_a_count_of_nothing_is_refused(run: Run, tmp_path: Path) -> None:
    status, _, error = run("--count", 0)
    assert status == 2
    assert "count must be 1 or more, got 0; leave it out" in error
    assert not (tmp_path / "out").exists()
    assert run("--shape", 48, 64)[0] == 0
