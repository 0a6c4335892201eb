"""Branches of a grown tree cut into segments, and bent, without meeting others by it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from napari_medai.core.capsules import segment_distances
from napari_medai.core.vessel_domain import Domain
from napari_medai.core.vessels import VesselTree

_WAVES = 3
_BEND = 0.15
"""At a tortuosity of 1, the standard deviation of the first wave, as a share of the length."""
_HALVED = 5
"""How often the bend of a branch that meets another is halved, before it is left straight."""


@dataclass(frozen=True, slots=True, eq=False)
class Branches:
    """Straight branches: ``ends`` (n, 2, ndim), the branch before each (-1 at the root), radii."""

    ends: np.ndarray
    parents: np.ndarray
    radii: np.ndarray

    def ordered(self) -> Branches:
        """Parents before children."""
        depth = np.zeros(len(self.parents), np.int64)
        above = self.parents.copy()
        while (above >= 0).any():
            depth += above >= 0
            above = np.where(above >= 0, self.parents[above], -1)
        order = np.argsort(depth, kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        parents = self.parents[order]
        parents = np.where(parents >= 0, place[parents], -1)
        return Branches(self.ends[order], parents, self.radii[order])

    def pieces(self, total: int) -> np.ndarray:
        """How many segments each is cut into, ``total`` in all, by their lengths."""
        lengths = np.linalg.norm(self.ends[:, 1] - self.ends[:, 0], axis=1)
        spare = total - len(lengths)
        shares = spare * lengths / lengths.sum()
        pieces = shares.astype(np.int64)
        longest = np.argsort(pieces - shares, kind="stable")[: spare - int(pieces.sum())]
        pieces[longest] += 1
        return pieces + 1

    def beside(self) -> np.ndarray:
        """Which pairs share a node, themselves included, (n, n) bool."""
        own = np.arange(len(self.parents))
        siblings = self.parents[:, None] == self.parents
        before = self.parents[:, None] == own
        return np.asarray(siblings | before | before.T | np.eye(len(own), dtype=bool))


def bent_tree(
    branches: Branches,
    domain: Domain,
    rng: np.random.Generator,
    *,
    segments: int,
    exponent: float,
    tortuosity: float,
    crossing: bool,
) -> VesselTree:
    """A tree of so many segments, at least one a branch."""
    branches = branches.ordered()
    pieces = branches.pieces(segments)
    owner = np.repeat(np.arange(len(pieces)), pieces)
    bends = _bends(branches, pieces, rng)
    scale = np.full(len(pieces), tortuosity)
    for turn in range(_HALVED + len(pieces)):
        points = _points(branches, pieces, bends * scale[owner][:, None])
        # what began straight is known to fit
        wrong = _wrong(points, owner, branches, domain, crossing=crossing) & (scale > 0)
        if not wrong.any():
            break
        scale[wrong] = scale[wrong] / 2 if turn < _HALVED else 0
    return _tree(points, owner, branches, exponent, domain.shape)


def _bends(branches: Branches, pieces: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """How far the last point of each segment lies off its branch's line, at a tortuosity of 1."""
    along = branches.ends[:, 1] - branches.ends[:, 0]
    lengths = np.linalg.norm(along, axis=1, keepdims=True)
    along = along / np.maximum(lengths, 1e-12)
    total = np.zeros((int(pieces.sum()), along.shape[1]))
    owner = np.repeat(np.arange(len(pieces)), pieces)
    share = _shares(pieces)
    for wave in range(1, _WAVES + 1):
        push = rng.normal(size=along.shape)
        push -= (push * along).sum(axis=1, keepdims=True) * along
        push *= _BEND * lengths / wave**1.5
        total += np.sin(np.pi * wave * share)[:, None] * push[owner]
    total[share == 1] = 0
    return total


def _shares(pieces: np.ndarray) -> np.ndarray:
    """Where along its branch each segment ends, 0 to 1."""
    ends = np.cumsum(pieces)
    number = np.arange(ends[-1]) - np.repeat(ends - pieces, pieces) + 1
    return np.asarray(number / np.repeat(pieces, pieces))


def _points(branches: Branches, pieces: np.ndarray, bends: np.ndarray) -> np.ndarray:
    """The ends of segments, (segments, 2, ndim)."""
    owner = np.repeat(np.arange(len(pieces)), pieces)
    share = _shares(pieces)[:, None]
    first, last = branches.ends[owner, 0], branches.ends[owner, 1]
    after = np.where(share == 1, last, first + share * (last - first) + bends)
    before = np.concatenate([branches.ends[:1, 0], after[:-1]])
    begins = np.concatenate([[0], np.cumsum(pieces)[:-1]])
    before[begins] = branches.ends[:, 0]
    return np.stack([before, after], axis=1)


def _wrong(
    points: np.ndarray, owner: np.ndarray, branches: Branches, domain: Domain, *, crossing: bool
) -> np.ndarray:
    """Which branches leave the domain, or meet one that they share no node with."""
    wrong = np.zeros(len(branches.radii), bool)
    radii = branches.radii[owner]
    wrong[owner[~domain.fits(points[:, 0], points[:, 1], radii)]] = True
    if crossing:
        return wrong
    lengths = np.linalg.norm(points[:, 1] - points[:, 0], axis=1)
    reach = float((lengths / 2 + radii).max())
    first, other = cKDTree(points.mean(axis=1)).query_pairs(2 * reach, output_type="ndarray").T
    apart = ~branches.beside()[owner[first], owner[other]]
    first, other = first[apart], other[apart]
    distances = segment_distances(
        points[first, 0], points[first, 1], points[other, 0], points[other, 1]
    )
    met = distances < radii[first] + radii[other]
    wrong[owner[first[met]]] = wrong[owner[other[met]]] = True
    return wrong


def _tree(
    points: np.ndarray,
    owner: np.ndarray,
    branches: Branches,
    exponent: float,
    shape: tuple[int, ...],
) -> VesselTree:
    nodes = np.concatenate([points[:1, 0], points[:, 1]])
    number = np.arange(len(points))
    starts = number.copy()
    begins = np.flatnonzero(np.diff(owner, prepend=-1))
    ends = np.append(begins[1:], len(points))  # the node in which each branch ends
    parents = branches.parents
    starts[begins] = np.where(parents >= 0, ends[parents], 0)
    segments = np.stack([starts, number + 1], axis=1)
    return VesselTree(nodes, segments, branches.radii[owner], owner, exponent, shape)
