"""Trees of vessels that grow end by end: constrained constructive optimisation.

Each new end is put where there is most room. It is joined to that of the nearest branches, at the
place, where the whole tree then holds the least blood. After Schreiner and Buxbaum, *Computer-
optimization of vascular trees*, IEEE Trans. Biomed. Eng. 1993, and Karch et al., Comput. Biol. Med.
1999; each end drains as much, but for chance, and flow sets radii by Murray's law.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from napari_medai.core.capsules import point_distances, segment_distances
from napari_medai.core.vessel_bends import Branches
from napari_medai.core.vessel_domain import Domain

_PLACES = 24
"""Random places of which the one with most room is the next end."""
_HOSTS = 16
"""Branches near it that are looked at."""
_TRIES = 10
"""Joints that are looked at closely, for each place."""
_GIVE_UP = 60
"""Places in a row without a joint, after which a tree is full."""
# Where in the triangle of a branch's ends and the new end a joint may lie: shares of the three.
_SHARES = np.array([s for s in product(range(1, 7), repeat=3) if sum(s) == 8]) / 8


@dataclass(slots=True, eq=False)
class Growth:
    """A tree that grows. A branch is straight, and runs from one of ``nodes`` to another.

    ``flow`` is the sum of the ends' flows beyond each branch. Radii are those of the full-grown
    tree: the first branch keeps its own throughout, the others' become less as ends come.
    ``apart`` (branches, branches) are distances of axes, infinite for those that share a node.
    """

    domain: Domain
    flows: np.ndarray
    radius: float
    exponent: float
    crossing: bool
    nodes: np.ndarray
    branches_of: np.ndarray
    parents: np.ndarray
    flow: np.ndarray
    apart: np.ndarray
    count: int = 0
    ends: int = 0

    @classmethod
    def begun(
        cls, domain: Domain, flows: np.ndarray, radius: float, exponent: float, *, crossing: bool
    ) -> Growth:
        """With a root, and no branch yet."""
        most = 2 * len(flows) - 1
        growth = cls(
            domain,
            flows,
            radius,
            exponent,
            crossing,
            nodes=np.zeros((most + 1, len(domain.shape))),
            branches_of=np.zeros((most, 2), np.int64),
            parents=np.full(most, -1),
            flow=np.zeros(most),
            apart=np.full((0, 0) if crossing else (most, most), np.inf, np.float32),
        )
        growth.nodes[0] = domain.entrance(radius * flows.sum() ** (1 / exponent))
        return growth

    @property
    def branches(self) -> np.ndarray:
        """Nodes that each branch begins and ends in."""
        return self.branches_of[: self.count]

    @property
    def total(self) -> float:
        """The flow of all ends so far."""
        return float(self.flows[: self.ends].sum())

    def radii(self, flow: np.ndarray | None = None, total: float | None = None) -> np.ndarray:
        """Of branches with these flows, in a tree with this flow in all; else as it is now."""
        flow = self.flow[: self.count] if flow is None else flow
        share = self.flows.sum() / (self.total if total is None else total)
        return np.asarray(self.radius * (flow * share) ** (1 / self.exponent))

    def grow(self, rng: np.random.Generator) -> None:
        """Add ends until all have come, or there is no room."""
        for _ in self.growing(rng):
            pass

    def growing(self, rng: np.random.Generator) -> Iterator[int]:
        """As `grow`, try by try: how many ends there are after each."""
        failed = 0
        while self.ends < len(self.flows) and failed < _GIVE_UP:
            added = (
                self._add(rng, max(1, _PLACES - failed // 2)) if self.count else self._begin(rng)
            )
            failed = 0 if added else failed + 1
            yield self.ends

    def grown(self) -> Branches:
        """What there is, as thin as asked for."""
        radii = self.radius * self.flow[: self.count] ** (1 / self.exponent)
        return Branches(self.nodes[self.branches], self.parents[: self.count], radii)

    def _begin(self, rng: np.random.Generator) -> bool:
        radius = self.radii(np.array([1.0]), 1.0)
        places = self.domain.drawn(rng, _PLACES, float(radius[0]))
        if not len(places):
            return False
        # not to the far end: it is to divide amid the image
        away = np.linalg.norm(places - self.nodes[0], axis=1)
        end = places[np.argsort(away)[len(away) // 2]]
        if not self.domain.fits(self.nodes[:1], end[None], radius).all():
            return False
        self.nodes[1], self.branches_of[0] = end, (0, 1)
        self.flow[0], self.count, self.ends = self.flows[0], 1, 1
        return True

    def _add(self, rng: np.random.Generator, count: int) -> bool:
        """Join an end to the tree; False if it cannot be."""
        flow = self.flows[self.ends]
        thin = float(self.radii(np.array([flow]), self.total + flow)[0])
        places = self.domain.drawn(rng, count, thin)
        if not len(places):
            return False
        starts, ends = (self.nodes[self.branches[:, side]] for side in (0, 1))
        away = point_distances(places[:, None], starts, ends)
        place = int(away.min(axis=1).argmax())
        end = places[place]
        hosts = np.argsort(away[place])[:_HOSTS]
        for host, joint in self._joints(end, hosts, flow):
            if self._fits(host, joint, end, flow):
                self._join(host, joint, end, flow)
                return True
        return False

    def _joints(
        self, end: np.ndarray, hosts: np.ndarray, flow: float
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Branches and where to join them, by rising volume of the whole tree."""
        power = 2 / self.exponent
        starts, ends = (self.nodes[self.branches[hosts, side]] for side in (0, 1))
        corners = np.stack([starts, ends, np.broadcast_to(end, starts.shape)], axis=1)
        joints = np.einsum("sc,hcn->hsn", _SHARES, corners)
        lengths = np.linalg.norm(joints[:, :, None] - corners[:, None], axis=-1)
        own = self.flow[hosts]
        squares = np.stack([(own + flow) ** power, own**power, np.full_like(own, flow**power)], 1)
        volume = (lengths * squares[:, None]).sum(axis=-1)
        volume -= (np.linalg.norm(ends - starts, axis=1) * own**power)[:, None]
        volume += np.array([self._more_before(host, flow) for host in hosts.tolist()])[:, None]
        for chosen in np.argsort(volume, axis=None)[:_TRIES].tolist():
            host, share = divmod(chosen, len(_SHARES))
            yield int(hosts[host]), joints[host, share]

    def _path(self, branch: int) -> list[int]:
        """The branches before one, up to the root."""
        path = []
        while (branch := int(self.parents[branch])) >= 0:
            path.append(branch)
        return path

    def _more_before(self, host: int, flow: float) -> float:
        """How much more the branches before one hold if a flow is added."""
        path, power = self._path(host), 2 / self.exponent
        pair = self.nodes[self.branches[path]]
        lengths = np.linalg.norm(pair[:, 1] - pair[:, 0], axis=1)
        had = self.flow[path]
        return float((lengths * ((had + flow) ** power - had**power)).sum())

    def _fits(self, host: int, joint: np.ndarray, end: np.ndarray, flow: float) -> bool:
        """Whether all stays within, and no branch meets one that is not beside it."""
        total = self.total + flow
        path = self._path(host)
        wider = self.radii(self.flow[path] + flow, total)
        own = self.flow[host]
        new = self.radii(np.array([own + flow, own, flow]), total)
        first, last = self.branches[host]
        starts = np.stack([self.nodes[first], joint, joint])
        ends = np.stack([joint, self.nodes[last], end])
        if not self.domain.fits(starts, ends, new).all():
            return False
        if path and not self.domain.fits(*self._ends_of(path), wider).all():
            return False
        if self.crossing:
            return True
        radii = self.radii(total=total)
        radii[path] = wider
        near = self._distances(host, starts, ends) < new[:, None] + radii
        near[:, host] = False
        if near.any():
            return False
        apart = self.apart[path, : self.count]
        met = apart < wider[:, None] + radii
        met[:, host] = False
        return not met.any()

    def _ends_of(self, branches: list[int]) -> tuple[np.ndarray, np.ndarray]:
        pair = self.nodes[self.branches[branches]]
        return pair[:, 0], pair[:, 1]

    def _distances(self, host: int, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """From the three branches at a joint on a host (before, after, new) to all present ones."""
        others = self.nodes[self.branches]
        apart = segment_distances(starts[:, None], ends[:, None], others[:, 0], others[:, 1])
        for row, node in enumerate(self.branches[host].tolist()):
            apart[row, (self.branches == node).any(axis=1)] = np.inf
        return apart

    def _join(self, host: int, joint: np.ndarray, end: np.ndarray, flow: float) -> None:
        """Divide a branch at a joint: what was the host is now the part beyond."""
        first, last = self.branches[host].tolist()
        before, new, node = self.count, self.count + 1, self.count + 1
        if not self.crossing:
            starts = np.stack([self.nodes[first], joint, joint])
            ends = np.stack([joint, self.nodes[last], end])
            apart = self._distances(host, starts, ends)
            apart[:, host] = np.inf
            for row, branch in zip(apart, (before, host, new), strict=True):
                self.apart[branch, : self.count] = self.apart[: self.count, branch] = row
        self.nodes[node], self.nodes[node + 1] = joint, end
        self.branches_of[[before, host, new]] = (first, node), (node, last), (node, node + 1)
        for branch in self._path(host):
            self.flow[branch] += flow
        self.flow[[before, new]] = self.flow[host] + flow, flow
        self.parents[before] = self.parents[host]
        self.parents[[host, new]] = before
        self.count += 2
        self.ends += 1
