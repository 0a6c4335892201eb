"""Boxes and how much two of them share."""

from __future__ import annotations

import numpy as np
import pytest

from napari_medai.core.boxes import Boxes, box_ious
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
