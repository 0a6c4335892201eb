"""Layer -> array -> layer: nothing of the place in the world is lost."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import dask.array as da
import numpy as np
import pytest
from napari.layers import Image

from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.ui.layers import array_from_layer, labels_layer, layer_axes, place_of

pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")


def result(shape: tuple[int, ...], axes: str) -> Any:
    labels = np.zeros(shape, np.int32)
    labels[..., -1, -1] = 1
    return SimpleNamespace(
        labels=labels,
        axes=axes,
        features={"index": np.array([1]), "area": np.array([1.0])},
        record={"task": "segment", "model": {"name": "nuclei"}},
        colours={},
    )


def placed(axes: str, *, seed: int = 0, channel: str = "") -> Image:
    """An image layer with every transform set, and units and labels of its own on each axis.

    Along the channel axis nothing is turned or sheared.
    """
    rng = np.random.default_rng(seed)
    n = len(axes)
    free = [i for i in range(n) if axes[i] != channel]

    def mixed(matrix: np.ndarray) -> np.ndarray:
        out = np.eye(n)
        out[np.ix_(free, free)] = matrix
        return out

    rotate, _ = np.linalg.qr(rng.normal(size=(len(free), len(free))))
    shear = np.triu(rng.uniform(0, 0.3, (len(free), len(free))), 1) + np.eye(len(free))
    affine = np.eye(n + 1)
    affine[:n, :n] = mixed(np.eye(len(free)) + 0.1 * rng.normal(size=(len(free), len(free))))
    affine[:n, n] = rng.normal(size=n)
    units = {"T": "second", "C": "pixel"}
    return Image(
        rng.random(tuple(range(3, 3 + n))),
        name="cells",
        scale=rng.uniform(0.2, 2, n),
        translate=rng.normal(size=n),
        rotate=mixed(rotate),
        shear=mixed(shear),
        affine=affine,
        units=[units.get(axis, "micrometer") for axis in axes],
        axis_labels=list(axes.lower()),
    )


@pytest.mark.parametrize("axes", ["YX", "XY", "ZYX", "TYX", "TZYX"])
def test_a_result_lies_on_its_source(axes: str) -> None:
    layer = placed(axes)
    image = array_from_layer(layer)
    assert (image.axes, image.data) == (axes, layer.data)
    labels = labels_layer(result(image.shape, axes), layer)
    for name in ("scale", "translate", "rotate", "shear", "affine"):
        assert np.allclose(getattr(labels, name), getattr(layer, name)), name
    assert labels.units == layer.units
    assert labels.axis_labels == layer.axis_labels
    corner = np.arange(len(axes)) + 0.5
    assert np.allclose(labels.data_to_world(corner), layer.data_to_world(corner))


@pytest.mark.parametrize(
    ("axes", "shown"),
    [("CYX", "YX"), ("CXY", "XY"), ("CTZYX", "TZYX")]
    + [(axes, axes) for axes in ("YCX", "YXC", "XCY", "XYC", "TCZYX", "TZCYX", "ZYXC")],
)
def test_the_channel_axis_stays_only_where_napari_needs_it(axes: str, shown: str) -> None:
    layer = placed(axes, channel="C")
    kept = axes.replace("C", "")
    sizes = dict(zip(axes, layer.data.shape, strict=True))
    labels = labels_layer(result(tuple(sizes[axis] for axis in kept), kept), layer)
    assert labels.data.shape == tuple(sizes[a] if a in kept else 1 for a in shown)
    assert labels.axis_labels == tuple(shown.lower())
    at = [axes.index(axis) for axis in shown]
    assert [str(u) for u in labels.units] == [str(layer.units[i]) for i in at]
    # From any channel a point is found in the same object, and outside of them there is none.
    for channel in range(sizes["C"]):
        point = np.array([channel if axis == "C" else 1.0 + i for i, axis in enumerate(axes)])
        world = np.array(layer.data_to_world(point))[at]
        expected = [0 if axis == "C" else point[axes.index(axis)] for axis in shown]
        assert np.allclose(np.round(labels.world_to_data(world), 6).round(0), expected)
    if "C" in shown:
        i = shown.index("C")
        assert np.allclose(labels.extent.data[:, i], 0)


def test_large_labels_between_channels_stay_lazy() -> None:
    layer = Image(np.zeros((2, 3, 4, 5)), axis_labels=("t", "c", "y", "x"))
    large = result((2, 4, 5), "TYX")
    large.labels = da.from_array(large.labels)
    labels = labels_layer(large, layer)
    assert isinstance(labels.data, da.Array)
    assert labels.data.shape == (2, 1, 4, 5)
    assert (labels.scale[1], labels.translate[1]) == (3, 1)


@pytest.mark.parametrize("axes", ["YX", "ZYX", "TZYX", "CYX"])
def test_a_window_lies_where_it_was_cut(axes: str) -> None:
    layer = placed(axes, channel="C")
    window = {"Y": slice(2, 4), "X": slice(1, 3)}
    image = array_from_layer(layer, window=window)
    kept = axes.replace("C", "")
    shape = tuple(image.sizes[axis] for axis in kept)
    labels = labels_layer(result(shape, kept), layer, window=window)
    start = np.array([window[a].start if a in window else 0 for a in axes])
    at = [i for i, axis in enumerate(axes) if axis != "C"]
    inside = np.ones(len(kept))
    whole = np.zeros(len(axes))
    whole[at] = inside
    expected = np.array(layer.data_to_world(start + whole))[at]
    assert np.allclose(labels.data_to_world(inside), expected)
    assert labels.metadata["medai"]["source"]["window"] == {"Y": [2, 4], "X": [1, 3]}


def test_rgb_and_rgba_have_their_channel_last() -> None:
    for channels in (3, 4):
        layer = Image(np.zeros((8, 9, channels), np.uint8), rgb=True, scale=(0.5, 0.25))
        image = array_from_layer(layer)
        assert (image.axes, image.shape) == ("YXC", (8, 9, 3))
        assert image.spacing == {"Y": 0.5, "X": 0.25}
        labels = labels_layer(result((8, 9), "YX"), layer)
        assert np.allclose(labels.scale, (0.5, 0.25))
    with pytest.raises(InputError, match="RGB"):
        array_from_layer(layer, axes="CYX")


def test_features_record_and_name_come_along() -> None:
    layer = Image(np.zeros((4, 5)), name="cells")
    labels = labels_layer(result((4, 5), "YX"), layer)
    assert labels.name == "cells nuclei"
    assert list(labels.features["index"]) == [1]
    assert labels.metadata["medai"]["task"] == "segment"
    assert labels.metadata["medai"]["source"] == {"layer": "cells", "axes": "YX", "window": {}}


@pytest.mark.parametrize(
    ("labels", "shape", "axes"),
    [
        (("z", "y", "x"), (3, 4, 5), "ZYX"),
        (("Time", "Row", "Column"), (3, 4, 5), "TYX"),
        (("channel", "y", "x"), (3, 4, 5), "CYX"),
        (None, (3, 4, 5), "ZYX"),
        (None, (2, 3, 4, 5), "TZYX"),
        (("a", "b"), (4, 5), "YX"),
        (("y", "y"), (4, 5), "YX"),
        (("dorsal", "y", "x"), (3, 4, 5), "ZYX"),
    ],
)
def test_axes_come_from_labels_that_say_something(
    labels: tuple[str, ...] | None, shape: tuple[int, ...], axes: str
) -> None:
    assert layer_axes(Image(np.zeros(shape), axis_labels=labels)) == axes


def test_axes_can_be_corrected_and_must_fit() -> None:
    layer = Image(np.zeros((3, 4, 5)))
    assert array_from_layer(layer, axes="CYX").axes == "CYX"
    with pytest.raises(InputError, match="2 dimensions, but the array has 3"):
        array_from_layer(layer, axes="YX")
    with pytest.raises(InputError, match="cannot be guessed"):
        layer_axes(Image(np.zeros((1, 1, 1, 4, 5))))


def test_multiscale_is_taken_at_full_resolution_and_stays_lazy() -> None:
    full = da.zeros((64, 64), chunks=16)
    layer = Image([full, full[::2, ::2]], multiscale=True)
    image = array_from_layer(layer, window={"Y": slice(0, 8)})
    assert isinstance(image.data, da.Array)
    assert image.shape == (8, 64)


def test_pixels_are_no_unit_and_spacing_goes_through_the_affine() -> None:
    assert array_from_layer(Image(np.zeros((4, 5)))).units == {}
    affine = np.diag([2.0, 3.0, 1.0])
    layer = Image(np.zeros((4, 5)), affine=affine, scale=(0.5, -1), units="nanometer")
    image = array_from_layer(layer)
    assert image.spacing == {"Y": pytest.approx(1.0), "X": pytest.approx(3.0)}
    assert image.units == {"Y": "nanometer", "X": "nanometer"}


def test_a_plain_array_has_a_place_too() -> None:
    image = AxesArray(
        np.zeros((2, 4, 5)), "CYX", {"Y": 0.5, "X": 0.5}, {"Y": "micrometer", "X": "micrometer"}
    )
    labels = labels_layer(result((2, 5), "YX"), image, window={"Y": slice(2, 4)})
    assert np.allclose(labels.scale, 0.5)
    assert np.allclose(labels.translate, (1.0, 0.0))
    assert labels.axis_labels == ("y", "x")
    assert str(labels.units[0]) == "micrometer"


def test_a_place_keeps_what_the_layer_was() -> None:
    layer = Image(np.zeros((4, 5)), scale=(2, 2))
    place = place_of(layer)
    layer.scale = (9, 9)
    assert np.allclose(labels_layer(result((4, 5), "YX"), place).scale, 2)


def test_classes_have_their_colours() -> None:
    found = result((4, 5), "YX")
    found.colours = {1: "#e6194b", 2: "#3cb44b"}
    layer = labels_layer(found, AxesArray(np.zeros((4, 5)), "YX"))
    np.testing.assert_allclose(
        layer.get_color(2)[:3], np.array([0x3C, 0xB4, 0x4B]) / 255, atol=0.01
    )
    assert layer.get_color(0) is None
    layer.data[0, 0] = 7  # drawn by hand, a class the model does not know
    np.testing.assert_allclose(layer.get_color(7), 1)
