from __future__ import annotations

from math import hypot, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_medai.core.diameter import Diameter, longest_diameter

FLAT = np.diag([9.0, 1.0, 1.0])


def found(mask: np.ndarray, edges: np.ndarray = FLAT, above: float = 0.0) -> Diameter:
    longest = longest_diameter(mask, edges, above=above)
    assert longest is not None
    return longest


def plane(*rows: str) -> np.ndarray:
    return np.array([[[mark == "#" for mark in row] for row in rows]])


def test_a_pixel_is_as_long_as_its_longer_side() -> None:
    assert found(plane("#")).length == 1
    longest = found(plane("...", ".#."), np.diag([9, 0.5, 2]))
    assert longest.length == 2
    np.testing.assert_array_equal(longest.ends, [[0, 1, 0.5], [0, 1, 1.5]])


def test_rows_and_columns_reach_from_side_to_side() -> None:
    assert found(plane(".####.")).length == 4
    assert found(plane("#", "#", "#"), np.diag([9, 0.7, 0.7])).length == pytest.approx(2.1)


def test_a_diagonal_ends_in_the_middles_of_two_sides() -> None:
    longest = found(plane("#...", ".#..", "..#.", "...#"))
    assert longest.length == pytest.approx(hypot(4, 3))
    (_, y0, x0), (_, y1, x1) = longest.ends
    assert {abs(y1 - y0), abs(x1 - x0)} == {3, 4}


def test_a_box() -> None:
    mask = np.ones((1, 4, 5), dtype=bool)
    assert found(mask).length == pytest.approx(hypot(3, 5))
    assert found(mask, np.diag([9, 2, 0.5])).length == pytest.approx(hypot(8, 2))


def test_a_disc_is_as_long_as_it_is_to_a_pixel() -> None:
    y, x = np.ogrid[-50:51, -50:51]
    mask = (y**2 + x**2 <= 40.5**2)[None]
    assert found(mask, 0.5 * FLAT).length == pytest.approx(40.5, abs=0.5)


def test_it_stays_within_one_part_of_one_plane() -> None:
    mask = plane("##....#", ".......")
    assert found(mask).length == 2
    assert found(plane("##....#", "..####.")).length > 6  # corners connect
    stack = np.concatenate([plane("###.."), plane("...##")])
    assert found(stack).length == 3
    np.testing.assert_array_equal(found(stack[::-1]).ends[:, 0], [1, 1])


def test_only_a_longer_one_counts() -> None:
    mask = plane("###")
    assert longest_diameter(mask, FLAT, above=3.0) is None
    assert found(mask, above=2.9).length == 3
    assert longest_diameter(np.zeros((2, 3, 3), dtype=bool), FLAT) is None


def test_planes_that_lean_are_measured_in_the_world() -> None:
    # Rows that run 45 degrees out of the plane's normal direction: sqrt(2) apart.
    edges = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert found(plane("#", "#", "#"), edges).length == pytest.approx(3 * sqrt(2))


@settings(max_examples=60, deadline=None)
@given(
    mask=st.integers(0, 2**30 - 1),
    steps=st.tuples(st.floats(0.2, 5), st.floats(0.2, 5), st.floats(-0.5, 0.5)),
)
def test_it_equals_looking_at_every_pair(mask: int, steps: tuple[float, float, float]) -> None:
    bits = np.array([mask >> n & 1 for n in range(30)], dtype=bool).reshape(1, 5, 6)
    edges = np.array([[1, 0, 0], [0, steps[0], steps[2]], [0, 0, steps[1]]])
    expected = 0.0
    parts, count = ndimage.label(bits[0], np.ones((3, 3)))
    for part in range(1, count + 1):
        pixels = np.argwhere(parts == part)
        sides = np.concatenate([pixels + s for s in ((0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5))])
        placed = sides @ edges[1:, 1:].T
        apart = np.linalg.norm(placed[:, None] - placed, axis=-1)
        expected = max(expected, apart.max())
    longest = longest_diameter(bits, edges)
    assert (0.0 if longest is None else longest.length) == pytest.approx(expected)
    if longest is not None:
        ends = longest.ends @ edges.T
        assert np.linalg.norm(ends[1] - ends[0]) == pytest.approx(expected)
