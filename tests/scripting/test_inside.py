"""From boxes to more: labels to boxes, and segmenting inside boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Labels, Shapes
from skimage.io import imread

import napari_medai as medai
from napari_medai.core.axes import AxesArray
from napari_medai.core.boxes import label_boxes
from napari_medai.core.errors import InputError
from napari_medai.scripting.inside import placed_boxes
from napari_medai.scripting.sources import Subject

NUCLEI = Path(__file__).parents[1] / "data" / "nuclei"


def subject(image: Any, axes: str | None = None) -> Subject:
    return Subject.of(image, axes=axes, scale=None, units=None, window=None, channel=None)


def two_labels() -> np.ndarray:
    labels = np.zeros((2, 20, 30), np.uint8)
    labels[0, 3:8, 4:10] = 5
    labels[1, 10:12, 20:25] = 7
    return labels


def test_labels_become_boxes() -> None:
    layer = Labels(
        two_labels(),
        axis_labels=("t", "y", "x"),
        scale=(1, 2, 2),
        name="cells",
        features={"index": [5, 7, np.nan], "class": ["RBC", "WBC", "none"]},
    )
    found = medai.boxes(layer)
    assert isinstance(found, Shapes)
    assert found.name == "cells boxes"
    assert [shape.min(axis=0).tolist() for shape in found.data] == [[0, 2.5, 3.5], [1, 9.5, 19.5]]
    assert [shape.max(axis=0).tolist() for shape in found.data] == [[0, 7.5, 9.5], [1, 11.5, 24.5]]
    assert found.features["index"].tolist() == [5, 7]
    assert found.features["class"].tolist() == ["RBC", "WBC"]
    assert found.scale.tolist() == [1, 2, 2]
    array = medai.boxes(two_labels(), axes="tyx", scale=2.0)
    np.testing.assert_array_equal(array.data, found.data)
    assert array.scale.tolist() == [1, 2, 2]
    with pytest.warns(UserWarning, match="no labels"):
        assert len(medai.boxes(0 * two_labels()).data) == 0
    with pytest.raises(InputError, match="number them first"):
        medai.boxes(two_labels() > 0)


@pytest.mark.parametrize("wanted", ["shapes", "labels", "array"])
def test_boxes_have_their_place_in_the_image(wanted: str) -> None:
    labels = Labels(two_labels(), axis_labels=("t", "y", "x"), scale=(1, 2, 2))
    inside = {"shapes": medai.boxes(labels), "labels": labels, "array": two_labels()}[wanted]
    source: Any = Image(two_labels(), axis_labels=("t", "y", "x"), scale=(1, 2, 2))
    found = placed_boxes(inside, subject(source))
    assert found.boxes.corners.tolist() == [[[2.5, 3.5], [7.5, 9.5]], [[9.5, 19.5], [11.5, 24.5]]]
    assert (found.lead, found.space, found.places.tolist()) == ("T", "YX", [[0], [1]])
    again = placed_boxes(inside, subject(AxesArray(two_labels(), "TYX")))
    assert again.boxes.corners.tolist() == found.boxes.corners.tolist()
    assert again.places.tolist() == found.places.tolist()


def test_an_image_is_segmented_inside_boxes() -> None:
    truth = imread(NUCLEI / "masks" / "fluorescence-256.png")
    layer = Image(imread(NUCLEI / "images" / "fluorescence-256.png"), scale=(2, 2), name="cells")
    all_boxes, numbers = label_boxes(truth)
    chosen = numbers[(all_boxes.sizes > 12).all(axis=1)][:5]
    boxes = all_boxes.at(np.isin(numbers, chosen))
    found = medai.segment(layer, "nuclei", inside=boxes, device="cpu")
    assert found.scale.tolist() == [2, 2]
    assert sorted(found.features["box"]) == [1, 2, 3, 4, 5]
    for number, box in zip(found.features["index"], found.features["box"], strict=True):
        own, mine = truth == chosen[box - 1], found.data == number
        assert np.count_nonzero(own & mine) / np.count_nonzero(own | mine) > 0.5
    edges = boxes.corners.reshape(-1, 4)
    again = medai.segment(layer, "nuclei", inside=edges, single=False, device="cpu")
    assert again.metadata["medai"]["parameters"]["single"] is False


def test_bad_input() -> None:
    image = np.zeros((20, 30), np.uint8)
    box = [[2, 3, 8, 9]]
    with pytest.raises(InputError, match="remove window="):
        medai.segment(image, inside=box, window={"Y": slice(0, 9)})
    with pytest.raises(InputError, match="remove out="):
        medai.segment(image, inside=box, out="labels.zarr")
    with pytest.raises(InputError, match="none of the shapes is a box within the image"):
        medai.segment(image, inside=[[50, 50, 60, 60]])
    with pytest.raises(InputError, match="numbers \\(n, 4\\)"):
        medai.segment(image, inside=np.zeros((3, 5)))
