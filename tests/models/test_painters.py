"""Packages of models that paint: what they must have, what they are called, and their card."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from napari_medai.core.errors import InputError
from napari_medai.core.paint_maps import CHANNELS
from napari_medai.models.card import card_text, summary_line
from napari_medai.models.package import Model, read_model, write_model
from napari_medai.models.registry import find_model
from napari_medai.models.spec import Architecture, ModelSpec
from napari_medai.tasks.synthesize import kind_of, kinds


@pytest.fixture
def own(user_models: Path, painting: ModuleType) -> Model:
    """A user's painter that goes by the name of a model to segment."""
    model: Model = painting.painter(user_models, name="nuclei-painter", alias="nuclei")
    return model


@pytest.fixture
def segmenter(shipped: Path, spec: ModelSpec, weights: Path) -> Model:
    return write_model(shipped / "nuclei", replace(spec, name="nuclei"), weights=weights)


def test_a_package_says_all_that_it_was_given(painters: dict[int, Model]) -> None:
    for ndim, model in painters.items():
        again = read_model(model.path)
        assert again.spec == model.spec
        assert (again.task, again.spec.channels_in) == ("synthesize", CHANNELS)
        assert len(again.spec.stride) == len(again.spec.halo) == ndim


def test_an_alias_finds_a_model_where_its_task_is_asked_for(own: Model, segmenter: Model) -> None:
    assert find_model("nuclei").path == segmenter.path
    assert find_model("nuclei", "segment").path == segmenter.path
    assert find_model("nuclei", "synthesize").path == own.path
    assert find_model("nuclei-painter", "synthesize").path == own.path
    assert find_model(own.path, "synthesize").path == own.path


def test_an_alias_needs_no_model_of_its_name(own: Model, shipped: Path) -> None:
    assert find_model("nuclei", "synthesize").path == own.path
    for task in (None, "segment"):
        with pytest.raises(InputError, match="there is no model named 'nuclei'"):
            find_model("nuclei", task)
    with pytest.raises(InputError, match="nuclei"):
        find_model(Path("nuclei"), "synthesize")


def test_what_is_listed_is_what_its_name_finds(
    own: Model, segmenter: Model, user_models: Path, painting: ModuleType
) -> None:
    painting.painter(user_models, name="dots", alias="nuclei")
    painting.painter(user_models, name="rings", alias="dots")
    painting.painter(user_models, name="tubes", alias="vessels")
    found = kinds()
    assert list(found) == ["vessels", "nuclei", "nuclei-painter", "rings", "tubes"]
    assert found["vessels"].model is None
    for name, kind in found.items():
        assert kind.name == name
        other = kind_of(name).model
        assert (other and other.path) == (kind.model and kind.model.path)


@pytest.mark.parametrize("alias", ["../nuclei", "Nuclei", "", "a b"])
def test_an_alias_is_a_name(painting: ModuleType, tmp_path: Path, alias: str) -> None:
    with pytest.raises(InputError, match="is not a model name; use lower-case letters"):
        painting.painter(tmp_path, alias=alias)


def test_a_foreign_net_is_refused(painters: dict[int, Model]) -> None:
    spec = painters[2].spec
    unet = Architecture("napari_medai.nn.unet", "UNet", dict(spec.architecture.kwargs))
    with pytest.raises(InputError, match=r"that synthesizes has the net Painter.*got UNet"):
        replace(spec, architecture=unet)
    other = Architecture("os", "system", {})
    with pytest.raises(InputError, match=r"the net os\.system is not one that napari-medai may"):
        replace(spec, architecture=other)
    path = painters[2].path / "rdf.yaml"
    text = path.read_text()
    try:
        path.write_text(text.replace("callable: Painter", "callable: Critic"))
        with pytest.raises(InputError, match="Critic is not one that napari-medai may load"):
            read_model(painters[2].path)
    finally:
        path.write_text(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels_in": CHANNELS[:-1]}, "takes 14 channels .*, got Painter"),
        ({"channels_in": (*CHANNELS[1:], CHANNELS[0])}, "takes 14 channels"),
        ({"task": "segment"}, "Painter makes images from labels; it cannot segment"),
        ({"axes": "CZYX"}, "must be 3 whole numbers"),
        ({"config": {"decoder": "painting"}}, "lack learned"),
        ({"config": {"decoder": "light", "learned": ""}}, "decoder must be 'painting'"),
        ({"config": {"decoder": "painting", "learned": {}}}, "learned must be a text"),
    ],
)
def test_what_is_no_painter_is_refused(
    painters: dict[int, Model], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        replace(painters[2].spec, **change)


@pytest.mark.parametrize("name", ["norm", "residual", "auxiliary"])
def test_a_painter_takes_no_arguments_of_other_nets(painters: dict[int, Model], name: str) -> None:
    net = painters[2].spec.architecture
    with pytest.raises(InputError, match=f"but no argument '{name}'"):
        replace(painters[2].spec, architecture=net._replace(kwargs={**net.kwargs, name: True}))


def test_every_argument_that_a_package_may_give_is_one_that_the_net_takes(
    painters: dict[int, Model],
) -> None:
    """A shuffle would pass the rules for all nets, and then be unknown to the net."""
    net = painters[2].spec.architecture
    with pytest.raises(InputError, match="but no argument 'shuffle'"):
        replace(painters[2].spec, architecture=net._replace(kwargs={**net.kwargs, "shuffle": 2}))


@pytest.mark.parametrize(
    ("ndim", "call", "axes"), [(2, "(512, 512)", "Y X"), (3, "(64, 128, 128)", "Z Y X")]
)
def test_a_card_says_how_to_paint(
    painters: dict[int, Model], ndim: int, call: str, axes: str
) -> None:
    text = card_text(painters[ndim].spec)
    assert f'medai.synthesize("dots-{ndim}d", shape={call}, seed=1)' in text
    assert f'medai.synthesize("dots-{ndim}d", labels=drawn, style=photograph)' in text
    assert f"| axes | {axes} |" in text
    assert "| distance of patches, held out | 0.5 |" in text
    for odd in ("medai.synthesize(image", "stabilised", "coarse", json.dumps("looks")):
        assert odd not in text
    line = summary_line(painters[ndim].spec)
    assert line == f"dots-{ndim}d 1.0.0 · synthesize · {ndim}D: Dots in {ndim}D, for tests."


def test_a_card_calls_a_model_by_its_alias(own: Model) -> None:
    assert 'medai.synthesize("nuclei", ' in card_text(own.spec)
