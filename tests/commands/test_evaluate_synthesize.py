"""``napari-medai evaluate synthesize``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from napari_medai.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Folders of pictures of blobs and their labels: made, real and learned."""
    for number, kind in enumerate(("made", "real", "learned")):
        for at in range(5):
            rng = np.random.default_rng([number, at])
            spots = ndimage.gaussian_filter(rng.normal(size=(96, 80)), 3)
            labels = ndimage.label(spots > spots.std())[0]
            image = np.clip(spots / spots.max(), 0, 1) * 200 + rng.normal(20, 3, spots.shape)
            for folder, values in ((kind, image), (f"{kind}-masks", labels)):
                (tmp_path / folder).mkdir(exist_ok=True)
                whole = np.clip(values, 0, 255).astype(np.uint8)
                tifffile.imwrite(tmp_path / folder / f"{kind}{at}.tif", whole)
    return tmp_path


def options(folders: Path, model: Path) -> tuple[object, ...]:
    found: list[object] = ["evaluate", "synthesize", "--model", model, "--device", "cpu"]
    for option, folder in (
        ("--images", "made"),
        ("--masks", "made-masks"),
        ("--real", "real"),
        ("--real-masks", "real-masks"),
    ):
        found += [option, folders / folder]
    return (*found, "--crop", 64, "--crops", 50, "--compared", 16)


def test_made_images_are_compared_with_real_ones(
    run: Run, folders: Path, tiny_package: Path
) -> None:
    given = options(folders, tiny_package)
    given += ("--training", folders / "learned", "--training-masks", folders / "learned-masks")
    told = folders / "figures.json"
    status, said, _ = run(*given, "--json", told)
    assert status == 0
    figures = json.loads(told.read_text())
    assert figures["images"] == {"synthetic": 5, "real": 5, "training": 5}
    assert figures["model"]["name"] == "tiny"
    assert figures["parameters"]["crop"] == 64
    lines = said.splitlines()
    assert lines[0] == "5 synthetic and 5 real images, 5 to look for among them"
    assert lines[1].split() == ["KID", "±", "error", "FID", "AP@0.5"]
    made = figures["synthetic to real"]
    assert lines[2].split() == [
        "synthetic",
        f"{made['KID']:.4f}",
        f"{made['KID standard error']:.4f}",
        f"{made['FID']:.2f}",
        f"{figures['AP@0.5']['synthetic']:.3f}",
    ]
    assert lines[3].split()[0] == "real"
    assert f"{figures['real to real']['FID']:.2f}" in lines[3]
    assert "encoder of tiny 1.0.0, of crops of 64 x 64 pixels" in said
    assert "copies, by pixels: " in said
    status, _, error = run(*given, "--json", told)
    assert status == 2
    assert "figures.json exists already" in error


def test_without_training_images_the_real_ones_are_looked_for(
    run: Run, folders: Path, tiny_package: Path
) -> None:
    for path in sorted((folders / "real").iterdir())[:2]:
        (folders / "made" / f"again-{path.name}").write_bytes(path.read_bytes())
        mask = folders / "real-masks" / path.name
        (folders / "made-masks" / f"again-{path.name}").write_bytes(mask.read_bytes())
    status, said, _ = run(*options(folders, tiny_package))
    assert status == 0
    assert said.splitlines()[3].split()[:4] == ["real", "-", "-", "-"]
    copied = [line for line in said.splitlines() if line.startswith("copies")]
    for line in copied:
        count = int(line.split(": ")[1].split(" of ")[0])
        assert count >= 2
        assert "(again-real" in line
    assert len(copied) == 2


def test_what_belongs_together_is_asked_for(run: Run, folders: Path, tiny_package: Path) -> None:
    given = options(folders, tiny_package)
    status, _, error = run(*given, "--training", folders / "learned")
    assert status == 2
    assert "--training and --training-masks belong together" in error
    status, _, error = run(*given[:-6], "--crop", 100)
    assert status == 2
    assert "crop must be a multiple of 64, got 100" in error
