"""Non-maximum suppression: of boxes of one class that overlap much, the surest stays.

Pairs that overlap are found once; what stays at any threshold then follows from them alone, so
that thresholds can be moved live. All of it is vectorised, for planes with a million boxes: pairs
are looked for in a grid whose cells are as large as the boxes, one grid for each octave of sizes,
and greedy suppression is worked out in rounds, as many as its longest chain of boxes is long.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import ceil, log2

import torch
from torch import Tensor

from napari_medai.nn.box_targets import box_iou

CHUNK = 1 << 20
"""Pairs compared at a time."""
FEW = 600
"""Boxes of which all pairs are compared at once: sooner done than a grid is made."""


@dataclass(frozen=True, slots=True)
class Overlaps:
    """Pairs of boxes of one class: ``strong`` and ``weak`` (m,) indices, the surer one first, and
    their ``iou`` (m,), of at least a threshold; ``scores`` (n,) of all boxes.
    """

    scores: Tensor
    strong: Tensor
    weak: Tensor
    iou: Tensor

    def kept(self, *, threshold: float, overlap: float) -> Tensor:
        """Mask (n,): the boxes that greedy suppression keeps.

        Those with a score of ``threshold`` or more, unless a surer one that is kept overlaps them
        by more than ``overlap``.
        """
        there = self.scores >= threshold
        counts = (self.iou > overlap) & there[self.weak] & there[self.strong]
        strong, weak = self.strong[counts], self.weak[counts]
        kept = torch.zeros_like(there)
        open_ = there
        while True:
            waiting = torch.zeros_like(there)
            waiting[weak] = True
            settled = open_ & ~waiting
            kept |= settled
            if not len(weak):
                return kept
            gone = torch.zeros_like(there)
            gone[weak[settled[strong]]] = True
            open_ = open_ & waiting & ~gone
            left = open_[strong] & open_[weak]
            strong, weak = strong[left], weak[left]


def overlaps(corners: Tensor, scores: Tensor, kinds: Tensor, *, least: float) -> Overlaps:
    """The pairs of boxes (n, 2, ndim) of one class with an IoU above ``least``, 0 to 1.

    Of two boxes with the same score the first counts as surer.
    """
    order = torch.argsort(scores, descending=True, stable=True)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device)
    found = list(_pairs(corners, kinds, least=least))
    one, other, iou = (
        torch.cat([part[i] for part in found]) if found else torch.zeros(0, device=corners.device)
        for i in range(3)
    )
    one, other = one.long(), other.long()
    first = rank[one] < rank[other]
    return Overlaps(
        scores, torch.where(first, one, other), torch.where(first, other, one), iou.float()
    )


def _pairs(
    corners: Tensor, kinds: Tensor, *, least: float
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Each pair once, and its IoU.

    Along the longest edge of the larger box, the smaller one covers at least the part ``least`` of
    it: they are at most so many octaves apart, and their centres within one cell of its grid.
    """
    if len(corners) <= FEW:
        a, b = torch.triu_indices(len(corners), len(corners), 1, device=corners.device)
        iou = box_iou(corners[a], corners[b])
        enough = (iou > least) & (kinds[a] == kinds[b])
        yield a[enough], b[enough], iou[enough]
        return
    longest = (corners[:, 1] - corners[:, 0]).amax(-1).clamp(min=1e-3)
    octave = torch.ceil(torch.log2(longest)).long()
    apart = ceil(log2(1 / max(least, 1e-3))) + 1
    centres = corners.mean(1) - corners.mean(1).amin(0)
    for level in torch.unique(octave).tolist():
        large = (octave == level).nonzero()[:, 0]
        small = ((octave <= level) & (octave >= level - apart)).nonzero()[:, 0]
        cells = torch.floor(centres / 2.0**level).long() + 1
        sizes = cells.amax(0) + 2
        keys = _key(kinds, cells, sizes)
        ordered, at = torch.sort(keys[large])
        for step in product((-1, 0, 1), repeat=cells.shape[1]):
            near = _key(kinds[small], cells[small] + torch.tensor(step, device=cells.device), sizes)
            begin = torch.searchsorted(ordered, near)
            count = torch.searchsorted(ordered, near, right=True) - begin
            for part in _parts(count):
                which, place = _expanded(begin[part], count[part])
                a, b = small[part][which], large[at[place]]
                once = (octave[a] < level) | (a < b)
                a, b = a[once], b[once]
                iou = box_iou(corners[a], corners[b])
                enough = iou > least
                yield a[enough], b[enough], iou[enough]


def _key(kinds: Tensor, cells: Tensor, sizes: Tensor) -> Tensor:
    """One number for a class and a cell of the grid."""
    key = kinds.long()
    for axis in range(cells.shape[1]):
        key = key * sizes[axis] + cells[:, axis]
    return key


def _parts(count: Tensor) -> Iterator[slice]:
    """Slices of about `CHUNK` pairs each."""
    total = torch.cumsum(count, 0)
    start = 0
    while start < len(count):
        before = int(total[start - 1]) if start else 0
        stop = int(torch.searchsorted(total, before + CHUNK, right=True))
        stop = max(start + 1, stop)
        yield slice(start, stop)
        start = stop


def _expanded(begin: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """Ranges written out: for each number in one of them, which range it is of, and itself."""
    which = torch.repeat_interleave(torch.arange(len(count), device=count.device), count)
    first = torch.cumsum(count, 0) - count
    within = torch.arange(len(which), device=count.device) - first[which]
    return which, begin[which] + within
