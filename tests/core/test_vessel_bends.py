from __future__ import annotations

import numpy as np
import pytest

from napari_medai.core.vessel_bends import Branches, bent_tree
from napari_medai.core.vessel_domain import Domain
from napari_medai.core.vessels import VesselTree


def _branches() -> Branches:
    """A fork and its trunk, which comes last; of lengths 10, 20 and 30."""
    ends = [[(33, 20), (39, 28)], [(33, 20), (33, 40)], [(3, 20), (33, 20)]]
    radii = np.array([1.0, 2.0, 9 ** (1 / 3)])
    return Branches(np.array(ends, float), np.array([2, 2, -1]), radii)


def test_parents_are_put_before_children() -> None:
    ordered = _branches().ordered()
    assert ordered.parents.tolist() == [-1, 0, 0]
    assert ordered.radii.tolist() == [9 ** (1 / 3), 1, 2]
    assert ordered.ends[0].tolist() == [[3, 20], [33, 20]]


@pytest.mark.parametrize(
    ("total", "pieces"), [(3, [1, 1, 1]), (4, [1, 1, 2]), (9, [2, 3, 4]), (63, [11, 21, 31])]
)
def test_longer_branches_have_more_pieces(total: int, pieces: list[int]) -> None:
    assert _branches().pieces(total).tolist() == pieces


def test_beside_are_parent_children_and_siblings() -> None:
    ends = np.zeros((5, 2, 2))
    beside = Branches(ends, np.array([-1, 0, 0, 1, 1]), np.ones(5)).beside()
    apart = {(one, other) for one, other in np.argwhere(~beside).tolist() if one < other}
    assert apart == {(0, 3), (0, 4), (2, 3), (2, 4)}


def _bent(tortuosity: float, *, edges: tuple[int, int] = (60, 60), seed: int = 0) -> VesselTree:
    return bent_tree(
        _branches(),
        Domain.of(edges, None),
        np.random.default_rng(seed),
        segments=12,
        exponent=3.0,
        tortuosity=tortuosity,
        crossing=False,
    )


def test_a_straight_tree_is_cut_on_its_lines() -> None:
    tree = _bent(0.0)
    assert tree.branches.tolist() == [0] * 6 + [1] * 2 + [2] * 4
    assert tree.nodes[:7].tolist() == [[5 * n + 3, 20] for n in range(7)]
    assert tree.parents.tolist() == [-1, 0, 1, 2, 3, 4, 5, 6, 5, 8, 9, 10]
    assert tree.nodes[[8, 12]].tolist() == [[39, 28], [33, 40]]
    assert tree.radii.tolist() == [9 ** (1 / 3)] * 6 + [1] * 2 + [2] * 4


def test_bends_leave_joints_and_ends_where_they_are() -> None:
    straight, bent = _bent(0.0), _bent(1.0)
    fixed = [0, 6, 8, 12]
    assert (bent.nodes[fixed] == straight.nodes[fixed]).all()
    assert (bent.nodes[1:6, 0] == straight.nodes[1:6, 0]).all()
    assert (bent.nodes[1:6, 1] != 20).all()


def test_a_bend_that_would_leave_the_image_is_less() -> None:
    def lowest(edges: tuple[int, int]) -> float:
        trees = [_bent(1.0, edges=edges, seed=seed) for seed in range(40)]
        return max(float((tree.ends[:, 0] + tree.radii).max()) for tree in trees)

    assert lowest((60, 60)) > 40.6
    assert lowest((41, 60)) <= 40.5 + 1e-9
