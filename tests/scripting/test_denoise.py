"""A layer or an array goes in, one with less noise comes out, in its place and its units."""

from __future__ import annotations

import ast
from pathlib import Path
from types import ModuleType
from typing import Any

import dask.array
import numpy as np
import pytest
import zarr
from napari.layers import Image, Labels

import napari_medai as medai
from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.tasks import image_store
from napari_medai.tasks.verify import full_check

KNOWN: dict[str, Any] = {"gain": 1.0, "read_noise": 3.0, "device": "cpu"}


@pytest.fixture(scope="module")
def folder(denoising: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("models")
    denoising.denoiser(models / "same")
    denoising.denoiser(models / "other", what="random")
    return models


@pytest.fixture(autouse=True)
def models(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDAI_MODELS", str(folder))


def lit(*shape: int, seed: int = 0) -> np.ndarray:
    """Values far from the dark; uint8."""
    rng = np.random.default_rng(seed)
    ramp = np.broadcast_to(np.linspace(60, 150, shape[-1]), shape)
    return rng.poisson(ramp).clip(0, 255).astype(np.uint8)


def test_a_layer_lies_on_its_source_and_looks_like_it() -> None:
    values = lit(3, 40, 48)
    layer = Image(
        values,
        name="cells",
        scale=(5, 2, 3),
        translate=(1, 10, 20),
        rotate=30,
        units=("s", "um", "um"),
        axis_labels=("t", "y", "x"),
        colormap="magenta",
        contrast_limits=(50, 140),
        gamma=0.8,
        blending="additive",
    )
    found = medai.denoise(layer, "same", **KNOWN)
    assert isinstance(found, Image)
    assert found.name == "cells same"
    assert found.data.dtype == np.float32
    assert np.abs(found.data - values).max() < 1e-2
    for name in ("scale", "translate", "rotate", "units", "axis_labels", "gamma", "blending"):
        assert np.array_equal(getattr(found, name), getattr(layer, name)), name
    assert found.colormap.name == "magenta"
    assert list(found.contrast_limits) == [50, 140]
    record = found.metadata["medai"]
    assert record["task"] == "denoise"
    (same,) = (model for model in medai.models("denoise") if model.name == "same")
    assert record["model"]["sha256"] == same.sha256
    assert record["source"] == {"layer": "cells", "axes": "TYX", "window": {}}


def test_a_window_and_a_channel_lie_where_they_were_cut() -> None:
    values = lit(2, 40, 48)
    layer = Image(values, scale=(1, 2, 2), axis_labels=("c", "y", "x"))
    cut = {"Y": slice(8, 40), "X": slice(4, 44)}
    found = medai.denoise(layer, "same", window=cut, channel=1, dtype="same", **KNOWN)
    assert np.array_equal(found.data, values[1:, 8:40, 4:44])
    assert np.allclose(found.data_to_world((0, 0, 0))[1:], layer.data_to_world((0, 8, 4))[1:])
    both = medai.denoise(layer, "same", dtype="same", **KNOWN)
    assert np.array_equal(both.data, values)
    assert np.array_equal(both.scale, layer.scale)


@pytest.mark.parametrize("axes", ["CYX", "YXC", "CXY", "YCX", "TCYX"])
def test_channels_of_an_array_become_an_axis(axes: str) -> None:
    values = lit(*({"T": 3, "C": 2, "Y": 36, "X": 40}[axis] for axis in axes))
    found = medai.denoise(values, "same", axes=axes, scale=0.5, units="um", dtype="same", **KNOWN)
    assert not found.rgb
    assert np.array_equal(found.data, values)
    assert found.axis_labels == tuple(axes.lower())
    assert dict(zip(axes, found.scale, strict=True))["X"] == 0.5
    assert dict(zip(axes, found.scale, strict=True))["C"] == 1


def test_colours_are_shown_as_colours() -> None:
    values = lit(40, 48, 3)
    for source in (values, Image(values, rgb=True, name="photo"), AxesArray(values, "YXC")):
        found = medai.denoise(source, "same", **KNOWN)
        assert found.rgb
        # fractions beyond 1 would all be white
        assert found.data.dtype == np.uint8
        assert np.array_equal(found.data, values)
        assert found.ndim == 2
    alone = medai.denoise(Image(values, rgb=True), "same", channel=2, **KNOWN)
    assert not alone.rgb
    assert np.abs(alone.data - values[..., 2]).max() < 1e-2
    shares = medai.denoise(Image(values / np.float32(255), rgb=True), "same", **KNOWN)
    assert shares.rgb
    assert shares.data.dtype == np.float32
    assert np.abs(shares.data - values / 255).max() < 1e-3


def test_lazy_images_and_results_stay_lazy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = lit(3, 40, 48)
    found = medai.denoise(values, "same", out=tmp_path / "a.zarr", dtype="same", **KNOWN)
    assert isinstance(found.data, zarr.Array)
    assert np.array_equal(np.asarray(found.data[1]), values[1])
    assert list(found.contrast_limits) != [0, 0]
    monkeypatch.setattr(image_store, "LARGEST_IN_MEMORY", {True: 1, False: 1})
    lazy = dask.array.from_array(lit(2, 40, 48, 3), chunks=(1, 40, 48, 3))
    colours = medai.denoise(Image(lazy, rgb=True), "same", **KNOWN)
    assert isinstance(colours.data, dask.array.Array)
    assert np.array_equal(np.asarray(colours.data), np.asarray(lazy))
    pyramid = [values, values[:, ::2, ::2]]
    whole = medai.denoise(Image(pyramid, multiscale=True), "same", dtype="same", **KNOWN)
    assert np.array_equal(whole.data[...], values)
    with pytest.raises(InputError, match="exists and is not overwritten"):
        medai.denoise(values, "same", out=tmp_path / "a.zarr", **KNOWN)


@pytest.mark.usefixtures("quick")
def test_what_an_image_taught_is_kept_and_made_again(
    denoising: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDAI_MODELS", str(tmp_path / "own"))
    values = denoising.noisy(denoising.scene(48, 48))
    layer = Image(values, name="cells")
    found = medai.denoise(layer, "self", steps=4, seed=7, device="cpu", keep="mine")
    assert found.name == "cells denoised"
    assert [model.name for model in medai.models("denoise")] == ["fluorescence", "mine"]
    assert full_check("mine") == []
    again = medai.denoise(layer, "mine", device="cpu")
    assert np.abs(again.data - found.data).max() < 0.01 * np.ptp(found.data)
    with pytest.raises(InputError, match="there is a model 'mine' already"):
        medai.denoise(layer, "self", steps=4, keep="mine")
    with pytest.raises(InputError, match="mine is a model already, so there is nothing to keep"):
        medai.denoise(layer, "mine", keep="yours")
    flat = np.full((40, 40), 3, np.uint8)
    with (
        pytest.warns(UserWarning, match="Nothing was learned, so there is no model flat"),
        pytest.warns(UserWarning, match="No noise was found: it is left as it is"),
    ):
        medai.denoise(flat, "self", keep="flat", device="cpu")


@pytest.mark.usefixtures("quick")
def test_the_script_makes_the_result_again(denoising: ModuleType) -> None:
    values = denoising.noisy(denoising.scene(48, 48))
    layer = Image(values, name="cells")
    # by time: as many steps as there was time for
    found = medai.denoise(layer, "self", seconds=1, seed=5, device="cpu")
    text = medai.script(found)
    assert "image = viewer.layers['cells']\nclean = medai.denoise(\n" in text
    (call,) = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "medai.denoise"
    ]
    given = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
    steps = found.metadata["medai"]["found"]["steps"]
    assert steps > 0
    assert given["model"] == "self"
    assert given["steps"] == steps
    assert given["seed"] == 5
    assert given["device"] == "cpu"
    assert "seconds" not in given
    short = {**given, "steps": 3}
    first, second = medai.denoise(layer, **short), medai.denoise(layer, **short)
    assert np.array_equal(first.data, second.data)
    named = medai.script(medai.denoise(layer, "same", gain=2, dark=100, device="cpu"))
    assert "    model='same',\n" in named
    assert "    gain=2.0,\n" in named
    assert "    dark=100.0,\n" in named
    assert "steps" not in named


def test_what_means_nothing_is_said() -> None:
    values = lit(40, 40)
    with pytest.warns(UserWarning, match="seconds and lines mean nothing to same and are left out"):
        medai.denoise(values, "same", seconds=3, lines="rows", **KNOWN)
    rough = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    with pytest.warns(UserWarning, match="values lay beyond uint8 and were clipped"):
        medai.denoise(rough, "other", read_noise=200, dtype="same", device="cpu")


def test_bad_input() -> None:
    values = lit(40, 40)
    for arguments, sentence in (
        ((values, "nucleus"), "there is no model named 'nucleus'"),
        (
            (values, "nuclei"),
            "made to segment, not to denoise; models that denoise: fluorescence, other, same",
        ),
        ((Labels(values), "same"), "is a Labels layer; choose an image layer"),
        ((values[:8, :8], "same"), "at least 16 x 16 pixels"),
        ((values.astype(complex), "same"), "real numbers are needed"),
    ):
        with pytest.raises(InputError, match=sentence):
            medai.denoise(*arguments)
    with pytest.raises(InputError, match="there is no parameter 'strenght'; did you mean strength"):
        medai.denoise(values, "same", strenght=1)
    with pytest.raises(InputError, match="there is no channel 0: the image has no channels"):
        medai.denoise(values, "same", channel=0)


# Training


@pytest.mark.usefixtures("quick")
def test_training_takes_layers_arrays_and_files(
    denoising: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDAI_MODELS", str(tmp_path / "own"))
    clean = [denoising.scene(40, 40, seed=seed) for seed in range(3)]
    noisy = [denoising.noisy(one, seed=seed) for seed, one in enumerate(clean)]
    noisy[2] = np.stack([noisy[2]] * 2)
    np.save(tmp_path / "one.npy", noisy[1])
    images = [noisy[0], tmp_path / "one.npy", Image(noisy[2], name="deep")]
    how: dict[str, Any] = {"steps": 2, "batch": 2, "device": "cpu"}
    assert medai.train("denoise", images, name="alone", **how).task == "denoise"
    others = [clean[0], Image(clean[1]), np.stack([clean[2]] * 2)]
    model = medai.train("denoise", images, others, name="pairs", **how)
    assert model.config["recipe"]["images"] + model.config["recipe"]["held_out_images"] == 4
    further = medai.train("denoise", noisy[0], name="further", start="pairs", **how)
    assert further.config["recipe"]["from"] == "pairs"
    found = medai.denoise(noisy[0], "further", device="cpu")
    assert found.data.shape == (40, 40)


@pytest.mark.parametrize(
    ("given", "options", "sentence"),
    [
        ([], {}, "there is no image to learn from"),
        ([lit(40, 40)], {"classes": ["a"]}, "classes, window and mirror are for segmentation"),
        ([lit(40, 40)], {"window": (0, 1)}, "classes, window and mirror are for segmentation"),
        ([lit(40, 40)], {"mirror": "X"}, "leave them out to train models that denoise"),
        ([lit(40, 40)], {"across": "Y"}, "across must be one of plane, Z, T, got 'Y'"),
        ([lit(40, 40)], {"across": "Z"}, "planes along Z Y X are needed"),
        ([lit(40, 40)], {"labels": [lit(40, 40)] * 2}, "1 noisy images and 2 clean ones"),
        ("nowhere", {}, "nowhere does not exist"),
        ("nowhere", {"labels": "nowhere"}, "nowhere is not a folder"),
    ],
)
def test_what_training_refuses(given: Any, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        medai.train("denoise", given, name="never", steps=1, **options)
    with pytest.raises(InputError, match="across is for denoising; leave it out"):
        medai.train("segment", [], [], name="never", across="Z")
