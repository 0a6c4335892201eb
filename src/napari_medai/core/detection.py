"""How well found boxes match true ones: average precision, counts at a score, and FROC.

Average precision is COCO's (Lin et al., *Microsoft COCO*, ECCV 2014), equal to pycocotools'. All
work on boxes of planes and of volumes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from napari_medai.core.box_matching import BoxMatches, Hit, match_boxes
from napari_medai.core.boxes import Boxes
from napari_medai.core.errors import InputError
from napari_medai.core.metrics import Matching

COCO_IOUS = tuple(float(iou) for iou in np.linspace(0.5, 0.95, 10))
"""0.5, 0.55, ... 0.95, over which COCO takes the mean."""

FALSE_PER_IMAGE = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)
"""False positives an image at which sensitivities are usually told."""

_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True, slots=True, eq=False)
class AveragePrecisions:
    """AP of classes at IoU thresholds: ``values`` float64 (classes, ious), 0 to 1.

    NaN for a class of which no image holds a true box; means leave it out, and are NaN without any.
    """

    classes: tuple[str, ...]
    ious: tuple[float, ...]
    values: np.ndarray

    @property
    def map50(self) -> float:
        """The mean over classes at an IoU of 0.5."""
        return _mean(self._at((0.5,)))

    @property
    def map50_95(self) -> float:
        """The mean over classes and `COCO_IOUS`."""
        return _mean(self._at(COCO_IOUS))

    @property
    def ap50(self) -> dict[str, float]:
        """Of each class, at an IoU of 0.5."""
        return self._by_class((0.5,))

    @property
    def ap50_95(self) -> dict[str, float]:
        """Of each class, the mean over `COCO_IOUS`."""
        return self._by_class(COCO_IOUS)

    def _by_class(self, wanted: Sequence[float]) -> dict[str, float]:
        means = [_mean(row) for row in self._at(wanted)]
        return dict(zip(self.classes, means, strict=True))

    def _at(self, wanted: Sequence[float]) -> np.ndarray:
        close = np.isclose(np.array(self.ious)[:, None], wanted, rtol=0, atol=1e-9)
        if not close.any(axis=0).all():
            raise InputError(
                f"AP at the IoUs {[round(iou, 3) for iou in wanted]} was asked for, but it was "
                f"taken at {[round(iou, 3) for iou in self.ious]}; take it at these too"
            )
        return self.values[:, close.argmax(axis=0)]


def average_precisions(
    pairs: Sequence[tuple[Boxes, Boxes]],
    *,
    classes: Sequence[str],
    ious: Sequence[float] = COCO_IOUS,
    most: int | None = None,
) -> AveragePrecisions:
    """COCO's average precision over all images: precision at 101 recalls, made to fall.

    Parameters
    ----------
    pairs
        Of each image the true and the found boxes, which need scores. Those of other classes are
        left out.
    classes
        All names that count.
    ious
        Thresholds above 0 and at most 1, rising.
    most
        Of each image and class only that many found boxes count, those with the highest scores.
        All by default, since a smear or a mosaic may hold thousands; COCO's own figures are at 100.

    Raises
    ------
    InputError
        As `napari_medai.core.box_matching.match_boxes`.
    """
    matches = match_boxes(pairs, classes=classes, ious=ious, most=most)
    values = np.full((len(classes), len(ious)), np.nan)
    for place in np.flatnonzero(matches.truths):
        matched = _ranked(matches, matches.kinds == place)[1]
        for column, hits in enumerate(np.isfinite(matched).T):
            values[place, column] = _average_precision(hits, int(matches.truths[place]))
    return AveragePrecisions(tuple(classes), tuple(float(iou) for iou in ious), values)


@dataclass(frozen=True, slots=True)
class DetectionFigures:
    """Counts, precision, recall and F1 of the boxes that score at least ``threshold``.

    ``overall`` counts all classes together.
    """

    threshold: float
    by_class: Mapping[str, Matching]
    overall: Matching


def detection_figures(
    pairs: Sequence[tuple[Boxes, Boxes]],
    *,
    classes: Sequence[str],
    threshold: float,
    iou: float = 0.5,
) -> DetectionFigures:
    """What is right, wrong and missed at a score, 0 to 1; matched as for average precision.

    Raises
    ------
    InputError
        If ``threshold`` is not 0 to 1, or as `napari_medai.core.box_matching.match_boxes`.
    """
    if not 0 <= threshold <= 1:
        raise InputError(f"a score threshold is 0 to 1, got {threshold}; choose one between")
    matches = match_boxes(pairs, classes=classes, ious=(iou,))
    # as float32: a score of 0.7 is to count at 0.7
    counted = matches.scores >= np.float32(threshold)

    def figures(chosen: np.ndarray, truths: int) -> Matching:
        matched = matches.matched[counted & chosen, 0]
        right = int(np.isfinite(matched).sum())
        wrong, missed = len(matched) - right, truths - right
        return Matching(float(iou), right, wrong, missed, float(np.nansum(matched)))

    by_class = {
        name: figures(matches.kinds == place, int(matches.truths[place]))
        for place, name in enumerate(classes)
    }
    overall = figures(np.ones_like(counted), int(matches.truths.sum()))
    return DetectionFigures(float(threshold), by_class, overall)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """A score for each class alone, and one for all together; NaN where nothing was found right."""

    by_class: Mapping[str, float]
    overall: float


def best_threshold(
    pairs: Sequence[tuple[Boxes, Boxes]], *, classes: Sequence[str], iou: float = 0.5
) -> Thresholds:
    """The scores from which on (themselves included) F1 is highest; of several the highest.

    Raises
    ------
    InputError
        As `napari_medai.core.box_matching.match_boxes`.
    """
    matches = match_boxes(pairs, classes=classes, ious=(iou,))
    by_class = {
        name: _best_score(matches, matches.kinds == place, int(matches.truths[place]))
        for place, name in enumerate(classes)
    }
    everything = np.ones(len(matches.kinds), dtype=bool)
    return Thresholds(by_class, _best_score(matches, everything, int(matches.truths.sum())))


@dataclass(frozen=True, slots=True, eq=False)
class Froc:
    """A free-response receiver operating characteristic, and what is read off it.

    ``curve`` float64 (n, 2) holds false positives an image and the sensitivity there, from (0, 0)
    on, one more for each score that was given. ``sensitivities`` are those at ``per_image``.
    All sensitivities are NaN if there was nothing to find.
    """

    per_image: tuple[float, ...]
    sensitivities: tuple[float, ...]
    curve: np.ndarray

    @property
    def mean(self) -> float:
        """Over ``per_image``: the competition performance metric where that is the usual seven."""
        return float(np.mean(self.sensitivities))


def froc(
    pairs: Sequence[tuple[Boxes, Boxes]],
    *,
    iou: float = 0.5,
    hit: Hit = "iou",
    per_image: Sequence[float] = FALSE_PER_IMAGE,
) -> Froc:
    """Sensitivity against false positives an image (or volume), all classes together.

    After van Ginneken et al., *The ANODE09 study*, Med. Image Anal. 2010, and Setio et al.,
    *LUNA16*, Med. Image Anal. 2017: values between scores are interpolated, the last holds on, and
    a second box on a true one counts neither as right nor as wrong. Here one found box finds one
    true box of its class at most.

    Parameters
    ----------
    pairs
        Of each image the true and the found boxes, which need scores. Images without any count.
    iou
        What a true and a found box must share at least; not looked at with ``hit="centre"``.
    hit
        With ``"centre"`` the centre of the found box must lie in the true one, as for lesions whose
        edges nobody draws the same way.
    per_image
        False positives an image, 0 or more.

    Raises
    ------
    InputError
        If ``per_image`` is empty or negative, or as `napari_medai.core.box_matching.match_boxes`.
    """
    if not len(per_image) or not all(number >= 0 for number in per_image):
        raise InputError(
            f"false positives an image are 0 or more, got {list(per_image)}; give others"
        )
    classes = sorted({str(name) for pair in pairs for boxes in pair for name in set(boxes.kinds)})
    matches = match_boxes(pairs, classes=classes or [""], ious=(iou,), hit=hit)
    right = np.isfinite(matches.matched[:, 0])
    scores, matched = _ranked(matches, right | ~matches.near)
    true = np.isfinite(matched[:, 0])
    truths, last = int(matches.truths.sum()), _last_of_equal(scores)
    false_positives = np.cumsum(~true)[last] / max(len(pairs), 1)
    sensitivity = np.cumsum(true)[last] / truths if truths else np.full(last.sum(), np.nan)
    curve = np.vstack([[0.0, 0.0 if truths else np.nan], np.c_[false_positives, sensitivity]])
    at = np.interp(per_image, curve[:, 0], curve[:, 1])
    return Froc(tuple(float(n) for n in per_image), tuple(float(s) for s in at), curve)


def _ranked(matches: BoxMatches, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores and ``matched`` of the chosen by falling score, of equal ones in their order."""
    scores, matched = matches.scores[chosen], matches.matched[chosen]
    order = np.argsort(-scores, kind="stable")
    return scores[order], matched[order]


def _average_precision(hits: np.ndarray, truths: int) -> float:
    true = np.cumsum(hits)
    precision = true / (np.arange(1, len(hits) + 1) + np.spacing(1))
    highest_from = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(true / truths, _RECALLS, side="left")
    return float(np.append(highest_from, 0.0)[places].mean())


def _best_score(matches: BoxMatches, chosen: np.ndarray, truths: int) -> float:
    scores, matched = _ranked(matches, chosen)
    true = np.cumsum(np.isfinite(matched[:, 0]))
    if not len(true) or not true[-1]:
        return float("nan")
    f1 = 2 * true / (np.arange(1, len(true) + 1) + truths)
    return float(scores[np.where(_last_of_equal(scores), f1, 0).argmax()])


def _last_of_equal(scores: np.ndarray) -> np.ndarray:
    """Where a threshold can lie between one score and the next."""
    return np.append(scores[1:] != scores[:-1], True)[: len(scores)]


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
