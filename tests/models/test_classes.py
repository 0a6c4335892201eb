"""Packages of models that find classes: written, read back, described, refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from napari_medai.core.errors import InputError
from napari_medai.models.card import card_text, summary_line
from napari_medai.models.package import Model, read_model, write_model
from napari_medai.models.settings import class_names
from napari_medai.models.spec import ModelSpec
from napari_medai.models.verify import verify_model


@pytest.fixture
def organs(class_package: Path) -> Model:
    return read_model(class_package)


def test_a_package_says_what_its_classes_are(organs: Model) -> None:
    assert organs.decoder == "classes"
    assert class_names(organs.config) == ["front", "back"]
    assert organs.config["spacing"] == [1.0, 1.0, 1.0]
    assert organs.config["intensity"] == {"zscore": 5.0}
    assert verify_model(organs.path) == []


def test_its_card_and_summary_tell_the_classes_and_the_notice(organs: Model) -> None:
    card = card_text(organs.spec)
    assert "**Not a medical device; research use only.**" in card
    assert "| classes | front, back |" in card
    assert "| spacing | 1 × 1 × 1 mm (resampled to) |" in card
    assert "z-score of the values other than 0, clipped at ±5" in card
    assert "front, back" in summary_line(organs.spec)


@pytest.mark.parametrize(
    ("intensity", "steps"),
    [
        ({"zscore": 5.0}, ["zero_mean_unit_variance", "clip"]),
        ({"window": [-160.0, 240.0]}, ["clip", "scale_linear"]),
        ({"low": 1.0, "high": 99.0}, ["scale_range"]),
    ],
)
def test_other_programs_are_told_how_to_prepare_images(
    organs: Model, tmp_path: Path, intensity: dict[str, Any], steps: list[str]
) -> None:
    import yaml

    spec = replace(organs.spec, config={**organs.config, "intensity": intensity})
    model = write_model(tmp_path / "halves", spec, weights=organs.weights_path)
    described = yaml.safe_load((model.path / "rdf.yaml").read_text(encoding="utf-8"))
    assert [step["id"] for step in described["inputs"][0]["preprocessing"]] == steps
    assert verify_model(model.path) == []
    assert read_model(model.path).config["intensity"] == intensity


def test_other_programs_are_told_the_spacing(organs: Model, tmp_path: Path) -> None:
    import yaml

    from napari_medai.models.package import write_model

    spec = replace(organs.spec, config={**organs.config, "spacing": [3.0, 0.7, 0.8]})
    model = write_model(tmp_path / "thick", spec, weights=organs.weights_path)
    described = yaml.safe_load((model.path / "rdf.yaml").read_text(encoding="utf-8"))
    for tensor in (*described["inputs"], *described["outputs"]):
        axes = [axis for axis in tensor["axes"] if axis["type"] == "space"]
        told = [(axis["id"], axis["unit"], axis["scale"]) for axis in axes]
        expected = {"z": 3.0, "y": 0.7, "x": 0.8}
        assert told == [(axis, "millimeter", step) for axis, step in expected.items()]
    assert verify_model(model.path) == []
    assert replace(read_model(model.path).spec, card=spec.card) == spec


def _coded(code: Any, category: Any = None) -> dict[str, Any]:
    more = {} if category is None else {"category": category}
    return {"classes": [{"name": "front", "code": code, **more}, {"name": "back"}]}


def test_classes_may_have_coded_terms(organs: Model, tmp_path: Path) -> None:
    change = _coded(
        {"scheme": "SCT", "value": "10200004", "meaning": "Liver"},
        {"scheme": "SCT", "value": "91723000", "meaning": "Anatomical Structure"},
    )
    spec = replace(organs.spec, config={**organs.config, **change})
    model = write_model(tmp_path / "coded", spec, weights=organs.weights_path)
    assert read_model(model.path).config["classes"] == change["classes"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"classes": None}, "lack classes"),
        ({"classes": []}, "classes must be a list of"),
        ({"classes": ["front", "back"]}, "classes must be a list of"),
        ({"classes": [{"name": "a"}, {"name": "a"}]}, "classes must be a list of"),
        ({"classes": [{"name": "a", "colour": "red"}, {"name": "b"}]}, "classes must be a list of"),
        (_coded({"scheme": "SCT", "value": "10200004"}), 'may have a "code"'),
        (_coded({"scheme": "SCT", "value": 10200004, "meaning": "Liver"}), 'may have a "code"'),
        (_coded({"scheme": "SCT", "value": "1" * 17, "meaning": "Liver"}), 'may have a "code"'),
        (_coded("Liver"), 'may have a "code"'),
        ({"classes": [{"name": "a"}]}, "of 1 classes has 2 output channels"),
        ({"spacing": [1.0, 1.0]}, "spacing must be 3 positive numbers of millimetres"),
        ({"spacing": [1.0, 0.0, 1.0]}, "spacing must be 3 positive numbers of millimetres"),
        ({"mirror": "XQ"}, "mirror must be some of the axes ZYX"),
        ({"notice": 3}, "notice must be a text"),
        ({"intensity": {"zscore": True}}, "intensity must be percentiles"),
    ],
)
def test_settings_that_make_no_sense(organs: Model, change: dict[str, Any], sentence: str) -> None:
    spec: ModelSpec = organs.spec
    with pytest.raises(InputError, match=sentence):
        replace(spec, config={**spec.config, **change})
