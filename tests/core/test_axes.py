"""Arrays that know their axes."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest

from napari_medai.core.axes import ArrayLike, AxesArray, guessed_axes
from napari_medai.core.errors import InputError, MedaiError

SIZES = {"T": 2, "C": 3, "Z": 4, "Y": 5, "X": 6}


class Lazy:
    """An array like dask's: slicing and transposing are free, reading is counted."""

    def __init__(self, values: np.ndarray, counter: list[int] | None = None) -> None:
        self.values = values
        self.counter = [0] if counter is None else counter

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.values.dtype

    def __getitem__(self, key: Any) -> Lazy:
        return Lazy(self.values[key], self.counter)

    def transpose(self, order: tuple[int, ...]) -> Lazy:
        return Lazy(self.values.transpose(order), self.counter)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        self.counter[0] += self.values.size
        return np.array(self.values, dtype=dtype)


class Plain:
    """An array like zarr's: it can be sliced, nothing more; what is sliced is read."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        self.shape = values.shape
        self.dtype = values.dtype
        self.read = 0

    def __getitem__(self, key: Any) -> np.ndarray:
        part = self.values[key]
        self.read += part.size
        return part

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self[...], dtype=dtype)


def numbered(axes: str) -> np.ndarray:
    """An array in which every value tells its position along every axis."""
    result = np.zeros([SIZES[a] for a in axes], int)
    for i, axis in enumerate(axes):
        digit = 10 ** "TCZYX".index(axis)
        along = np.arange(SIZES[axis]).reshape([-1 if j == i else 1 for j in range(len(axes))])
        result = result + digit * along
    return result


@pytest.mark.parametrize("axes", ["YX", "ZYX", "CYX", "TCZYX"])
def test_every_order_there_and_back(axes: str) -> None:
    image = AxesArray(numbered(axes), axes, {"X": 0.5, "Y": 0.25}, {"X": "micrometer"})
    for order in map("".join, permutations(axes)):
        there = image.moved_to(order)
        assert there.axes == order
        assert there.sizes == {axis: SIZES[axis] for axis in order}
        np.testing.assert_array_equal(there.data, numbered(order))
        assert (there.spacing, there.units) == (image.spacing, image.units)
        back = there.moved_to(axes)
        np.testing.assert_array_equal(back.data, image.data)
        assert back.axes == axes


def test_nothing_moved_is_nothing_made() -> None:
    image = AxesArray(numbered("ZYX"), "ZYX")
    assert image.moved_to("ZYX") is image
    assert np.shares_memory(image.moved_to("XZY").data, image.data)


def test_missing_axes_are_added() -> None:
    image = AxesArray(numbered("XY"), "XY")
    moved = image.moved_to("TYCX")
    assert moved.shape == (1, 5, 1, 6)
    np.testing.assert_array_equal(moved.data[0, :, 0], numbered("YX"))


def test_axes_of_length_one_are_dropped() -> None:
    image = AxesArray(numbered("YX")[None, :, None, :], "TYCX", {"T": 3.0, "Y": 2.0})
    moved = image.moved_to("XY")
    np.testing.assert_array_equal(moved.data, numbered("XY"))
    assert moved.spacing == {"Y": 2.0}
    swapped = image.moved_to("ZXY")
    np.testing.assert_array_equal(swapped.data[0], numbered("XY"))


def test_longer_axes_are_not_lost() -> None:
    text = r"axis T has 2 positions and does not fit into axes 'YX'; choose one position"
    with pytest.raises(InputError, match=text):
        AxesArray(numbered("TYX"), "TYX").moved_to("YX")


def test_positions_and_windows() -> None:
    image = AxesArray(numbered("TCZYX"), "TCZYX", {"Z": 2.0, "T": 3.0}, {"T": "second"})
    one = image.at(T=1, C=2)
    assert (one.axes, one.spacing, one.units) == ("ZYX", {"Z": 2.0}, {})
    np.testing.assert_array_equal(one.data, numbered("TCZYX")[1, 2])
    window = image.cropped(Y=slice(1, 3), X=slice(2, None))
    np.testing.assert_array_equal(window.data, numbered("TCZYX")[..., 1:3, 2:])
    assert window.axes == "TCZYX"
    assert list(image.positions("TC"))[:4] == [
        {"T": 0, "C": 0},
        {"T": 0, "C": 1},
        {"T": 0, "C": 2},
        {"T": 1, "C": 0},
    ]
    assert list(image.positions("")) == [{}]


def test_kinds_of_axes() -> None:
    image = AxesArray(np.zeros((1, 2, 3, 4, 5)), "TYCXP", {"Y": 0.5})
    assert (image.space, image.series) == ("YX", "TP")
    assert (image.step("Y"), image.step("X")) == (0.5, 1.0)
    assert image.shape == (1, 2, 3, 4, 5)


def test_lazy_arrays_are_read_only_where_needed() -> None:
    data = Lazy(numbered("TCZYX"))
    image = AxesArray(data, "TCZYX")
    assert isinstance(data, ArrayLike)
    plane = image.at(T=1, Z=3).moved_to("YXC").cropped(X=slice(0, 2)).moved_to("CYX")
    assert data.counter == [0]
    np.testing.assert_array_equal(np.asarray(plane.data), numbered("TCZYX")[1, :, 3, :, :2])
    assert data.counter == [3 * 5 * 2]


def test_arrays_that_can_only_be_sliced() -> None:
    data = Plain(numbered("TCZYX"))
    image = AxesArray(data, "TCZYX")
    assert image.sizes == SIZES
    plane = image.at(T=0, C=1, Z=2)
    assert data.read == 0
    np.testing.assert_array_equal(plane.moved_to("XY").data, numbered("TCZYX")[0, 1, 2].T)
    assert data.read == 5 * 6
    np.testing.assert_array_equal(
        AxesArray(data, "TCZYX").moved_to("XYZCT").data, numbered("XYZCT")
    )


@pytest.mark.parametrize(
    ("axes", "text"),
    [
        ("YX", r"axes 'YX' name 2 dimensions, but the array has 3; set the axes"),
        ("", r"axes '' name 0 dimensions, but the array has 3"),
        ("YXX", r"axes 'YXX' must be different capital letters"),
        ("zyx", r"axes 'zyx' must be different capital letters"),
        ("ZY1", r"must be different capital letters \(T time, C channel, Z Y X space\)"),
    ],
)
def test_axes_that_do_not_fit(axes: str, text: str) -> None:
    with pytest.raises(InputError, match=text):
        AxesArray(np.zeros((2, 3, 4)), axes)


@pytest.mark.parametrize("dtype", [complex, object, "U3", "M8[s]"])
def test_values_that_are_no_numbers(dtype: Any) -> None:
    with pytest.raises(InputError, match="values, but real numbers are needed"):
        AxesArray(np.zeros((2, 2), dtype), "YX")


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float64])
def test_values_that_are_numbers(dtype: type) -> None:
    assert AxesArray(np.zeros((2, 2), dtype), "YX").data.dtype == dtype


@pytest.mark.parametrize("step", [0.0, -1.0, np.nan, np.inf])
def test_spacing_that_is_none(step: float) -> None:
    with pytest.raises(InputError, match="spacing along X must be a positive number, got"):
        AxesArray(np.zeros((2, 2)), "YX", {"X": step})


@pytest.mark.parametrize(
    ("shape", "rgb", "axes"),
    [
        ((5, 6), False, "YX"),
        ((4, 5, 6), False, "ZYX"),
        ((2, 4, 5, 6), False, "TZYX"),
        ((5, 6, 3), True, "YXC"),
        ((4, 5, 6, 4), True, "ZYXC"),
    ],
)
def test_guessed_axes(shape: tuple[int, ...], rgb: bool, axes: str) -> None:
    assert guessed_axes(shape, rgb=rgb) == axes


@pytest.mark.parametrize(
    ("shape", "rgb", "text"),
    [
        ((), False, r"at least two dimensions, got an array of shape \(\)"),
        ((5,), False, r"at least two dimensions, got an array of shape \(5,\)"),
        ((5, 3), True, "at least two dimensions"),
        ((1, 2, 3, 4, 5), False, r"shape \(1, 2, 3, 4, 5\) cannot be guessed; give them"),
    ],
)
def test_axes_that_cannot_be_guessed(shape: tuple[int, ...], rgb: bool, text: str) -> None:
    with pytest.raises(InputError, match=text):
        guessed_axes(shape, rgb=rgb)


def test_errors_can_be_caught_as_one() -> None:
    with pytest.raises(MedaiError):
        AxesArray(np.zeros(3), "YX")
    with pytest.raises(ValueError, match="dimensions"):
        AxesArray(np.zeros(3), "YX")
