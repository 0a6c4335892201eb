"""Made images judged: controls whose answer is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.layout_statistics import LayoutStatistics
from napari_medai.core.layouts import drawn_layout
from napari_medai.core.metrics import matching
from napari_medai.core.noise import CameraNoise
from napari_medai.core.steps import finished
from napari_medai.models.package import read_model
from napari_medai.models.registry import find_model
from napari_medai.tasks.evaluate_synthesize import (
    RealismParams,
    evaluate_synthesis,
    evaluate_synthesis_steps,
)
from napari_medai.tasks.pairs import Pair
from napari_medai.tasks.segment import SegmentParams, segment_steps
from napari_medai.tasks.synthesis_scores import SynthesisScores

PARAMS = RealismParams(crop=64, crops=200, compared=40, device="cpu")
Render = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def soft(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Nuclei of different brightness, out of focus and noisy."""
    bright = rng.uniform(0.5, 1, labels.max() + 1) * 150
    bright[0] = 8
    image = ndimage.gaussian_filter(bright[labels], 1.5)
    return CameraNoise(gain=1, offset=0, read_noise=2).noisy(image, rng)


def noise(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.normal(100, 20, labels.shape)


@pytest.fixture(scope="module")
def statistics(data_masks: list[np.ndarray]) -> LayoutStatistics:
    return LayoutStatistics.of(data_masks)


@pytest.fixture(scope="module")
def data_masks() -> list[np.ndarray]:
    from skimage import io

    folder = Path(__file__).parents[1] / "data" / "nuclei" / "masks"
    return [io.imread(folder / "fluorescence-256.png").astype(np.int32)]


@pytest.fixture(scope="module")
def scenes(statistics: LayoutStatistics) -> Callable[..., list[Pair]]:
    """Pictures of layouts like those of a real image."""

    def make(count: int, *, seed: int, render: Render = soft, edge: int = 128) -> list[Pair]:
        pairs = []
        for at in range(count):
            rng = np.random.default_rng([seed, at])
            labels = drawn_layout(statistics, (edge, edge), seed=rng, count=12, size=16).labels
            image = np.clip(render(labels, rng), 0, 255).astype(np.uint8)
            pairs.append(Pair(AxesArray(image, "YX"), labels, f"{seed}-{at}"))
        return pairs

    return make


@pytest.fixture
def scored(tiny_package: Path) -> Callable[..., SynthesisScores]:
    """By the features of a small net with random weights."""
    model = read_model(tiny_package)

    def score(made: list[Pair], real: list[Pair], **more: Any) -> SynthesisScores:
        return evaluate_synthesis(made, real, model, PARAMS, **more)

    return score


Scenes = Callable[..., list[Pair]]
Scored = Callable[..., SynthesisScores]


def test_images_of_the_same_kind_are_no_distance_apart_and_no_copies(
    scenes: Scenes, scored: Scored
) -> None:
    scores = scored(scenes(16, seed=1), scenes(16, seed=2), training=scenes(16, seed=3))
    assert scores.images == (16, 16, 16)
    assert abs(scores.made.kernel.value) < 4 * scores.made.kernel.error
    assert scores.reference is not None
    assert abs(scores.reference.kernel.value) < 4 * scores.reference.kernel.error
    assert scores.made.frechet.counts == scores.reference.frechet.counts == (64, 64)
    for check in (scores.features_copied, scores.pixels_copied):
        assert check.found.share <= 0.15
        assert check.found.smallest > 0.6 * check.found.limit
        assert check.found.samples == check.found.references == 40
    json.dumps(scores.described())


def test_images_of_another_kind_are_far_away(scenes: Scenes, scored: Scored) -> None:
    real = scenes(16, seed=2)
    same, other = (scored(scenes(12, seed=1, render=render), real) for render in (soft, noise))
    assert other.made.kernel.value > 20 * other.made.kernel.error
    assert other.made.kernel.value > 20 * abs(same.made.kernel.value)
    assert same.reference is not None
    assert other.made.frechet.value > 5 * same.reference.frechet.value
    # halves of the real ones are compared with each other
    assert same.reference.kernel.counts == (32, 32)
    assert same.made.kernel.counts == (48, 64)
    assert same.made.frechet.counts == same.reference.frechet.counts == (32, 32)


def changed(pair: Pair) -> Pair:
    """Mirrored, moved a little, less bright."""
    image = np.asarray(pair.image.data)[:, ::-1][3:, 5:]
    dim = (image * 0.6 + 10).astype(np.uint8)
    return Pair(AxesArray(dim, "YX"), pair.labels[:, ::-1][3:, 5:], f"copy of {pair.name}")


def test_a_training_image_that_comes_again_is_found(scenes: Scenes, scored: Scored) -> None:
    training = scenes(12, seed=3)
    made = [*scenes(11, seed=1), changed(training[4])]
    scores = scored(made, scenes(6, seed=2), training=training)
    check = scores.pixels_copied
    assert check.found.below >= 1
    assert check.found.smallest < 0.1 * check.found.limit
    assert (check.made, check.training) == ("copy of 3-4", "3-4")
    assert check.found.suspicious
    assert "(copy of 3-4 is most like 3-4); look at them" in check.sentence
    # what was only turned is found by its features, too
    turned = Pair(
        AxesArray(np.rot90(np.asarray(training[7].image.data)).copy(), "YX"),
        np.rot90(training[7].labels).copy(),
        "turned",
    )
    again = scored([*made[:11], turned], scenes(6, seed=2), training=training)
    assert again.features_copied.found.smallest < 0.1 * again.features_copied.found.limit
    assert (again.features_copied.made, again.features_copied.training) == ("turned", "3-7")
    assert again.pixels_copied.training == "3-7"


def test_frames_of_one_source_are_no_copies_of_each_other(scenes: Scenes, scored: Scored) -> None:
    """Else the limit would be that of neighbours in time, and nothing would be a copy."""
    frames = [
        Pair(pair.image, pair.labels, f"{pair.name} {turn}", source=pair.name)
        for pair in scenes(8, seed=3)
        for turn in range(2)
    ]
    scores = scored(scenes(8, seed=1), scenes(8, seed=2), training=frames)
    for check in (scores.features_copied, scores.pixels_copied):
        assert check.found.limit > 0.03
    alone = [Pair(pair.image, pair.labels, pair.name) for pair in frames]
    copied = scored(scenes(8, seed=1), scenes(8, seed=2), training=alone)
    assert copied.pixels_copied.found.limit == pytest.approx(0, abs=1e-3)


def test_agreement_is_that_of_the_objects_found(scenes: Scenes) -> None:
    model = find_model("nuclei")
    made, real = scenes(4, seed=1, edge=192), scenes(4, seed=2, edge=192)
    shifted = [Pair(p.image, np.roll(p.labels, 8, 1), p.name) for p in made]
    params = RealismParams(crops=16, compared=16, device="cpu")
    scores = evaluate_synthesis(shifted, made, model, params, training=real)
    assert scores.real_agreement.accuracy > 0.8
    assert scores.agreement.accuracy < 0.3
    found = [
        np.asarray(finished(segment_steps(p.image, model, SegmentParams(device="cpu"))).labels)
        for p in made
    ]
    right = [matching(p.labels, f).true_positives for p, f in zip(made, found, strict=True)]
    assert scores.real_agreement.true_positives == sum(right)
    told = scores.described()
    assert told["AP@0.5"]["real"] == round(scores.real_agreement.accuracy, 4)
    assert "nuclei 1.0.0, of crops of 128 x 128 pixels" in told["features"]


def test_the_same_seed_gives_the_same_figures_and_progress_rises(
    scenes: Scenes, tiny_package: Path
) -> None:
    model, shares = read_model(tiny_package), []
    made, real = scenes(5, seed=1), scenes(5, seed=2)

    def note(step: Any) -> None:
        if step.total:
            shares.append(step.done / step.total)

    first = finished(evaluate_synthesis_steps(made, real, model, PARAMS), note)
    assert shares == sorted(shares)
    assert shares[-1] <= 1
    assert first.reference is None, "too few to be halved"
    assert first.described()["real to real"] is None
    assert first == evaluate_synthesis(made, real, model, PARAMS)


def test_channels_and_axes_in_any_order(scenes: Scenes, scored: Scored) -> None:
    made, real = scenes(4, seed=1), scenes(4, seed=2)
    colour = [
        Pair(AxesArray(np.stack([np.asarray(p.image.data)] * 3, -1), "YXC"), p.labels, p.name)
        for p in made
    ]
    turned = [Pair(AxesArray(np.asarray(p.image.data).T, "XY"), p.labels.T, p.name) for p in made]
    plain = scored(made, real)
    assert scored(turned, real) == plain
    # percentiles of three channels are of other pixels
    assert scored(colour, real).made.frechet.value == pytest.approx(
        plain.made.frechet.value, rel=0.1
    )


def test_what_cannot_be_judged(scenes: Scenes, scored: Scored, class_package: Path) -> None:
    made = scenes(4, seed=1)
    with pytest.raises(InputError, match=r"4 real images at least are needed .* got 3"):
        scored(made, made[:3])
    frames = [Pair(p.image, p.labels, p.name, source="movie") for p in made]
    with pytest.raises(InputError, match=r"4 training images .* counted once, got 1"):
        scored(made, made, training=frames)
    with pytest.raises(InputError, match="halves does not find objects in planes"):
        evaluate_synthesis(made, made, read_model(class_package), PARAMS)
    volume = Pair(AxesArray(np.zeros((4, 128, 128)), "ZYX"), np.zeros((4, 128, 128), int), "scan")
    with pytest.raises(InputError, match="planes are compared, but scan has the axes Z Y X"):
        scored([*made, volume], made)
    small = Pair(AxesArray(np.ones((128, 48)), "YX"), np.zeros((128, 48), int), "strip")
    with pytest.raises(InputError, match="but strip has 128 x 48; give a smaller crop"):
        scored([*made, small], made)
    other = Pair(made[0].image, made[0].labels[:100], "cut")
    with pytest.raises(InputError, match=r"labels of cut have shape \(100, 128\)"):
        scored([*made, other], made)
    real = Pair(made[0].image, made[0].labels / 2, "half")
    with pytest.raises(InputError, match="labels of half must be whole numbers, got float64"):
        scored([*made, real], made)
    empty = [Pair(p.image, np.zeros_like(p.labels), p.name) for p in made]
    with pytest.raises(InputError, match="no crop of a synthetic image shows enough objects"):
        scored(empty, made)
    with pytest.raises(InputError, match="a multiple of 64, got 100"):
        RealismParams(crop=100)
