"""What a painter is told of labels: right in a picture made by hand, and the same in parts."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from napari_medai.core.label_maps import MAPS, REACH, label_maps, painted


def test_of_two_objects_side_by_side() -> None:
    labels = np.zeros((7, 12), np.int32)
    labels[2:5, 2:5], labels[2:5, 5:8] = 4, 9
    inside, depth, distance, border = label_maps(labels)
    assert MAPS == ("inside", "depth", "distance", "border")
    assert (inside == (labels > 0)).all()
    assert (np.argwhere(border).tolist()) == [[y, x] for y in (2, 3, 4) for x in (4, 5)]
    # the middle of an object of 3 x 3 is one pixel away from its edge
    assert (depth[3, 2:8] * REACH).tolist() == [1, 2, 1, 1, 2, 1]
    assert (depth[labels == 0] == 0).all()
    assert (distance[3, 8:] * REACH).tolist() == [1, 2, 3, 4]
    assert (distance[labels > 0] == 0).all()
    # edges have two sides, one in the object and one outside of it
    assert distance[0, 0] * REACH == pytest.approx(1 + np.hypot(1, 2))


def test_of_nothing_and_of_all() -> None:
    nothing, everything = label_maps(np.zeros((5, 6), np.int32)), label_maps(np.ones((5, 6), int))
    assert [float(part.min()) for part in nothing] == [0, 0, 1, 0]
    assert [float(part.min()) for part in everything] == [1, 1, 0, 0]
    assert nothing.dtype == np.float32


def test_far_is_no_farther_than_the_reach() -> None:
    labels = np.zeros((4, 60), np.int32)
    labels[:, 0] = 1
    distance = label_maps(labels)[2][0]
    assert distance[REACH] == 1
    assert distance[REACH - 1] < 1
    assert (distance[REACH:] == 1).all()


@pytest.mark.parametrize("shape", [(90, 100), (40, 50, 60)])
def test_maps_of_a_part_are_the_part_of_the_maps(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    labels = np.zeros(shape, np.int32)
    for number in range(1, 12):
        corner = [int(rng.integers(n - 5)) for n in shape]
        labels[tuple(slice(c, c + int(rng.integers(3, 18))) for c in corner)] = number
    maps, margin = label_maps(labels), REACH + 1
    for corner in product(*([0, n // 3] for n in shape)):
        part = tuple(slice(c, c + n // 2) for c, n in zip(corner, shape, strict=True))
        around = tuple(slice(max(0, p.start - margin), p.stop + margin) for p in part)
        inner = tuple(
            slice(p.start - a.start, p.stop - a.start) for p, a in zip(part, around, strict=True)
        )
        assert (label_maps(labels[around])[(slice(None), *inner)] == maps[(..., *part)]).all()


def test_values_are_painted_where_their_object_is() -> None:
    labels = np.array([[0, 1], [2, 1]])
    maps = painted(labels, np.array([[0, 0], [1, 10], [2, 20]]))
    assert maps.tolist() == [[[0, 1], [2, 1]], [[0, 10], [20, 10]]]
    assert maps.dtype == np.float32
    assert maps.flags.c_contiguous
