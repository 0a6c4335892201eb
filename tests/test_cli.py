"""The command line: what it writes, what it says, and the status it ends with."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_medai.cli import COMMANDS, main
from napari_medai.commands import batch, demo, label_outputs, train, train_inputs
from napari_medai.core.progress import ProgressLine
from napari_medai.core.steps import Step
from napari_medai.io.images import read_image
from napari_medai.models.registry import find_model
from napari_medai.tasks import assembly

Run = Callable[..., tuple[int, str, str]]
ENDINGS = ("_labels.csv", "_labels.json", "_labels.ome.tif")


def picture(seed: int = 0, *, shape: tuple[int, ...] = (64, 80)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 200, shape, dtype=np.uint8)


@pytest.fixture(autouse=True)
def models(tiny_package: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One's own models: tiny alone, always at the same place, or a test's own folder."""
    monkeypatch.setenv("MEDAI_MODELS", str(tiny_package.parent))
    return tiny_package.parent


@pytest.fixture
def own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "own"
    monkeypatch.setenv("MEDAI_MODELS", str(folder))
    return folder


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in (1, 2, 3):
        Image.fromarray(picture(number)).save(folder / f"scan{number}.png")
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object) -> tuple[int, str, str]:
        status = main([str(one) for one in arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


@pytest.fixture
def cut(run: Run, tmp_path: Path) -> Run:
    """``segment`` with the tiny model, without looking for the magnification."""

    def cut(*arguments: object) -> tuple[int, str, str]:
        fixed = ("--model", "tiny", "--out", tmp_path / "out", "--device", "cpu")
        return run("segment", *arguments, *fixed, "--diameter", 24)

    return cut


def written(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# segment


def test_labels_features_and_record_are_written(cut: Run, scans: Path, tmp_path: Path) -> None:
    status, said, _ = cut(scans / "scan1.png", "--overlay", "--scale", 0.5, "--units", "µm")
    assert status == 0
    assert said.startswith("scan1.png: ")
    out = tmp_path / "out"
    assert written(out) == sorted([*(f"scan1{e}" for e in ENDINGS), "scan1_overlay.png"])
    (labels,) = read_image(out / "scan1_labels.ome.tif")
    assert labels.labels
    assert labels.spacing == {"Y": 0.5, "X": 0.5}
    assert labels.units == {"Y": "micrometer", "X": "micrometer"}
    values = np.asarray(labels.levels[0])
    with (out / "scan1_labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["index"]) for row in rows] == list(range(1, values.max() + 1))
    assert len(rows) > 0
    assert f"{len(rows)} object" in said
    areas = [0.25 * np.count_nonzero(values == int(row["index"])) for row in rows]
    assert np.allclose([float(row["area"]) for row in rows], areas)
    text = (out / "scan1_labels.json").read_text()
    record = json.loads(text)
    assert record["model"]["sha256"] == find_model("tiny").sha256
    assert record["parameters"]["diameter"] == 24
    assert "scan1" not in text
    with Image.open(out / "scan1_overlay.png") as overlay:
        assert overlay.size == (80, 64)


def test_parameters_that_mean_nothing_to_the_model_are_told_once(
    run: Run, class_package: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", rng.random((12, 16, 16), np.float32))
    given = ("segment", tmp_path / "a.npy", tmp_path / "b.npy", "--model", class_package)
    given += ("--out", tmp_path / "out", "--device", "cpu")
    status, _, error = run(*given, "--threshold", 0.9, "--min-size", 0.1)
    assert status == 0
    assert error.count("threshold means nothing to halves and is left out\n") == 1
    assert "min_size" not in error
    record = json.loads((tmp_path / "out" / "a_labels.json").read_text())
    assert "threshold" not in record["parameters"]
    assert "means nothing" not in run(*given)[2]


def test_folders_patterns_and_files_each_once(cut: Run, scans: Path, tmp_path: Path) -> None:
    status, said, _ = cut(scans, scans / "*2.png", scans / "scan1.png")
    assert status == 0
    assert [line.split(":")[0] for line in said.splitlines()] == [
        "scan1.png",
        "scan2.png",
        "scan3.png",
    ]
    assert len(written(tmp_path / "out")) == 9


def test_a_second_run_goes_on(cut: Run, scans: Path, tmp_path: Path) -> None:
    cut(scans / "scan2.png")
    status, said, _ = cut(scans)
    assert status == 0
    assert "scan2.png: done already" in said
    assert "scan1.png: done" not in said
    again = cut(scans)
    assert again[:2] == (0, "".join(f"scan{n}.png: done already\n" for n in (1, 2, 3)))
    # results among the images are no images
    status, said, _ = cut(scans, tmp_path / "out")
    assert (status, said.count("done already")) == (0, 3)


def test_a_result_made_otherwise_is_not_overwritten(cut: Run, scans: Path, tmp_path: Path) -> None:
    cut(scans / "scan1.png")
    before = (tmp_path / "out" / "scan1_labels.ome.tif").read_bytes()
    status, said, error = cut(scans, "--threshold", 0.9)
    assert (status, said) == (2, "")
    assert "scan1_labels.json exists already" in error
    assert "--overwrite" in error
    assert len(written(tmp_path / "out")) == 3
    assert (tmp_path / "out" / "scan1_labels.ome.tif").read_bytes() == before
    assert cut(scans / "scan1.png", "--threshold", 0.9, "--overwrite")[0] == 0
    assert cut(scans / "scan1.png", "--threshold", 0.9)[1] == "scan1.png: done already\n"


@pytest.mark.parametrize("at", ["steps", "table", "swap"])
def test_overwriting_that_fails_leaves_the_old_result(
    cut: Run, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    cut(scans / "scan1.png", "--overlay")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def stop(*args: object, **keywords: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if at == "steps":
            patch.setattr(label_outputs, "segment_steps", failing(KeyboardInterrupt(), at=1))
        elif at == "table":
            patch.setattr(label_outputs, "write_features_csv", stop)
        else:
            rename, renamed = os.rename, []

            def once(old: object, new: object) -> None:
                renamed.append(old)
                if len(renamed) == 6:  # the old ones are aside, the first new one is in its place
                    raise KeyboardInterrupt
                rename(old, new)  # type: ignore[arg-type]

            patch.setattr(os, "rename", once)
        assert cut(scans / "scan1.png", "--threshold", 0.9, "--overwrite")[0] == 130
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert "done already" in cut(scans / "scan1.png", "--overlay")[1]
    # an overlay of the old labels does not stay beside new ones
    assert cut(scans / "scan1.png", "--threshold", 0.9, "--overwrite")[0] == 0
    assert written(tmp_path / "out") == [f"scan1{ending}" for ending in ENDINGS]


def test_a_folder_in_the_way_is_not_overwritten(cut: Run, scans: Path, tmp_path: Path) -> None:
    for name in ("scan1_labels.csv", "scan1_labels.zarr"):
        mine = tmp_path / "out" / name / "mine.txt"
        mine.parent.mkdir(parents=True)
        mine.write_text("mine")
        status, _, error = cut(scans / "scan1.png", "--overwrite")
        assert status == 2
        assert f"{name} is a folder" in error
        assert mine.read_text() == "mine"
        shutil.rmtree(mine.parent)


def test_an_image_that_changed_is_not_done(cut: Run, scans: Path) -> None:
    cut(scans / "scan1.png")
    Image.fromarray(picture(9)).resize((70, 60)).save(scans / "scan1.png")
    assert cut(scans / "scan1.png")[0] == 2


def test_one_bad_file_does_not_hold_up_the_rest(cut: Run, scans: Path, tmp_path: Path) -> None:
    (scans / "scan2.png").write_bytes(b"no picture")
    status, said, error = cut(scans)
    assert status == 2
    assert [line.split(":")[0] for line in said.splitlines()] == ["scan1.png", "scan3.png"]
    assert error.splitlines()[0].startswith("napari-medai: error: scan2.png: ")
    assert "cannot be read" in error
    assert "1 of 3 images failed" in error
    assert not [name for name in written(tmp_path / "out") if "scan2" in name]


def test_a_truncated_tiff(cut: Run, tmp_path: Path) -> None:
    path = tmp_path / "cut.tif"
    tifffile.imwrite(path, picture(shape=(256, 256)))
    path.write_bytes(path.read_bytes()[:9000])
    status, _, error = cut(path)
    assert status == 2
    assert "cut.tif" in error
    assert len(error.splitlines()) == 1


def failing(error: BaseException, *, at: int) -> Callable[..., object]:
    """`segment_steps`, but the run of this number fails in its middle."""
    original, runs = label_outputs.segment_steps, []

    def steps(*args: object, **keywords: object) -> object:
        runs.append(1)
        yield Step(0, 1)
        if len(runs) == at:
            raise error
        return (yield from original(*args, **keywords))

    return steps


def test_ctrl_c_keeps_what_is_finished(cut: Run, scans: Path, tmp_path: Path, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(label_outputs, "segment_steps", failing(KeyboardInterrupt(), at=2))
        status, _, error = cut(scans)
    assert status == 130
    assert "1 of 3 images are finished" in error
    assert written(tmp_path / "out") == [f"scan1{ending}" for ending in ENDINGS]
    status, said, _ = cut(scans)
    assert status == 0
    assert said.splitlines()[0] == "scan1.png: done already"


def test_ctrl_c_between_two_files_of_an_image(cut: Run, scans, tmp_path, monkeypatch) -> None:
    def stop(*args: object, **keywords: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(label_outputs, "write_features_csv", stop)
    assert cut(scans)[0] == 130
    assert written(tmp_path / "out") == []


def test_a_full_disk_stops_the_run(cut: Run, scans: Path, tmp_path: Path, monkeypatch) -> None:
    def full(*args: object, **keywords: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tifffile.TiffWriter, "write", full)
    status, said, error = cut(scans)
    assert (status, said) == (1, "")
    assert f"the results of scan1.png in {tmp_path / 'out'} could not be written" in error
    assert "(No space left on device)" in error
    assert len(error.splitlines()) == 1
    assert written(tmp_path / "out") == []


def test_a_defect_is_told_in_one_line(cut: Run, scans: Path, monkeypatch) -> None:
    monkeypatch.setattr(label_outputs, "segment_steps", failing(KeyError("what"), at=1))
    status, said, error = cut(scans)
    assert status == 1
    assert len(said.splitlines()) == 2
    assert error.startswith("napari-medai: error: scan1.png: unexpected KeyError: 'what'")


def test_debug_shows_where_an_error_comes_from(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        main(["--debug", "info", str(tmp_path / "none.tif")])


@pytest.mark.parametrize("first", [True, False])
def test_debug_shows_where_an_image_fails(scans: Path, monkeypatch, first: bool) -> None:
    monkeypatch.setattr(label_outputs, "segment_steps", failing(KeyError("what"), at=1))
    where = ["--model", "tiny", "--out", str(scans / "out")]
    command = ["segment", str(scans), *where, "--device", "cpu"]
    with pytest.raises(KeyError, match="what"):
        main(["--debug", *command] if first else [*command, "--debug"])


def test_large_labels_go_to_zarr(cut: Run, scans: Path, tmp_path: Path, monkeypatch) -> None:
    cut(scans / "scan1.png", "--scale", "2,3")
    small = np.asarray(read_image(tmp_path / "out" / "scan1_labels.ome.tif")[0].levels[0])
    monkeypatch.setattr(assembly, "LARGEST_IN_MEMORY", 1000)
    status, _, _ = cut(scans / "scan1.png", "--scale", "2,3", "--overwrite", "--overlay")
    assert status == 0
    names = written(tmp_path / "out")
    assert names == [
        "scan1_labels.csv",
        "scan1_labels.json",
        "scan1_labels.zarr",
        "scan1_overlay.png",
    ]
    (labels,) = read_image(tmp_path / "out" / "scan1_labels.zarr")
    assert labels.spacing == {"Y": 2, "X": 3}
    assert np.array_equal(np.asarray(labels.levels[0]), small)
    assert "done already" in cut(scans / "scan1.png", "--scale", "2,3")[1]
    monkeypatch.setattr(label_outputs, "segment_steps", failing(KeyboardInterrupt(), at=1))
    assert cut(scans / "scan2.png")[0] == 130
    assert written(tmp_path / "out") == names


def test_channels_and_stacks(cut: Run, tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, picture(shape=(2, 5, 48, 40)), metadata={"axes": "ZCYX"}, ome=True)
    status, _, error = cut(path)
    assert status == 2
    assert "takes 1 or 3 channels, but the image has 5" in error
    assert "there is no channel 5: the image has 5 channels" in cut(path, "--channel", 5)[2]
    assert cut(path, "--channel", 1, "--overlay")[0] == 0
    (labels,) = read_image(tmp_path / "out" / "stack_labels.ome.tif")
    assert labels.levels[0].shape == (2, 48, 40)
    assert labels.axes == "ZYX"


def test_results_of_the_same_name_are_refused(cut: Run, scans: Path, tmp_path: Path) -> None:
    Image.fromarray(picture()).save(scans / "scan1.bmp")
    status, _, error = cut(scans)
    assert status == 2
    assert "scan1.bmp" in error
    assert "would have the same name" in error
    assert written(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["{scans}", "--threshold", "2"], "argument --threshold: must be 0.05 to 0.95, got 2"),
        (["{scans}", "--threshold", "x"], "argument --threshold: must be a number, got 'x'"),
        (["{scans}", "--tile", "1.5"], "argument --tile: must be a whole number, got '1.5'"),
        (["{scans}", "--device", "gpu"], "argument --device: must be one of auto, cuda, mps, cpu"),
        (["{scans}", "--scale", "1,a"], "argument --scale: must be one number or several"),
        (["{scans}", "--channel", "-1"], "argument --channel: "),
        (["{scans}", "--frobnicate"], "--frobnicate; see napari-medai segment --help"),
        (["{scans}/none.tif"], "none.tif does not exist"),
        (["{scans}/*.tif"], "does not exist"),
        (["{empty}"], "holds no images"),
        (["{scans}/notes.txt"], "is not of a format that can be read"),
        (["{scans}/scan1.png", "--axes", "ZYX"], "axes 'ZYX' name 3 dimensions"),
        (["{scans}/scan1.png", "--scale", "0"], "scale must be positive numbers, got 0"),
        (["{scans}/scan1.png", "--units", "ells"], "'ells' is not a unit"),
        (["{scans}/scan1.png", "--channel", "0"], "the image has no channels"),
    ],
)
def test_bad_input(cut: Run, scans: Path, tmp_path: Path, arguments, sentence) -> None:
    (scans / "notes.txt").write_text("nothing")
    (tmp_path / "empty").mkdir()
    filled = [one.format(scans=scans, empty=tmp_path / "empty") for one in arguments]
    status, said, error = cut(*filled)
    assert (status, said) == (2, "")
    assert error.startswith("napari-medai: error: ")
    assert sentence in error
    assert len(error.splitlines()) == 1


def test_an_unknown_model_and_a_folder_that_cannot_be_written(
    run: Run, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, _, error = run("segment", scans, "--model", "tinny", "--out", tmp_path / "out")
    assert status == 2
    assert "there is no model named 'tinny'; did you mean tiny?" in error
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(batch, "loaded_net", lambda *args, **keywords: pytest.fail("too late"))
    status, _, error = run("segment", scans, "--model", "tiny", "--out", tmp_path / "file")
    assert status == 2
    assert "results cannot be written to" in error


def test_commands_that_are_missing_or_unknown(run: Run) -> None:
    status, _, error = run()
    assert status == 2
    assert "COMMAND" in error
    assert run("segmnt")[2] == (
        "napari-medai: error: there is no command 'segmnt'; did you mean segment?\n"
    )
    assert "required: IN, --out; see napari-medai segment --help" in run("segment")[2]


# train


@pytest.fixture
def drawn(data: Path) -> tuple[object, ...]:
    nuclei = data / "nuclei"
    return ("--images", nuclei / "images", "--masks", nuclei / "masks", "--device", "cpu")


def test_a_model_is_trained_and_used(run: Run, drawn, own_models: Path, scans, tmp_path) -> None:
    learn = ("train", "segment", *drawn, "--steps", 2, "--batch", 1)
    status, said, _ = run(*learn, "--name", "mine")
    assert status == 0
    assert "5 images with masks" in said
    assert f"mine is in {own_models / 'mine'}" in said
    assert "napari-medai segment IN --model mine" in said
    assert list((own_models / ".training").iterdir()) == []
    status, _, error = run(*learn, "--name", "mine")
    assert status == 2
    assert "there is a model 'mine' already" in error
    assert run(*learn, "--name", "next", "--from", "mine")[0] == 0
    assert find_model("next").config["recipe"]["from"] == "mine"
    used = run("segment", scans / "scan1.png", "--model", "next", "--out", tmp_path / "o")
    assert used[0] == 0


def test_ctrl_c_keeps_the_best_and_resume_goes_on(run: Run, drawn, own_models, monkeypatch) -> None:
    original = train._log

    def log_and_interrupt(line: ProgressLine, step: Step) -> None:
        original(line, step)
        signal.raise_signal(signal.SIGINT)

    learn = ("train", "segment", *drawn, "--steps", 4, "--batch", 1, "--name", "half")
    with monkeypatch.context() as patch:
        patch.setattr(train, "_log", log_and_interrupt)
        status, said, error = run(*learn)
    assert status == 130
    assert "keeping the best so far" in error
    assert "--resume goes on" in error
    assert f"half is in {own_models / 'half'}" in said
    assert find_model("half").config["recipe"]["steps"] == 1
    assert run(*learn, "--resume")[0] == 0
    assert find_model("half").config["recipe"]["steps"] == 4
    status, _, error = run(*learn, "--resume")
    assert status == 2
    assert "no training of 'half' was stopped" in error


def test_a_model_of_classes_is_trained_and_used(
    run: Run, drawn, own_models: Path, scans, tmp_path
) -> None:
    masks = tmp_path / "classes"
    masks.mkdir()
    for path in Path(str(drawn[3])).iterdir():
        labels = np.asarray(read_image(path)[0].levels[0])
        Image.fromarray((labels > 0).astype(np.uint8)).save(masks / f"{path.stem}.png")
    learn = ("train", "segment", *drawn[:3], masks, *drawn[4:], "--steps", 2, "--batch", 1)
    status, said, _ = run(*learn, "--name", "tissue", "--classes", "nucleus", "--window", 0, 255)
    assert status == 0
    assert "on held-out images: Dice nucleus" in said
    assert find_model("tissue").config["intensity"] == {"window": [0.0, 255.0]}
    status, said, _ = run("segment", scans, "--model", "tissue", "--out", tmp_path / "out")
    assert status == 0
    assert said.startswith("scan1.png: nucleus ")
    record = json.loads((tmp_path / "out" / "scan1_labels.json").read_text())
    assert record["parameters"].keys() == {"mirror", "device", "tile", "block"}
    again = run("segment", scans, "--model", "tissue", "--out", tmp_path / "out")
    assert again[1].count("done already") == 3
    error = run(*learn, "--name", "other", "--classes", "a", "a")[2]
    assert "classes need different names, got a, a" in error


def test_too_many_classes_are_refused_before_any_work(
    run: Run, own_models: Path, scans: Path, tmp_path: Path
) -> None:
    folders = ("--images", scans, "--masks", tmp_path / "nowhere")
    names = [f"organ{number}" for number in range(64)]
    learn = ("train", "segment", *folders, "--name", "many", "--classes", *names)
    status, _, error = run(*learn)
    assert status == 2
    assert "a model tells at most 63 classes apart, got 64; join some" in error
    assert "nowhere is not a folder" in run(*learn[:-1])[2]


def test_a_checkpoint_goes_on_for_its_own_training_alone(
    run: Run, drawn, own_models: Path, tmp_path: Path, data: Path
) -> None:
    kept = tmp_path / "state.pt"
    learn = ("train", "segment", *drawn, "--batch", 1)
    assert run(*learn, "--name", "precious", "--steps", 1)[0] == 0
    precious = find_model("precious").sha256
    aa = (*learn, "--name", "aa", "--checkpoint", kept)
    assert run(*aa, "--steps", 1)[0] == 0
    assert json.loads((tmp_path / "state.pt.medai.json").read_text())["name"] == "aa"
    # it is there, but nobody asked to go on; nor is it any other training's
    other = (*learn, "--name", "precious", "--checkpoint", kept, "--steps", 2)
    for more, sentence in (
        ((), "exists already; add --resume"),
        (("--overwrite",), "exists already; add --resume"),
        (("--resume",), "belongs to another training (name: aa, not precious)"),
        (("--resume", "--overwrite"), "(name: aa, not precious)"),
    ):
        status, said, error = run(*other, *more)
        assert (status, said) == (2, "")
        assert sentence in error
        assert len(error.splitlines()) == 1
    assert find_model("precious").sha256 == precious
    assert "exists already" in run(*aa, "--steps", 2)[2]
    started = run(*aa, "--steps", 2, "--resume", "--from", "precious")
    assert started[0] == 2
    assert "(start: none, not precious" in started[2]
    fewer = tmp_path / "fewer"
    for kind in ("images", "masks"):
        (fewer / kind).mkdir(parents=True)
        for name in ("fluorescence-256.png", "fluorescence-360.png"):
            shutil.copy(data / "nuclei" / kind / name, fewer / kind / name)
    given = ("--images", fewer / "images", "--masks", fewer / "masks")
    assert "(images: 5 (" in run(*aa, *given, "--steps", 2, "--resume")[2]
    first = find_model("aa").sha256
    assert run(*aa, "--steps", 2, "--resume")[0] == 0
    assert find_model("aa").sha256 != first
    assert find_model("aa").config["recipe"]["steps"] == 2


def test_resuming_spares_a_model_that_it_did_not_make(
    run: Run, drawn, own_models: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "state.pt"
    learn = ("train", "segment", *drawn, "--batch", 1, "--name", "aa")
    assert run(*learn, "--steps", 1, "--checkpoint", kept)[0] == 0
    assert run(*learn, "--steps", 1, "--seed", 5, "--overwrite")[0] == 0
    other = find_model("aa").sha256
    again = (*learn, "--steps", 2, "--checkpoint", kept, "--resume")
    status, _, error = run(*again)
    assert status == 2
    assert "there is a model 'aa' already" in error
    assert find_model("aa").sha256 == other
    assert run(*again, "--overwrite")[0] == 0
    # a script's checkpoint has no note: it takes a free name
    (tmp_path / "state.pt.medai.json").unlink()
    assert "already" in run(*again)[2]


def test_ctrl_c_before_anything_was_learned(run: Run, drawn, own_models, monkeypatch) -> None:
    def steps(*args: object, **keywords: object) -> object:
        signal.raise_signal(signal.SIGINT)
        yield Step(0, 0, "preparing")
        pytest.fail("it went on")

    monkeypatch.setattr(train_inputs, "train_steps", steps)
    status, _, error = run("train", "segment", *drawn, "--name", "early")
    assert status == 130
    assert "no model was made" in error


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--name", "My Nuclei"], "'My Nuclei' is not a model name"),
        (["--name", "a", "--from", "tinny"], "there is no model named 'tinny'"),
        (["--name", "a", "--minutes", "0"], "argument --minutes: must be 0.1 to 10000, got 0"),
        (["--name", "a", "--masks", "nowhere"], "nowhere is not a folder"),
        (["--name", "a", "--checkpoint", "no.pt", "--resume"], "there is no checkpoint no.pt"),
        ([], "required: --name"),
    ],
)
def test_bad_input_to_training(run: Run, drawn, own_models: Path, arguments, sentence) -> None:
    status, _, error = run("train", "segment", *drawn, *arguments)
    assert status == 2
    assert sentence in error
    assert not list(own_models.glob("[a-z]*"))


# models, info, demo


def test_models_are_listed_shown_packed_and_installed(run: Run, tmp_path, monkeypatch) -> None:
    status, said, _ = run("models", "list")
    assert status == 0
    assert any(line.startswith("tiny 1.0.0 · segment") for line in said.splitlines())
    assert "# tiny" in run("models", "show", "tiny")[1]
    assert json.loads(run("models", "show", "tiny", "--json")[1])["name"] == "tiny"
    archive = tmp_path / "tiny.zip"
    assert run("models", "export", "tiny", archive)[0] == 0
    assert "exists" in run("models", "export", "tiny", archive)[2]
    monkeypatch.setenv("MEDAI_MODELS", str(tmp_path / "own"))
    assert run("models", "install", archive)[0] == 0
    assert "already" in run("models", "install", archive)[2]
    assert run("models", "verify", "tiny")[:2] == (0, "tiny: ok\n")
    assert "sha256: " in run("info", archive)[1]
    assert run("models", "remove", "tiny")[:2] == (0, "tiny was removed\n")
    status, _, error = run("models", "remove", "tiny")
    assert status == 2
    assert "no model named 'tiny'" in error


def test_a_tampered_model_is_found(
    run: Run, tiny_package: Path, own_models: Path, scans, tmp_path
) -> None:
    run("models", "install", tiny_package)
    weights = own_models / "tiny" / "weights.pt"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    status, said, _ = run("models", "verify")
    assert status == 2
    assert "corrupt or was tampered with" in said
    assert "tiny cannot be used" in run("models", "list")[2]
    status, _, error = run("segment", scans, "--model", "tiny", "--out", tmp_path / "o")
    assert status == 2
    assert "corrupt or was tampered with" in error


def test_info_tells_what_a_file_holds(run: Run, data: Path) -> None:
    status, said, _ = run("info", data / "ome" / "multi-channel.ome.tif")
    assert status == 0
    assert "axes:     CYX" in said
    assert "shape:    3 x 167 x 439" in said
    assert "dtype:    int8" in said


def test_demo(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("demo", "--model", "tiny", "--out", tmp_path / "demo", "--no-viewer")
    for _ in range(2):
        status, said, _ = run(*arguments)
        assert status == 0
    assert "objects" in said
    assert "median area" in said
    assert "px²" in said
    assert len(written(tmp_path / "demo")) == 4
    opened: list[object] = []
    monkeypatch.setattr(demo, "_open", opened.append)
    monkeypatch.setattr(demo, "viewer_missing", lambda: "there is no screen")
    assert "napari was not opened: there is no screen" in run(*arguments[:-1])[2]
    assert opened == []
    monkeypatch.setattr(demo, "viewer_missing", lambda: "")
    run(*arguments[:-1])
    assert len(opened) == 1


def test_the_demo_spares_what_it_did_not_write(run: Run, tmp_path: Path) -> None:
    mine = tmp_path / "demo" / "nuclei_fluorescence_labels.csv"
    mine.parent.mkdir()
    mine.write_text("mine")
    status, said, error = run("demo", "--model", "tiny", "--out", mine.parent, "--no-viewer")
    assert (status, said) == (2, "")
    assert "but not as an earlier demo left it" in error
    assert mine.read_text() == "mine"
    assert written(mine.parent) == [mine.name]


def test_what_the_demo_needs_for_a_viewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    assert "no screen" in demo.viewer_missing()
    monkeypatch.setenv("DISPLAY", ":0")
    assert demo.viewer_missing() == ""
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    assert "napari-medai[all]" in demo.viewer_missing()


def test_help_loads_no_engine() -> None:
    code = (
        "import sys; from napari_medai.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print(sorted({'napari', 'torch', 'dask', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.endswith("[]\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"napari-medai {command}" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.startswith("napari-medai 0")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_progress_line_is_cleared() -> None:
    stream = Terminal()
    with ProgressLine("scan", stream=stream) as line:
        line(Step(1, 4, "segmenting"))
    shown = stream.getvalue()
    assert "scan [######..................]  25 % segmenting" in shown
    assert shown.endswith("\r")
    quiet = io.StringIO()
    with ProgressLine(stream=quiet) as line:
        line(Step(1, 4))
    assert quiet.getvalue() == ""
