"""Boxes of volumes, from learning to files, by the code that finds those of planes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_medai.core.axes import AxesArray
from napari_medai.core.boxes import Boxes, box_ious
from napari_medai.core.steps import finished
from napari_medai.io.box_coco import read_boxes_coco, write_boxes_coco
from napari_medai.io.box_plane import BoxPlane
from napari_medai.models.model import Model
from napari_medai.models.package import read_model
from napari_medai.nn.crops import Geometry
from napari_medai.nn.training import Run, Schedule
from napari_medai.tasks.box_models import box_spec, package_boxes
from napari_medai.tasks.course import fresh_net
from napari_medai.tasks.detect import DetectParams, detect_steps
from napari_medai.tasks.detection import Detection
from napari_medai.tasks.evaluate import detection_scores
from napari_medai.tasks.pairs import BoxPair
from napari_medai.tasks.train_boxes import BoxCourse
from napari_medai.tasks.verify import full_check

CLASSES = ("cube", "plate")
NET = {
    "ndim": 3, "widths": [8, 16, 16], "finest": 1, "coarsest": 1, "shuffle": 2, "pool": 2,
    "channels_in": 1, "kinds": 2,
}  # fmt: skip


def volume(seed: int, *, repeats: int = 1) -> tuple[np.ndarray, Boxes]:
    """Bright cubes and dim plates in noise, (24, 48, 48 * repeats), and their boxes."""
    rng = np.random.default_rng(seed)
    image = rng.normal(20, 5, (24, 48, 48 * repeats))
    corners, kinds = [], []
    for left in range(4, 48 * repeats - 16, 24):
        for top in (4, 28):
            cube = bool((left // 24 + top // 24) % 2)
            edges = np.array([10, 12, 12]) if cube else np.array([6, 16, 16])
            low = np.array([rng.integers(2, 10), top, left]) + rng.integers(0, 3, 3)
            image[tuple(slice(a, a + n) for a, n in zip(low, edges, strict=True))] += 170 - 80 * (
                not cube
            )
            corners.append([low - 0.5, low + edges - 0.5])
            kinds.append(CLASSES[0 if cube else 1])
    return image.clip(0, 255).astype(np.uint8), Boxes.of(corners, kinds, ndim=3)


def pairs(seeds: range) -> list[BoxPair]:
    found = (volume(seed) for seed in seeds)
    return [BoxPair(AxesArray(image, "ZYX"), boxes) for image, boxes in found]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    config = {
        "diameter": 13.9,
        "zoom": 1.0,
        "zoom_range": 1.5,
        "intensity": {"window": [0, 255]},
    }
    spec = box_spec("solids", NET, classes=CLASSES, description="For tests.", config=config)
    course = BoxCourse(spec)
    objective = course.objective(
        course.examples(pairs(range(4))), course.examples(pairs(range(9, 10)))
    )
    objective.crop, objective.mosaics = (24, 48, 48), 0.2
    objective.geometry = Geometry(zoom=1.1, stretch=1.05, turn=False, quarter=True)
    schedule = Schedule(steps=130, batch=2, learning_rate=5e-3, validate_every=130)
    net = fresh_net(spec, None, course.training_only, seed=0)
    trained = finished(Run(net, objective, schedule, device=torch.device("cpu")).steps())
    folder = tmp_path_factory.mktemp("models") / "solids"
    return package_boxes(folder, spec, trained, objective, recipe={"steps": 130})


def detected(image: AxesArray, model: Model, **params: object) -> Detection:
    values = {"device": "cpu", "threshold": 0.1, **params}
    return finished(detect_steps(image, model, DetectParams(**values)))  # type: ignore[arg-type]


def test_a_package_of_a_3d_net_is_sound(model: Model) -> None:
    assert full_check(model.path) == []
    assert read_model(model.path).spec.cell == model.spec.cell == (4, 4, 4)


def test_solids_are_found(model: Model) -> None:
    scores = detection_scores(model, pairs(range(20, 23)))
    assert scores.precisions.map50 > 0.8
    assert scores.froc is not None
    assert scores.froc.mean > 0.8


def test_frames_of_volumes_have_places_and_units(model: Model) -> None:
    stack = np.stack([volume(30)[0], volume(31)[0]])
    spacing = {"Z": 2.0, "Y": 2.0, "X": 2.0}
    result = detected(AxesArray(stack, "TZYX", spacing), model, diameter=14)
    assert result.lead == "T"
    assert set(result.places[:, 0]) == {0, 1}
    np.testing.assert_allclose(result.features["depth"], result.boxes.sizes[:, 0] * 2)
    np.testing.assert_allclose(
        result.features["volume"], result.boxes.sizes.prod(axis=1) * 8, rtol=1e-5
    )
    for frame in (0, 1):
        truth = volume(30 + frame)[1]
        found = result.boxes.at(result.places[:, 0] == frame)
        assert box_ious(truth.corners, found.corners).max(axis=1).min() > 0.3


def test_tiles_leave_no_trace_in_volumes(model: Model) -> None:
    image = AxesArray(volume(40, repeats=4)[0], "ZYX")
    whole = detected(image, model, diameter=14, threshold=0.05)
    cut = detected(image, model, diameter=14, threshold=0.05, tile=8, block=20)
    assert whole.count >= 14
    np.testing.assert_allclose(cut.boxes.corners, whole.boxes.corners, atol=1e-2)
    assert cut.boxes.kinds.tolist() == whole.boxes.kinds.tolist()


def test_boxes_of_volumes_come_back_from_files(model: Model, tmp_path: Path) -> None:
    result = detected(AxesArray(volume(41)[0], "ZYX"), model, diameter=14)
    plane = BoxPlane("scan.nii.gz", result.boxes, size=(24, 48, 48))
    path = write_boxes_coco(tmp_path / "boxes.json", [plane])
    (back,) = read_boxes_coco(path).planes
    assert back.boxes.corners.tolist() == result.boxes.corners.tolist()
    assert back.boxes.kinds.tolist() == result.boxes.kinds.tolist()
    assert back.boxes.scores.tolist() == result.boxes.scores.tolist()
