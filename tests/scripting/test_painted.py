"""Labels and a style go in, painted images come out, and the same again by their script."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

import napari_medai as medai
from napari_medai.core.errors import InputError

Again = Callable[[str], ViewerModel]


@pytest.fixture(scope="module", autouse=True)
def _installed(painting: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("painters")
    painting.painter(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDAI_MODELS", str(folder))
        yield


@pytest.fixture
def viewer(painting: ModuleType) -> ViewerModel:
    """With labels that lie somewhere, and a photograph."""
    viewer = ViewerModel()
    viewer.add_labels(
        painting.disks((64, 80)),
        name="my 'cells'",
        scale=(0.5, 0.25),
        translate=(7, 8),
        units=("um", "um"),
        axis_labels=("y", "x"),
    )
    photograph = painting.photograph(painting.disks((70, 90)), seed=5, bright=220.0)
    viewer.add_image(photograph.astype(np.uint16) * 7, name="photo")
    return viewer


@pytest.fixture
def again(viewer: ViewerModel, monkeypatch: pytest.MonkeyPatch) -> Again:
    """Runs a script in the viewer."""

    def run(text: str) -> ViewerModel:
        monkeypatch.setattr("napari.current_viewer", lambda: viewer)
        exec(text, {})
        return viewer

    return run


@pytest.mark.parametrize("styled", [False, True])
@pytest.mark.parametrize("images", [1, 2])
def test_the_script_of_painted_labels_names_their_layers(
    viewer: ViewerModel, again: Again, styled: bool, images: int
) -> None:
    labels, photo = viewer.layers
    given = {"style": photo} if styled else {}
    made = medai.synthesize("dots", labels=labels, seed=3, images=images, **given)
    text = medai.script(made[0])
    assert "labels = viewer.layers[\"my 'cells'\"]\n" in text
    assert ("style = viewer.layers['photo']\n" in text) == styled
    for word in ("shape", "scale", "units", "count", "density", "size"):
        assert f"    {word}=" not in text
    again(text)
    for one, other in zip(made, viewer.layers[2:], strict=True):
        assert (one.data == other.data).all()
        assert one.data.dtype == other.data.dtype
        assert (one.extent.world == other.extent.world).all()
        assert one.units == other.units
    # a style says which values there are, too
    assert made[0].data.dtype == (np.uint16 if styled else np.uint8)


def test_a_style_alone_is_named_beside_the_shape(viewer: ViewerModel, again: Again) -> None:
    photo = viewer.layers["photo"]
    made = medai.synthesize("dots", shape=(64, 64), style=photo, count=4, scale=0.5, units="um")
    text = medai.script(made[1])
    assert "    style=style,\n" in text
    assert "    shape=(64, 64),\n" in text
    assert "labels" not in text
    again(text)
    assert (viewer.layers[-2].data == made[0].data).all()
    assert viewer.layers[-2].scale.tolist() == [0.5, 0.5]


def test_arrays_that_were_given_have_their_place_in_the_script(painting: ModuleType) -> None:
    made = medai.synthesize("dots", labels=painting.disks((64, 64)), scale=2)
    text = medai.script(made[0])
    assert "labels = ...  # it was an array: put it here\n" in text
    assert "    labels=labels,\n" in text
    assert "    scale=2.0,\n" in text
    assert "shape" not in text
    compile(text, "script", "exec")


def test_labels_over_time_are_not_taken_for_a_volume(painting: ModuleType) -> None:
    viewer = ViewerModel()
    layer = viewer.add_labels(np.stack([painting.disks((64, 64))] * 40), axis_labels=list("tyx"))
    with pytest.raises(InputError, match="got axes T Y X; choose one point in time"):
        medai.synthesize("dots", labels=layer)


def test_a_style_of_another_dimension_is_refused(painting: ModuleType) -> None:
    volume = painting.photograph(painting.disks((40, 64, 64)))
    with pytest.raises(InputError, match=r"of 2 axes \(Y X\), but the style has 3 \(Z Y X\)"):
        medai.synthesize("dots", shape=(64, 64), style=volume)
