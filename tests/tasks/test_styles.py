"""The look of a reference image: measured, or refused in one sentence."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.looks import measured_look
from napari_medai.tasks import styles
from napari_medai.tasks.styles import measured_style


def of(values: Any, axes: str = "YX", **options: Any) -> styles.Style:
    return measured_style(AxesArray(np.asarray(values), axes), **options)


@pytest.mark.parametrize(("shape", "axes"), [((64, 80), "YX"), ((24, 40, 40), "ZYX")])
def test_objects_are_told_by_their_brightness(
    painting: ModuleType, shape: tuple[int, ...], axes: str
) -> None:
    labels = painting.disks(shape)
    image = painting.photograph(labels)
    style = of(image, axes)
    known, _ = measured_look(image, labels)
    assert style.axes == axes
    assert style.look.window == known.window
    assert style.look.background == pytest.approx(known.background, abs=0.01)
    assert style.look.noise == known.noise
    assert style.look.diameter == pytest.approx(known.diameter, rel=0.15)
    assert style.look.brightness[3] == pytest.approx(known.brightness[3], rel=0.1)


def test_labels_say_it_better(painting: ModuleType) -> None:
    labels = painting.disks((64, 80))
    image = painting.photograph(labels)
    style = of(image, labels=np.where(labels, labels * 5, 0))
    assert style.look == measured_look(image, labels)[0]
    with pytest.raises(InputError, match=r"its shape \(64, 80\), got \(64, 64\); give those"):
        of(image, labels=labels[:, :64])


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [("uint8", "uint8"), ("uint16", "uint16"), ("int32", "int32"), ("float64", "float32")],
)
def test_the_dtype_is_kept(painting: ModuleType, dtype: str, kept: str) -> None:
    image = painting.photograph(painting.disks()).astype(dtype)
    before = image.copy()
    assert of(image).dtype == np.dtype(kept)
    assert (image == before).all()


def test_one_channel_may_have_an_axis(painting: ModuleType) -> None:
    image = painting.photograph(painting.disks())
    assert of(image[None], "CYX").look == of(image).look


def test_of_a_large_image_the_middle_is_looked_at(
    painting: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = painting.photograph(painting.disks((128, 128)))
    whole = of(image)
    image[:20] = 255
    monkeypatch.setattr(styles, "MOST_PIXELS", 64 * 64)
    style = of(image)
    assert style.look == of(image[32:96, 32:96]).look
    assert style.look.brightness[3] == pytest.approx(whole.look.brightness[3], rel=0.3)


def test_a_background_of_a_few_pixels_is_no_object() -> None:
    image = np.full((12, 12), 200, np.uint8)
    image[5:7, 5:7] = 0
    with pytest.raises(InputError, match="objects alone; give another image"):
        of(image, labels=np.ones((12, 12), int))
    assert of(image).look.brightness[3] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("values", "axes", "message"),
    [
        (np.ones((40, 40, 3)), "YXC", "one channel, got axes Y X C; choose one channel"),
        (np.ones((3, 40, 40)), "TYX", "one channel, got axes T Y X; choose .* point in time"),
        (np.ones((40, 40)), "YX", "nothing stands out .* all 1; choose one with objects"),
        (np.full((40, 40), np.nan), "YX", r"finite numbers, got one with 1600 values .* \(NaN"),
        (np.where(np.eye(40), -np.inf, 0), "YX", "with 40 values that are none"),
        (np.eye(40) * 1e300, "YX", "with 40 values that are none"),
        (np.eye(40) > 0, "YX", r"got a mask \(yes or no\); choose another"),
        (np.zeros((0, 40)), "YX", r"is empty \(shape \(0, 40\)\); choose another"),
        (np.pad([[9.0]], (0, 20)), "YX", "no object of 9 pixels or more stands out .*; choose one"),
    ],
)
def test_what_has_no_look_is_refused(values: np.ndarray, axes: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        of(values, axes)
    assert "\n" not in str(caught.value)
