"""What a preview makes: the first image where it is small, else a part that is as crowded."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from napari_medai.core.axes import AxesArray
from napari_medai.tasks.object_params import ObjectParams
from napari_medai.tasks.synthesize import GROWN, Kind, painted_by
from napari_medai.tasks.synthetic_preview import trial_of
from napari_medai.tasks.vessel_params import VesselParams


@pytest.fixture(scope="module")
def dots(painting: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Kind:
    return painted_by(painting.painter(Path(tmp_path_factory.mktemp("models"))))


def labelled(shape: tuple[int, ...], *places: tuple[int, ...]) -> AxesArray:
    values = np.zeros(shape, np.int32)
    for number, place in enumerate(places, 1):
        values[place] = number
    return AxesArray(values, "YX", {"Y": 0.5, "X": 0.5})


def test_a_small_image_is_made_whole(dots: Kind) -> None:
    params = ObjectParams(images=7, seed=3, count=40)
    trial = trial_of(dots, (200, 512), params)
    assert trial.shape == (200, 512)
    assert trial.params == ObjectParams(images=1, seed=3, count=40)
    labels = labelled((64, 64), (1, 1))
    assert trial_of(dots, (64, 64), params, labels=labels).labels is labels
    trial = trial_of(GROWN, (128, 128, 128), VesselParams(segments=30))
    assert (trial.shape, trial.params.segments) == ((128, 128, 128), 30)


def test_of_a_large_one_a_part_is_made_as_crowded(dots: Kind) -> None:
    trial = trial_of(dots, (1024, 2048), ObjectParams(count=400))
    assert trial.shape == (512, 512)
    assert trial.params.count == 50
    assert trial_of(dots, (1024, 2048), ObjectParams()).params.count == 0  # as learned
    trial = trial_of(GROWN, (256, 256, 64), VesselParams(segments=3))
    assert trial.shape == (128, 128, 64)
    assert trial.params.segments == 1


@pytest.mark.parametrize(
    ("place", "window"),
    [
        ((600, 500), (344, 244)),  # the middle has it
        ((3, 4), (0, 0)),
        ((1190, 10), (688, 0)),
        ((200, 990), (0, 488)),
    ],
)
def test_a_part_of_labels_has_an_object(
    dots: Kind, place: tuple[int, int], window: tuple[int, int]
) -> None:
    labels = labelled((1200, 1000), place)
    part = trial_of(dots, (1200, 1000), ObjectParams(), labels=labels).labels
    assert part is not None
    assert part.shape == (512, 512)
    assert part.step("Y") == 0.5
    found = np.argwhere(np.asarray(part.data))
    assert (found == np.subtract(place, window)).all()


def test_labels_without_an_object_give_a_part_too(dots: Kind) -> None:
    trial = trial_of(dots, (600, 600), ObjectParams(), labels=labelled((600, 600)))
    assert trial.labels is not None
    assert trial.labels.shape == (512, 512)


def test_axes_that_cannot_be_made_are_left_as_they_are(dots: Kind) -> None:
    trial = trial_of(dots, (2, 3, 600, 600), ObjectParams(images=2))
    assert trial.shape == (2, 3, 600, 600)
    assert trial.params.images == 1
