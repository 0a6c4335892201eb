"""How images look: what is put into a picture is measured in it."""

from __future__ import annotations

import json
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from napari_medai.core.errors import InputError
from napari_medai.core.looks import TRAITS, Look, TraitScale, measured_look, scaled, window_of
from napari_medai.core.quantiles import LEVELS


@pytest.fixture(scope="module")
def labels(painting: ModuleType) -> np.ndarray:
    return np.asarray(painting.disks((120, 140)))


def picture(
    labels: np.ndarray, *, noise: float = 0.0, blur: float = 0.0, seed: int = 0
) -> np.ndarray:
    rng = np.random.default_rng(seed)
    clean = 100 + np.where(labels > 0, 400.0, 0)
    return ndimage.gaussian_filter(clean, blur) + rng.normal(0, noise, labels.shape)


def test_a_window_and_values_in_it() -> None:
    image = np.arange(1001.0)
    assert window_of(image) == (10, 998)
    assert scaled(image, (10, 998))[[10, 504, 998]].tolist() == [0, 0.5, 1]
    assert scaled(image, (10, 998)).dtype == np.float32
    low, high = window_of(np.full((4, 4), 7))
    assert low == 7 < high


def test_brightness_and_background_are_in_parts_of_the_window(labels: np.ndarray) -> None:
    look, objects = measured_look(picture(labels), labels)
    assert look.window == (100, 500)
    assert look.background == 0
    assert look.brightness == pytest.approx([1] * len(LEVELS))
    assert look.texture == pytest.approx([0] * len(LEVELS), abs=1e-6)
    assert objects.shape == (labels.max() + 1, 2)
    assert objects[0].tolist() == [0, 0]
    assert objects[1:, 0] == pytest.approx(1)
    assert look.diameter == pytest.approx(2 * 6, rel=0.05)
    assert (look.noise, look.unevenness) == (0, 0)


def test_each_object_has_its_own_brightness_and_texture(labels: np.ndarray) -> None:
    image = picture(labels)
    image[labels == 2] = 300
    rng = np.random.default_rng(0)
    image[labels == 3] += rng.normal(0, 40, (labels == 3).sum())
    _, objects = measured_look(image, labels)
    window = window_of(image)
    assert objects[2, 0] == pytest.approx(float(scaled(np.array(300.0), window)), abs=1e-3)
    # a tenth of the contrast
    assert objects[3, 1] == pytest.approx(0.1, rel=0.3)
    assert objects[[1, 2], 1] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("noise", [4.0, 20.0])
def test_noise_is_what_was_put_in(labels: np.ndarray, noise: float) -> None:
    one = np.where(labels == 1, 1, 0)  # edges of many would count as noise
    look, _ = measured_look(picture(one, noise=noise), one)
    low, high = look.window
    assert look.noise * (high - low) == pytest.approx(noise, rel=0.1)


def test_blur_takes_sharpness_and_makes_glow(labels: np.ndarray) -> None:
    sharp, soft = (measured_look(picture(labels, blur=blur), labels)[0] for blur in (0, 2))
    assert soft.sharpness < 0.75 * sharp.sharpness
    assert sharp.glow == pytest.approx(0, abs=1e-6)
    assert soft.glow > 0.15


def test_slow_changes_are_unevenness(labels: np.ndarray) -> None:
    image = picture(labels) + np.linspace(0, 100, labels.shape[0])[:, None]
    look, _ = measured_look(image, labels)
    assert look.unevenness * (look.window[1] - look.window[0]) == pytest.approx(27, abs=8)


@pytest.mark.parametrize(("value", "what"), [(0, "background"), (1, "objects")])
def test_an_image_needs_objects_and_background(value: int, what: str) -> None:
    with pytest.raises(InputError, match=f"got one with {what} alone; give another image"):
        measured_look(np.random.default_rng(0).random((40, 40)), np.full((40, 40), value))


def test_missing_numbers_do_not_count(labels: np.ndarray) -> None:
    gaps = np.where(labels > 0, labels * 2, 0)
    look, objects = measured_look(picture(labels), gaps)
    assert look == measured_look(picture(labels), labels)[0]
    assert len(objects) == gaps.max() + 1


@pytest.mark.parametrize("factor", [1.0, 1e-6, 1e7])
def test_a_look_is_written_and_read(labels: np.ndarray, factor: float) -> None:
    look, _ = measured_look(picture(labels, noise=5, blur=1) * factor, labels)
    again = Look.from_dict(json.loads(json.dumps(look.as_dict())))
    assert again.window == pytest.approx(look.window, rel=1e-6)
    assert again.traits == pytest.approx(look.traits, rel=1e-5)
    assert again.brightness == pytest.approx(look.brightness, rel=1e-6)
    assert Look.from_dict(again.as_dict()) == again


def _look(labels: np.ndarray) -> dict[str, Any]:
    return measured_look(picture(labels, noise=5), labels)[0].as_dict()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"glow": None}, "cannot be read"),
        ({"glow": "much"}, "cannot be read .*much"),
        ({"glow": float("nan")}, "has finite numbers"),
        ({"window": [1]}, "cannot be read"),
        ({"window": [2, 2]}, r"a window that rises .* got \(2.0, 2.0\)"),
        ({"diameter": 0}, "a diameter above 0"),
        ({"brightness": [0, 1]}, "7 quantiles"),
    ],
)
def test_a_broken_look_is_refused(labels: np.ndarray, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"{message}.*; install the model again") as caught:
        Look.from_dict(_look(labels) | change)
    assert "\n" not in str(caught.value)
    told = _look(labels)
    del told["glow"]
    with pytest.raises(InputError, match="'glow'"):
        Look.from_dict(told)


def test_traits_are_told_in_deviations(labels: np.ndarray) -> None:
    looks = [measured_look(picture(labels, noise=n, seed=n), labels)[0] for n in (2, 5, 11)]
    traits = np.stack([look.traits for look in looks])
    scale = TraitScale.of(traits)
    normal = scale.normal(traits)
    assert normal.dtype == np.float32
    assert normal[:, TRAITS.index("noise")].mean() == pytest.approx(0, abs=1e-5)
    assert normal[:, TRAITS.index("noise")].std() == pytest.approx(1, abs=1e-5)
    assert scale.normal(traits + 100 * scale.sd).tolist() == np.full(traits.shape, 3).tolist()
    # noise counts as a logarithm
    louder = replace(looks[0], noise=looks[0].noise * np.e)
    assert (louder.traits - looks[0].traits)[TRAITS.index("noise")] == pytest.approx(1)


def test_what_does_not_vary_has_a_scale() -> None:
    scale = TraitScale.of(np.tile([2.0, 0.0], (5, 1)))
    assert scale.sd == pytest.approx([0.02, 0.001])
    assert np.isfinite(scale.normal(np.ones(2))).all()
    again = TraitScale.from_dict(scale.as_dict())
    assert (again.mean == scale.mean).all()
    assert (again.sd == scale.sd).all()


@pytest.mark.parametrize(
    "told",
    [
        {"mean": [0, 1]},
        {"mean": [0, 1], "sd": [1]},
        {"mean": [0, 1], "sd": [1, 0]},
        {"mean": [0, float("inf")], "sd": [1, 1]},
        {"mean": 0, "sd": 1},
        {"mean": ["a"], "sd": [1]},
        None,
    ],
)
def test_a_broken_scale_is_refused(told: Any) -> None:
    with pytest.raises(InputError, match=r"scale.*; install the model again"):
        TraitScale.from_dict(told)


def test_a_few_objects_on_nothing_are_within_the_window() -> None:
    image, labels = np.zeros((256, 256), np.uint8), np.zeros((256, 256), np.int32)
    image[40:50, 60:70], labels[40:50, 60:70] = 200, 1
    look, objects = measured_look(image, labels)
    assert look.window == (0, 200)
    assert objects[1, 0] == pytest.approx(1)
    # and one that is darker than all else
    dark, _ = measured_look(220 - image, labels)
    assert dark.window == (20, 220)
