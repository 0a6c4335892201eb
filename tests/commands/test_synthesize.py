"""Images from nothing in the shell: what is written reads back as what was made."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_medai.cli import main
from napari_medai.commands import synthesize
from napari_medai.core.steps import finished
from napari_medai.io.images import read_image
from napari_medai.io.pairs import find_pairs
from napari_medai.tasks import synthesize_vessels
from napari_medai.tasks.synthesize_vessels import vessels_steps
from napari_medai.tasks.synthetic import Synthetic
from napari_medai.tasks.vessel_params import VesselParams

Run = Callable[..., tuple[int, str, str]]
FEW = ("--segments", 25, "--radius", 0.8)
ENDINGS = (".ome.tif", "_labels.csv", "_labels.json", "_labels.ome.tif")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], out: Path) -> Run:
    def run(*arguments: object) -> tuple[int, str, str]:
        """``napari-medai synthesize vessels``, of two small images if nothing else is said."""
        usual = ["--shape", 60, 64, "--images", 2, "--out", out, *FEW]
        status = main([str(one) for one in ("synthesize", "vessels", *usual, *arguments)])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def made(number: int, shape: tuple[int, ...] = (60, 64), **params: Any) -> Synthetic:
    chosen = VesselParams(**{"segments": 25, "radius": 0.8} | params)
    return finished(vessels_steps(shape, chosen, number))


def written(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def names(*numbers: int) -> list[str]:
    return sorted(f"vessels_{number:04d}{ending}" for number in numbers for ending in ENDINGS)


@pytest.mark.parametrize("shape", [(60, 64), (20, 32, 36)])
def test_files_hold_what_was_made(run: Run, out: Path, shape: tuple[int, ...]) -> None:
    status, said, error = run("--seed", 3, "--scale", 0.5, "--units", "um", "--shape", *shape)
    assert (status, error) == (0, "")
    assert written(out) == names(1, 2)
    assert said.startswith("vessels_0001: 25 segments, 25 branches, ")
    for number in (1, 2):
        one, stem = made(number, shape, seed=3), out / f"vessels_{number:04d}"
        (image,) = read_image(stem.with_name(f"{stem.name}.ome.tif"))
        (labels,) = read_image(stem.with_name(f"{stem.name}_labels.ome.tif"))
        assert np.array_equal(np.asarray(image.levels[0]), one.image.data)
        assert np.array_equal(np.asarray(labels.levels[0]), one.labels)
        assert (image.labels, labels.labels) == (False, True)
        for found in (image, labels):
            assert found.axes == one.image.axes
            assert found.spacing == dict.fromkeys(found.axes, 0.5)
            assert found.units == dict.fromkeys(found.axes, "micrometer")
        _check_table(stem.with_name(f"{stem.name}_labels.csv"), one)
        record = json.loads(stem.with_name(f"{stem.name}_labels.json").read_text())
        assert record["number"] == number
        assert record["parameters"] == one.record["parameters"] | {"images": 2}
        assert record["found"] == one.record["found"]
        assert sorted(record["files"]) == sorted(ENDINGS)


def _check_table(path: Path, one: Synthetic) -> None:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert one.tree is not None
    assert [int(row["index"]) for row in rows] == list(range(1, 26))
    # the edge of a pixel is 0.5
    assert [float(row["radius"]) for row in rows] == (0.5 * one.tree.radii).tolist()
    assert [float(row["length"]) for row in rows] == (0.5 * one.tree.lengths).tolist()
    assert [float(row["end-x"]) for row in rows] == one.tree.ends[:, -1].tolist()
    assert [int(row["parent"]) - 1 for row in rows] == one.tree.parents.tolist()


def test_other_programs_read_them(run: Run, out: Path) -> None:
    run("--images", 1)
    values = tifffile.imread(out / "vessels_0001.ome.tif")
    assert (values.dtype, values.shape) == (np.float32, (60, 64))
    assert (tifffile.imread(out / "vessels_0001_labels.ome.tif") == made(1).labels).all()


def test_images_and_labels_are_pairs_to_train_on(run: Run, out: Path) -> None:
    run()
    assert [[path.name for path in pair] for pair in find_pairs(out, out)] == [
        [f"vessels_000{number}.ome.tif", f"vessels_000{number}_labels.ome.tif"] for number in (1, 2)
    ]


def test_more_are_added_to_those_that_are_there(run: Run, out: Path) -> None:
    run("--seed", 3)
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    status, said, _ = run("--seed", 3, "--images", 3)
    assert status == 0
    assert said.splitlines()[0] == "2 of 3 images: done already"
    assert written(out) == names(1, 2, 3)
    assert all((out / name).stat().st_mtime_ns == time for name, time in before.items())
    third = tifffile.imread(out / "vessels_0003.ome.tif")
    assert np.array_equal(third, made(3, seed=3).image.data)
    # one that lacks a file is not done
    (out / "vessels_0002.ome.tif").unlink()
    status, _, error = run("--seed", 3)
    assert status == 2
    assert "vessels_0002_labels.json exists already, not made as asked for now" in error
    assert run("--seed", 3, "--overwrite")[0] == 0
    assert written(out) == names(1, 2, 3)


def test_others_are_not_replaced_unasked(run: Run, out: Path) -> None:
    run("--seed", 3)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    status, _, error = run("--seed", 4)
    assert status == 2
    assert "vessels_0001_labels.json exists already (and so for 1 more), not made as" in error
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert run("--seed", 4, "--overwrite")[0] == 0
    values = tifffile.imread(out / "vessels_0001.ome.tif")
    assert np.array_equal(values, made(1, seed=4).image.data)


@pytest.mark.parametrize("where", ["vessel_image", "write_features_csv"])
def test_stopping_leaves_whole_files(
    run: Run, out: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the second of three is drawn, or half of its files are written."""
    home = synthesize_vessels if hasattr(synthesize_vessels, where) else synthesize
    real, calls = getattr(home, where), []

    def stopped(*arguments: Any, **options: Any) -> Any:
        calls.append(where)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(home, where, stopped)
        status, said, error = run("--images", 3)
    assert status == 130
    assert said.startswith("vessels_0001: ")
    assert "stopped: 1 of 3 images are finished; the same command goes on with the others" in error
    assert written(out) == names(1)
    status, said, _ = run("--images", 3)
    assert status == 0
    assert "1 of 3 images: done already" in said
    assert written(out) == names(1, 2, 3)


def test_what_finds_no_room_is_said(run: Run) -> None:
    status, said, error = run("--shape", 32, 32, "--segments", 400, "--images", 1)
    assert status == 0
    placed = said.split(" segments")[0].removeprefix("vessels_0001: ")
    assert f"napari-medai: vessels_0001: {placed} of 400 segments found room; enlarge" in error


def test_switches_and_choices_are_words(run: Run, out: Path) -> None:
    run("--crossing", "yes", "--numbering", "branches", "--images", 1)
    labels = tifffile.imread(out / "vessels_0001_labels.ome.tif")
    assert (labels == made(1, crossing=True, numbering="branches").labels).all()
    status, _, error = run("--crossing", "maybe")
    assert status == 2
    assert "argument --crossing: must be yes or no, got 'maybe'" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--shape", 8, 8), "shape must be 2 or 3 whole numbers of 16 or more, got [8, 8]; for"),
        (("--shape", 64), "shape must be 2 or 3 whole numbers of 16 or more, got [64]; for"),
        (("--shape", 64.5, 64), "argument --shape: invalid int value: '64.5'"),
        (("--shape", 30000, 30000), "ask for a smaller one"),
        (("--ndim", 3), "the shape (60, 64) has 2 axes, but ndim is 3; leave one out"),
        (("--seed", -1), "argument --seed: must be 0 to 2147483647, got -1"),
        (("--segments", 0), "argument --segments: must be 1 to 5000, got 0"),
        (("--images", 0), "argument --images: must be 1 to 100000, got 0"),
        (("--scale", "1,2"), "as long along all axes, but they are 1, 2; give one scale and one"),
        (("--count", 3), "unrecognized arguments: --count 3; see napari-medai synthesize --help"),
    ],
)
def test_bad_input_is_one_line(
    run: Run, out: Path, arguments: tuple[object, ...], message: str
) -> None:
    status, _, error = run(*arguments)
    assert status == 2
    assert message in error
    assert error.count("\n") == 1
    assert not out.exists() or not written(out)


def test_an_unknown_name_is_answered_with_what_there_is(
    capsys: pytest.CaptureFixture[str], out: Path
) -> None:
    assert main(["synthesize", "nerves", "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert "invalid choice: 'nerves' (choose from" in error
    assert "vessels" in error


def test_help_tells_of_the_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["synthesize", "vessels", "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "Make trees of vessels with exact centre lines and radii." in shown
    assert "--crossing yes|no" in shown
    for name in VesselParams.__slots__:
        assert f"--{name.replace('_', '-')} " in shown
