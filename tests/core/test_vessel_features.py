from __future__ import annotations

import numpy as np
import pytest

from napari_medai.core.vessel_features import vessel_features
from napari_medai.core.vessel_trees import grown_vessels
from napari_medai.core.vessels import VesselTree


def _forked() -> VesselTree:
    """A trunk of two segments, a fork, and a fork of its first child."""
    nodes = [(0, 20), (5, 20), (10, 20), (13, 16), (13, 24), (16, 12), (23, 16)]
    parents = [0, 1, 2, 2, 3, 3]
    segments = np.stack([parents, np.arange(1, 7)], axis=1)
    radii = np.array([3, 3, 2, 1, 1, 1]) ** (1 / 3)
    branches = np.array([0, 0, 1, 2, 3, 4])
    return VesselTree(np.array(nodes, float), segments, radii, branches, 3.0, (40, 40))


def test_a_row_a_segment() -> None:
    table = vessel_features(_forked(), axes="YX", step=0.5)
    assert table["index"].tolist() == [1, 2, 3, 4, 5, 6]
    assert table["parent"].tolist() == [0, 1, 2, 2, 3, 3]
    assert table["branch"].tolist() == [1, 1, 2, 3, 4, 5]
    assert table["radius"] == pytest.approx(0.5 * _forked().radii)
    assert table["length"].tolist() == [2.5, 2.5, 2.5, 2.5, 2.5, 5]
    assert table["generation"].tolist() == [0, 0, 1, 1, 2, 2]
    assert table["order"].tolist() == [2, 2, 2, 1, 1, 1]
    assert table["start-y"].tolist() == [0, 5, 10, 10, 13, 13]
    assert table["end-x"].tolist() == [20, 20, 16, 24, 12, 16]


def test_a_row_a_branch() -> None:
    table = vessel_features(_forked(), axes="YX", rows="branches")
    assert table["index"].tolist() == [1, 2, 3, 4, 5]
    assert table["parent"].tolist() == [0, 1, 1, 2, 2]
    assert table["length"].tolist() == [10, 5, 5, 5, 10]
    assert table["radius"] == pytest.approx([3 ** (1 / 3), 2 ** (1 / 3), 1, 1, 1])
    assert (table["start-y"][0], table["end-y"][0]) == (0, 10)
    assert table["generation"].tolist() == [0, 1, 1, 2, 2]
    assert "branch" not in table


def test_branches_join_where_they_meet() -> None:
    tree = grown_vessels((40, 44, 48), seed=2, segments=60, radius=0.7, tortuosity=0.5)
    table = vessel_features(tree, axes="ZYX", rows="branches")
    ends = np.stack([table[f"end-{axis}"] for axis in "zyx"], axis=1)
    starts = np.stack([table[f"start-{axis}"] for axis in "zyx"], axis=1)
    own = table["parent"] > 0
    assert (~own).sum() == 1
    assert (starts[own] == ends[table["parent"][own] - 1]).all()
    assert table["length"].sum() == pytest.approx(tree.lengths.sum())


def test_a_row_for_all() -> None:
    table = vessel_features(_forked(), axes="YX", step=0.5, rows="tree")
    assert {name: column.tolist() for name, column in table.items()} == {
        "index": [1],
        "radius": [0.5 * 3 ** (1 / 3)],
        "length": [0.5 * 35],
        "segments": [6],
        "bifurcations": [2],
    }
