from __future__ import annotations

import tracemalloc
from math import hypot
from typing import Any

import dask.array as da
import numpy as np
import pytest

from napari_medai.core import measures
from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.measures import INTENSITIES, Measurements, measure_steps
from napari_medai.core.ruler import Ruler
from napari_medai.core.steps import Step, finished

MM = Ruler(np.diag([2.0, 0.5, 0.5]), "mm")
FLAT = Ruler(np.diag([0.5, 0.25]), "mm")


def measured(
    labels: Any, ruler: Ruler = MM, *, image: Any = None, axes: str = "ZYX", over: str = ""
) -> Measurements:
    pixels = None if image is None else AxesArray(image, over or axes)
    return finished(measure_steps(AxesArray(labels, axes), ruler, image=pixels))


def boxes() -> np.ndarray:
    """Label 7, a box of 3 x 4 x 5; label 4, two parts in one plane, one pixel in another."""
    labels = np.zeros((6, 12, 12), np.int32)
    labels[1:4, 2:6, 3:8] = 7
    labels[5, 0, 0:3] = 4
    labels[5, 0, 9:11] = 4
    labels[0, 11, 11] = 4
    return labels


def test_values_worked_out_by_hand() -> None:
    image = np.zeros((6, 12, 12), np.int16)
    image[1:4, 2:6, 3:8] = 50
    image[1, 2, 3] = -10
    image[5, 0] = np.arange(12) * 10
    image[0, 11, 11] = -1000
    found = measured(boxes(), image=image)
    table = found.features
    assert list(table) == [
        *("index", "volume_ml", "surface_mm2", "longest_diameter_mm", "diameter-z"),
        *("mean_intensity", "sd_intensity", "min_intensity", "max_intensity"),
        *("centroid-z", "centroid-y", "centroid-x"),
    ]
    np.testing.assert_array_equal(table["index"], [4, 7])
    np.testing.assert_allclose(table["volume_ml"], [6 * 0.5e-3, 60 * 0.5e-3])
    np.testing.assert_allclose(table["longest_diameter_mm"], [1.5, hypot(3, 5) / 2])
    np.testing.assert_array_equal(table["diameter-z"], [5, 1])
    values = [0, 10, 20, 90, 100, -1000]
    others = [*[50] * 59, -10]
    np.testing.assert_allclose(table["mean_intensity"], [np.mean(values), np.mean(others)])
    np.testing.assert_allclose(table["sd_intensity"], [np.std(values), np.std(others)])
    np.testing.assert_array_equal(table["min_intensity"], [-1000, -10])
    np.testing.assert_array_equal(table["max_intensity"], [100, 50])
    centres = [found.features[f"centroid-{axis}"][1] for axis in "zyx"]
    np.testing.assert_allclose(centres, [2, 3.5, 5])
    np.testing.assert_array_equal(found.diameters[0], [[5, 0, -0.5], [5, 0, 2.5]])
    ends = found.diameters[1] * MM.steps
    assert np.linalg.norm(ends[1] - ends[0]) == pytest.approx(hypot(3, 5) / 2)


def test_surfaces_of_a_ball_and_a_box_that_touches_the_border() -> None:
    labels = np.zeros((30, 60, 100), np.uint8)
    z, y, x = np.ogrid[:30, :60, :100]
    labels[(2 * (z - 15)) ** 2 + (y - 30) ** 2 + (x - 40) ** 2 <= 24**2] = 1
    labels[:, :, 80:] = 3
    table = measured(labels, Ruler(np.diag([2.0, 1, 1]), "um")).features
    expected = [4 * np.pi * 24**2, 2 * (60 * 60 + 60 * 20 + 60 * 20)]
    np.testing.assert_allclose(table["surface_um2"], expected, rtol=0.04)
    assert table["volume_um3"][0] == pytest.approx(4 / 3 * np.pi * 24**3, rel=0.01)
    assert table["volume_um3"][1] == 60 * 60 * 20
    assert table["longest_diameter_um"][0] == pytest.approx(48, abs=1)


def test_planes_have_areas() -> None:
    labels = np.zeros((5, 9), np.int64)
    labels[1, 2:7] = 10**12
    labels[4, 8] = 2
    found = measured(labels, FLAT, axes="YX", image=labels + 1.0)
    assert "surface_mm2" not in found.features
    assert "diameter-z" not in found.features
    np.testing.assert_array_equal(found.features["index"], [2, 10**12])
    np.testing.assert_allclose(found.features["area_mm2"], [0.125, 5 * 0.125])
    np.testing.assert_allclose(found.features["longest_diameter_mm"], [0.5, 1.25])
    np.testing.assert_array_equal(found.features["mean_intensity"], [3, 10**12 + 1])
    np.testing.assert_array_equal(found.diameters[1], [[1, 1.5], [1, 6.5]])


def test_a_pixel_without_a_unit_counts_as_in_other_tables() -> None:
    table = measured(np.ones((2, 2), np.uint8), Ruler(np.eye(2)), axes="YX").features
    assert table["area"] == 4
    assert list(table) == ["index", "area", "longest_diameter", "centroid-y", "centroid-x"]


def test_values_that_are_no_numbers_do_not_count() -> None:
    labels = np.array([[1, 1, 1, 2]])
    image = np.array([[4.0, np.nan, 8.0, np.inf]])
    table = measured(labels, FLAT, axes="YX", image=image).features
    rows = np.array([table[name] for name in INTENSITIES]).T
    np.testing.assert_array_equal(rows, [[6, 2, 4, 8], [np.nan] * 4])


def test_colours_are_measured_together() -> None:
    labels = np.array([[1, 0]])
    image = np.array([[[0, 3, 6], [9, 9, 9]]], np.uint8)
    table = measured(labels, FLAT, axes="YX", image=image, over="YXC").features
    assert (table["mean_intensity"], table["min_intensity"]) == (3, 0)


@pytest.mark.parametrize("labels", [np.zeros((3, 4, 5), np.uint8), -np.ones((1, 2, 2), np.int8)])
def test_nothing_gives_empty_columns(labels: np.ndarray) -> None:
    found = measured(labels, image=labels)
    assert {name: len(column) for name, column in found.features.items()} == dict.fromkeys(
        found.features, 0
    )
    assert found.diameters.shape == (0, 2, 3)


def test_a_series_has_a_row_for_each_label_of_each_frame() -> None:
    labels = np.zeros((2, 1, 3, 4), np.uint8)
    labels[0, 0, 0, :2] = 5
    labels[1, 0, 1, :] = 5
    labels[1, 0, 2, 3] = 6
    image = np.zeros((2, 3, 4))
    image[1] = 8
    found = measured(labels, FLAT, axes="TCYX", image=image, over="TYX")
    assert found.features["index"].tolist() == [5, 5, 6]
    assert found.features["t"].tolist() == [0, 1, 1]
    assert "c" not in found.features
    np.testing.assert_allclose(found.features["longest_diameter_mm"], [hypot(0.5, 0.25), 1, 0.5])
    np.testing.assert_array_equal(found.features["mean_intensity"], [0, 8, 8])
    np.testing.assert_array_equal(found.diameters[1], [[1, 0, 1, -0.5], [1, 0, 1, 3.5]])


def test_axes_in_another_order() -> None:
    labels = boxes()
    expected, found = measured(labels), measured(labels.transpose(2, 0, 1), axes="XZY")
    for name, column in expected.features.items():
        np.testing.assert_allclose(found.features[name], column)
    np.testing.assert_allclose(found.diameters, expected.diameters[..., [2, 0, 1]])


@pytest.mark.parametrize("held", [0, measures.HELD])
def test_lazy_ones_in_small_blocks_give_the_same(
    monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    labels = np.random.default_rng(3).integers(0, 3, (7, 9, 11)) * (boxes()[0, 0, 0] + 1)
    image = np.random.default_rng(4).normal(size=labels.shape)
    expected = measured(labels, image=image)
    monkeypatch.setattr(measures, "BLOCK", 150)
    monkeypatch.setattr(measures, "HELD", held)
    found = measured(da.from_array(labels, chunks=4), image=da.from_array(image, chunks=5))
    for name, column in expected.features.items():
        np.testing.assert_allclose(found.features[name], column, rtol=1e-6)
    np.testing.assert_array_equal(found.diameters, expected.diameters)


def test_lazy_data_are_read_once() -> None:
    read: list[str] = []

    def counted(block: np.ndarray, name: str) -> np.ndarray:
        read.append(name)
        return block

    def lazy(array: np.ndarray, name: str) -> da.Array:
        whole = da.from_array(array, chunks=(1, 12, 12))
        return whole.map_blocks(counted, name, dtype=array.dtype, meta=array[:0])

    labels = np.repeat(boxes(), 2, axis=0)
    labels[-1] = 9
    measured(lazy(labels, "labels"), image=lazy(1.0 * labels, "image"))
    assert {name: read.count(name) for name in read} == {"labels": 12, "image": 12}


@pytest.mark.parametrize("channels", [1, 3])
def test_a_large_object_takes_many_steps_and_little_memory(
    monkeypatch: pytest.MonkeyPatch, channels: int
) -> None:
    monkeypatch.setattr(measures, "BLOCK", 8192)
    labels = np.ones((64, 64, 64), np.uint8)
    image = np.random.default_rng(0).integers(0, 999, (*labels.shape, channels), np.int16)
    taken: list[int] = []

    def look(step: Step) -> None:
        taken.append(tracemalloc.get_traced_memory()[1] - tracemalloc.get_traced_memory()[0])
        tracemalloc.reset_peak()

    steps = measure_steps(AxesArray(labels, "ZYX"), MM, image=AxesArray(image, "ZYXC"))
    tracemalloc.start()
    try:
        table = finished(steps, look).features
        taken.append(tracemalloc.get_traced_memory()[1] - tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    expected = [image.mean(), image.std(), image.min(), image.max()]
    np.testing.assert_allclose([table[name][0] for name in INTENSITIES], expected)
    assert len(taken) > 32 * (2 + channels)
    # as 64-bit numbers the values alone are 2 MB a channel
    assert max(taken) < 1_500_000


def test_steps_rise_to_their_total() -> None:
    seen: list[Step] = []
    frames = np.stack([boxes(), boxes()])
    finished(measure_steps(AxesArray(frames, "TZYX"), MM), seen.append)
    assert {step.total for step in seen} == {200}
    assert [step.done for step in seen] == sorted(step.done for step in seen)
    assert "label 7, 2 of 2" in {step.text for step in seen}


def test_the_labels_are_left_alone() -> None:
    labels = boxes()
    labels.flags.writeable = False
    measured(labels, image=labels)


@pytest.mark.parametrize(
    ("labels", "axes", "image", "over", "words"),
    [
        (np.ones((2, 2, 2)), "ZYX", None, "", "whole numbers, got float64"),
        (np.ones((2, 2), int), "YX", None, "", "the ruler has 3 axes"),
        (np.ones((2, 2, 2), int), "TZX", None, "", "correct the axes"),
        (np.ones((2, 2, 2, 2), int), "CZYX", None, "", "one channel, got 2"),
        (np.ones((2, 2, 3), int), "ZYX", np.ones((2, 3, 2)), "ZYX", r"2 × 2 × 3 \(Z Y X\)"),
        (np.ones((2, 2, 3), int), "ZYX", np.ones((2, 3)), "YX", r"2 × 3 \(Y X\)"),
    ],
)
def test_what_does_not_fit_is_refused(
    labels: np.ndarray, axes: str, image: np.ndarray | None, over: str, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        measured(labels, axes=axes, image=image, over=over)
