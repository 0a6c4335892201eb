from __future__ import annotations

import numpy as np
import pytest

from napari_medai.core.vessel_domain import Domain
from napari_medai.core.vessel_growth import Growth


def _volume(growth: Growth) -> float:
    branches = growth.grown()
    lengths = np.linalg.norm(branches.ends[:, 1] - branches.ends[:, 0], axis=1)
    return float((lengths * branches.radii**2).sum())


@pytest.mark.parametrize("crossing", [False, True])
def test_flows_add_up_from_the_ends_to_the_root(crossing: bool) -> None:
    flows = np.random.default_rng(0).uniform(1, 2, 30)
    growth = Growth.begun(Domain.of((150, 150), None), flows, 0.8, 3.0, crossing=crossing)
    growth.grow(np.random.default_rng(1))
    assert (growth.ends, growth.count) == (30, 59)
    beyond = np.zeros(59)
    np.add.at(beyond, growth.parents[growth.parents >= 0], growth.flow[growth.parents >= 0])
    inner = beyond > 0
    assert growth.flow[inner] == pytest.approx(beyond[inner], rel=1e-12)
    assert sorted(growth.flow[~inner]) == pytest.approx(sorted(flows))
    assert growth.flow[growth.parents < 0] == pytest.approx([flows.sum()])


def test_the_first_branch_is_as_wide_as_it_will_be_from_the_start() -> None:
    flows = np.ones(8)
    growth = Growth.begun(Domain.of((80, 80), None), flows, 1.0, 3.0, crossing=False)
    rng = np.random.default_rng(0)
    while growth.count < 3:
        growth.grow(rng)
    assert growth.radii()[growth.parents[: growth.count] < 0] == pytest.approx([2.0])
    assert growth.grown().radii.min() == pytest.approx(1.0)


def test_joints_come_by_the_volume_of_the_whole_tree() -> None:
    flows = np.array([1.0, 2.0, 0.5])
    volumes = []
    rng = np.random.default_rng(3)
    growth = Growth.begun(Domain.of((100, 100), None), flows[:2], 1.0, 3.0, crossing=True)
    growth.grow(rng)
    growth.flows = flows
    end = np.array([70.0, 20.0])
    for host, joint in growth._joints(end, np.arange(3), 0.5):
        copy = Growth.begun(Domain.of((100, 100), None), flows, 1.0, 3.0, crossing=True)
        for name in ("nodes", "branches_of", "parents", "flow"):
            own = getattr(growth, name)
            getattr(copy, name)[: len(own)] = own
        copy.count, copy.ends = 3, 2
        copy._join(host, joint, end, 0.5)
        volumes.append(_volume(copy))
    assert len(volumes) == 10
    assert np.diff(volumes).min() >= -1e-9
    assert volumes[-1] > volumes[0]
