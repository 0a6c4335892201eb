"""Layers to OME-Zarr and back: the same values at the same places."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
from napari.layers import Image, Labels, Layer

from napari_medai.core.errors import RunError
from napari_medai.io.layer_data import read_layers
from napari_medai.io.ome_zarr.layer_writer import write_zarr_layers

pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
RNG = np.random.default_rng(0)
VALUES = RNG.integers(0, 200, (3, 20, 30)).astype(np.uint8)
PLACED: dict[str, Any] = {
    "scale": (2.0, 0.5, 0.25),
    "translate": (100.0, -3.0, 7.0),
    "units": ("um", "um", "nm"),
    "axis_labels": ("z", "y", "x"),
}
TURN = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])


def _written(layer: Layer, path: Path) -> Layer:
    assert write_zarr_layers(str(path), [layer.as_layer_data_tuple()]) == [str(path)]
    ((data, options, kind),) = read_layers(path)
    return Layer.create(data, options, kind)


@pytest.mark.parametrize("kind", [Image, Labels])
def test_a_layer_comes_back_as_it_was(tmp_path: Path, kind: Any) -> None:
    layer = kind(VALUES, name="a layer", **PLACED)
    back = _written(layer, tmp_path / "a.ome.zarr")
    assert type(back) is kind
    np.testing.assert_array_equal(back.data, layer.data)
    np.testing.assert_array_equal(back.scale, layer.scale)
    np.testing.assert_array_equal(back.translate, layer.translate)
    assert (back.units, back.axis_labels, back.name) == (
        layer.units,
        layer.axis_labels,
        layer.name,
    )


def test_a_pyramid_is_made_anew_of_its_finest_level(tmp_path: Path) -> None:
    fine = dask.array.from_array(RNG.integers(0, 99, (600, 700)).astype(np.uint16), chunks=256)
    layer = Image([fine, fine[::4, ::4]], multiscale=True, scale=(0.5, 0.5), units=("um", "um"))
    back = _written(layer, tmp_path / "a.zarr")
    assert [level.shape for level in back.data] == [(600, 700), (300, 350)]
    np.testing.assert_array_equal(back.data[0], fine)
    np.testing.assert_array_equal(back.scale, [0.5, 0.5])


def test_windows_colours_and_tables_are_kept(tmp_path: Path) -> None:
    back = _written(Image(VALUES, contrast_limits=(20, 90)), tmp_path / "a.zarr")
    assert back.contrast_limits == [20, 90]
    rgb = Image(RNG.integers(0, 255, (20, 30, 3)).astype(np.uint8), rgb=True)
    back = _written(rgb, tmp_path / "b.zarr")
    assert back.rgb
    np.testing.assert_array_equal(back.data, rgb.data)
    table = {"index": [2, 9], "class": ["a", "b"]}
    labels = Labels(VALUES, features=table, colormap={None: "gray", 2: "red", 9: (0, 1, 0, 0.2)})
    back = _written(labels, tmp_path / "c.zarr")
    assert back.features.to_dict("list") == table
    np.testing.assert_allclose(back.get_color(2), (1, 0, 0, 1))
    np.testing.assert_allclose(back.get_color(9), (0, 1, 0, 0.2))
    assert not _written(Labels(VALUES), tmp_path / "d.zarr").features.size


def test_rows_of_a_table_without_index_are_labels(tmp_path: Path) -> None:
    layer = Labels(VALUES, features={"class": ["background", "a", "b"]})
    back = _written(layer, tmp_path / "a.zarr")
    assert back.features["index"].tolist() == [0, 1, 2]
    assert back.features["class"].tolist() == ["background", "a", "b"]


def test_an_affine_that_only_shifts_and_zooms_is_kept(tmp_path: Path) -> None:
    affine = np.diag([1.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = (5, 6, 7)
    layer = Image(VALUES, affine=affine, **PLACED)
    back = _written(layer, tmp_path / "a.zarr")
    for index in ((0, 0, 0), (2, 19, 29)):
        assert back.data_to_world(index) == pytest.approx(layer.data_to_world(index))


@pytest.mark.parametrize(
    "options",
    [
        {"rotate": TURN},
        {"shear": (0.1, 0.0, 0.0)},
        {"scale": (1.0, -1.0, 1.0)},
        {"affine": np.diag([1.0, -1.0, 1.0, 1.0])},
    ],
)
@pytest.mark.parametrize("kind", [Image, Labels])
def test_a_layer_that_leans_is_refused(tmp_path: Path, options: Any, kind: Any) -> None:
    with pytest.raises(RunError, match=r"rotated, sheared or mirrored, which OME-Zarr"):
        _written(kind(VALUES, **options), tmp_path / "a.zarr")
    assert not list(tmp_path.iterdir())


def test_labels_saved_to_an_image_join_it(tmp_path: Path) -> None:
    image = Image(VALUES, name="gel", **PLACED)
    labels = Labels(VALUES.astype(np.int32) // 50, name="my cells", **PLACED)
    path = str(tmp_path / "a.zarr")
    assert write_zarr_layers(path, [image.as_layer_data_tuple()]) == [path]
    for _ in range(2):
        labels.data[0] += 1
        written = write_zarr_layers(path, [labels.as_layer_data_tuple()])
        assert written == [str(tmp_path / "a.zarr/labels/my cells")]
    found = read_layers(path)
    assert [(options["name"], kind) for _, options, kind in found] == [
        ("gel", "image"),
        ("my cells", "labels"),
    ]
    np.testing.assert_array_equal(found[1][0], labels.data)
    assert found[1][1]["translate"] == PLACED["translate"]


def test_a_layer_is_saved_over_its_own_file(tmp_path: Path) -> None:
    first = _written(Image(VALUES, **PLACED), tmp_path / "a.zarr")
    again = _written(first, tmp_path / "a.zarr")
    np.testing.assert_array_equal(again.data, VALUES)


def test_images_become_channels_and_labels_lie_beside_them(tmp_path: Path) -> None:
    lazy = dask.array.from_array(VALUES + 1, chunks=8)
    layers = [
        Labels(VALUES // 50, name="cells", **PLACED),
        Image(VALUES, name="DNA", **PLACED),
        Image([lazy, lazy[:, ::2, ::2]], multiscale=True, name="actin", **PLACED),
        Labels(VALUES // 99, name="nuclei", **PLACED),
    ]
    path = str(tmp_path / "a.zarr")
    assert write_zarr_layers(path, [layer.as_layer_data_tuple() for layer in layers]) == [path]
    (data, options, kind), *labels = read_layers(path)
    assert kind == "image"
    assert options["name"] == ["DNA", "actin"]
    assert options["channel_axis"] == 0
    np.testing.assert_array_equal(data, [VALUES, VALUES + 1])
    assert [told["name"] for _, told, _ in labels] == ["cells", "nuclei"]
    for _, told, _ in (*labels, (data, options, kind)):
        assert told["scale"] == PLACED["scale"]
        assert told["translate"] == PLACED["translate"]


@pytest.mark.parametrize(
    ("layers", "complaint"),
    [
        ([Image(VALUES, name="a"), Image(VALUES[1:], name="b")], "layers a and b are not"),
        ([Image(VALUES), Image(VALUES, scale=(1, 1, 2))], "no channels of one image"),
        ([Image(VALUES), Image(VALUES, translate=(1, 1, 2))], "no channels of one image"),
        ([Labels(VALUES, name="a"), Labels(VALUES, name="b")], "need the image"),
        ([Image(VALUES), Labels(VALUES, name="b"), Labels(VALUES, name="b")], "name of its own"),
    ],
)
def test_layers_that_make_no_image_are_refused(
    tmp_path: Path, layers: list[Layer], complaint: str
) -> None:
    path = str(tmp_path / "a.zarr")
    with pytest.raises(RunError, match=complaint):
        write_zarr_layers(path, [layer.as_layer_data_tuple() for layer in layers])
    assert not list(tmp_path.iterdir())


def test_a_viewer_saves_and_opens_it(
    tmp_path: Path, make_napari_viewer: Callable[..., Any]
) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(VALUES, name="gel", **PLACED)
    viewer.add_labels(VALUES // 50, name="cells", **PLACED)
    path = str(tmp_path / "a.ome.zarr")
    assert viewer.layers.save(path, plugin="napari-medai") == [path]
    viewer.layers.clear()
    image, labels = viewer.open(path, plugin="napari-medai")
    assert (image.name, labels.name) == ("gel", "cells")
    np.testing.assert_array_equal(labels.data, VALUES // 50)
    np.testing.assert_array_equal(labels.translate, image.translate)
    (inner,) = viewer.open(f"{path}/labels/cells", plugin="napari-medai")
    assert isinstance(inner, Labels)
    np.testing.assert_array_equal(inner.data, VALUES // 50)
