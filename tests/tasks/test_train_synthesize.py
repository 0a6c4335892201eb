"""Training of models that paint, and of others on what they paint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.steps import Step, finished
from napari_medai.models.registry import find_model
from napari_medai.tasks.course import _split
from napari_medai.tasks.object_params import ObjectParams
from napari_medai.tasks.painter_models import Knowledge
from napari_medai.tasks.pairs import Pair
from napari_medai.tasks.synthesize import kind_of, synthesize_steps
from napari_medai.tasks.synthetic_pairs import synthetic_pairs_steps
from napari_medai.tasks.train import TrainParams, train_steps
from napari_medai.tasks.train_synthesize import train_synthesize_steps

BRIEF = TrainParams(steps=4, batch=2, device="cpu", held_out=0.2)


@pytest.fixture
def pairs(painting: ModuleType) -> Any:
    def made(count: int = 6, shape: tuple[int, ...] = (48, 64)) -> list[Pair]:
        axes = "ZYX"[-len(shape) :]
        found = []
        for number in range(count):
            labels = painting.disks(shape, radius=4 + number % 3)
            image = AxesArray(painting.photograph(labels, seed=number), axes)
            found.append(Pair(image, labels, f"pair {number}"))
        return found

    return made


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDAI_MODELS", str(tmp_path / "models"))


def test_a_trained_painter_paints_at_once(pairs: Any) -> None:
    told: list[Step] = []
    finished(train_synthesize_steps(pairs(), BRIEF, name="dots"), told.append)
    losses = [step.values for step in told if "critic" in step.values]
    assert len(losses) == 4
    assert {"loss", "adversarial", "features", "brightness", "critic"} <= set(losses[0])
    shown = [step.values["samples"] for step in told if "samples" in step.values]
    assert shown
    assert shown[-1].shape[1:] == (48, 48)
    model = find_model("dots", "synthesize")
    known = Knowledge.of(model)
    assert len(known.looks) == 6
    assert known.dtype == np.uint8
    made = finished(synthesize_steps(kind_of("dots"), (40, 50), ObjectParams(seed=3)))
    assert made[0].image.data.dtype == np.uint8
    assert made[0].labels.max() >= 1


def test_a_painter_of_volumes_learns(pairs: Any) -> None:
    volumes = pairs(5, (12, 40, 48))
    model = finished(train_synthesize_steps(volumes, BRIEF, name="balls"))
    made = finished(synthesize_steps(kind_of("balls"), (32, 40, 48), ObjectParams(count=3)))
    assert model.axes == "CZYX"
    assert made[0].labels.shape == (32, 40, 48)


def test_going_on_keeps_what_the_inputs_mean(pairs: Any) -> None:
    first = finished(train_synthesize_steps(pairs(), BRIEF, name="dots"))
    brighter = [
        replace(pair, image=AxesArray(pair.image.data // 2 + 100, "YX")) for pair in pairs()
    ]
    second = finished(train_synthesize_steps(brighter, BRIEF, name="more", start=first))
    before, after = Knowledge.of(first), Knowledge.of(second)
    assert np.array_equal(before.scales[0].mean, after.scales[0].mean)
    assert before.looks[0].window != after.looks[0].window


def colours(pairs: list[Pair]) -> list[Pair]:
    data = [np.stack([pair.image.data] * 3) for pair in pairs]
    return [
        replace(pair, image=AxesArray(image, "CYX"))
        for pair, image in zip(pairs, data, strict=True)
    ]


def with_an_empty_one(pairs: list[Pair]) -> list[Pair]:
    return [*pairs, replace(pairs[0], labels=np.zeros((48, 64), int), name="nothing")]


@pytest.mark.parametrize(
    ("count", "shape", "change", "message"),
    [
        (4, (48, 64), list, "needs at least 5 images with 20 objects in all, got 4 with 24; give"),
        (7, (24, 64), list, "has 24 x 64 pixels, but a model that paints learns from 32 x 32 or"),
        (6, (48, 64), colours, "learns from images of one channel, got 3; choose the channel"),
        (6, (48, 64), with_an_empty_one, "nothing: a look is measured in an image with objects"),
    ],
)
def test_what_cannot_be_learned_from_is_said(
    pairs: Any, count: int, shape: tuple[int, int], change: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        finished(train_synthesize_steps(change(pairs(count, shape)), BRIEF, name="dots"))


def test_synthetic_pairs_count_as_much_as_real_ones(
    pairs: Any, painting: ModuleType, tmp_path: Path
) -> None:
    real = pairs()
    model = painting.painter(tmp_path)
    made = finished(synthetic_pairs_steps(model, 3, beside=real, seed=1))
    assert [pair.image.shape for pair in made] == [(256, 256)] * 3
    assert all(pair.labels.max() > 0 and pair.synthetic for pair in made)
    objects = sum(int(pair.labels.max()) + 15 for pair in real)
    assert sum(pair.weight or 0 for pair in made) == pytest.approx(objects)


def test_synthetic_pairs_are_never_held_out(pairs: Any) -> None:
    real = pairs()
    fakes = [replace(pair, synthetic=True, name=f"fake {i}") for i, pair in enumerate(pairs())]
    both: list[Any] = [*fakes, *real]
    names = [pair.name for pair in both]
    training, held_out = _split(both, names, TrainParams(held_out=0.5))
    assert len(held_out) == 3
    assert not any(name.startswith("fake") for name in held_out)
    assert set(training) | set(held_out) == set(names)


def test_a_segmenter_learns_from_synthetic_images_too(
    pairs: Any, painting: ModuleType, tmp_path: Path
) -> None:
    told: list[Step] = []
    steps = train_steps(
        pairs(), BRIEF, name="mixed", synthetic=2, painter=painting.painter(tmp_path / "own")
    )
    model = finished(steps, told.append)
    assert "painting image 2 of 2" in {step.text for step in told}
    recipe = model.config["recipe"]
    assert recipe["synthetic_images"] == 2
    assert recipe["painter"] == "dots 1.0.0"
    assert recipe["images"] == 7
    assert recipe["held_out_images"] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"synthetic": 3}, "want a painter"),
        ({"synthetic": 3, "classes": ("dot",)}, "are for models of objects"),
        ({"synthetic": 6000}, "synthetic must be 1 to 5000 images, got 6000"),
    ],
)
def test_synthetic_images_that_cannot_be_used(
    pairs: Any, painting: ModuleType, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    own = None if "want" in message else painting.painter(tmp_path / "own")
    with pytest.raises(InputError, match=message):
        finished(train_steps(pairs(), BRIEF, name="mixed", painter=own, **options))


def test_a_painter_of_other_axes_is_refused(
    pairs: Any, painting: ModuleType, tmp_path: Path
) -> None:
    own = painting.painter(tmp_path / "own", ndim=3)
    with pytest.raises(InputError, match="paints images with axes Z Y X, but the training images"):
        finished(train_steps(pairs(), BRIEF, name="mixed", synthetic=2, painter=own))
