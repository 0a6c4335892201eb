"""A tree of vessels as a table: a row a segment, or a row a branch."""

from __future__ import annotations

import numpy as np

from napari_medai.core.vessels import VesselTree


def vessel_features(
    tree: VesselTree, *, axes: str, step: float = 1.0, branches: bool = False
) -> dict[str, np.ndarray]:
    """What each segment is, or each of the ``branches``, a column each.

    ``index`` counts from 1, as `segment_labels` and `branch_labels` do; ``parent`` is the index of
    the one before, 0 at the root. ``radius`` and ``length`` are in units of the ``step`` from one
    pixel to the next; ``start-y``, ..., ``end-x`` in pixels. ``generation`` counts the
    bifurcations from the root, ``order`` is Strahler's. Segments also tell their ``branch``.
    """
    numbers = tree.branches if branches else np.arange(len(tree.segments))
    kinds, first = np.unique(numbers, return_index=True)
    # parents come before their children, so the last one is where the branch ends
    last = len(numbers) - 1 - np.unique(numbers[::-1], return_index=True)[1]
    before = tree.parents[first]
    starts, ends = tree.starts[first], tree.ends[last]
    columns = {
        "index": kinds + 1,
        "radius": tree.radii[first] * step,
        "length": np.bincount(numbers, tree.lengths)[kinds] * step,
        "generation": tree.generations[first],
        "order": tree.orders[first],
        "parent": np.where(before >= 0, numbers[before] + 1, 0),
    }
    if not branches:
        columns["branch"] = tree.branches + 1
    for name, places in (("start", starts), ("end", ends)):
        columns |= {f"{name}-{axis.lower()}": places[:, at] for at, axis in enumerate(axes)}
    return columns
