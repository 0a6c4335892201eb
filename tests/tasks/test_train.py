"""Training a model from pairs: what comes out, what is refused, what is kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.steps import Step, finished
from napari_medai.models.registry import find_model, list_models
from napari_medai.models.verify import verify_model
from napari_medai.tasks.pairs import Pair
from napari_medai.tasks.segment import SegmentParams, segment_steps
from napari_medai.tasks.train import TrainParams, train_steps

QUICK = TrainParams(steps=3, batch=1, device="cpu")


def disks(seed: int, *, shape: tuple[int, ...] = (96, 96), radius: int = 8) -> Pair:
    """Bright disks (balls) on a dark, noisy background."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int32)
    grid = np.indices(shape)
    for number in range(1, 7):
        centre = rng.uniform(radius, np.array(shape) - radius)
        far = sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True))
        labels[(far <= radius**2) & (labels == 0)] = number
    image = 100 + 1000 * (labels > 0) + rng.normal(0, 30, shape)
    axes = "YX" if len(shape) == 2 else "ZYX"
    return Pair(AxesArray(image.astype(np.uint16), axes), labels, f"disks {seed}")


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    return [disks(seed) for seed in range(4)]


def weights(name: str) -> dict[str, torch.Tensor]:
    return torch.load(find_model(name).weights_path, weights_only=True)


def test_a_model_is_found_by_its_name_at_once(pairs: list[Pair]) -> None:
    steps: list[Step] = []
    model = finished(train_steps(pairs, QUICK, name="mine"), steps.append)
    assert [m.name for m in list_models("segment") if m.name == "mine"] == ["mine"]
    assert model.config["diameter"] == 24.0
    assert model.config["recipe"]["steps"] == 3
    assert all(np.isfinite(step.values["loss"]) for step in steps if "loss" in step.values)
    assert steps[-1].done == steps[-1].total == 3
    assert verify_model("mine") == []
    result = finished(segment_steps(pairs[0].image, model, SegmentParams(device="cpu")))
    assert result.labels.shape == pairs[0].labels.shape
    assert result.record["model"]["sha256"] == model.sha256


def test_the_test_tensors_are_what_the_stored_weights_give(pairs: list[Pair]) -> None:
    from napari_medai.nn.runner import built_net, load_weights

    model = finished(train_steps(pairs, QUICK, name="tested"))
    tensors = model.test_tensors()
    assert tensors is not None
    raw, expected = tensors
    net = built_net(*model.architecture).eval()
    load_weights(net, model.weights_path)
    low, high = np.percentile(raw, [1, 99.8])
    ready = torch.from_numpy(((raw - low) / (high - low + 1e-6)).astype(np.float32))
    with torch.inference_mode():
        assert np.allclose(net(ready).numpy(), expected, atol=1e-4)


def test_the_same_seed_gives_the_same_weights(pairs: list[Pair]) -> None:
    for name in ("one", "two"):
        finished(train_steps(pairs, QUICK, name=name))
    first, second = weights("one"), weights("two")
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_it_learns(pairs: list[Pair]) -> None:
    params = TrainParams(steps=60, batch=2, device="cpu")
    losses: list[float] = []

    def note(step: Step) -> None:
        if "loss" in step.values:
            losses.append(step.values["loss"])

    finished(train_steps(pairs, params, name="learner"), note)
    assert np.mean(losses[-10:]) < 0.75 * np.mean(losses[:10])


def test_going_on_from_a_model_begins_with_its_weights(pairs: list[Pair]) -> None:
    start = finished(train_steps(pairs, QUICK, name="start"))
    params = TrainParams(steps=1, batch=1, learning_rate=1e-6, device="cpu")
    further = finished(train_steps(pairs, params, name="further", start=start))
    before, after = weights("start"), weights("further")
    assert all(
        torch.allclose(before[key].float(), after[key].float(), atol=0.02)
        for key in before
        if key.endswith("conv1.weight")
    )
    assert further.config["recipe"]["from"] == "start"
    assert further.architecture == start.architecture


def test_volumes_are_learned_from_in_3d() -> None:
    volumes = [disks(seed, shape=(24, 48, 48), radius=6) for seed in range(2)]
    model = finished(train_steps(volumes, QUICK, name="solid"))
    assert model.axes == "CZYX"
    result = finished(segment_steps(volumes[0].image, model, SegmentParams(device="cpu")))
    assert result.labels.shape == (24, 48, 48)


def test_cancel_keeps_the_best_so_far(pairs: list[Pair]) -> None:
    steps = train_steps(pairs, TrainParams(steps=8, batch=1, device="cpu"), name="halfway")
    for step in steps:
        if "score" in step.values:
            break
    steps.close()
    assert find_model("halfway").config["recipe"]["steps"] < 8


def test_cancel_before_anything_was_scored_leaves_nothing(pairs: list[Pair]) -> None:
    steps = train_steps(pairs, TrainParams(steps=800, batch=1, device="cpu"), name="early")
    for step in steps:
        if "loss" in step.values:
            break
    steps.close()
    with pytest.raises(InputError, match="early"):
        find_model("early")


def test_a_name_that_is_taken_is_refused_before_training(pairs: list[Pair]) -> None:
    finished(train_steps(pairs, QUICK, name="taken"))
    with pytest.raises(InputError, match="taken"):
        next(train_steps(pairs, QUICK, name="taken"))
    assert finished(train_steps(pairs, QUICK, name="taken", overwrite=True)).name == "taken"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda p: p[:1], "at least 2 images"),
        (
            lambda p: [p[0], Pair(p[1].image, p[1].labels[:50], "cut")],
            r"labels of cut have shape \(50, 96\)",
        ),
        (
            lambda p: [p[0], Pair(p[1].image, p[1].labels / 2, "half")],
            "labels of half must be whole numbers",
        ),
        (
            lambda p: [p[0], Pair(p[1].image, -p[1].labels, "below")],
            "labels of below must be whole numbers from 0",
        ),
        (lambda p: [Pair(x.image, 0 * x.labels) for x in p], "none of the labels holds an object"),
        (lambda p: [p[0], disks(0, shape=(24, 48, 48))], "all be 2D or all be 3D"),
        (
            lambda p: [
                Pair(AxesArray(np.zeros((3, 96, 96)), "TYX"), np.ones((3, 96, 96), int)) for _ in p
            ],
            "one frame at a time",
        ),
        (
            lambda p: [Pair(AxesArray(np.zeros((c, 96, 96)), "CYX"), p[0].labels) for c in (2, 3)],
            "same number of channels",
        ),
    ],
)
def test_pairs_that_cannot_be_learned_from(pairs, change, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        finished(train_steps(change(pairs), QUICK, name="never"))
    with pytest.raises(InputError):
        find_model("never")


@pytest.mark.parametrize(
    "wrong", [{"minutes": 0}, {"held_out": 0.9}, {"batch": -1}, {"learning_rate": 0}, {"seed": -1}]
)
def test_parameters_out_of_range(wrong) -> None:
    with pytest.raises(InputError):
        TrainParams(**wrong)


def test_frames_of_one_source_stay_together(pairs: list[Pair]) -> None:
    from dataclasses import replace

    from napari_medai.tasks.course import _split
    from napari_medai.tasks.train_objects import ObjectCourse, object_spec

    frames = [replace(pairs[i % 4], source="ab"[i % 2]) for i in range(8)]
    examples = ObjectCourse(object_spec("mine", frames, "YX", 1)).examples(frames)
    training, held_out = _split(frames, examples, TrainParams(held_out=0.1))
    assert {id(e) for e in held_out} in (
        {id(e) for e in examples[0::2]},
        {id(e) for e in examples[1::2]},
    )
    assert len(training) == 4
    assert _split(frames, examples, TrainParams(held_out=0))[1] == []


def test_a_model_knows_the_slices_it_was_trained_on() -> None:
    volumes = [disks(seed, shape=(24, 48, 48), radius=6) for seed in range(2)]
    thick = [
        Pair(AxesArray(v.image.data, "ZYX", {"Z": 2.0, "Y": 0.5, "X": 0.5}), v.labels)
        for v in volumes
    ]
    model = finished(train_steps(thick, QUICK, name="thick"))
    assert model.config["anisotropy"] == 4.0
    found = finished(segment_steps(thick[0].image, model, SegmentParams(diameter=12)))
    assert found.record["found"]["diameter"] == 12


def test_an_image_without_values_is_named(pairs: list[Pair]) -> None:
    blank = Pair(AxesArray(np.full((96, 96), np.nan), "YX"), pairs[0].labels, "blank.tif")
    with pytest.raises(InputError, match=r"blank\.tif: the image holds no finite value"):
        finished(train_steps([*pairs, blank], QUICK, name="never"))
