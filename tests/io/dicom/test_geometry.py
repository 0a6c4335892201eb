from __future__ import annotations

from collections.abc import Callable
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK

from napari_medai.io.dicom.reader import read_dicom
from napari_medai.io.image_data import ImageData

UNIT = np.eye(3)
DIRECTIONS = [
    (*(s * UNIT[a]), *(t * UNIT[b]))
    for a, b in permutations(range(3), 2)
    for s, t in product((1, -1), repeat=2)
]
C, S = np.cos(0.3), np.sin(0.3)
OBLIQUE = [
    (C, S, 0, -S, C, 0),
    (C, 0, -S, 0, 1, 0),
    (0, C, S, 0, -S, C),
    (*(np.array([2, 1, 2]) / 3), *(np.array([-2, 2, 1]) / 3)),
]


def places_by_itk(folder: Path) -> dict[int, np.ndarray]:
    """Where SimpleITK says that every voxel lies, by its value: (S, P, L)."""
    files = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(files)
    image = reader.Execute()
    data = SimpleITK.GetArrayFromImage(image)
    return {
        int(data[index]): np.array(
            image.TransformContinuousIndexToPhysicalPoint([float(n) for n in index[::-1]])[::-1]
        )
        for index in np.ndindex(data.shape)
    }


def places_by_us(image: ImageData) -> dict[int, np.ndarray]:
    assert image.grid is not None
    data, affine = np.asarray(image.levels[0]), image.grid.affine
    return {
        int(data[index]): affine[:3, :3] @ np.array(index) + affine[:3, 3]
        for index in np.ndindex(data.shape)
    }


def assert_same(ours: dict[int, np.ndarray], theirs: dict[int, np.ndarray]) -> None:
    assert ours.keys() == theirs.keys()
    keys = list(ours)
    np.testing.assert_allclose(
        np.array([ours[k] for k in keys]), np.array([theirs[k] for k in keys]), atol=1e-3
    )


@pytest.mark.parametrize("orientation", [*DIRECTIONS, *OBLIQUE], ids=str)
@pytest.mark.parametrize("step", [2.5, -2.5])
def test_every_voxel_lies_where_itk_says(
    orientation: tuple[float, ...], step: float, series: Callable[..., Path], make: Any
) -> None:
    folder = series(make.phantom(), orientation=orientation, step=step)
    (image,) = read_dicom(folder)
    assert image.axes == "ZYX"
    assert image.units == dict.fromkeys("ZYX", "millimeter")
    assert not image.notes
    assert_same(places_by_us(image), places_by_itk(folder))
    # upright: each axis runs up its own axis of the world
    assert image.grid is not None
    direction = image.grid.direction
    assert (np.diag(direction) > 0).all()
    if orientation in DIRECTIONS:
        np.testing.assert_allclose(direction, np.eye(3), atol=1e-9)


def test_the_letter_is_seen_as_it_was_written(series: Callable[..., Path], make: Any) -> None:
    data = make.phantom()
    (image,) = read_dicom(series(data))
    np.testing.assert_array_equal(np.asarray(image.levels[0]), data)
    (back,) = read_dicom(series(data, folder="down", step=-2.5))
    np.testing.assert_array_equal(np.asarray(back.levels[0]), data[::-1])
    assert back.stored is not None
    assert image.spacing == pytest.approx({"Z": 2.5, "Y": 0.7, "X": 1.1})


def test_a_leaning_stack_keeps_its_places(series: Callable[..., Path], make: Any) -> None:
    data = make.phantom()
    way = np.array([0.0, 0.8, 2.5])
    (image,) = read_dicom(series(data, step=way))
    assert any("leans by 17.7°" in note for note in image.notes)
    ours = places_by_us(image)
    for (k, j, i), value in np.ndenumerate(data):
        x, y, z = np.array([-30, 12.5, 7]) + k * way + np.array([i * 1.1, j * 0.7, 0])
        np.testing.assert_allclose(ours[int(value)], [z, y, x], atol=1e-6)


def test_a_missing_slice_is_told_and_not_made_up(series: Callable[..., Path], make: Any) -> None:
    data = make.phantom(6)
    kept = [0, 1, 2, 4, 5]
    places = make.positions(6, (1, 0, 0, 0, 1, 0), 2.5, (0, 0, 0))[kept]
    (image,) = read_dicom(series(data[kept], places=places))
    np.testing.assert_array_equal(np.asarray(image.levels[0]), data[kept])
    assert image.spacing["Z"] == pytest.approx(2.5)
    (note,) = image.notes
    assert "1 slice is missing (after slice 3)" in note
    assert "deviate by up to 2.5 mm" in note


def test_uneven_slices_are_told(series: Callable[..., Path], make: Any) -> None:
    heights = np.array([0, 2, 4, 7, 9.0])
    places = np.stack([np.zeros(5), np.zeros(5), heights], axis=1)
    (image,) = read_dicom(series(make.phantom(5), places=places))
    assert image.spacing["Z"] == pytest.approx(2)
    (note,) = image.notes
    assert "slices are 2 to 3 mm apart" in note
    assert "deviate by up to 1 mm" in note


def test_rounded_positions_are_even(series: Callable[..., Path], make: Any) -> None:
    heights = np.round(np.arange(40) * (10 / 3), 2)
    places = np.stack([np.zeros(40), np.zeros(40), heights], axis=1)
    (image,) = read_dicom(series(make.phantom(40), places=places))
    assert not image.notes
    assert image.spacing["Z"] == pytest.approx(heights[-1] / 39)


def test_a_lone_slice_lies_in_the_patient_if_it_is_axial(
    series: Callable[..., Path], make: Any
) -> None:
    data = make.phantom(1)
    (image,) = read_dicom(series(data, SliceThickness=4))
    assert image.axes == "ZYX"
    assert image.spacing["Z"] == 4
    (side,) = read_dicom(series(data, folder="side", orientation=(0, 1, 0, 0, 0, -1)))
    assert (side.axes, side.grid) == ("YX", None)
    assert side.spacing == {"Y": 0.7, "X": 1.1}
    np.testing.assert_array_equal(np.asarray(side.levels[0]), data[0])


@pytest.mark.parametrize("spacing", [(0.0, 1.0), (-1.0, 1.0), (1e9, 1.0)])
def test_spacing_that_cannot_be_is_none(
    spacing: tuple[float, float], series: Callable[..., Path], make: Any
) -> None:
    (image,) = read_dicom(series(make.phantom(), spacing=spacing))
    assert any("which cannot be; shown without size" in note for note in image.notes)
    assert image.grid is None
    assert image.axes == "ZYX"
    assert image.image.shape == (4, 6, 5)


@pytest.mark.parametrize(
    "orientation", [(0, 0, 0, 0, 0, 0), (1, 0, 0, 1, 0, 0), (1, 0, 0, 0.5, 0.8, 0)]
)
def test_directions_that_are_none_give_plain_pictures(
    orientation: tuple[float, ...], series: Callable[..., Path], make: Any
) -> None:
    (image,) = read_dicom(series(make.phantom(), orientation=orientation))
    assert (image.axes, image.grid) == ("NYX", None)
    assert any("which cannot be; not placed" in note for note in image.notes)
    np.testing.assert_array_equal(np.asarray(image.levels[0]), make.phantom())
