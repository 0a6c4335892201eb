"""Noise from the shell: what is written, learned and scored, and the status it ends with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_medai.cli import main
from napari_medai.commands.image_files import image_ending
from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.space import Grid
from napari_medai.io.image_data import ImageData
from napari_medai.io.images import read_image
from napari_medai.io.ome_tiff import write_tiff
from napari_medai.io.ome_zarr.writer import write_zarr
from napari_medai.io.volume_writers import Volume, write_volume
from napari_medai.models.registry import find_model
from napari_medai.tasks import image_store
from napari_medai.tasks.verify import full_check

Run = Callable[..., tuple[int, str, str]]
KNOWN = ("--gain", 1, "--read-noise", 3, "--device", "cpu")


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str],
    denoising: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    monkeypatch.setenv("MEDAI_MODELS", str(tmp_path / "own"))
    denoising.denoiser(tmp_path / "own" / "same")

    def run(*arguments: object) -> tuple[int, str, str]:
        status = main([str(one) for one in arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


@pytest.fixture
def clean_up(run: Run, tmp_path: Path) -> Run:
    def clean_up(*arguments: object) -> tuple[int, str, str]:
        return run("denoise", *arguments, "--model", "same", "--out", tmp_path / "out", *KNOWN)

    return clean_up


def lit(*shape: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    ramp = np.broadcast_to(np.linspace(60, 150, shape[-1]), shape)
    return rng.poisson(ramp).astype(np.uint16)


def written(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def only(path: Path) -> ImageData:
    (image,) = read_image(path)
    return image


def test_an_image_a_record_and_a_picture_are_written(clean_up: Run, tmp_path: Path) -> None:
    values = lit(2, 3, 40, 48)
    spacing, units = {"Y": 0.5, "X": 0.25}, {"Y": "micrometer", "X": "micrometer"}
    image = AxesArray(values, "TCYX", spacing, units)
    write_tiff(tmp_path / "cells.ome.tif", image, names=["a", "b", "c"])
    status, said, _ = clean_up(tmp_path / "cells.ome.tif", "--overlay")
    assert status == 0
    assert said.startswith("cells.ome.tif: gain 1, read noise 3, dark 0; gain 1")
    out = tmp_path / "out"
    assert written(out) == ["cells_clean.json", "cells_clean.ome.tif", "cells_clean.png"]
    found = only(out / "cells_clean.ome.tif")
    assert found.axes == "TCYX"
    assert found.spacing == spacing
    assert found.units == units
    assert found.names == ("a", "b", "c")
    assert not found.labels
    result = np.asarray(found.levels[0])
    assert result.dtype == np.float32
    assert np.abs(result - values).max() < 1e-2
    text = (out / "cells_clean.json").read_text()
    record = json.loads(text)
    assert record["task"] == "denoise"
    assert record["model"]["sha256"] == find_model("same").sha256
    assert record["found"]["noise"][0] == {"gain": 1.0, "offset": 0.0, "read_noise": 3.0}
    assert record["files"] == ["_clean.json", "_clean.ome.tif", "_clean.png"]
    assert "steps" not in record["parameters"]
    assert "cells" not in text
    with Image.open(out / "cells_clean.png") as picture:
        assert picture.size == (96, 40)
        shown = np.asarray(picture).astype(int)
    # the net changes nothing, so both halves are alike
    assert np.abs(shown[:, :48] - shown[:, 48:]).max() <= 1


def test_a_second_run_goes_on_and_another_is_refused(clean_up: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        tifffile.imwrite(tmp_path / f"{name}.tif", lit(40, 40))
    clean_up(tmp_path / "a.tif")
    status, said, error = clean_up(tmp_path / "a.tif", tmp_path / "b.tif", "--lines", "rows")
    assert status == 0
    assert "a.tif: done already" in said
    assert said.count("gain 1") == 1
    assert "lines means nothing to same and is left out" in error
    # results among the images are no images
    assert clean_up(tmp_path / "a.tif", tmp_path / "out")[1].count("done already") == 1
    status, _, error = clean_up(tmp_path / "a.tif", "--strength", 0.5)
    assert status == 2
    assert "a_clean.json exists already, not made as asked for now" in error
    assert clean_up(tmp_path / "a.tif", "--strength", 0.5, "--overwrite")[0] == 0


def test_values_may_keep_their_kind(clean_up: Run, tmp_path: Path) -> None:
    colours = lit(40, 48, 3).clip(0, 255).astype(np.uint8)
    Image.fromarray(colours).save(tmp_path / "photo.png")
    assert clean_up(tmp_path / "photo.png", "--dtype", "same")[0] == 0
    found = only(tmp_path / "out" / "photo_clean.ome.tif")
    assert found.rgb
    assert np.array_equal(np.asarray(found.levels[0]), colours)
    assert clean_up(tmp_path / "photo.png", "--channel", 1, "--overwrite")[0] == 0
    found = only(tmp_path / "out" / "photo_clean.ome.tif")
    assert found.axes == "YX"
    assert np.abs(np.asarray(found.levels[0]) - colours[..., 1]).max() < 1e-2


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_volumes_lie_where_they_lay(clean_up: Run, tmp_path: Path, ending: str) -> None:
    values = lit(6, 40, 48)
    affine = np.diag([3.0, 0.7, 0.7, 1.0])
    affine[:3, 3] = (10, -20, 30)
    path = tmp_path / f"scan{ending}"
    write_volume(path, Volume(values, Grid(affine)))
    assert clean_up(path)[0] == 0
    before, found = only(path), only(tmp_path / "out" / f"scan_clean{ending}")
    assert found.grid is not None
    assert before.grid is not None
    assert np.allclose(found.grid.affine, before.grid.affine, atol=1e-4)
    assert np.asarray(found.levels[0]).dtype == np.float32
    assert np.abs(np.asarray(found.levels[0]) - np.asarray(before.levels[0])).max() < 1e-2


def test_time_series_of_volumes_keep_their_seconds(clean_up: Run, tmp_path: Path) -> None:
    path = tmp_path / "beat.nii.gz"
    write_volume(path, Volume(lit(2, 3, 40, 48), Grid(np.diag([3.0, 1, 1, 1])), seconds=0.25))
    assert clean_up(path)[0] == 0
    found = only(tmp_path / "out" / "beat_clean.nii.gz")
    assert found.axes == "TZYX"
    assert found.spacing["T"] == pytest.approx(0.25)
    assert found.units["T"] == "second"


def test_zarr_becomes_zarr_and_large_results_are_never_whole(
    clean_up: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = lit(3, 40, 48)
    image = ImageData(
        (values,), "ZYX", {"Z": 2.0, "Y": 0.5, "X": 0.5}, dict.fromkeys("ZYX", "micrometer")
    )
    write_zarr(tmp_path / "stack.zarr", image)
    tifffile.imwrite(tmp_path / "stack.tif", values, photometric="minisblack")
    monkeypatch.setattr(image_store, "LARGEST_IN_MEMORY", {True: 1, False: 1})
    for name in ("stack.zarr", "stack.tif"):
        assert clean_up(tmp_path / name, "--overwrite")[0] == 0
        ending = ".zarr" if name.endswith("zarr") else ".ome.tif"
        found = only(tmp_path / "out" / f"stack_clean{ending}")
        assert np.abs(np.asarray(found.levels[0]) - values).max() < 1e-2
    assert written(tmp_path / "out") == ["stack_clean.json", "stack_clean.ome.tif"]
    clean_up(tmp_path / "stack.zarr", "--overwrite")
    found = only(tmp_path / "out" / "stack_clean.zarr")
    assert found.spacing == image.spacing
    assert found.units == image.units


@pytest.mark.usefixtures("quick")
def test_a_net_learns_from_an_image_and_is_kept(
    run: Run, denoising: ModuleType, tmp_path: Path
) -> None:
    values = denoising.noisy(denoising.scene(48, 48))
    for name in ("a", "b"):
        tifffile.imwrite(tmp_path / f"{name}.tif", values)
    how = ("--model", "self", "--steps", 3, "--device", "cpu", "--out", tmp_path / "out")
    status, said, error = run("denoise", tmp_path / "a.tif", *how, "--keep", "mine")
    assert (status, error) == (0, "")
    record = json.loads((tmp_path / "out" / "a_clean.json").read_text())
    assert record["model"] == {"name": "self"}
    assert record["found"]["steps"] == 3
    assert record["kept"] == "mine"
    assert find_model("mine", "denoise").decoder == "light"
    assert "denoise · 2D: Denoising, learned from" in run("models", "list", "--task", "denoise")[1]
    assert run("models", "verify", "mine")[1] == "mine: ok\n"
    status, said, _ = run("denoise", tmp_path / "a.tif", tmp_path / "b.tif", *how)
    assert status == 0
    assert "a.tif: done already" in said
    many = (tmp_path / "a.tif", tmp_path / "b.tif")
    for arguments, sentence in (
        ((many[0], *how, "--keep", "mine"), "there is a model 'mine' already"),
        ((*many, *how, "--keep", "other"), "but 2 were given; name one image with --keep"),
        ((many[0], *how, "--model", "same", "--keep", "other"), "same is a model already"),
    ):
        status, _, error = run("denoise", *arguments)
        assert status == 2
        assert sentence in error


def test_what_cannot_be_denoised(run: Run, tmp_path: Path) -> None:
    many = ImageData((lit(2, 2, 2, 2, 20, 20),), "QTCZYX")
    with pytest.raises(InputError, match=r"room for 5 axes, but six\.npy has Q T C Z Y X"):
        image_ending(Path("six.npy"), many)
    tifffile.imwrite(tmp_path / "tiny.tif", lit(8, 8))
    out = ("--out", tmp_path / "out")
    status, _, error = run("denoise", tmp_path / "tiny.tif", "--model", "same", *out)
    assert status == 2
    assert "tiny.tif: noise is told from images of at least 16 x 16 pixels" in error
    assert written(tmp_path / "out") == []
    status, _, error = run("denoise", tmp_path / "tiny.tif", "--model", "nuclei", *out)
    assert status == 2
    assert "made to segment, not to denoise" in error


# models


def test_a_model_is_shown_and_exported_with_torchscript(run: Run, tmp_path: Path) -> None:
    said = run("models", "show", "same")[1]
    assert "clean = medai.denoise(image" in said
    told = json.loads(run("models", "show", "same", "--json")[1])
    assert told["task"] == "denoise"
    assert told["channels"] == ["stabilised values", "noise level"]
    status, said, _ = run("models", "export", "same", tmp_path / "same.zip")
    assert status == 0
    run("models", "remove", "same")
    assert run("models", "install", tmp_path / "same.zip")[0] == 0
    assert "torchscript" in find_model("same").exports
    assert full_check("same") == []


# train


@pytest.fixture
def scenes(denoising: ModuleType, tmp_path: Path) -> Path:
    """Three noisy images and, in another folder, their clean ones."""
    for seed in range(3):
        clean = denoising.scene(40, 40, seed=seed)
        for folder, ending, image in (
            ("noisy", "", denoising.noisy(clean, seed=seed)),
            ("clean", "_gt", (100 + 80 * clean).astype(np.float32)),
        ):
            (tmp_path / folder).mkdir(exist_ok=True)
            tifffile.imwrite(tmp_path / folder / f"scene{seed}{ending}.tif", image)
    return tmp_path


@pytest.mark.usefixtures("quick")
def test_models_are_trained_with_clean_images_and_without(run: Run, scenes: Path) -> None:
    how = ("--steps", 2, "--batch", 2, "--device", "cpu")
    noisy, clean = ("--images", scenes / "noisy"), ("--clean", scenes / "clean")
    status, said, _ = run("train", "denoise", *noisy, *clean, "--name", "pairs", *how)
    assert status == 0
    assert said.startswith("3 images with clean ones\n")
    assert "gain in dB, held out: " in said
    assert "use it: napari-medai denoise IN --model pairs --out DIR" in said
    status, said, _ = run("train", "denoise", *noisy, "--name", "alone", "--from", "pairs", *how)
    assert status == 0
    assert said.startswith("3 images with noise alone\n")
    assert find_model("alone").config["recipe"]["from"] == "pairs"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("denoise", "--masks", "clean"), "train denoise takes --clean, not --masks"),
        (("segment", "--masks", "clean", "--clean", "clean"), "takes --masks, not --clean"),
        (("denoise", "--classes", "a"), "classes, window and mirror are for segmentation"),
        (("denoise", "--window", 0, 1), "classes, window and mirror are for segmentation"),
        (("detect", "--boxes", "clean", "--across", "Z"), "across is for denoising"),
        (("denoise", "--clean", "noisy/scene0.tif"), "scene0.tif is not a folder"),
        (("denoise", "--clean", "some"), "2 of 3 noisy images have no clean one in"),
        (("denoise", "--clean", "two"), "all belong to 'scene0'"),
        (("denoise", "--clean", "noisy"), "holds no clean images beside the noisy ones"),
    ],
)
def test_what_training_refuses(
    run: Run, scenes: Path, options: tuple[Any, ...], sentence: str, monkeypatch: Any
) -> None:
    monkeypatch.chdir(scenes)
    for folder, names in (("some", ["scene0"]), ("two", ["scene0_gt", "scene0_clean"])):
        (scenes / folder).mkdir()
        for name in names:
            tifffile.imwrite(scenes / folder / f"{name}.tif", lit(40, 40))
    task, *rest = options
    status, _, error = run("train", task, "--images", "noisy", *rest, "--name", "no", "--steps", 1)
    assert status == 2
    assert sentence in error


# evaluate


def test_a_model_is_scored_by_clean_images(run: Run, scenes: Path) -> None:
    told = scenes / "figures.json"
    score = ("evaluate", "denoise", "--images", scenes / "noisy", "--clean", scenes / "clean")
    status, said, _ = run(*score, "--model", "same", "--device", "cpu", "--json", told)
    assert status == 0
    lines = said.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["scene0", "scene1", "scene2", "all"]
    figures = json.loads(told.read_text())
    assert figures["model"]["name"] == "same"
    assert figures["images"] == 3
    # by hand
    pairs = [
        (
            tifffile.imread(scenes / "noisy" / f"scene{n}.tif").astype(float),
            tifffile.imread(scenes / "clean" / f"scene{n}_gt.tif").astype(float),
        )
        for n in range(3)
    ]
    wanted = [10 * np.log10(np.ptp(b) ** 2 / ((a - b) ** 2).mean()) for a, b in pairs]
    assert figures["noisy"]["PSNR"] == pytest.approx(np.mean(wanted), abs=0.01)
    assert figures["each"]["scene1"]["noisy"]["PSNR"] == pytest.approx(wanted[1], abs=0.01)
    assert f"PSNR {np.mean(wanted):.2f} → {figures['restored']['PSNR']:.2f} dB" in lines[3]
    status, _, error = run(*score, "--model", "same", "--json", told)
    assert status == 2
    assert "figures.json exists already" in error


@pytest.mark.usefixtures("quick")
def test_without_clean_images_what_was_taken_away_is_judged(run: Run, scenes: Path) -> None:
    score = ("evaluate", "denoise", "--images", scenes / "noisy", "--device", "cpu", "--debug")
    status, said, _ = run(*score, "--model", "self", "--steps", 2)
    assert status == 0
    assert "of the planes look like noise; along rows" in said
    assert "mean in standard deviations of the noise" in said
    status, _, error = run("evaluate", "classify")
    assert status == 2
    assert "invalid choice: 'classify'" in error
