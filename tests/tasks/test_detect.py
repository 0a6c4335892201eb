"""Detection on images whose boxes are known: planes, stacks, tiles, thresholds, classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_medai.core.axes import AxesArray
from napari_medai.core.boxes import Boxes, box_ious
from napari_medai.core.detection import average_precisions
from napari_medai.core.errors import InputError, OutOfMemoryError
from napari_medai.core.steps import finished
from napari_medai.models.model import Model
from napari_medai.models.package import read_model
from napari_medai.nn.box_scorer import BoxScorer
from napari_medai.tasks.detect import DetectParams, detect_steps, rethresholded
from napari_medai.tasks.detection import Detection

Blobs = Callable[..., tuple[np.ndarray, Boxes]]
CPU = {"device": "cpu"}


@pytest.fixture
def model(box_package: Path) -> Model:
    return read_model(box_package)


def detected(image: AxesArray, model: Model, **params: object) -> Detection:
    return finished(detect_steps(image, model, DetectParams(**CPU | params)))  # type: ignore[arg-type]


def test_boxes_are_where_the_discs_are(model: Model, blobs: Blobs) -> None:
    image, truth = blobs(seed=1)
    result = detected(AxesArray(image, "YX"), model, threshold=0.3)
    figures = average_precisions([(truth, result.boxes)], classes=tuple(result.classes))
    assert figures.map50 > 0.9
    assert result.lead == ""
    assert result.space == "YX"
    assert sum(result.counts.values()) == result.count


def test_features_are_in_the_units_of_the_image(model: Model, blobs: Blobs) -> None:
    image, _ = blobs(seed=1)
    array = AxesArray(image, "YX", {"Y": 0.5, "X": 0.25}, {"Y": "micrometer", "X": "micrometer"})
    # Pixels twice as high as wide are seen as such: discs of 17 pixels are not round any more.
    result = detected(array, model, threshold=0.1, diameter=17)
    features, sizes = result.features, result.boxes.sizes
    assert features["index"].tolist() == list(range(1, result.count + 1))
    np.testing.assert_allclose(features["height"], sizes[:, 0] * 0.5)
    np.testing.assert_allclose(features["width"], sizes[:, 1] * 0.25)
    np.testing.assert_allclose(features["area"], sizes.prod(axis=1) * 0.125)
    np.testing.assert_allclose(features["centroid-y"], result.boxes.centres[:, 0])
    assert (features["class"] == result.boxes.kinds).all()


def test_frames_and_slices_are_worked_through_one_by_one(model: Model, blobs: Blobs) -> None:
    frames = [blobs(seed=seed)[0] for seed in (1, 2, 3)]
    stack = np.stack([np.stack(frames[:2]), np.stack(frames[1:])])  # TZYX
    result = detected(AxesArray(stack, "TZYX"), model, diameter=17)
    assert result.lead == "TZ"
    alone = [detected(AxesArray(frame, "YX"), model, diameter=17) for frame in frames]
    for place, number in (((0, 0), 0), ((0, 1), 1), ((1, 0), 1)):
        here = (result.places == place).all(axis=1)
        assert here.sum() > 0
        own = alone[number].boxes
        if place == (0, 0):  # brightness is that of the stack, so scores differ a little
            assert box_ious(result.boxes.at(here).corners, own.corners).max(axis=1).min() > 0.9
    assert result.features["t"].tolist() == result.places[:, 0].tolist()
    assert result.features["z"].tolist() == result.places[:, 1].tolist()


@pytest.mark.parametrize(("tile", "block"), [(16, 0), (0, 40), (24, 64), (7, 33)])
def test_no_box_is_lost_or_doubled_at_a_seam(
    tile: int, block: int, model: Model, blobs: Blobs
) -> None:
    image, _ = blobs(seed=4, shape=(260, 310))
    whole = detected(AxesArray(image, "YX"), model, threshold=0.1, diameter=17)
    cut = detected(
        AxesArray(image, "YX"), model, threshold=0.1, diameter=17, tile=tile, block=block
    )
    assert whole.count > 60
    assert cut.boxes.kinds.tolist() == whole.boxes.kinds.tolist()
    np.testing.assert_allclose(cut.boxes.corners, whole.boxes.corners, atol=1e-2)
    np.testing.assert_allclose(cut.boxes.scores, whole.boxes.scores, atol=1e-4)


@pytest.mark.parametrize(
    "live",
    [
        {"threshold": 0.05},
        {"threshold": 0.9},
        {"overlap": 0.1},
        {"overlap": 0.8, "threshold": 0.05},
        {"classes": "dim"},
        {"classes": "dim, bright"},
    ],
)
def test_new_thresholds_are_a_new_run(live: dict[str, object], model: Model, blobs: Blobs) -> None:
    image = AxesArray(blobs(seed=5)[0], "YX")
    first = detected(image, model)
    params = DetectParams(**CPU | live)  # type: ignore[arg-type]
    again, fresh = rethresholded(first, params), detected(image, model, **live)
    assert again.boxes.corners.tolist() == fresh.boxes.corners.tolist()
    assert again.counts == fresh.counts
    assert again.told == fresh.told
    for name, column in fresh.features.items():
        assert again.features[name].tolist() == column.tolist()
    assert again.record["parameters"] == fresh.record["parameters"]
    assert again.record["found"] == fresh.record["found"]
    assert first.record["parameters"]["threshold"] == 0.5  # left alone


def test_classes_are_named_and_counted(model: Model, blobs: Blobs) -> None:
    image = AxesArray(blobs(seed=5)[0], "YX")
    result = detected(image, model)
    assert list(result.counts) == ["bright", "dim"]
    dim = rethresholded(result, DetectParams(classes="dim"))
    assert dim.counts == {"dim": result.counts["dim"]}
    objects = "1 object" if dim.count == 1 else f"{dim.count} objects"
    assert dim.told == f"{objects}: {dim.count} dim"


def test_where_there_is_nothing_nothing_is_found(model: Model) -> None:
    noise = np.random.default_rng(0).normal(30, 6, (64, 80)).clip(0, 255).astype(np.uint8)
    result = detected(AxesArray(noise, "YX"), model, threshold=0.9)
    assert result.count == 0
    assert result.told == "no objects"
    assert list(result.features)[:3] == ["index", "class", "score"]
    assert {len(column) for column in result.features.values()} == {0}
    assert result.record["found"]["count"] == 0


def test_the_magnification_is_estimated(model: Model, blobs: Blobs) -> None:
    """Discs half as large are found at twice the zoom, and boxes half as large."""
    image, truth = blobs(seed=6, shape=(208, 232))
    small = image.reshape(104, 2, 116, 2).mean(axis=(1, 3)).round().astype(np.uint8)
    result = detected(AxesArray(small, "YX"), model, threshold=0.3)
    assert result.record["found"]["diameter_from"] == "estimated"
    assert 7 < result.record["found"]["diameter"] < 11
    halved = replace(truth, corners=(truth.corners + 0.5) / 2 - 0.5)
    figures = average_precisions([(halved, result.boxes)], classes=tuple(result.classes))
    assert figures.map50 > 0.8


def test_lazy_images_stay_lazy(model: Model, blobs: Blobs) -> None:
    import dask.array as da

    image = blobs(seed=7, shape=(200, 260))[0]
    params = {"tile": 32, "diameter": 17}
    lazy = detected(AxesArray(da.from_array(image, chunks=64), "YX"), model, **params)
    assert (
        lazy.boxes.corners.tolist()
        == detected(AxesArray(image, "YX"), model, **params).boxes.corners.tolist()
    )


def test_a_run_can_be_left_at_any_step(model: Model, blobs: Blobs) -> None:
    image = AxesArray(np.stack([blobs(seed=seed)[0] for seed in (1, 2)]), "TYX")
    steps = detect_steps(image, model, DetectParams(tile=16, diameter=17, **CPU))  # type: ignore[arg-type]
    told = [next(steps).text for _ in range(2)]
    steps.close()
    assert told == ["loading discs", "detecting: t 0"]


def test_progress_reaches_the_end_once(model: Model, blobs: Blobs) -> None:
    image = AxesArray(np.stack([blobs(seed=seed)[0] for seed in (1, 2)]), "TYX")
    shown: list[float] = []
    steps = detect_steps(image, model, DetectParams(tile=16, diameter=17, **CPU))  # type: ignore[arg-type]
    finished(steps, lambda step: shown.append(step.done / max(1, step.total)))
    assert shown == sorted(shown)
    assert shown.count(1.0) == 1


def test_short_of_memory_it_goes_on_in_smaller_tiles(
    model: Model, blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = AxesArray(blobs(seed=4, shape=(260, 310))[0], "YX")
    wanted = detected(image, model, diameter=17)
    usual = BoxScorer.__call__

    def small(self: BoxScorer, tiles: list[np.ndarray]) -> list[torch.Tensor]:
        if tiles[0].shape[-1] > 200:
            raise OutOfMemoryError("no room")
        return usual(self, tiles)

    monkeypatch.setattr(BoxScorer, "__call__", small)
    result = detected(image, model, diameter=17)
    assert "tiles were reduced" in result.notes[0]
    np.testing.assert_allclose(result.boxes.corners, wanted.boxes.corners, atol=1e-2)


def wrong() -> Iterator[tuple[dict[str, object], str]]:
    yield {"threshold": 0}, "threshold must be 0.01 to 0.99, got 0"
    yield {"threshold": 1.5}, "threshold must be 0.01 to 0.99, got 1.5"
    yield {"threshold": float("nan")}, "threshold must be a number"
    yield {"overlap": 0.9}, "overlap must be 0.1 to 0.8, got 0.9"
    yield {"classes": "dim, grey"}, "knows no class 'grey'; it finds bright, dim"
    yield {"device": "tpu"}, "device must be one of auto, cuda, mps, cpu, got 'tpu'"


@pytest.mark.parametrize(("params", "message"), list(wrong()))
def test_wrong_parameters_are_told(
    params: dict[str, object], message: str, model: Model, blobs: Blobs
) -> None:
    with pytest.raises(InputError, match=message):
        detected(AxesArray(blobs()[0], "YX"), model, **params)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (AxesArray(np.zeros((0, 8)), "YX"), "the image is empty"),
        (AxesArray(np.zeros((8, 8)), "ZY"), "set the axes so that X is among them"),
        (AxesArray(np.zeros((2, 8, 8)), "CYX"), "choose one of them"),
        (AxesArray(np.full((8, 8), np.nan), "YX"), "no finite value"),
    ],
)
def test_wrong_images_are_told(image: AxesArray, message: str, model: Model) -> None:
    with pytest.raises(InputError, match=message):
        detected(image, model)


def test_an_image_of_one_value_has_no_objects(model: Model) -> None:
    result = detected(AxesArray(np.full((40, 50), 7, np.uint8), "YX"), model, threshold=0.9)
    assert result.count == 0


def test_the_smallest_image_works(model: Model) -> None:
    result = detected(AxesArray(np.arange(6, dtype=np.uint8).reshape(2, 3), "YX"), model)
    assert (result.boxes.corners[:, 1] <= [1.5, 2.5]).all()
