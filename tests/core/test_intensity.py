"""What becomes 0 and what 1."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medai.core.errors import InputError
from napari_medai.core.intensity import (
    LIMIT,
    SAMPLES,
    FixedWindow,
    Percentiles,
    Range,
    ZScore,
    intensity_of,
    intensity_range,
    sample_windows,
)


class Lazy:
    """An array that counts what is read of it."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        self.shape = values.shape
        self.dtype = values.dtype
        self.read = 0

    def __getitem__(self, key: Any) -> np.ndarray:
        part = self.values[key]
        self.read += part.size
        return part


def test_percentiles_by_hand() -> None:
    image = np.random.default_rng(0).permutation(1001).reshape(7, 143)
    assert intensity_range(image) == Range(10, 998)
    assert intensity_range(image, Percentiles(low=0, high=100)) == Range(0, 1000)
    np.testing.assert_allclose(
        Range(10, 998).scaled(np.array([10, 504, 998, 1000])), [0, 0.5, 1, 990 / 988], rtol=1e-6
    )


@pytest.mark.parametrize(
    "dtype", ["bool", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", ">u2"]
)
def test_every_dtype(dtype: str) -> None:
    image = np.arange(100).reshape(10, 10) % (2 if dtype == "bool" else 100)
    found = intensity_range(image.astype(dtype), Percentiles(low=0, high=100))
    assert found == Range(0, 1 if dtype == "bool" else 99)
    scaled = found.scaled(image.astype(dtype))
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, image / image.max(), atol=1e-6)


def test_nothing_is_changed() -> None:
    image = np.array([[1.0, np.nan], [np.inf, 3.0]], np.float32)
    before = image.copy()
    intensity_range(image).scaled(image)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_nan_and_inf(dtype: type) -> None:
    image = np.array([np.nan, -np.inf, 0, 1, 2, np.inf], dtype)
    found = intensity_range(image)
    assert found == Range(0, 2)
    np.testing.assert_array_equal(found.scaled(image), [0, -LIMIT, 0, 0.5, 1, LIMIT])


@pytest.mark.parametrize("value", [0, 7, -3.5, 1e300])
def test_a_constant_gives_zeros(value: float) -> None:
    image = np.full((4, 5), value)
    found = intensity_range(image)
    assert found == Range(value, value)
    np.testing.assert_array_equal(found.scaled(image), np.zeros((4, 5), np.float32))


def test_outliers() -> None:
    image = np.random.default_rng(0).normal(100, 10, (200, 200))
    clean = intensity_range(image)
    image.flat[:20] = 1e30
    image.flat[20:40] = -1e30
    dirty = intensity_range(image)
    assert dirty.low == pytest.approx(clean.low, abs=1)
    assert dirty.high == pytest.approx(clean.high, abs=3)
    assert np.abs(dirty.scaled(image)).max() == LIMIT


def test_a_few_spots_on_black() -> None:
    image = np.zeros((100, 100), bool)
    image[50, 50:55] = True
    assert intensity_range(image) == Range(0, 1)


@pytest.mark.parametrize("dtype", [np.uint32, np.int64, np.float64])
def test_small_steps_on_large_numbers(dtype: type) -> None:
    image = np.array([2**31, 2**31 + 1, 2**31 + 2]).astype(dtype)
    found = intensity_range(image, Percentiles(low=0, high=100))
    np.testing.assert_allclose(found.scaled(image), [0, 0.5, 1])


@given(
    values=st.lists(st.floats(width=64), min_size=1, max_size=20),
    low=st.floats(allow_nan=False, allow_infinity=False),
    high=st.floats(allow_nan=False, allow_infinity=False),
)
def test_always_finite(values: list[float], low: float, high: float) -> None:
    with np.errstate(over="ignore"):
        narrow = np.array(values).astype(np.float32)
    for image in (np.array(values), narrow):
        scaled = Range(low, high).scaled(image)
        assert scaled.dtype == np.float32
        assert np.isfinite(scaled).all()
        assert np.abs(scaled).max() <= LIMIT


@settings(max_examples=60, deadline=None)
@given(shape=st.lists(st.integers(1, 3000), min_size=1, max_size=4).map(tuple))
def test_windows_are_few_and_inside(shape: tuple[int, ...]) -> None:
    windows = list(sample_windows(shape))
    total = 0
    for window in windows:
        assert all(0 <= w.start < w.stop <= n for w, n in zip(window, shape, strict=True))
        total += int(np.prod([w.stop - w.start for w in window]))
    size = int(np.prod(shape))
    assert total == size if size <= SAMPLES else SAMPLES // 8 <= total <= SAMPLES
    # none twice
    assert len({tuple((w.start, w.stop) for w in window) for window in windows}) == len(windows)


@pytest.mark.parametrize(
    "shape", [(3000, 4000), (60, 500, 500), (1500, 1500, 3), (2, 1, 2000, 900)]
)
def test_lazy_images_are_sampled(shape: tuple[int, ...]) -> None:
    # a slope along every axis: any corner left out would show
    image = sum(
        np.linspace(0, 100, n, dtype=np.float32).reshape(-1, *[1] * (len(shape) - 1 - i))
        for i, n in enumerate(shape)
    )
    lazy = Lazy(image)
    found = intensity_range(lazy)
    assert lazy.read <= SAMPLES
    low, high = np.percentile(image, [1, 99.8])
    assert found.low == pytest.approx(low, abs=15)
    assert found.high == pytest.approx(high, abs=15)
    assert found == intensity_range(image)


def test_a_hole_in_a_large_image() -> None:
    image = np.full((2000, 2000), np.nan, np.float32)
    image[0, :2] = [3, 4]
    assert intensity_range(image) == Range(3, 4)


def test_no_range() -> None:
    with pytest.raises(InputError, match=r"the image is empty \(shape \(0, 4\)\)"):
        intensity_range(np.zeros((0, 4)))
    with pytest.raises(InputError, match="no finite value"):
        intensity_range(np.full((4, 4), np.nan))
    with pytest.raises(InputError, match="no finite value"):
        intensity_range(Lazy(np.full((4, 4), np.inf)))
    with pytest.raises(InputError, match="complex128 values"):
        intensity_range(np.zeros((4, 4), complex))


@pytest.mark.parametrize(("low", "high"), [(-1, 99), (5, 5), (90, 10), (1, 101), (np.nan, 99)])
def test_percentiles_that_are_none(low: float, high: float) -> None:
    with pytest.raises(InputError, match="percentiles must rise between 0 and 100"):
        Percentiles(low=low, high=high)


def test_a_chunk_of_a_lazy_array_is_read_once() -> None:
    read: list[tuple[int, ...]] = []

    def page(block: np.ndarray, block_info: Any) -> np.ndarray:
        read.append(tuple(block_info[0]["chunk-location"]))
        return block

    image = np.random.default_rng(0).integers(0, 200, (1100, 1300), np.uint8)
    lazy = da.from_array(image, chunks=500).map_blocks(page, dtype=image.dtype)
    assert len(list(sample_windows(image.shape))) > 100
    assert intensity_range(lazy) == intensity_range(image)
    assert len(read) == len(set(read)) == 9


def test_a_z_score_by_hand() -> None:
    values = np.repeat([10.0, 30.0], 500)
    image = np.append(values, np.zeros(3000)).reshape(40, 100)  # what surrounds a masked head
    found = intensity_range(image, ZScore(clip=3))
    assert (found.low, found.high, found.least, found.most) == (20, 30, -3, 3)
    np.testing.assert_allclose(found.scaled(np.array([10, 20, 30, 1e6, -1e6])), [-1, 0, 1, 3, -3])


def test_a_hot_pixel_does_not_move_a_z_score() -> None:
    image = np.random.default_rng(0).normal(100, 10, (100, 100))
    plain = intensity_range(image, ZScore())
    image[3, 3] = 1e9
    assert intensity_range(image, ZScore()).low == pytest.approx(plain.low, abs=0.1)
    assert intensity_range(image, ZScore()).high == pytest.approx(plain.high, abs=0.1)


@pytest.mark.parametrize("value", [0, 7])
def test_a_z_score_of_a_constant(value: float) -> None:
    image = np.full((5, 5), value)
    assert not intensity_range(image, ZScore()).scaled(image).any()


def test_a_window_is_the_same_for_every_image() -> None:
    found = intensity_range(np.array([[-1000, 3000]]), FixedWindow(low=-160, high=240))
    np.testing.assert_allclose(
        found.scaled(np.array([-1000, -160, 40, 240, 900])), [0, 0, 0.5, 1, 1]
    )


def test_settings_say_which() -> None:
    assert intensity_of({}) == Percentiles()
    assert intensity_of({"low": 2, "high": 98}) == Percentiles(low=2, high=98)
    assert intensity_of({"zscore": 4.0}) == ZScore(clip=4)
    assert intensity_of({"window": [-160, 240]}) == FixedWindow(low=-160, high=240)


@pytest.mark.parametrize(
    "setting",
    [
        {"zscore": 0},
        {"zscore": "x"},
        {"window": [240, -160]},
        {"window": [1]},
        {"window": [0, float("inf")]},
        {"low": 99, "high": 1},
        {"zscore": 5, "window": [0, 1]},
        {"other": 1},
    ],
)
def test_settings_that_make_no_sense(setting: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        intensity_of(setting)
