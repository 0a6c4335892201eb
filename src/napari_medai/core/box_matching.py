"""Found boxes given to true ones, each once, in the order of their scores, as COCO does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np

from napari_medai.core.boxes import Boxes, paired_ious
from napari_medai.core.errors import InputError

Hit = Literal["iou", "centre"]
"""A true box is hit by sharing enough with it, or by a centre that lies in it."""

_AT_ONCE = 2**19
"""Pairs of boxes that are compared at once, which bounds the memory."""


@dataclass(frozen=True, slots=True, eq=False)
class BoxMatches:
    """The found boxes of all images: image after image, those of an image by falling score.

    ``kinds`` (n,) are places among the classes asked for, ``scores`` float32 (n,) 0 to 1.
    ``matched`` float64 (n, thresholds) is the IoU with the true box that each was given at each
    threshold, NaN where it was given none. ``near`` (n,) says which hit a true box at the lowest
    threshold, even one that was given to another. ``truths`` (classes,) counts the true boxes.
    """

    kinds: np.ndarray
    scores: np.ndarray
    matched: np.ndarray
    near: np.ndarray
    truths: np.ndarray


def match_boxes(
    pairs: Sequence[tuple[Boxes, Boxes]],
    *,
    classes: Sequence[str],
    ious: Sequence[float],
    most: int | None = None,
    hit: Hit = "iou",
) -> BoxMatches:
    """Give found boxes to true ones of the same image and class, at each threshold anew.

    The found box with the highest score chooses first, of equal ones the one that comes first. It
    takes the true box with the highest IoU that is still free, if that is at least the threshold;
    of equal ones the last (pycocotools does so too). Boxes of other classes are left out.

    Parameters
    ----------
    pairs
        Of each image the true and the found boxes.
    ious
        Thresholds above 0 and at most 1, rising.
    most
        Of each image and class only that many are kept, those with the highest scores.
    hit
        With ``"centre"`` the centre of the found box must lie in the true one, whatever their IoU;
        ``ious`` is then one number, which is not looked at.

    Raises
    ------
    InputError
        If found boxes lack scores, corners are not finite, a pair differs in its number of axes,
        no class is named or one twice, or a threshold or ``most`` is out of range.
    """
    _check(pairs, classes, ious, most)
    places = {name: place for place, name in enumerate(classes)}
    parts = [_of_image(*pair, places, ious, most, hit) for pair in pairs]
    return _pooled(parts, len(classes), len(ious))


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """Boxes of the classes asked for: ``corners`` float64, so that equal ones have an IoU of 1."""

    corners: np.ndarray
    kinds: np.ndarray

    def __len__(self) -> int:
        return len(self.kinds)


def _of_image(
    truth: Boxes,
    found: Boxes,
    places: dict[str, int],
    ious: Sequence[float],
    most: int | None,
    hit: Hit,
) -> BoxMatches:
    true_kinds, kinds = _places(truth.kinds, places), _places(found.kinds, places)
    known = true_kinds >= 0
    order = np.argsort(-found.scores, kind="stable")
    order = order[kinds[order] >= 0]
    if most is not None:
        order = order[_ranks(kinds[order]) < most]
    true = _Known(truth.corners[known].astype(np.float64), true_kinds[known])
    ranked = _Known(found.corners[order].astype(np.float64), kinds[order])
    matched, near = _matched(true, ranked, ious, hit)
    truths = np.bincount(true.kinds, minlength=len(places))
    return BoxMatches(ranked.kinds, found.scores[order], matched, near, truths)


def _check(
    pairs: Sequence[tuple[Boxes, Boxes]],
    classes: Sequence[str],
    ious: Sequence[float],
    most: int | None,
) -> None:
    if not len(classes) or len(set(classes)) < len(classes):
        raise InputError(f"classes must be named, each once, got {list(classes)}; correct them")
    in_range = len(ious) > 0 and all(0 < iou <= 1 for iou in ious)
    if not in_range or list(ious) != sorted(ious):
        raise InputError(
            f"IoU thresholds lie above 0 and at most at 1 and rise, got {list(ious)}; correct them"
        )
    if most is not None and most < 1:
        raise InputError(f"at least 1 box of each image and class must be kept, got {most}")
    for number, (truth, found) in enumerate(pairs, start=1):
        if len(truth) and len(found) and truth.ndim != found.ndim:
            raise InputError(
                f"true boxes of {truth.ndim} axes and found ones of {found.ndim} do not fit "
                f"(image {number}); give those of the same image"
            )
        if missing := int(np.isnan(found.scores).sum()):
            raise InputError(
                f"found boxes are ranked by their scores, but {missing} of {len(found)} have none "
                f"(image {number}); give true boxes first, found ones second"
            )
        if not (np.isfinite(truth.corners).all() and np.isfinite(found.corners).all()):
            raise InputError(
                f"corners of boxes must be finite numbers (image {number}); leave out the others"
            )


def _places(kinds: np.ndarray, places: dict[str, int]) -> np.ndarray:
    """Of each box the place of its class, -1 for other classes."""
    names, inverse = np.unique(kinds, return_inverse=True)
    return np.array([places.get(str(name), -1) for name in names], dtype=np.intp)[inverse]


def _ranks(kinds: np.ndarray) -> np.ndarray:
    """Of each box how many of its class come before it."""
    order = np.argsort(kinds, kind="stable")
    _, starts, counts = np.unique(kinds[order], return_index=True, return_counts=True)
    ranks = np.empty(len(kinds), dtype=np.intp)
    ranks[order] = np.arange(len(kinds)) - np.repeat(starts, counts)
    return ranks


def _pooled(parts: Sequence[BoxMatches], classes: int, thresholds: int) -> BoxMatches:
    nothing = BoxMatches(
        np.zeros(0, dtype=np.intp),
        np.zeros(0, dtype=np.float32),
        np.zeros((0, thresholds)),
        np.zeros(0, dtype=bool),
        np.zeros(classes, dtype=np.intp),
    )
    parts = [nothing, *parts]
    return BoxMatches(
        np.concatenate([part.kinds for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.matched for part in parts]),
        np.concatenate([part.near for part in parts]),
        np.sum([part.truths for part in parts], axis=0),
    )


def _matched(
    true: _Known, found: _Known, ious: Sequence[float], hit: Hit
) -> tuple[np.ndarray, np.ndarray]:
    """``matched`` and ``near`` of one image, whose found boxes are in the order of their scores.

    A number holds one bit for each threshold, so that all are served in one pass.
    """
    near = np.zeros(len(found), dtype=bool)
    every = (1 << len(ious)) - 1
    free = [every] * len(true)
    wins: list[tuple[int, int, float]] = []
    for hits in _hits(true, found, ious, hit):
        near[hits[0]] = True
        now, wanting = -1, every
        for row, column, level, iou in zip(*(part.tolist() for part in hits), strict=True):
            if row != now:
                now, wanting = row, every
            if won := wanting & free[column] & ((1 << level) - 1):
                wanting ^= won
                free[column] ^= won
                wins.append((row, won, iou))
    return _table(wins, (len(found), len(ious))), near


def _table(wins: Sequence[tuple[int, int, float]], shape: tuple[int, int]) -> np.ndarray:
    """The IoU of each won pair in the row of its found box, at each threshold whose bit is set."""
    table = np.full(shape, np.nan)
    if wins:
        rows, bits, ious = zip(*wins, strict=True)
        width = -(-shape[1] // 8)
        packed = np.frombuffer(b"".join(b.to_bytes(width, "little") for b in bits), dtype=np.uint8)
        won = np.unpackbits(packed.reshape(-1, width), axis=1, bitorder="little")
        win, threshold = np.nonzero(won)
        table[np.array(rows)[win], threshold] = np.array(ious)[win]
    return table


def _hits(
    true: _Known, found: _Known, ious: Sequence[float], hit: Hit
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """All pairs that may be given: rows of found and true boxes, thresholds reached, and IoU.

    They come by found box, and of each by falling IoU.
    """
    if not len(true) or not len(found):
        return
    limits = np.minimum(ious, 1 - 1e-10)
    reach = _reach(true.corners, found.corners, limits[0], hit)
    for near, near_true in _neighbours(true.corners, found.corners, reach):
        same = found.kinds[near] == true.kinds[near_true]
        rows, columns = near[same], near_true[same]
        boxes, others = found.corners[rows], true.corners[columns]
        shared = paired_ious(boxes, others)
        if hit == "centre":
            centres = boxes.mean(axis=1)
            inside = (others[:, 0] <= centres) & (centres <= others[:, 1])
            levels = inside.all(axis=1).astype(np.intp)
        else:
            levels = np.searchsorted(limits, shared, side="right")
        order = np.lexsort((-columns, -shared, rows))
        order = order[levels[order] > 0]
        yield rows[order], columns[order], levels[order], shared[order]


def _reach(true: np.ndarray, found: np.ndarray, iou: float, hit: Hit) -> np.ndarray:
    """How far from each found box's centre the centres of those true boxes lie that it may hit.

    Along any axis boxes share at least their IoU, so that edge s meets none longer than s / IoU,
    and none further away than s (1 - IoU) / (2 IoU).
    """
    longest = np.diff(true, axis=1).max()
    edges = np.diff(found, axis=1)[:, 0].max(axis=1)
    if hit == "centre":
        reach = np.full(len(found), longest / 2)
    else:
        reach = np.minimum(edges * (1 - iou) / (2 * iou), (edges + longest) / 2)
    return np.asarray(reach * (1 + 1e-6) + 1e-6)


def _neighbours(
    true: np.ndarray, found: np.ndarray, reach: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows of found and true boxes whose centres lie within reach, never all pairs at once."""
    from scipy.spatial import KDTree

    tree, centres = KDTree(true.mean(axis=1)), found.mean(axis=1)
    counts = tree.query_ball_point(centres, reach, p=np.inf, return_length=True)
    rounds = np.cumsum(counts) // _AT_ONCE
    for rows in np.split(np.arange(len(found)), np.flatnonzero(np.diff(rounds)) + 1):
        lists = tree.query_ball_point(centres[rows], reach[rows], p=np.inf)
        number = int(counts[rows].sum())
        columns = np.fromiter(chain.from_iterable(lists), dtype=np.intp, count=number)
        yield np.repeat(rows, counts[rows]), columns
