from __future__ import annotations

import numpy as np

from napari_medai.core.box_stacks import stacked_boxes
from napari_medai.core.boxes import Boxes

SQUARE = [[2, 3], [6, 9]]
OTHER = [[2, 3], [6, 12]]


def test_adjacent_rectangles_of_a_group_are_one_box() -> None:
    boxes = Boxes.of([SQUARE] * 3 + [OTHER], ["a", "b", "c", "d"], [0.1, 0.2, 0.3, 0.4])
    places = np.array([[0, 5], [0, 4], [1, 5], [0, 6]])
    found = stacked_boxes(boxes, places, np.zeros(4, int), depth=1)
    assert found.boxes.corners.tolist() == [
        [[3.5, 2, 3], [5.5, 6, 9]],
        [[4.5, 2, 3], [5.5, 6, 9]],
        [[5.5, 2, 3], [6.5, 6, 12]],
    ]
    assert found.places.tolist() == [[0], [1], [0]]
    assert (found.first.tolist(), found.counts.tolist()) == ([0, 2, 3], [2, 1, 1])
    assert found.boxes.kinds.tolist() == ["a", "c", "d"]
    np.testing.assert_allclose(found.boxes.scores, [0.1, 0.3, 0.4])


def test_gaps_doubles_and_other_groups_are_boxes_of_their_own() -> None:
    def counts(slices: list[int], groups: list[int]) -> list[int]:
        boxes = Boxes.of([SQUARE] * len(slices))
        places = np.array(slices)[:, None]
        return stacked_boxes(boxes, places, np.array(groups), depth=0).counts.tolist()

    assert counts([1, 3], [0, 0]) == [1, 1]
    assert counts([1, 1, 2, 2, 3], [0] * 5) == [3, 2]
    assert counts([1, 2], [0, 1]) == [1, 1]
    assert counts([1, 2], [-1, -1]) == [1, 1]
    assert counts([], []) == []
