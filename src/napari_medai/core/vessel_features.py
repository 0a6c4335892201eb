"""A tree of vessels as a table: a row a segment, a row a branch, or one of the whole."""

from __future__ import annotations

from typing import Literal

import numpy as np

from napari_medai.core.vessels import VesselTree

Rows = Literal["segments", "branches", "tree"]


def vessel_features(
    tree: VesselTree, *, axes: str, step: float = 1.0, rows: Rows = "segments"
) -> dict[str, np.ndarray]:
    """What each segment is, or each branch, a column each; or the tree in one row.

    ``index`` counts from 1, as `segment_labels` and `branch_labels` do; ``parent`` is the index of
    the one before, 0 at the root. ``radius`` and ``length`` are in units of the ``step`` from one
    pixel to the next; ``start-y``, ..., ``end-x`` in pixels. ``generation`` counts the
    bifurcations from the root, ``order`` is Strahler's. Segments also tell their ``branch``. Of the
    tree, ``radius`` is that of its widest vessel, ``length`` that of all.
    """
    if rows == "tree":
        return _whole(tree, step)
    numbers = tree.branches if rows == "branches" else np.arange(len(tree.segments))
    kinds, first = np.unique(numbers, return_index=True)
    # parents come before their children, so the last one is where the branch ends
    last = len(numbers) - 1 - np.unique(numbers[::-1], return_index=True)[1]
    before = tree.parents[first]
    columns = {
        "index": kinds + 1,
        "radius": tree.radii[first] * step,
        "length": np.bincount(numbers, tree.lengths)[kinds] * step,
        "generation": tree.generations[first],
        "order": tree.orders[first],
        "parent": np.where(before >= 0, numbers[before] + 1, 0),
    }
    if rows == "segments":
        columns["branch"] = tree.branches + 1
    for name, places in (("start", tree.starts[first]), ("end", tree.ends[last])):
        columns |= {f"{name}-{axis.lower()}": places[:, at] for at, axis in enumerate(axes)}
    return columns


def _whole(tree: VesselTree, step: float) -> dict[str, np.ndarray]:
    return {
        "index": np.array([1]),
        "radius": np.array([tree.radii.max() * step]),
        "length": np.array([tree.lengths.sum() * step]),
        "segments": np.array([len(tree.segments)]),
        "bifurcations": np.array([len(tree.bifurcations)]),
    }
