"""Scores of boxes on images whose boxes are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_medai.core.axes import AxesArray
from napari_medai.core.boxes import Boxes
from napari_medai.core.detection import average_precisions, detection_figures
from napari_medai.core.errors import InputError
from napari_medai.core.steps import finished
from napari_medai.models.package import read_model
from napari_medai.tasks import evaluate
from napari_medai.tasks.detect import DetectParams, detect_steps
from napari_medai.tasks.evaluate import detection_scores
from napari_medai.tasks.pairs import BoxPair

PARAMS = DetectParams(device="cpu", diameter=17, threshold=0.3, overlap=0.4)


def test_scores_are_those_of_the_boxes_found(box_package: Path, blobs: Callable[..., Any]) -> None:
    model, pairs = read_model(box_package), []
    for seed in (7, 8):
        image, boxes = blobs(seed=seed)
        pairs.append(BoxPair(AxesArray(image, "YX"), boxes, f"image {seed}"))
    scores = detection_scores(model, iter(pairs), PARAMS)
    least = DetectParams(device="cpu", diameter=17, threshold=0.01, overlap=0.4)
    found = [finished(detect_steps(pair.image, model, least)).boxes for pair in pairs]
    both = [(pair.boxes, boxes) for pair, boxes in zip(pairs, found, strict=True)]
    wanted = average_precisions(both, classes=["bright", "dim"])
    assert np.array_equal(scores.precisions.values, wanted.values)
    at = detection_figures(both, classes=["bright", "dim"], threshold=0.3)
    assert scores.counts == at
    # counted at a threshold is the same as found at it
    strict = [finished(detect_steps(pair.image, model, PARAMS)).count for pair in pairs]
    assert at.overall.true_positives + at.overall.false_positives == sum(strict)
    assert scores.images == 2
    assert scores.froc is None
    told = scores.described()
    assert told["mAP@0.5"] == round(wanted.map50, 4)
    assert told["boxes"] == 18


def test_some_classes_and_strange_ones(box_package: Path, blobs: Callable[..., Any]) -> None:
    image, boxes = blobs(seed=7)
    more = Boxes.of([*boxes.corners, [[1, 1], [9, 9]]], [*boxes.kinds.tolist(), "crystal"])
    model, pair = read_model(box_package), BoxPair(AxesArray(image, "YX"), more)
    params = DetectParams(device="cpu", diameter=17, classes="dim")
    told = detection_scores(model, [pair], params).described()
    assert list(told["classes"]) == ["dim"]
    bright = int(np.count_nonzero(boxes.kinds == "bright"))
    assert told["unknown"] == {"bright": bright, "crystal": 1}


def test_volumes_have_a_froc() -> None:
    true = Boxes.of([[[0, 0, 0], [4, 4, 4]], [[8, 8, 8], [12, 12, 12]]], ["node"] * 2)
    found = Boxes.of(
        [[[0, 0, 0], [2, 4, 4]], [[20, 20, 20], [24, 24, 24]]], ["node"] * 2, [0.9, 0.8]
    )
    scores = evaluate._scores([(true, found)], ("node",), 0.5)
    assert scores.froc is not None
    assert scores.froc.sensitivities[-1] == 0.5
    told = scores.described()
    assert told["FROC"]["sensitivity by false positives a volume"]["8"] == 0.5
    assert told["classes"]["node"]["AP@0.5"] == round(51 / 101, 4)


def test_what_cannot_be_scored(box_package: Path) -> None:
    model = read_model(box_package)
    with pytest.raises(InputError, match="there are no images to score"):
        detection_scores(model, [])
    volume = BoxPair(AxesArray(np.zeros((4, 32, 32)), "ZYX"), Boxes.of([], ndim=3), "scan")
    with pytest.raises(InputError, match="discs finds boxes in planes, but scan has the axes ZYX"):
        detection_scores(model, [volume])
