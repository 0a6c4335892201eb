"""A name goes in, images and their truth come out, and the same again by their script."""

from __future__ import annotations

import ast
import re
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Vectors

import napari_medai as medai
from napari_medai.core.errors import InputError
from napari_medai.scripting.synthesize import sample_vessels

FEW: dict[str, Any] = {"segments": 25, "radius": 0.8}


def test_a_name_gives_layers() -> None:
    image, labels, lines = medai.synthesize("vessels", shape=(24, 36, 40), seed=3, **FEW)
    assert (type(image), type(labels), type(lines)) == (Image, Labels, Vectors)
    assert image.data.shape == labels.data.shape == (24, 36, 40)
    assert image.data[labels.data > 0].mean() > 1.3 * image.data[labels.data == 0].mean()
    assert len(lines.data) == 25


def test_two_axes_or_three_need_no_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_medai.tasks import synthetic

    monkeypatch.setitem(synthetic.SHAPES, 3, (20, 30, 40))
    assert medai.synthesize("vessels", ndim=3, **FEW)[0].data.shape == (20, 30, 40)
    assert medai.synthesize(model="vessels", **FEW)[0].data.shape == (512, 512)


def test_images_are_stacked_and_do_not_depend_on_how_many_there_are() -> None:
    stack = medai.synthesize("vessels", shape=(60, 64), images=3, seed=7, **FEW)
    assert stack[0].axis_labels == ("n", "y", "x")
    assert stack[0].data.shape == stack[1].data.shape == (3, 60, 64)
    (one, labels, _) = medai.synthesize("vessels", shape=(60, 64), seed=7, **FEW)
    assert (stack[0].data[0] == one.data).all()
    assert (stack[1].data[0] == labels.data).all()
    assert (stack[0].data[1] != one.data).mean() > 0.9


@pytest.mark.parametrize(
    "params",
    [
        {"shape": (60, 64), "seed": 4},
        {"shape": (20, 32, 36), "images": 2, "scale": 0.25, "units": "um", "crossing": True},
        {"shape": (60, 64), "scale": 2, "tortuosity": 0.5, "numbering": "branches"},
    ],
)
def test_a_script_makes_all_of_it_again(
    params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = medai.synthesize("vessels", **FEW | params)
    texts = {medai.script(layer) for layer in layers}
    (text,) = texts
    viewer = ViewerModel()
    monkeypatch.setattr("napari.current_viewer", lambda: viewer)
    exec(text, {})
    assert len(viewer.layers) == 3
    for layer, again in zip(layers, viewer.layers, strict=True):
        assert type(layer) is type(again)
        assert layer.data.tobytes() == again.data.tobytes()
        assert layer.scale.tolist() == again.scale.tolist()
        assert layer.units == again.units
    assert layers[1].features.equals(viewer.layers[1].features)


def test_a_script_names_every_parameter() -> None:
    text = medai.script(medai.synthesize("vessels", shape=(60, 64), seed=4, scale=2, **FEW)[0])
    (call,) = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "medai.synthesize"
    ]
    given = {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg}
    assert given["model"] == "vessels"
    assert (given["shape"], given["seed"], given["scale"]) == ((60, 64), 4, 2)
    assert set(medai.VesselParams.__slots__) <= set(given)
    assert "units" not in given


def test_what_finds_no_room_is_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"^\d+ of 400 segments found room; enlarge") as caught:
        (_, _, lines) = medai.synthesize("vessels", shape=(32, 32), segments=400)
    assert int(re.match(r"\d+", str(caught[0].message))[0]) == len(lines.data)  # type: ignore[index]
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="found room") as caught:
        medai.synthesize("vessels", shape=(32, 32), segments=400, images=2)
    assert [str(one.message)[:8] for one in caught] == ["image 0:", "image 1:"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"model": "nerves"}, "there is no model named 'nerves'.*to synthesize there are vessels"),
        ({"shape": (15, 64)}, r"2 or 3 whole numbers of 16 or more, got \(15, 64\)"),
        ({"shape": (64, 64.5)}, r"2 or 3 whole numbers of 16 or more, got \(64, 64.5\)"),
        ({"shape": (30_000, 30_000)}, "makes 900.000.000; ask for a smaller one"),
        ({"shape": (64, 64), "ndim": 3}, "has 2 axes, but ndim is 3; leave one out"),
        ({"ndim": 4}, "ndim must be 2 or 3, got 4"),
        ({"seed": -1}, "seed must be 0 to 2147483647, got -1"),
        ({"seed": 2**31}, "seed must be 0 to 2147483647, got 2147483648"),
        ({"segments": 0}, "segments must be 1 to 5000, got 0"),
        ({"images": 0}, "images must be 1 to 100000, got 0"),
        ({"images": 5000}, "too many to be held at once"),
        ({"scale": (1, 2)}, "as long along all axes, but they are 1, 2; give one scale"),
        ({"scale": -1}, "scale must be positive numbers, got -1"),
        ({"units": "furlong"}, "'furlong' is not a unit"),
        ({"segment": 5}, "there is no parameter 'segment'; did you mean segments"),
    ],
)
def test_bad_input_is_said(params: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        medai.synthesize(**{"model": "vessels"} | params)


def test_the_sample_is_a_volume_with_its_truth() -> None:
    layers = [Layer.create(*one) for one in sample_vessels()]
    assert [type(layer) for layer in layers] == [Image, Labels, Vectors]
    image, labels, lines = layers
    assert image.data.shape == labels.data.shape == (96, 96, 96)
    present = np.unique(labels.data)[1:]
    assert len(present) == len(labels.features) == lines.features["branch"].nunique()
    assert len(lines.data) == 400
    assert (lines.edge_color_mode, lines.edge_colormap.name) == ("colormap", "turbo")
    assert medai.script(image) == medai.script(lines)
