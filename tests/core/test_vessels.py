from __future__ import annotations

import numpy as np
import pytest

from napari_medai.core.vessels import VesselTree


def tree(nodes: list, parents: list[int], radii: list[float], branches: list[int]) -> VesselTree:
    """Node i + 1 hangs on node ``parents[i]``."""
    segments = np.stack([parents, np.arange(1, len(nodes))], axis=1)
    return VesselTree(
        np.array(nodes, float), segments, np.array(radii), np.array(branches), 3.0, (40, 40)
    )


def _forked() -> VesselTree:
    """A trunk of two segments, a fork, and a fork of its first child."""
    nodes = [(0, 20), (5, 20), (10, 20), (13, 16), (13, 24), (16, 12), (23, 16)]
    parents, branches = [0, 1, 2, 2, 3, 3], [0, 0, 1, 2, 3, 4]
    return tree(nodes, parents, [3 ** (1 / 3)] * 2 + [2 ** (1 / 3), 1, 1, 1], branches)


def test_segments_know_where_they_come_from() -> None:
    vessels = _forked()
    assert vessels.parents.tolist() == [-1, 0, 1, 1, 2, 2]
    assert vessels.lengths.tolist() == [5, 5, 5, 5, 5, 10]
    assert vessels.bifurcations.tolist() == [2, 3]
    assert vessels.starts[2].tolist() == [10, 20]
    assert vessels.ends[2].tolist() == [13, 16]


def test_generations_count_bifurcations_not_segments() -> None:
    assert _forked().generations.tolist() == [0, 0, 1, 1, 2, 2]


def test_strahlers_order_grows_where_two_alike_meet() -> None:
    # of the trunk's children one is of order 2, the other of order 1: 2 it stays
    assert _forked().orders.tolist() == [2, 2, 2, 1, 1, 1]
    full = tree(
        [(0, 0), (1, 0), (2, -2), (2, 2), (3, -3), (3, -1), (3, 1), (3, 3)],
        [0, 1, 1, 2, 2, 3, 3],
        [1.0] * 7,
        list(range(7)),
    )
    assert full.orders.tolist() == [3, 2, 2, 1, 1, 1, 1]


def test_angles_lie_between_children() -> None:
    angles = _forked().branching_angles()
    assert angles == pytest.approx([2 * np.degrees(np.arctan2(4, 3)), np.degrees(np.arctan2(4, 3))])


def test_figures_tell_the_whole() -> None:
    figures = _forked().figures()
    assert figures["segments"] == 6
    assert figures["bifurcations"] == 2
    assert figures["length"] == 35
    expected = 2 * (10 * 3 ** (1 / 3) + 5 * 2 ** (1 / 3) + 20)
    assert figures["volume"] == pytest.approx(expected)
    assert figures["generations"] == 2
    assert figures["radius of order 1"] == 1
    assert figures["radius of order 2"] == pytest.approx((2 * 3 ** (1 / 3) + 2 ** (1 / 3)) / 3)


def test_a_tree_of_one_segment_has_no_angle() -> None:
    figures = tree([(0, 0), (3, 4)], [0], [1.0], [0]).figures()
    assert np.isnan(figures["angle"])
    assert (figures["length"], figures["generations"]) == (5, 0)
