"""Boxes and how much two of them share."""

from __future__ import annotations

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medai.core.boxes import Boxes, box_ious, label_boxes, usable_boxes
from napari_medai.core.errors import InputError


def test_boxes_know_their_sizes_and_centres() -> None:
    boxes = Boxes.of([[[0, 0], [4, 10]], [[2, 2], [3, 3]]], ["cell", "dot"], [0.5, 0.25])
    assert len(boxes) == 2
    assert boxes.ndim == 2
    assert boxes.sizes.tolist() == [[4, 10], [1, 1]]
    assert boxes.centres.tolist() == [[2, 5], [2.5, 2.5]]
    one = boxes.at(boxes.kinds == "dot")
    assert one.kinds.tolist() == ["dot"]
    assert one.scores.tolist() == [0.25]


def test_no_boxes_keep_their_axes() -> None:
    assert Boxes.of([], ndim=3).corners.shape == (0, 2, 3)
    assert len(Boxes.of([])) == 0


def test_a_class_is_needed_for_each_box() -> None:
    with pytest.raises(InputError, match="got 1 boxes, 2 classes and 1 scores"):
        Boxes.of([[[0, 0], [1, 1]]], ["a", "b"])


def test_overlaps_by_hand() -> None:
    one = np.array([[[0, 0], [2, 2]], [[5, 5], [6, 6]]], dtype=float)
    other = np.array([[[1, 0], [3, 2]], [[0, 0], [2, 2]]], dtype=float)
    assert box_ious(one, other).tolist() == [[pytest.approx(1 / 3), 1], [0, 0]]
    cubes = np.array([[[0, 0, 0], [2, 2, 2]], [[1, 1, 1], [3, 3, 3]]], dtype=float)
    assert box_ious(cubes, cubes)[0, 1] == pytest.approx(1 / 15)


def test_what_can_be_used_of_boxes_is_told() -> None:
    corners = [
        [[1, 1], [4, 4]],
        [[3, 3], [2, 5]],
        [[2, 2], [2, 5]],
        [[np.nan, 0], [1, 1]],
        [[-9, 2], [-0.5, 4]],
        [[2, 19.5], [4, 22]],
        [[-3, 12.25], [2, 30]],
    ]
    found = usable_boxes(Boxes.of(corners, list("abcdefg"), np.arange(7) / 8), (10, 20))
    assert np.flatnonzero(found.degenerate).tolist() == [1, 2, 3]
    assert np.flatnonzero(found.outside).tolist() == [4, 5]
    assert np.flatnonzero(found.cut).tolist() == [6]
    assert found.boxes.corners.tolist() == [[[1, 1], [4, 4]], [[-0.5, 12.25], [2, 19.5]]]
    assert found.boxes.kinds.tolist() == ["a", "g"] and found.boxes.scores.tolist() == [0, 0.75]


def test_boxes_of_other_axes_are_refused() -> None:
    with pytest.raises(InputError, match="boxes of 2 axes do not fit an image of 3"):
        usable_boxes(Boxes.of([]), (4, 5, 6))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.int32])
def test_boxes_around_labels_follow_the_edges_of_pixels(dtype: type) -> None:
    labels = np.zeros((10, 12), dtype)
    labels[3:8, 2:5] = 9
    labels[0, 11] = 4
    labels[9, 0] = 4  # a second part
    boxes, numbers = label_boxes(labels)
    assert numbers.tolist() == [4, 9]
    assert boxes.corners.tolist() == [[[-0.5, -0.5], [9.5, 11.5]], [[2.5, 1.5], [7.5, 4.5]]]
    assert boxes.kinds.tolist() == ["", ""] and np.isnan(boxes.scores).all()


def test_boxes_around_labels_of_a_volume() -> None:
    labels = np.zeros((4, 5, 6), np.int64)
    labels[1:3, 0:2, 4:6] = 2_000_000_000  # a table of all labels would not fit
    boxes, numbers = label_boxes(labels)
    assert numbers.tolist() == [2_000_000_000]
    assert boxes.corners.tolist() == [[[0.5, -0.5, 3.5], [2.5, 1.5, 5.5]]]
    assert label_boxes(np.zeros((4, 5, 6), bool))[0].corners.shape == (0, 2, 3)


@pytest.mark.parametrize("labels", [np.zeros((3, 3)), np.zeros(3, int), np.zeros((2,) * 4, int)])
def test_what_is_no_label_image_gets_no_boxes(labels: np.ndarray) -> None:
    with pytest.raises(InputError, match="whole numbers along two or three axes"):
        label_boxes(labels)


@given(
    hnp.arrays(
        np.int16,
        hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=6),
        elements=st.integers(-1, 4),
    )
)
def test_each_box_holds_its_label_and_touches_it(labels: np.ndarray) -> None:
    boxes, numbers = label_boxes(labels)
    assert numbers.tolist() == sorted(set(labels.ravel().tolist()) - {0})
    for number, (low, high) in zip(numbers, boxes.corners, strict=True):
        places = np.argwhere(labels == number)
        assert (places.min(axis=0) - 0.5).tolist() == low.tolist()
        assert (places.max(axis=0) + 0.5).tolist() == high.tolist()
