from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from napari_medai.core.errors import InputError
from napari_medai.core.vessel_trees import grown_vessels
from napari_medai.core.vessels import VesselTree

PLACES: dict[str, dict[str, Any]] = {
    "plane": {"shape": (200, 220), "segments": 101},
    "even": {"shape": (200, 220), "segments": 60},
    "volume": {"shape": (64, 72, 80), "segments": 99},
    "bent plane": {"shape": (200, 220), "segments": 120, "tortuosity": 0.8},
    "bent volume": {"shape": (64, 72, 80), "segments": 120, "tortuosity": 0.8},
    "one": {"shape": (40, 40), "segments": 1},
    "bent line": {"shape": (40, 40), "segments": 3, "tortuosity": 0.5},
}


def _grown(name: str, **options: Any) -> VesselTree:
    return grown_vessels(**({"seed": 1} | PLACES[name] | options))


@pytest.mark.parametrize("name", PLACES)
def test_it_is_one_tree_with_one_root(name: str) -> None:
    tree, wanted = _grown(name), PLACES[name]["segments"]
    assert (len(tree.segments), len(tree.nodes), tree.notes) == (wanted, wanted + 1, ())
    assert tree.segments[:, 1].tolist() == list(range(1, wanted + 1))
    assert (tree.segments[:, 0] < tree.segments[:, 1]).all()
    assert (tree.parents < np.arange(wanted)).all()
    assert (tree.lengths > 0).all()
    assert np.unique(tree.branches).tolist() == list(range(tree.branches.max() + 1))


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("exponent", [2.0, 3.0])
def test_murrays_law_holds_at_each_bifurcation(name: str, exponent: float) -> None:
    tree = _grown(name, exponent=exponent, radius=0.7)
    powers = tree.radii**exponent
    joints = 0
    for segment, own in enumerate(powers.tolist()):
        children = powers[tree.parents == segment]
        if len(children):
            assert children.sum() == pytest.approx(own, rel=1e-9)
            joints += len(children) == 2
    assert joints == len(tree.bifurcations) == tree.branches.max() // 2


@pytest.mark.parametrize("name", PLACES)
def test_all_vessels_lie_within_the_image(name: str) -> None:
    tree = _grown(name)
    for ends in (tree.starts, tree.ends):
        assert (ends - tree.radii[:, None] >= -0.5 - 1e-6).all()
        assert (ends + tree.radii[:, None] <= np.array(tree.shape) - 0.5 + 1e-6).all()


def _least_gap(tree: VesselTree) -> float:
    """Between surfaces of branches that do not meet at a joint, by points along them."""
    share = np.linspace(0, 1, 80)[:, None]
    joints: dict[int, set[int]] = {}
    points: dict[int, np.ndarray] = {}
    for branch in range(tree.branches.max() + 1):
        own = np.flatnonzero(tree.branches == branch)
        lines = [a + share * (b - a) for a, b in zip(tree.starts[own], tree.ends[own], strict=True)]
        points[branch] = np.concatenate(lines)
        joints[branch] = {int(tree.segments[own[0], 0]), int(tree.segments[own[-1], 1])}
    radius = {branch: tree.radii[tree.branches == branch][0] for branch in points}
    return min(
        cdist(points[one], points[other]).min() - radius[one] - radius[other]
        for one, other in combinations(points, 2)
        if not joints[one] & joints[other]
    )


@pytest.mark.parametrize("name", ["plane", "even", "volume", "bent plane", "bent volume"])
def test_vessels_do_not_cross(name: str) -> None:
    assert _least_gap(_grown(name)) > -1e-6


def test_vessels_cross_where_they_may() -> None:
    assert _least_gap(_grown("plane", crossing=True, radius=1.5)) < -1


@pytest.mark.parametrize("name", ["plane", "bent volume"])
def test_a_seed_gives_the_same_tree_again_and_another_gives_another(name: str) -> None:
    first, again, other = (_grown(name, seed=seed) for seed in (4, 4, 5))
    assert (first.nodes == again.nodes).all()
    assert (first.radii == again.radii).all()
    assert (first.segments == again.segments).all()
    assert (first.nodes != other.nodes).any()


def test_the_thinnest_vessels_have_the_radius_and_vary_about_it() -> None:
    alike = _grown("plane", radius=0.8, variation=0.0)
    ends = ~np.isin(np.arange(1, len(alike.nodes)), alike.segments[:, 0])
    assert alike.radii[ends] == pytest.approx(np.full(51, 0.8))
    assert alike.radii[0] == pytest.approx(0.8 * 51 ** (1 / 3))
    varied = np.log(_grown("plane", radius=0.8, variation=0.3).radii[ends] / 0.8)
    assert varied.std() == pytest.approx(0.3, abs=0.1)


def test_branches_are_straight_or_bend() -> None:
    def detour(tree: VesselTree) -> float:
        branches = range(tree.branches.max() + 1)
        ends = [np.flatnonzero(tree.branches == branch)[[0, -1]] for branch in branches]
        straight = sum(float(np.linalg.norm(tree.ends[b] - tree.starts[a])) for a, b in ends)
        return float(tree.lengths.sum()) / straight

    assert detour(_grown("even")) == pytest.approx(1, abs=1e-9)
    assert 1.005 < detour(_grown("bent plane", tortuosity=0.4)) < detour(_grown("bent plane"))


def test_vessels_keep_to_a_mask() -> None:
    rows, columns = np.indices((160, 160)) - 80
    mask = np.hypot(rows, columns) < 70
    tree = grown_vessels(mask.shape, seed=0, segments=80, mask=mask, tortuosity=0.6)
    share = np.linspace(0, 1, 50)[:, None, None]
    points = (tree.starts + share * (tree.ends - tree.starts)).reshape(-1, 2)
    radii = np.tile(tree.radii, 50)
    away = np.linalg.norm(points - 80, axis=1)
    assert (away + radii <= 70.5).all()
    assert np.ptp(tree.nodes, axis=0).min() > 90


def test_ends_spread_over_the_whole_image() -> None:
    tree = _grown("plane")
    ends = tree.nodes[~np.isin(np.arange(len(tree.nodes)), tree.segments[:, 0])]
    quarters = {tuple(place) for place in (ends // (np.array(tree.shape) / 4)).astype(int)}
    assert len(quarters) >= 14


def test_a_small_image_takes_what_it_can_and_that_is_said() -> None:
    tree = grown_vessels((40, 40), seed=0, segments=400, radius=0.9)
    found = len(tree.segments)
    assert 1 <= found < 400
    assert tree.notes == (
        f"{found} of 400 segments found room; enlarge the shape, or ask for fewer or thinner ones",
    )
    assert found < 20 or _least_gap(tree) > -1e-6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"segments": 0}, "segments must be a whole number from 1 to 5000, got 0"),
        ({"segments": 5001}, "got 5001"),
        ({"segments": 2.5}, "got 2.5"),
        ({"radius": 0}, "radius must be a number above 0, got 0"),
        ({"radius": 200}, "the widest vessel has a radius of"),
        ({"exponent": 0.5}, "exponent must be 1 to 10, got 0.5; 3 is Murray's law"),
        ({"tortuosity": 1.5}, "tortuosity must be 0 to 1, got 1.5"),
        ({"variation": -0.1}, "variation must be 0 to 1, got -0.1"),
        ({"seed": -1}, "a seed is a whole number"),
        ({"shape": (200, 8)}, "2 or 3 axes of 16 pixels or more"),
    ],
)
def test_what_cannot_grow_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        _grown("plane", **options)
