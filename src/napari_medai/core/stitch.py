"""Blocks decoded one by one, joined into one label image without seams.

A block decodes its core and an overlap around it; each object belongs to the block whose core
holds its centre. Because neighbours may see a centre a little differently, a block also takes
objects centred just outside its core, unless their place is taken: the first to write wins.
Objects larger than the overlap are cut by a read window; their pieces are written at once and
joined where they overlap.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.label_store import new_label_store, write_labels
from napari_medai.core.tiling import Block

TOLERANCE = 2.0
"""Pixels by which neighbouring blocks may differ on where a centre is."""

STRIP = 1 << 17


class LabelCanvas:
    """A label image (int32, 0 background) that grows block by block.

    Kept in memory, or in a new compressed zarr array at ``out``, of which only the blocks at work
    are in memory.

    Parameters
    ----------
    chunks
        Chunk shape on disk; by default 512 x 512, in 3D 16 x 256 x 256.
    into
        An array of zeros (int32) to write to instead, in memory or on disk.

    Raises
    ------
    InputError
        If ``out`` exists.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        out: Path | None = None,
        chunks: Sequence[int] | None = None,
        into: Any = None,
    ) -> None:
        self.shape = tuple(int(n) for n in shape)
        self.out = out
        self._handed = 0
        self._cut: set[int] = set()
        self._parent: dict[int, int] = {}
        self._closed = False
        self._labels: Any = None
        self._stored = out is not None or into is not None
        if into is not None:
            self._labels = into
        elif out is not None:
            self._labels = new_label_store(out, self.shape, chunks)

    @property
    def count(self) -> int:
        """How many objects there are so far."""
        return self._handed - len(self._parent)

    @property
    def oversized(self) -> int:
        """How many of them are larger than the overlap: cut by a read window and joined."""
        return len({self._root(label) for label in self._cut})

    def add(self, block: Block, labels: np.ndarray, centres: np.ndarray) -> np.ndarray:
        """Write the objects of a block that belong to it.

        Parameters
        ----------
        labels
            The block's read window, integers, 0 background and 1 to n; may be kept, not copied.
        centres
            (n, ndim), in pixels of the read window.

        Returns
        -------
        np.ndarray
            int32 (n + 1,): index is the block's label, value the label on the canvas, 0 where the
            object was not taken. An object joined with an earlier block's has that one's label,
            so labels above the `count` before are new; see `final_labels`.
        """
        labels = labels.astype(np.int32, copy=False)
        if self._labels is None and self._handed == 0 and labels.shape == self.shape:
            self._labels = labels
            self._handed = len(centres)
            return np.arange(len(centres) + 1, dtype=np.int32)
        if self._labels is None:
            self._labels = np.zeros(self.shape, np.int32)
        there = np.asarray(self._labels[block.read])  # in memory a view, from disk a copy
        table = self._taken_over(block, labels, centres, there)
        _paint(there, table, labels)
        if self._stored:
            self._write(block.read, there)
        return table

    def final_labels(self) -> np.ndarray:
        """int32: index is a label `add` gave, value the label in the result; 0 stays 0.

        They differ only where pieces of an object were joined later on.
        """
        labels = np.arange(self._handed + 1, dtype=np.int32)
        for label in self._parent:
            labels[label] = 0
        kept = labels > 0
        labels[kept] = np.arange(1, np.count_nonzero(kept) + 1)
        for label in self._parent:
            labels[label] = labels[self._root(label)]
        return labels

    def oversized_labels(self) -> np.ndarray:
        """Labels in the result of the objects that `oversized` counts."""
        pieces = np.fromiter(self._cut, np.int64, len(self._cut))
        found: np.ndarray = np.unique(self.final_labels()[pieces])
        return found

    def result(self) -> Any:
        """The label image, labels 1 to `count`: an array, or the zarr array on disk.

        Nothing can be added afterwards.
        """
        if self._labels is None:
            self._labels = np.zeros(self.shape, np.int32)
        if self._parent and not self._closed:
            final = self.final_labels()
            step = getattr(self._labels, "chunks", self.shape)[0]
            for start in range(0, self.shape[0], step):
                rows = slice(start, start + step)
                self._write(rows, final[np.asarray(self._labels[rows])])
        self._closed = True
        return self._labels

    def discard(self) -> None:
        """Remove what was written to disk, after a run that failed."""
        if self.out is not None:
            shutil.rmtree(self.out, ignore_errors=True)

    def _taken_over(
        self, block: Block, labels: np.ndarray, centres: np.ndarray, there: np.ndarray
    ) -> np.ndarray:
        """What `add` returns; ``there`` is what the canvas holds in the read window."""
        n = len(centres) + 1
        outside = _outside(block, centres)
        cut = _cut(block, labels, outside)
        sizes, mine, others = _shared(labels, there, n)
        wanted = cut | ~outside.any(axis=(0, 1))
        wanted &= sizes > 0
        wanted[0] = False
        table = np.zeros(n, np.int32)
        if self._cut or cut.any():
            self._join(table, mine, others, sizes=sizes, cut=cut, wanted=wanted)
        claimed = np.bincount(mine, minlength=n)
        new = wanted & (table == 0) & (2 * claimed <= sizes)
        fresh = int(np.count_nonzero(new))
        table[new] = self._handed + 1 + np.arange(fresh)
        self._handed += fresh
        self._cut.update(table[cut & (table > 0)].tolist())
        return table

    def _join(
        self,
        table: np.ndarray,
        mine: np.ndarray,
        others: np.ndarray,
        *,
        sizes: np.ndarray,
        cut: np.ndarray,
        wanted: np.ndarray,
    ) -> None:
        """Give pieces of objects that are there already their labels.

        ``mine`` and ``others`` are the block's and the canvas's labels of the pixels both claim.
        """
        pieces = np.fromiter(self._cut, np.int32, len(self._cut))
        likely = wanted[mine] & (cut[mine] | np.isin(others, pieces))
        keys = mine[likely].astype(np.int64) * (self._handed + 1) + others[likely]
        pairs, shared = np.unique(keys, return_counts=True)
        if not pairs.size:
            return
        label, piece = np.divmod(pairs, self._handed + 1)
        smaller = np.minimum(sizes[label], np.bincount(others)[piece])
        order = np.argsort(-shared, kind="stable")
        for i in order[2 * shared[order] >= smaller[order]].tolist():
            here, known = int(label[i]), int(piece[i])
            if table[here] == 0:
                table[here] = self._root(known)
            elif known in self._cut:
                self._unite(int(table[here]), known)

    def _unite(self, first: int, second: int) -> None:
        low, high = sorted((self._root(first), self._root(second)))
        if low != high:
            self._parent[high] = low

    def _root(self, label: int) -> int:
        while label in self._parent:
            label = self._parent[label]
        return label

    def _write(self, window: Any, labels: np.ndarray) -> None:
        write_labels(self._labels, window, labels)


def _outside(block: Block, centres: np.ndarray) -> np.ndarray:
    """Whether a centre lies before or behind the core along an axis: bool (ndim, 2, n + 1)."""
    found = np.zeros((len(block.core), 2, len(centres) + 1), bool)
    for axis, (core, read) in enumerate(zip(block.core, block.read, strict=True)):
        along = centres[:, axis] + read.start + 0.5
        if read.start < core.start:
            found[axis, 0, 1:] = along < core.start - TOLERANCE
        if read.stop > core.stop:
            found[axis, 1, 1:] = along >= core.stop + TOLERANCE
    return found


def _cut(block: Block, labels: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Of each label, whether it is part of an object that some block does not see whole.

    Either this one: it reaches from the core to the end of the read window. Or the one that
    holds the centre: it reaches deeper into this core than that one's overlap.
    """
    n = outside.shape[-1]
    at_end, in_core, deep = np.zeros(n, bool), np.zeros(n, bool), np.zeros(n, bool)
    core = block.inner
    for axis, (inner, length) in enumerate(zip(core, labels.shape, strict=True)):
        across = labels[(*core[:axis], slice(None), *core[axis + 1 :])]
        before, behind = inner.start, length - inner.stop
        sides = (
            (before, 0, inner.start, inner.start + before, outside[axis, 0]),
            (behind, length - 1, inner.stop - 1, inner.stop - 1 - behind, outside[axis, 1]),
        )
        for overlap, end, first, unseen, beyond in sides:
            if not overlap:
                continue
            at_end[labels.take(end, axis).ravel()] = True
            in_core[across.take(first, axis).ravel()] = True
            if inner.start <= unseen < inner.stop:
                there = np.zeros(n, bool)
                there[across.take(unseen, axis).ravel()] = True
                deep |= there & beyond
    found: np.ndarray = (at_end & in_core) | deep
    found[0] = False
    return found


def _shared(
    labels: np.ndarray, there: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The size of each label, and both sides' labels of the pixels that are taken already."""
    sizes = np.zeros(n, np.int64)
    mine, others = [np.zeros(0, np.int32)], [np.zeros(0, np.int32)]
    for rows in _strips(labels.shape):
        sizes += np.bincount(labels[rows].ravel(), minlength=n)
        if there[rows].any():
            taken = there[rows] > 0
            mine.append(labels[rows][taken])
            others.append(there[rows][taken])
    return sizes, np.concatenate(mine), np.concatenate(others)


def _paint(canvas: np.ndarray, table: np.ndarray, labels: np.ndarray) -> None:
    """Write objects where the canvas is empty."""
    for rows in _strips(labels.shape):
        np.copyto(canvas[rows], table.take(labels[rows]), where=canvas[rows] == 0)


def _strips(shape: tuple[int, ...]) -> Iterator[slice]:
    """Rows of a window, so few at a time that they stay in the processor's cache."""
    step = max(1, STRIP * shape[0] // max(1, prod(shape)))
    for start in range(0, shape[0], step):
        yield slice(start, start + step)
