"""How well a model does on images whose labels or boxes are known."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sized
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.boxes import Boxes
from napari_medai.core.detection import (
    AveragePrecisions,
    DetectionFigures,
    Froc,
    average_precisions,
    detection_figures,
    froc,
)
from napari_medai.core.errors import InputError
from napari_medai.core.metrics import Matching
from napari_medai.core.steps import Step, Steps, as_part, finished
from napari_medai.models.settings import class_names
from napari_medai.tasks.detect import LEAST_SCORE, DetectParams, detect_steps
from napari_medai.tasks.pairs import BoxPair, Pair
from napari_medai.tasks.segment import SegmentParams, segment_steps

if TYPE_CHECKING:
    from napari_medai.models.model import Model


def mean_class_figures(
    model: Model, pairs: Iterable[Pair], params: SegmentParams | None = None
) -> dict[str, dict[str, float]]:
    """The figures of `napari_medai.nn.class_figures` for each class, averaged over the pairs.

    Surfaces within a millimetre of each other count as the same.
    """
    from napari_medai.nn.class_figures import class_figures, mean_figures

    names, rows = class_names(model.config), []
    for pair in pairs:
        found = finished(segment_steps(pair.image, model, params or SegmentParams()))
        spacing = [pair.image.step(axis) for axis in found.axes]
        labels = np.asarray(found.labels)
        rows.append(class_figures(pair.labels, labels, classes=names, spacing=spacing))
    return mean_figures(rows)


@dataclass(frozen=True, slots=True)
class DetectionScores:
    """How well boxes are found in ``images`` images.

    ``precisions`` are of all that score at least `LEAST_SCORE`; ``counts`` are at the threshold of
    the parameters, at an IoU of 0.5. ``froc`` is there for volumes: a found box is right if its
    centre lies in a true one. ``true`` counts the true boxes of each class looked for, ``unknown``
    those of classes that were not.
    """

    images: int
    true: dict[str, int]
    unknown: dict[str, int]
    precisions: AveragePrecisions
    counts: DetectionFigures
    froc: Froc | None = None

    def described(self) -> dict[str, Any]:
        """All figures as plain values, None where there is nothing to tell."""
        ap50, ap = self.precisions.ap50, self.precisions.ap50_95
        classes = {
            name: {
                "boxes": self.true[name],
                "AP@0.5": _plain(ap50[name]),
                "AP@[.5:.95]": _plain(ap[name]),
                **_counts(self.counts.by_class[name]),
            }
            for name in self.true
        }
        told: dict[str, Any] = {
            "images": self.images,
            "boxes": sum(self.true.values()),
            "mAP@0.5": _plain(self.precisions.map50),
            "mAP@[.5:.95]": _plain(self.precisions.map50_95),
            "threshold": self.counts.threshold,
            **_counts(self.counts.overall),
            "classes": classes,
            "unknown": self.unknown,
        }
        if self.froc is not None:
            at = zip(self.froc.per_image, self.froc.sensitivities, strict=True)
            told["FROC"] = {
                "sensitivity by false positives a volume": {f"{n:g}": _plain(s) for n, s in at},
                "mean": _plain(self.froc.mean),
            }
        return told


def detection_scores(
    model: Model, pairs: Iterable[BoxPair], params: DetectParams | None = None
) -> DetectionScores:
    """See `detection_scores_steps`."""
    return finished(detection_scores_steps(model, pairs, params))


def detection_scores_steps(
    model: Model,
    pairs: Iterable[BoxPair],
    params: DetectParams | None = None,
    *,
    total: int = 0,
) -> Steps[DetectionScores]:
    """Find the boxes of every image and compare them with the true ones.

    Boxes of all scores from `LEAST_SCORE` on are found, with the overlap, diameter and classes of
    ``params``, and counted at its threshold. Images may be read as they come; ``total`` is their
    number, where ``pairs`` do not tell.

    Raises
    ------
    InputError
        If there are no images, or their boxes do not suit the model.
    """
    params = params or DetectParams()
    classes = params.chosen(class_names(model.config))
    wanted = replace(params, threshold=LEAST_SCORE)
    both: list[tuple[Boxes, Boxes]] = []
    total = total or (len(pairs) if isinstance(pairs, Sized) else 0)
    for pair in pairs:
        _check_pair(pair, model)
        steps = detect_steps(pair.image, model, wanted)
        if total:
            steps = as_part(steps, done=len(both), total=total, text=pair.name)
        found = yield from steps
        both.append((pair.boxes, found.boxes))
    if not both:
        raise InputError("there are no images to score the model on; give some with their boxes")
    yield Step(len(both), len(both), "comparing boxes")
    return _scores(both, classes, params.threshold)


def _scores(
    both: list[tuple[Boxes, Boxes]], classes: tuple[str, ...], threshold: float
) -> DetectionScores:
    kinds, numbers = np.unique(
        np.concatenate([true.kinds.astype(str) for true, _ in both]), return_counts=True
    )
    known = dict(zip(kinds.tolist(), numbers.tolist(), strict=True))
    solid = both[0][1].ndim == 3
    own = [(_of(true, classes), found) for true, found in both]
    return DetectionScores(
        images=len(both),
        true={name: known.get(name, 0) for name in classes},
        unknown={name: count for name, count in known.items() if name not in classes},
        precisions=average_precisions(own, classes=classes),
        counts=detection_figures(own, classes=classes, threshold=threshold),
        froc=froc(own, hit="centre") if solid else None,
    )


def _of(boxes: Boxes, classes: tuple[str, ...]) -> Boxes:
    return boxes.at(np.isin(boxes.kinds, list(classes)))


def _check_pair(pair: BoxPair, model: Model) -> None:
    space = len(model.axes) - 1
    if len(pair.image.space) != space or pair.image.series:
        raise InputError(
            f"{model.name} finds boxes in {'planes' if space == 2 else 'volumes'}, but {pair.name} "
            f"has the axes {pair.image.axes}; give images with boxes of {space} axes"
        )


def _counts(matching: Matching) -> dict[str, Any]:
    return {
        "precision": _plain(matching.precision),
        "recall": _plain(matching.recall),
        "F1": _plain(matching.f1),
        "right": matching.true_positives,
        "wrong": matching.false_positives,
        "missed": matching.false_negatives,
    }


def _plain(value: float) -> float | None:
    """Rounded, and None where it is not a number, which JSON cannot hold."""
    return None if math.isnan(value) else round(float(value), 4)
