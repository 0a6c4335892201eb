"""A layer or an array goes in, a layer comes out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import torch
from napari.layers import Image, Labels, Points

import napari_medai as medai
from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.models.model import Model
from napari_medai.scripting.label_pairs import label_pairs

CPU = {"device": "cpu", "diameter": 24}


def disks(shape: tuple[int, int] = (96, 80)) -> np.ndarray:
    y, x = np.ogrid[: shape[0], : shape[1]]
    image = np.zeros(shape, np.uint16)
    for cy, cx in ((20, 20), (60, 30), (40, 60)):
        image[(y - cy) ** 2 + (x - cx) ** 2 < 100] = 1000
    return image


@pytest.fixture(autouse=True)
def models(tiny_package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDAI_MODELS", str(tiny_package.parent))


def test_a_layer_gives_a_layer_in_its_place() -> None:
    image = Image(disks(), name="cells", scale=(2, 3), translate=(10, 20), units="um")
    labels = medai.segment(image, "tiny", **CPU)
    assert isinstance(labels, Labels)
    assert labels.data.shape == (96, 80)
    assert labels.data.max() == len(labels.features) > 0
    assert np.array_equal(labels.scale, (2, 3))
    assert np.array_equal(labels.translate, (10, 20))
    assert labels.units == image.units
    made = medai.script(labels)
    assert "viewer.layers['cells']" in made
    assert "model='tiny'" in made


def test_a_window_lies_where_it_was_cut() -> None:
    image = Image(disks(), scale=(2, 3), translate=(10, 20))
    window = {"Y": slice(16, None), "X": (8, 40)}
    labels = medai.segment(image, "tiny", window=window, **CPU)
    assert labels.data.shape == (80, 32)
    assert np.array_equal(labels.translate, (10 + 2 * 16, 20 + 3 * 8))
    source = labels.metadata["medai"]["source"]
    assert source["window"] == {"Y": [16, 96], "X": [8, 40]}


def test_one_channel_is_taken_and_the_script_names_it() -> None:
    image = np.stack([0 * disks(), disks()], axis=-1)
    layer = Image(image, name="two", axis_labels=("y", "x", "c"))
    labels = medai.segment(layer, "tiny", channel=1, window={"Y": (0, 64)}, **CPU)
    window = {"Y": slice(0, 64), "C": slice(1, 2)}
    assert np.array_equal(labels.data, medai.segment(layer, "tiny", window=window, **CPU).data)
    made = medai.script(labels)
    assert "    channel=1,\n    window={'Y': slice(0, 64)},\n" in made
    colours = Image(np.repeat(disks()[..., None], 3, -1).clip(0, 255).astype(np.uint8))
    assert "    channel=2,\n" in medai.script(medai.segment(colours, "tiny", channel=2, **CPU))


def test_an_array_takes_scale_and_units() -> None:
    labels = medai.segment(disks(), "tiny", scale=0.5, units="µm", **CPU)
    assert np.array_equal(labels.scale, (0.5, 0.5))
    assert [str(unit) for unit in labels.units] == ["micrometer", "micrometer"]
    plain = medai.segment(disks(), "tiny", **CPU)
    assert np.allclose(labels.features["area"], plain.features["area"] / 4)


def test_arrays_of_any_kind_give_the_same() -> None:
    image = disks()
    expected = medai.segment(image, "tiny", **CPU).data
    for other in (
        da.from_array(image, chunks=40),
        AxesArray(image, "YX"),
        [image, image[::2, ::2]],
        image.tolist(),
    ):
        assert np.array_equal(medai.segment(other, "tiny", **CPU).data, expected)


def test_colours_time_and_axes() -> None:
    image = disks()
    rgba = np.stack([image, image, image, 0 * image + 255], -1).clip(0, 255).astype(np.uint8)
    assert medai.segment(rgba, "tiny", **CPU).data.shape == (96, 80)
    frames = medai.segment(np.stack([image, image]), "tiny", axes="tyx", **CPU)
    assert frames.data.shape == (2, 96, 80)
    assert set(frames.features["t"]) == {0, 1}
    assert frames.axis_labels == ("t", "y", "x")


def test_a_model_may_be_given_itself_and_labels_go_to_disk(tmp_path: Path) -> None:
    model = next(model for model in medai.models("segment") if model.name == "tiny")
    assert isinstance(model, Model)
    labels = medai.segment(disks(), model, out=tmp_path / "labels.zarr", **CPU)
    assert (tmp_path / "labels.zarr").is_dir()
    assert np.asarray(labels.data).max() == len(labels.features)


def test_notes_are_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from napari_medai.tasks import segment as task

    original = task._segmentation
    monkeypatch.setattr(
        task, "_segmentation", lambda *args: replace(original(*args), notes=("look here",))
    )
    with pytest.warns(UserWarning, match="look here"):
        medai.segment(disks(), "tiny", **CPU)


def test_a_parameter_that_means_nothing_to_the_model_is_told() -> None:
    with pytest.warns(UserWarning, match="mirror means nothing to tiny and is left out") as told:
        labels = medai.segment(disks(), "tiny", mirror="on", **CPU)
    assert len(told) == 1
    assert told[0].filename == __file__
    assert "mirror" not in labels.metadata["medai"]["parameters"]


@pytest.mark.parametrize(
    ("image", "keywords", "sentence"),
    [
        (disks(), {"treshold": 0.3}, "no parameter 'treshold'; did you mean threshold"),
        (disks(), {"threshold": 1.5}, "threshold must be 0.05 to 0.95, got 1.5"),
        (disks(), {"threshold": "much"}, "threshold must be a number, got 'much'"),
        (disks(), {"tile": 12.5}, "tile must be a whole number"),
        (disks(), {"device": "gpu"}, "device must be one of auto, cuda, mps, cpu, got 'gpu'"),
        (disks(), {"model": "tinny"}, "no model named 'tinny'; did you mean tiny"),
        (disks(), {"axes": "ZYX"}, "axes 'ZYX' name 3 dimensions, but the array has 2"),
        (disks(), {"scale": 0}, "scale must be positive numbers, got 0"),
        (disks(), {"scale": (1, 2, 3)}, "scale has 3 values"),
        (disks(), {"scale": {"Z": 1}}, "scale names axis Z"),
        (disks(), {"units": "parsecs"}, "'parsecs' is not a unit"),
        (disks(), {"window": {"Z": slice(1)}}, "window names axis 'Z'"),
        (disks(), {"window": {"Y": slice(5, 5)}}, "window along Y must be a slice within 0 to 96"),
        (disks(), {"window": {"Y": 5}}, "window along Y must be a slice"),
        (disks(), {"window": {"Y": slice("a", "b")}}, "window along Y must be a slice"),
        (disks(), {"window": {"Y": slice(0, 9, 0)}}, "window along Y must be a slice"),
        (disks(), {"window": slice(5)}, "window must name axes"),
        (disks(), {"channel": 0}, "there is no channel 0: the image has no channels"),
        (np.zeros((32, 32, 3)), {"channel": 3}, "no channel 3: the image has 3 channels"),
        (
            np.zeros((32, 32, 3)),
            {"channel": 0, "window": {"C": slice(1)}},
            "channel is given twice",
        ),
        (np.zeros((32, 32, 3)), {"channel": -1}, "no channel -1"),
        (np.zeros((32, 32, 3)), {"channel": "red"}, "whole number from 0, got 'red'"),
        (torch.zeros(32, 32), {}, "torch.float32 values, which numpy does not know; .*numpy"),
        (np.zeros((9, 9), np.longdouble), {}, "at most 64 bits"),
        (np.float32(3), {}, "at least two dimensions"),
        (np.zeros(9), {}, "at least two dimensions"),
        (np.zeros((0, 9)), {}, "the image is empty"),
        (np.zeros((9, 9), complex), {}, "complex128"),
        (np.full((9, 9), "x", object), {}, "object"),
        ([[1, 2], [3]], {}, "not an array"),
        ("cells.tif", {}, "'cells.tif' is a path"),
        (np.zeros((5, 32, 32)), {"axes": "CYX"}, "takes 1 or 3 channels, but the image has 5"),
        (Points(np.zeros((3, 2)), name="dots"), {}, "'dots' is a Points layer"),
        (Image(disks(), name="cells"), {"scale": 2}, "scale and units are those of layer 'cells'"),
    ],
)
def test_bad_input(image, keywords, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        medai.segment(image, **{"model": "tiny", "diameter": 24, "device": "cpu", **keywords})


def test_it_needs_no_qt() -> None:
    code = (
        "import sys, numpy as np, napari_medai as medai; "
        "medai.segment(np.zeros((32, 32)), 'tiny', device='cpu'); "
        "print(sorted({'qtpy', 'PyQt6', 'PySide6'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"


def test_frames_of_one_movie_have_one_source() -> None:
    film, drawn = np.stack([disks()] * 3), np.stack([disks() > 0] * 3)
    layers = [Image(film, axis_labels=("t", "y", "x"), name="film") for _ in range(2)]
    pairs = label_pairs([*layers, disks()], [drawn, drawn, drawn[0]])
    assert [pair.name for pair in pairs][:2] == ["film, t 0", "film, t 1"]
    sources = [pair.source for pair in pairs]
    assert sources[:3] == [sources[0]] * 3
    assert sources[3:6] == [sources[3]] * 3
    assert sources[0]
    assert sources[0] != sources[3]
    assert sources[6] == ""


def test_a_model_trained_on_layers_is_used_by_its_name() -> None:
    images = [Image(np.stack([disks(), disks()]), axis_labels=("t", "y", "x"), name="film")]
    drawn = np.stack([(disks() > 0).astype(np.int32)] * 2)
    model = medai.train(
        "segment", images, [Labels(drawn)], name="mine", steps=1, batch=1, device="cpu"
    )
    assert model.name == "mine"
    assert model.config["recipe"]["images"] + model.config["recipe"]["held_out_images"] == 2
    assert medai.segment(disks(), "mine", **CPU).data.shape == (96, 80)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("classify", [], []), "models for 'classify' cannot be trained"),
        (("segment", [disks()], []), "1 images and 0 labels"),
        (("segment", [disks()], [disks()]), "at least 2 images"),
        (("segment", "nowhere", "nowhere"), "nowhere is not a folder"),
        (("segment", "nowhere", [disks()]), "two folders, or two lists"),
        (("segment", None, None), "two folders, or two lists .* got None"),
    ],
)
def test_bad_input_to_training(arguments, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        medai.train(*arguments, name="never", steps=1, device="cpu")
    with pytest.raises(InputError, match="no parameter 'step'; did you mean steps"):
        medai.train("segment", [], [], name="never", step=1)
    with pytest.raises(InputError, match="at most 63 classes apart, got 70"):
        medai.train("segment", "no folder", "none", name="never", classes=[*map(str, range(70))])
