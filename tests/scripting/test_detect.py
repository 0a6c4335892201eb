"""A layer or an array goes in, boxes come out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Points, Shapes

import napari_medai as medai
from napari_medai.core.boxes import box_ious
from napari_medai.core.errors import InputError
from napari_medai.ui import box_layers

HOW: dict[str, Any] = {"device": "cpu", "diameter": 17, "threshold": 0.2}


@pytest.fixture(autouse=True)
def models(box_package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDAI_MODELS", str(box_package.parent))


def corners_of(layer: Shapes) -> np.ndarray:
    """(n, 2, 2): the low and high corner of each rectangle."""
    return np.array([[shape.min(axis=0), shape.max(axis=0)] for shape in layer.data])


def test_boxes_lie_on_their_objects(blobs: Callable[..., Any]) -> None:
    image, true = blobs(seed=3)
    layer = Image(image, name="cells", scale=(2, 3), translate=(10, 20), units="um")
    boxes = medai.detect(layer, "discs", **HOW)
    assert isinstance(boxes, Shapes)
    assert len(boxes.data) == len(boxes.features) == len(true)
    best = box_ious(corners_of(boxes), true.corners).argmax(axis=1)
    assert sorted(best) == list(range(len(true)))
    assert box_ious(corners_of(boxes), true.corners).max(axis=1).min() > 0.6
    assert boxes.features["class"].tolist() == true.kinds[best].tolist()
    assert np.array_equal(boxes.scale, (2, 3))
    assert np.array_equal(boxes.translate, (10, 20))
    assert boxes.units == layer.units
    made = medai.script(boxes)
    assert "boxes = medai.detect(\n" in made
    assert "model='discs'" in made


def test_some_classes_and_points(blobs: Callable[..., Any]) -> None:
    image, true = blobs(seed=3)
    for classes in (["dim"], "dim", ("dim", "dim")):
        found = medai.detect(image, "discs", classes=classes, **HOW)
        assert set(found.features["class"]) == {"dim"}
        assert len(found.data) == np.count_nonzero(true.kinds == "dim")
    both = medai.detect(image, "discs", classes=["dim", "bright"], points=True, **HOW)
    assert isinstance(both, Points)
    assert len(both.data) == len(true)
    far = np.linalg.norm(both.data[:, None] - true.centres[None], axis=-1)
    assert far.min(axis=1).max() < 3
    assert both.metadata["medai"]["parameters"]["classes"] == "dim,bright"


def test_a_window_and_frames(blobs: Callable[..., Any]) -> None:
    image, _ = blobs(seed=3)
    whole = medai.detect(image, "discs", **HOW)
    window = {"Y": slice(28, None)}
    part = medai.detect(Image(image), "discs", window=window, **HOW)
    assert np.array_equal(part.translate, (28, 0))
    assert 0 < len(part.data) < len(whole.data)
    film = medai.detect(np.stack([image, image]), "discs", axes="TYX", **HOW)
    assert len(film.data) == 2 * len(whole.data)
    assert set(film.features["t"]) == {0, 1}
    assert film.axis_labels == ("t", "y", "x")


@pytest.mark.parametrize("points", [False, True])
def test_nothing_found_is_an_empty_layer_and_a_message(points: bool) -> None:
    with pytest.warns(UserWarning, match="no objects were found; a lower threshold") as told:
        boxes = medai.detect(np.zeros((64, 64), np.uint8), "discs", points=points, **HOW)
    assert [warning.filename for warning in told if "no objects" in str(warning.message)] == [
        __file__
    ]
    assert len(boxes.data) == len(boxes.features) == 0
    columns = ["index", "class", "score", "centroid-y", "centroid-x", "height", "width", "area"]
    assert list(boxes.features.columns) == columns
    assert boxes.ndim == 2
    assert boxes.metadata["medai"]["found"]["count"] == 0


def test_many_boxes_are_told(blobs: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box_layers, "MOST_SHAPES", 3)
    image, true = blobs(seed=3)
    with pytest.warns(UserWarning, match="9 rectangles are slow to draw; points=True") as told:
        boxes = medai.detect(image, "discs", **HOW)
    assert len(told) == 1
    assert len(boxes.data) == len(true)
    assert len(medai.detect(image, "discs", points=True, **HOW).data) == len(true)


def test_models_that_detect(box_package: Path) -> None:
    assert [model.name for model in medai.models("detect") if model.path == box_package]


@pytest.mark.parametrize(
    ("keywords", "sentence"),
    [
        ({"threshold": 1.5}, "threshold must be 0.01 to 0.99, got 1.5"),
        ({"threshold": 0}, "threshold must be 0.01 to 0.99, got 0"),
        ({"overlap": 0.9}, "overlap must be 0.1 to 0.8, got 0.9"),
        ({"classes": ["dim", "dark"]}, "knows no class 'dark'; it finds bright, dim"),
        ({"tresh": 1}, "no parameter 'tresh'; did you mean threshold"),
        ({"model": "disks"}, "no model named 'disks'; did you mean discs"),
        ({"axes": "TCZYX"}, "name 5 dimensions"),
    ],
)
def test_bad_input(keywords: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        medai.detect(np.zeros((32, 32)), **{"model": "discs", **HOW, **keywords})
