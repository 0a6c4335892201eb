from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from napari_medai.core.axes import AxesArray
from napari_medai.core.boxes import Boxes, label_boxes
from napari_medai.core.errors import InputError
from napari_medai.core.steps import finished
from napari_medai.tasks.inside_boxes import PlacedBoxes, segment_inside_steps
from napari_medai.tasks.segment import SegmentParams

PARAMS = SegmentParams(diameter=12, min_score=0, device="cpu")


@pytest.fixture
def inside(
    knowing: Callable[..., Any], model: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    net = knowing()
    monkeypatch.setattr("napari_medai.tasks.inside_boxes.loaded_net", lambda m, *, device: net)

    def run(image: AxesArray, placed: PlacedBoxes, *, made: Any = None, **options: Any) -> Any:
        steps = segment_inside_steps(image, made or model(), PARAMS, placed, **options)
        return finished(steps)

    return run


def placed_on(labels: np.ndarray, chosen: np.ndarray) -> PlacedBoxes:
    boxes, numbers = label_boxes(labels)
    kept = np.isin(numbers, chosen)
    kinds = np.array([f"kind {n % 2}" for n in numbers[kept]])
    found = Boxes.of(boxes.corners[kept], kinds, np.linspace(0.9, 0.5, kept.sum()))
    return PlacedBoxes(found, np.zeros((len(found), 0), np.int64), "", "YX")


def test_only_what_is_in_boxes_is_segmented(
    inside: Callable[..., Any], discs: Any, draw: Any, same_objects: Any
) -> None:
    labels = discs((150, 170))
    chosen = np.arange(3, labels.max(), 4)
    placed = placed_on(labels, chosen)
    result = inside(AxesArray(draw(labels), "YX", {"Y": 2.0, "X": 2.0}), placed)
    same_objects(result.labels, np.where(np.isin(labels, chosen), labels, 0))
    features = result.features
    assert sorted(features["box"]) == list(range(1, len(chosen) + 1))
    for index, kind, box in zip(features["index"], features["class"], features["box"], strict=True):
        assert kind == placed.boxes.kinds[box - 1]
        (own,) = np.unique(labels[np.asarray(result.labels) == index])
        assert own == chosen[box - 1]
    areas = [4 * np.count_nonzero(np.asarray(result.labels) == n) for n in features["index"]]
    assert features["area"].tolist() == areas
    assert result.record["task"] == "segment inside boxes"


def test_a_box_holds_its_most_central_object_or_all(
    inside: Callable[..., Any], discs: Any, draw: Any
) -> None:
    labels = discs((96, 96))
    middle = labels[40, 40]
    y, x = (np.flatnonzero((labels == middle).any(axis)) for axis in (1, 0))
    corners = [[[y[0] - 14.5, x[0] - 14.5], [y[-1] + 14.5, x[-1] + 14.5]]]
    placed = PlacedBoxes(Boxes.of(corners, ["cell"]), np.zeros((1, 0), np.int64), "", "YX")
    image = AxesArray(draw(labels), "YX")
    one = np.asarray(inside(image, placed).labels)
    assert np.array_equal(one > 0, labels == middle)
    several = inside(image, placed, single=False)
    assert several.count > 4
    assert set(several.features["box"]) == {1}
    found = np.asarray(several.labels)
    outside = np.ones(labels.shape, bool)
    outside[y[0] - 14 : y[-1] + 15, x[0] - 14 : x[-1] + 15] = False
    assert not found[outside].any()


def test_frames_have_boxes_of_their_own(
    inside: Callable[..., Any], discs: Any, draw_planes: Any
) -> None:
    labels = np.stack([discs((64, 80), seed=seed) for seed in range(3)])
    boxes, _ = label_boxes(labels[2])
    placed = PlacedBoxes(boxes, np.full((len(boxes), 1), 2), "T", "YX")
    result = inside(AxesArray(draw_planes(labels), "TYX"), placed)
    found = np.asarray(result.labels)
    assert not found[:2].any()
    assert np.array_equal(found[2] > 0, labels[2] > 0)
    assert set(result.features["t"]) == {2}


def test_empty_boxes_are_told(inside: Callable[..., Any], discs: Any, draw: Any) -> None:
    labels = discs((64, 64))
    labels[:, 40:] = 0
    corners = [[[5, 44], [20, 60]], [[-0.5, -0.5], [20, 20]]]
    placed = PlacedBoxes(Boxes.of(corners), np.zeros((2, 0), np.int64), "", "YX")
    result = inside(AxesArray(draw(labels), "YX"), placed)
    assert result.notes == ("Nothing was found in 1 of 2 boxes.",)
    assert result.features["box"].tolist() == [2]


def test_what_does_not_fit_is_refused(inside: Callable[..., Any], model: Any) -> None:
    image = AxesArray(np.zeros((32, 32), np.uint8), "YX")
    none = PlacedBoxes(Boxes.of([]), np.zeros((0, 0), np.int64), "", "YX")
    with pytest.raises(InputError, match="no boxes"):
        inside(image, none)
    one = PlacedBoxes(Boxes.of([[[1, 1], [9, 9]]]), np.zeros((1, 0), np.int64), "", "YX")
    volume = AxesArray(np.zeros((8, 32, 32), np.uint8), "ZYX")
    with pytest.raises(InputError, match="sees volumes"):
        inside(volume, one, made=model(axes="CZYX"))
