"""What was synthesized as layers: several along an axis, all of them in one place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Vectors

from napari_medai.core.steps import finished
from napari_medai.tasks.synthesize import GROWN, synthesize_steps
from napari_medai.tasks.synthetic import Synthetic
from napari_medai.tasks.vessel_params import VesselParams
from napari_medai.ui.synthetic_layers import synthetic_layers

SHAPES = [(72, 80), (24, 36, 40)]


def made(shape: tuple[int, ...] = (72, 80), **params: Any) -> list[Synthetic]:
    chosen = VesselParams(**{"segments": 25, "radius": 0.8} | params)
    axes = "ZYX"[-len(shape) :]
    spacing, units = dict.fromkeys(axes, 0.5), dict.fromkeys(axes, "micrometer")
    steps = synthesize_steps(GROWN, shape, chosen, spacing=spacing, units=units)
    return finished(steps)


def rows(layer: Labels | Vectors, number: int) -> Any:
    """The part of a table that is about one image."""
    return layer.features[layer.features["n"] == number]


@pytest.mark.parametrize("shape", SHAPES)
def test_one_image_has_an_image_labels_and_centre_lines(shape: tuple[int, ...]) -> None:
    (one,) = made(shape)
    image, labels, lines = synthetic_layers([one])
    assert (type(image), type(labels), type(lines)) == (Image, Labels, Vectors)
    assert [layer.name for layer in (image, labels, lines)] == [
        "vessels",
        "vessels segments",
        "vessels centre lines",
    ]
    assert (image.data == one.image.data).all()
    assert (labels.data == one.labels).all()
    assert one.tree is not None
    assert lines.data[:, 0] == pytest.approx(one.tree.starts, abs=1e-4)
    assert lines.data.sum(axis=1) == pytest.approx(one.tree.ends, abs=1e-4)
    for layer in (labels, lines):
        assert (layer.features["radius"] == 0.5 * one.tree.radii).all()
        assert (layer.features["length"] == 0.5 * one.tree.lengths).all()
    for layer in (image, labels, lines):
        assert layer.scale.tolist() == [0.5] * len(shape)
        assert {str(unit) for unit in layer.units} == {"micrometer"}
        assert layer.axis_labels == tuple("zyx"[-len(shape) :])
        assert layer.metadata["medai"] == one.record


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("numbering", ["segments", "branches"])
def test_several_lie_along_n_with_numbers_of_their_own(
    shape: tuple[int, ...], numbering: str
) -> None:
    all_three = made(shape, images=3, numbering=numbering, tortuosity=0.3)
    image, labels, lines = synthetic_layers(all_three)
    assert image.data.shape == labels.data.shape == (3, *shape)
    before, segments, branches = 0, 0, 0
    for number, one in enumerate(all_three):
        assert one.tree is not None
        assert (image.data[number] == one.image.data).all()
        assert (labels.data[number] == np.where(one.labels > 0, one.labels + before, 0)).all()
        table, own = rows(labels, number), one.features
        assert table["index"].tolist() == (own["index"] + before).tolist()
        for name in ("radius", "length", "start-y", "end-x"):
            assert (table[name] == own[name]).all(), name
        parents = table["parent"].to_numpy()
        assert (parents == np.where(own["parent"] > 0, own["parent"] + before, 0)).all()
        drawn = lines.data[lines.features["n"] == number]
        assert (drawn[:, 0, 0] == number).all()
        assert (drawn[:, 1, 0] == 0).all()
        assert drawn[:, 0, 1:] == pytest.approx(one.tree.starts, abs=1e-4)
        table = rows(lines, number)
        assert table["index"].tolist() == list(range(segments + 1, segments + 26))
        assert (table["branch"] == one.tree.branches + 1 + branches).all()
        before += int(own["index"].max())
        segments += 25
        branches += int(one.tree.branches.max()) + 1
    assert labels.features["index"].is_unique
    for layer in (image, labels, lines):
        assert layer.scale.tolist() == [1.0] + [0.5] * len(shape)
        assert [str(unit) for unit in layer.units] == ["pixel"] + ["micrometer"] * len(shape)
        assert layer.axis_labels == ("n", *"zyx"[-len(shape) :])


def test_numbers_of_labels_lead_to_their_centre_lines() -> None:
    _, labels, lines = synthetic_layers(made(images=2, numbering="branches", tortuosity=0.3))
    assert set(lines.features["branch"]) == set(labels.features["index"])
    for number in (0, 1):
        assert set(rows(lines, number)["branch"]) == set(rows(labels, number)["index"])
    _, labels, lines = synthetic_layers(made(images=2, tortuosity=0.3))
    assert lines.features.equals(labels.features)


def test_trees_may_have_one_number_each() -> None:
    _, labels, lines = synthetic_layers(made(images=2, numbering="tree"))
    assert labels.name == "vessels tree"
    assert [np.unique(plane).tolist() for plane in labels.data] == [[0, 1], [0, 2]]
    assert labels.features["index"].tolist() == [1, 2]
    assert labels.features["n"].tolist() == [0, 1]
    assert len(lines.data) == 50


def test_the_record_of_several_tells_of_each() -> None:
    both = made(images=2)
    layers = synthetic_layers(both)
    record = layers[0].metadata["medai"]
    assert record["found"] == {"images": [one.record["found"] for one in both]}
    assert record["parameters"]["images"] == 2
    assert record["seconds"] == pytest.approx(sum(one.record["seconds"] for one in both))
    assert all(layer.metadata["medai"] == record for layer in layers)


def test_without_a_tree_there_are_no_centre_lines() -> None:
    both = [replace(one, tree=None) for one in made(images=2)]
    assert [type(layer) for layer in synthetic_layers(both)] == [Image, Labels]


@pytest.mark.parametrize(
    "params", [{"segments": 1}, {"contrast": 0, "background": 0, "photons": 0}]
)
def test_what_is_all_alike_is_shown_too(params: dict[str, Any]) -> None:
    (one,) = made(texture=0, tissue=0, **params)
    viewer = ViewerModel()
    for layer in synthetic_layers([one]):
        viewer.add_layer(layer)
    assert len(viewer.layers) == 3


def test_layers_lie_on_each_other_in_a_viewer() -> None:
    viewer = ViewerModel()
    image, labels, lines = (viewer.add_layer(one) for one in synthetic_layers(made(images=2)))
    assert viewer.dims.ndim == 3
    assert (image.extent.world == labels.extent.world).all()
    assert (lines.extent.world[0] >= image.extent.world[0]).all()
    assert (lines.extent.world[1] <= image.extent.world[1]).all()
    viewer.dims.set_current_step(0, 1)
    shown = lines._view_data[:, 0]
    second = lines.data[lines.features["n"] == 1]
    assert shown == pytest.approx(second[:, 0, 1:])
