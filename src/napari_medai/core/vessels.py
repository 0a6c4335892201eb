"""Trees of vessels: where their centre lines run, how wide they are, and how they branch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class VesselTree:
    """A tree of straight segments, each from a parent node to a child node.

    Positions and radii are in pixels, whose centres are whole numbers. Segment ``i`` ends in node
    ``i + 1``; node 0 is the root, and parents come before their children.

    Parameters
    ----------
    nodes
        float64 (n, ndim).
    segments
        int64 (n - 1, 2): the nodes a segment begins and ends in.
    radii
        float64 (n - 1,).
    branches
        int64 (n - 1,): the branch, counted from 0, that a segment belongs to; a branch runs from
        one bifurcation to the next without changing its radius.
    exponent
        At each bifurcation the parent's radius to this power is the sum of the children's: 3 is
        Murray's law (1926), the least work for blood of constant viscosity.
    shape
        Of the image that it grew in.
    notes
        What could not be done.
    """

    nodes: np.ndarray
    segments: np.ndarray
    radii: np.ndarray
    branches: np.ndarray
    exponent: float
    shape: tuple[int, ...]
    notes: tuple[str, ...] = ()

    @property
    def ndim(self) -> int:
        return int(self.nodes.shape[1])

    @property
    def starts(self) -> np.ndarray:
        """Where segments begin, (n - 1, ndim)."""
        return np.asarray(self.nodes[self.segments[:, 0]])

    @property
    def ends(self) -> np.ndarray:
        """Where segments end, (n - 1, ndim)."""
        return np.asarray(self.nodes[self.segments[:, 1]])

    @property
    def parents(self) -> np.ndarray:
        """The segment before each one, -1 for those that begin at the root."""
        return np.asarray(self.segments[:, 0] - 1)

    @property
    def lengths(self) -> np.ndarray:
        return np.asarray(np.linalg.norm(self.ends - self.starts, axis=1))

    @property
    def generations(self) -> np.ndarray:
        """How many bifurcations lie between the root and each segment."""
        generations = np.zeros(len(self.segments), np.int64)
        for one, parent in enumerate(self.parents.tolist()):
            if parent >= 0:
                branches = self.branches[parent] != self.branches[one]
                generations[one] = generations[parent] + branches
        return generations

    @property
    def orders(self) -> np.ndarray:
        """Strahler's order of each segment: 1 at the ends, one more where two alike meet."""
        highest = np.zeros(len(self.segments), np.int64)
        alike = np.zeros(len(self.segments), np.int64)
        orders = np.ones(len(self.segments), np.int64)
        parents = self.parents
        for one in range(len(orders) - 1, -1, -1):
            if highest[one]:
                orders[one] = highest[one] + (alike[one] > 1)
            parent = parents[one]
            if parent < 0:
                continue
            if orders[one] > highest[parent]:
                highest[parent], alike[parent] = orders[one], 0
            alike[parent] += orders[one] == highest[parent]
        return orders

    @property
    def bifurcations(self) -> np.ndarray:
        """The nodes with two children or more, rising."""
        children = np.bincount(self.segments[:, 0], minlength=len(self.nodes))
        return np.flatnonzero(children > 1)

    def branching_angles(self) -> np.ndarray:
        """Degrees between the two children at each bifurcation (of more, the first two)."""
        along = (self.ends - self.starts) / np.maximum(self.lengths, 1e-12)[:, None]
        angles = []
        for node in self.bifurcations.tolist():
            first, second = np.flatnonzero(self.segments[:, 0] == node)[:2]
            angles.append(np.clip(along[first] @ along[second], -1, 1))
        return np.asarray(np.degrees(np.arccos(angles)))

    def figures(self) -> Mapping[str, float]:
        """The whole in numbers: lengths and radii in pixels, ``volume`` in pixels (that of the
        cylinders), angles in degrees, and the mean radius of each of Strahler's orders.
        """
        lengths, angles, orders = self.lengths, self.branching_angles(), self.orders
        size = 2 * self.radii if self.ndim == 2 else np.pi * self.radii**2
        found = {
            "segments": float(len(self.segments)),
            "bifurcations": float(len(self.bifurcations)),
            "length": float(lengths.sum()),
            "volume": float((lengths * size).sum()),
            "generations": float(self.generations.max()),
            "angle": float(angles.mean()) if len(angles) else float("nan"),
        }
        for order in range(1, int(orders.max()) + 1):
            found[f"radius of order {order}"] = float(self.radii[orders == order].mean())
        return found
