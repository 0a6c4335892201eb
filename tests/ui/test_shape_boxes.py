from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from napari.layers import Image, Labels, Shapes
from skimage.io import imread

from napari_medai.core.errors import InputError
from napari_medai.core.steps import finished
from napari_medai.models.registry import find_model
from napari_medai.tasks.inside_boxes import segment_inside_steps
from napari_medai.tasks.label_boxes import boxes_of_labels
from napari_medai.tasks.segment import SegmentParams
from napari_medai.ui.box_layers import shapes_layer
from napari_medai.ui.layers import array_from_layer, labels_layer, layer_axes, place_of
from napari_medai.ui.shape_boxes import boxes_of_layer

NUCLEI = Path(__file__).parents[1] / "data" / "nuclei"


def rectangle(*box: float) -> np.ndarray:
    top, left, bottom, right = box
    return np.array([[top, left], [top, right], [bottom, right], [bottom, left]], dtype=float)


def test_shapes_are_boxes_in_the_pixels_of_the_image() -> None:
    image = Image(np.zeros((50, 60)), scale=(2, 2), translate=(10, 20), units="um")
    shapes = Shapes(
        [rectangle(14, 26, 30, 40), rectangle(-90, -90, -80, -80), rectangle(100, 120, 500, 500)],
        features={"class": ["a", "b", "c"], "score": [0.5, 0.6, np.nan]},
        units="um",
    )
    found = boxes_of_layer(shapes, image, "YX")
    np.testing.assert_allclose(found.boxes.corners[0], [[2, 3], [10, 10]])
    np.testing.assert_allclose(found.boxes.corners[1], [[45, 50], [49.5, 59.5]])
    assert found.boxes.kinds.tolist() == ["a", "c"]
    np.testing.assert_allclose(found.boxes.scores, [0.5, np.nan])
    assert (found.lead, found.space, found.places.shape) == ("", "YX", (2, 0))


def test_lines_are_no_boxes_and_nothing_is_an_error() -> None:
    image = Image(np.zeros((50, 60)))
    shapes = Shapes([np.array([[1, 1], [9, 9]])], shape_type="line")
    with pytest.raises(InputError, match="none of the shapes is a box"):
        boxes_of_layer(shapes, image, "YX")
    with pytest.raises(InputError, match="none of the shapes is a box"):
        boxes_of_layer(Shapes(), image, "YX")


def test_flat_boxes_stand_for_all_frames() -> None:
    image = Image(np.zeros((3, 50, 60)))
    found = boxes_of_layer(Shapes([rectangle(1, 2, 9, 9)]), image, "TYX")
    assert (found.lead, found.places.tolist()) == ("T", [[0], [1], [2]])


def test_stacks_of_rectangles_are_boxes_of_volumes_again() -> None:
    labels = np.zeros((2, 6, 20, 30), int)
    labels[0, 1:4, 2:6, 3:9] = 1
    labels[1, 2:6, 10:15, 20:24] = 2
    layer = Labels(labels, axis_labels=("t", "z", "y", "x"), scale=(1, 3, 2, 2))
    made = boxes_of_labels(array_from_layer(layer), {})
    shapes = shapes_layer(made, place_of(layer))
    image = Image(labels, axis_labels=("t", "z", "y", "x"), scale=(1, 3, 2, 2))
    found = boxes_of_layer(shapes, image, "TZYX")
    assert (found.lead, found.space) == ("T", "ZYX")
    np.testing.assert_array_equal(found.boxes.corners, made.boxes.corners)
    np.testing.assert_array_equal(found.places, made.places)


def test_boxes_of_frames_stay_those_of_their_frame() -> None:
    drawn = [np.insert(rectangle(2, 3, 6, 9), 0, [[t], [z]], axis=1) for t, z in ((0, 1), (1, 2))]
    shapes = Shapes([*drawn, drawn[1] + (0, 1, 0, 0)], features={"index": [1, 1, 1]})
    found = boxes_of_layer(shapes, Image(np.zeros((2, 6, 20, 30))), "TZYX")
    assert found.boxes.corners[:, :, 0].tolist() == [[0.5, 1.5], [1.5, 3.5]]
    assert found.places.tolist() == [[0], [1]]


def test_a_rectangle_more_makes_no_volumes_of_planes() -> None:
    """napari gives a new shape the features of the last one."""
    image = Image(np.zeros((6, 20, 30)))
    drawn = [np.insert(rectangle(2, 3, 6, 9 + z), 0, z, axis=1) for z in (1, 2, 4)]
    shapes = Shapes(drawn, features={"index": [1, 2, 2]})
    found = boxes_of_layer(shapes, image, "ZYX")
    assert (found.lead, found.places.tolist()) == ("Z", [[1], [2], [4]])
    copied = [*drawn, drawn[-1] + (1, 0, 0)]
    shapes = Shapes(copied, features={"index": [1, 2, 3, 3], "z": [1, 2, 4, 4]})
    found = boxes_of_layer(shapes, image, "ZYX")
    assert (found.lead, found.places.tolist()) == ("Z", [[1], [2], [4], [5]])


def test_a_rotated_ellipse_has_the_box_of_its_outline() -> None:
    turned = np.array([[0, 10], [10, 20], [20, 10], [10, 0]], dtype=float)
    found = boxes_of_layer(Shapes([turned], shape_type="ellipse"), Image(np.zeros((40, 40))), "YX")
    half = 50**0.5
    np.testing.assert_allclose(
        found.boxes.corners[0], [[10 - half] * 2, [10 + half] * 2], atol=0.02
    )


@pytest.mark.parametrize("name", ["fluorescence-256", "histology"])
def test_known_nuclei_are_found_in_their_boxes(name: str) -> None:
    """Labels to boxes, and boxes to labels: a real image, the shipped model."""
    values = imread(NUCLEI / "images" / f"{name}.png")
    truth = imread(NUCLEI / "masks" / f"{name}.png")
    layer = Labels(truth, name="truth")
    source = Image(values, name="cells")
    shapes = shapes_layer(boxes_of_labels(array_from_layer(layer), {}), place_of(layer))
    placed = boxes_of_layer(shapes, source, layer_axes(source))
    params = SegmentParams(device="cpu")
    result = finished(
        segment_inside_steps(array_from_layer(source), find_model("nuclei"), params, placed)
    )
    labels = labels_layer(result, source)
    ious = []
    for number in np.unique(truth)[1:]:
        own = truth == number
        best = np.bincount(labels.data[own]).argmax()
        other = labels.data == best
        ious.append(np.count_nonzero(own & other) / np.count_nonzero(own | other) if best else 0)
    assert np.median(ious) > 0.75
    assert np.mean(np.array(ious) > 0.5) > 0.9
