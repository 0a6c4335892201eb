"""How well predicted objects match true ones, as StarDist's ``matching`` defines it.

Schmidt et al., *Cell detection with star-convex polygons*, MICCAI 2018; panoptic quality after
Kirillov et al., CVPR 2019.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.core.objects import compact_labels

IOUS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
"""The thresholds over which mean average precision is usually taken."""


@dataclass(frozen=True, slots=True)
class Matching:
    """Counts of objects matched at one threshold, of one image or pooled over several.

    Every ratio is 0 where nothing matched, also where there is nothing to match: an image without
    objects and without predictions has an accuracy of 0 alone, and adds nothing when pooled.
    """

    iou: float
    true_positives: int
    false_positives: int
    false_negatives: int
    matched_iou: float
    """Sum of the IoU of all matched pairs."""

    @property
    def precision(self) -> float:
        """Share of the predicted objects that are true."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Share of the true objects that were found."""
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def accuracy(self) -> float:
        """Average precision AP as in the Data Science Bowl: TP / (TP + FP + FN)."""
        return _ratio(
            self.true_positives, self.true_positives + self.false_positives + self.false_negatives
        )

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN)."""
        twice = 2 * self.true_positives
        return _ratio(twice, twice + self.false_positives + self.false_negatives)

    @property
    def mean_true_score(self) -> float:
        """IoU of the matched pairs, averaged over all true objects."""
        return _ratio(self.matched_iou, self.true_positives + self.false_negatives)

    @property
    def mean_matched_score(self) -> float:
        """IoU of the matched pairs, averaged over these."""
        return _ratio(self.matched_iou, self.true_positives)

    @property
    def panoptic_quality(self) -> float:
        """Summed IoU of the matched pairs / (TP + FP / 2 + FN / 2)."""
        missed = (self.false_positives + self.false_negatives) / 2
        return _ratio(self.matched_iou, self.true_positives + missed)


def matching(true: np.ndarray, predicted: np.ndarray, *, iou: float = 0.5) -> Matching:
    """Match predicted objects to true ones; a pair counts if its IoU is at least ``iou``.

    Both are label images of one shape, of any number of dimensions, background 0. As many pairs
    as possible are matched, each object once, and among such choices those with the highest IoU.
    """
    return _matching(_Overlaps.between(true, predicted), iou)


def matchings(
    pairs: Iterable[tuple[np.ndarray, np.ndarray]], *, ious: Sequence[float] = IOUS
) -> list[Matching]:
    """One `Matching` for each threshold, pooled over pairs of (true, predicted) label images."""
    pooled = [Matching(float(iou), 0, 0, 0, 0.0) for iou in ious]
    for true, predicted in pairs:
        overlaps = _Overlaps.between(true, predicted)
        pooled = [_sum(total, _matching(overlaps, total.iou)) for total in pooled]
    return pooled


def mean_average_precision(results: Sequence[Matching]) -> float:
    """The mean of ``accuracy`` over the thresholds of `matchings`."""
    if not results:
        raise InputError("no matchings were given; give at least one IoU threshold")
    return float(np.mean([result.accuracy for result in results]))


@dataclass(frozen=True, slots=True)
class _Overlaps:
    """All pairs of objects that touch: their rows among the true and predicted, and their IoU."""

    true_count: int
    predicted_count: int
    true: np.ndarray
    predicted: np.ndarray
    iou: np.ndarray

    @classmethod
    def between(cls, true: np.ndarray, predicted: np.ndarray) -> _Overlaps:
        from scipy.sparse import coo_array

        _check(true, predicted)
        rows, sizes_t, shared_t = _objects(true, predicted)
        columns, sizes_p, shared_p = _objects(predicted, true)
        shape = (len(sizes_t), len(sizes_p))
        pixels = np.ones(np.count_nonzero(shared_t), dtype=np.int64)
        table = coo_array((pixels, (rows[shared_t], columns[shared_p])), shape=shape)
        table.sum_duplicates()
        r, c = table.coords
        return cls(*shape, r, c, table.data / (sizes_t[r] + sizes_p[c] - table.data))


def _objects(labels: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each foreground pixel its object's row, of each object its size, and where both have one.

    The last picks from the pixels, in the same order whichever image comes first.
    """
    where = np.flatnonzero(labels)
    index, row = compact_labels(labels.reshape(-1)[where])
    if len(index) and index[0] < 0:
        raise InputError(f"labels must not be negative, got {index[0]}; background is 0")
    return row, np.bincount(row, minlength=len(index)), other.reshape(-1)[where] != 0


def _check(true: np.ndarray, predicted: np.ndarray) -> None:
    if true.shape != predicted.shape:
        raise InputError(
            f"true labels of shape {true.shape} and predicted ones of shape {predicted.shape} "
            "do not fit; they must show the same pixels"
        )
    for labels in (true, predicted):
        if labels.dtype.kind not in "biu":
            raise InputError(
                f"labels must be whole numbers, got {labels.dtype} values; round them first"
            )


def _matching(overlaps: _Overlaps, iou: float) -> Matching:
    if not 0 < iou <= 1:
        raise InputError(f"an IoU threshold lies above 0 and at most at 1, got {iou}")
    enough = overlaps.iou >= iou
    found, matched = _assigned(
        overlaps.true[enough], overlaps.predicted[enough], overlaps.iou[enough]
    )
    return Matching(
        float(iou), found, overlaps.predicted_count - found, overlaps.true_count - found, matched
    )


def _assigned(rows: np.ndarray, columns: np.ndarray, ious: np.ndarray) -> tuple[int, float]:
    """The number of pairs and their summed IoU when each row and column is used at most once.

    Above an IoU of 0.5 every pair is the only one of its objects; below, the few in competition
    are assigned together.
    """
    if len(rows) == 0:
        return 0, 0.0
    alone = (np.bincount(rows)[rows] == 1) & (np.bincount(columns)[columns] == 1)
    count, total = int(alone.sum()), float(ious[alone].sum())
    if alone.all():
        return count, total
    from scipy.optimize import linear_sum_assignment

    r, row = np.unique(rows[~alone], return_inverse=True)
    c, column = np.unique(columns[~alone], return_inverse=True)
    table = np.zeros((len(r), len(c)))
    table[row, column] = ious[~alone]
    tie_break = table / (2 * min(table.shape))
    best = linear_sum_assignment((table > 0) + tie_break, maximize=True)
    chosen = table[best]
    return count + int(np.count_nonzero(chosen)), total + float(chosen.sum())


def _sum(a: Matching, b: Matching) -> Matching:
    return Matching(
        a.iou,
        a.true_positives + b.true_positives,
        a.false_positives + b.false_positives,
        a.false_negatives + b.false_negatives,
        a.matched_iou + b.matched_iou,
    )


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if part > 0 else 0.0
