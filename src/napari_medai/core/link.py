"""Objects of a stack that were found slice by slice, joined through z."""

from __future__ import annotations

import numpy as np

MIN_IOU = 0.25


class SliceLinker:
    """Gives objects of successive slices one label where they overlap.

    Slices are streamed: only the last one is kept. An object continues the one of the slice
    before with which it shares the highest intersection over union, each at most one (greedy:
    the best pair first).
    """

    def __init__(self, *, min_iou: float = MIN_IOU) -> None:
        self.min_iou = min_iou
        self.count = 0
        self._last: np.ndarray | None = None
        self._table = np.zeros(1, np.int32)

    def add(self, labels: np.ndarray) -> np.ndarray:
        """Labels in the stack of a slice's own labels (0 background, 1 to n).

        Returns
        -------
        np.ndarray
            int32 (n + 1,): ``table[labels]`` is the slice with labels of the stack; 0 stays 0.
        """
        labels = np.asarray(labels).astype(np.int32, copy=False)
        sizes = np.bincount(labels.ravel(), minlength=1)
        table = np.zeros(sizes.size, np.int32)
        if self._last is not None:
            before, now = _matched(self._last, labels, sizes, min_iou=self.min_iou)
            table[now] = self._table[before]
        new = (sizes > 0) & (table == 0)
        new[0] = False
        fresh = int(np.count_nonzero(new))
        table[new] = self.count + 1 + np.arange(fresh)
        self.count += fresh
        self._last, self._table = labels, table
        return table


def _matched(
    last: np.ndarray, labels: np.ndarray, sizes: np.ndarray, *, min_iou: float
) -> tuple[np.ndarray, np.ndarray]:
    """Labels before and now of the objects that belong together, one to one."""
    before, now, iou = _overlaps(last, labels, sizes)
    likely = iou >= min_iou
    order = np.argsort(-iou[likely], kind="stable")
    before, now = before[likely][order], now[likely][order]
    found = []
    while before.size:
        # a pair that comes first for both its objects is the best of either
        rank = np.arange(before.size)
        best = (_first(before) == rank) & (_first(now) == rank)
        found.append((before[best], now[best]))
        free = ~np.isin(before, before[best]) & ~np.isin(now, now[best])
        before, now = before[free], now[free]
    found.append((before, now))
    return np.concatenate([b for b, _ in found]), np.concatenate([n for _, n in found])


def _overlaps(
    last: np.ndarray, labels: np.ndarray, sizes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels before and now of all pairs of objects that share pixels, and their IoU."""
    both = (last > 0) & (labels > 0)
    keys = last[both].astype(np.int64) * sizes.size + labels[both]
    pairs, shared = np.unique(keys, return_counts=True)
    before, now = np.divmod(pairs, sizes.size)
    union = np.bincount(last.ravel())[before] + sizes[now] - shared
    return before, now, shared / union


def _first(values: np.ndarray) -> np.ndarray:
    """Of each element, the position at which its value comes first."""
    _, position, inverse = np.unique(values, return_index=True, return_inverse=True)
    return position[inverse]
