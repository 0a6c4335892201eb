from __future__ import annotations

import numpy as np
import pytest

from napari_medai.core.capsules import point_distances, segment_distances


@pytest.mark.parametrize(
    ("first", "other", "distance"),
    [
        (((0, 0), (10, 0)), ((5, -3), (5, 4)), 0),  # they cross
        (((0, 0), (10, 0)), ((5, 2), (5, 9)), 2),
        (((0, 0), (10, 0)), ((13, 4), (20, 4)), 5),
        (((0, 0), (10, 0)), ((2, 3), (7, 3)), 3),  # parallel
        (((0, 0), (10, 0)), ((-9, 0), (-2, 0)), 2),  # in one line
        (((0, 0), (10, 0)), ((4, 0), (6, 0)), 0),  # one in the other
        (((0, 0, 0), (10, 0, 0)), ((5, -5, 7), (5, 5, 7)), 7),  # one above the other
        (((1, 1), (1, 1)), ((4, 5), (4, 5)), 5),  # two points
    ],
)
def test_distances_between_segments(first: tuple, other: tuple, distance: float) -> None:
    pairs = [np.array(end, float) for end in (*first, *other)]
    assert segment_distances(*pairs) == pytest.approx(distance, abs=1e-9)
    assert segment_distances(*pairs[2:], *pairs[:2]) == pytest.approx(distance, abs=1e-9)


@pytest.mark.parametrize("ndim", [2, 3])
def test_no_pair_of_points_on_segments_is_nearer(ndim: int) -> None:
    ends = np.random.default_rng(0).normal(size=(4, 200, ndim))
    share = np.linspace(0, 1, 60)[:, None, None]
    first, other = ends[0] + share * (ends[1] - ends[0]), ends[2] + share * (ends[3] - ends[2])
    pairs = np.linalg.norm(first[:, None] - other[None], axis=-1).min(axis=(0, 1))
    found = segment_distances(*ends)
    assert (found <= pairs + 1e-12).all()
    assert found == pytest.approx(pairs, abs=0.06)


def test_distances_of_points_from_a_segment() -> None:
    points = np.array([[3.0, 2], [-3, 4], [12, 0], [5, 0]])
    found = point_distances(points, np.array([0.0, 0]), np.array([10.0, 0]))
    assert found == pytest.approx([2, 5, 2, 0])
