from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import generate_uid

from napari_medai.io.dicom.reader import read_dicom


def test_each_series_is_a_layer(series: Callable[..., Path], make: Any, tmp_path: Path) -> None:
    series(make.phantom(), folder="all/a/b", SeriesInstanceUID="1.1", SeriesNumber=3)
    series(make.phantom(3), folder="all", SeriesInstanceUID="1.2", SeriesNumber=2, modality="MR")
    series(make.phantom(2), folder="all/c", SeriesInstanceUID="1.3", StudyInstanceUID="0.9")
    images = read_dicom(tmp_path / "all")
    assert [image.name for image in images] == ["CT 5×6×2", "MR 2", "CT 3"]
    assert [image.image.shape for image in images] == [(2, 6, 5), (3, 6, 5), (4, 6, 5)]


def test_two_directions_are_two_layers(series: Callable[..., Path], make: Any) -> None:
    series(make.phantom(3))
    folder = series(make.phantom(4), orientation=(0, 1, 0, 0, 0, -1))
    images = read_dicom(folder)
    assert sorted(image.levels[0].size for image in images) == [90, 120]
    assert "2 kinds of pictures" in images[0].notes[0]


def test_a_localizer_is_apart(series: Callable[..., Path], make: Any) -> None:
    series(make.phantom(3), ImageType="ORIGINAL\\PRIMARY\\AXIAL")
    folder = series(make.phantom(1), ImageType="ORIGINAL\\PRIMARY\\LOCALIZER", origin=(0, 0, 90))
    assert sorted(image.image.shape[0] for image in read_dicom(folder)) == [1, 3]


def test_a_copy_is_shown_once(series: Callable[..., Path], make: Any) -> None:
    folder = series(make.phantom())
    file = sorted(folder.iterdir())[0]
    shutil.copy(file, folder / "copy of it")
    (image,) = read_dicom(folder)
    np.testing.assert_array_equal(np.asarray(image.levels[0]), make.phantom())
    assert image.notes == ("1 picture is there twice; one is shown",)


def test_a_second_slice_at_a_place_is_told(series: Callable[..., Path], make: Any) -> None:
    series(make.phantom())
    folder = series(make.phantom(1) + 9, InstanceNumber=77)
    (image,) = read_dicom(folder)
    np.testing.assert_array_equal(np.asarray(image.levels[0]), make.phantom())
    assert "1 slice lies at a place that another has already" in image.notes[0]


@pytest.mark.parametrize(
    ("keyword", "values", "axis", "unit", "step"),
    [
        ("EchoTime", (4.6, 9.2), "E", None, None),
        ("TemporalPositionIdentifier", (1, 2), "T", None, None),
        ("AcquisitionNumber", (1, 2), "T", None, None),
        ("TriggerTime", (0, 40), "T", "second", 0.04),
        ("DiffusionBValue", (0.0, 800.0), "B", None, None),
        ("KVP", (80, 140), "E", None, None),
        (None, (0, 0), "T", None, None),
    ],
)
def test_what_is_taken_twice_becomes_an_axis(
    keyword: str | None,
    values: tuple[float, float],
    axis: str,
    unit: str | None,
    step: float | None,
    series: Callable[..., Path],
    make: Any,
) -> None:
    data = np.stack([make.phantom(), make.phantom() + 500])
    for number in (1, 0):  # the later one is written first
        tags = {keyword: values[number]} if keyword else {}
        numbers = [4 * number + n + 1 for n in range(4)]
        folder = series(data[number], modality="MR", InstanceNumber=numbers, **tags)
    (image,) = read_dicom(folder)
    assert image.axes == axis + "ZYX"
    np.testing.assert_array_equal(np.asarray(image.levels[0]), data)
    assert image.units.get(axis) == unit
    assert image.spacing.get(axis) == (pytest.approx(step) if step else None)
    assert bool(image.notes) == (keyword is None)


def test_times_and_echoes_are_two_axes(series: Callable[..., Path], make: Any) -> None:
    data = np.stack([make.phantom() + 100 * n for n in range(6)]).reshape(3, 2, 4, 6, 5)
    for t in range(3):
        for e in range(2):
            folder = series(
                data[t, e],
                modality="MR",
                TemporalPositionIdentifier=t + 1,
                TemporalResolution=1500,
                EchoTime=5.0 * (e + 1),
            )
    (image,) = read_dicom(folder)
    assert image.axes == "TEZYX"
    np.testing.assert_array_equal(np.asarray(image.levels[0]), data)
    assert image.spacing["T"] == 1.5
    assert image.metadata["axis E"] == [5.0, 10.0]


def test_magnitude_and_phase_are_layers(series: Callable[..., Path], make: Any) -> None:
    series(make.phantom(), modality="MR", ImageType="ORIGINAL\\PRIMARY\\M\\FFE")
    folder = series(make.phantom() + 7, modality="MR", ImageType="ORIGINAL\\PRIMARY\\P\\FFE")
    assert [image.axes for image in read_dicom(folder)] == ["ZYX", "ZYX"]


def test_acquisitions_of_other_ranges_are_layers(series: Callable[..., Path], make: Any) -> None:
    series(make.phantom(4), AcquisitionNumber=1)
    folder = series(make.phantom(3), AcquisitionNumber=2, origin=(-30, 12.5, 9.5))
    assert [image.image.shape[0] for image in read_dicom(folder)] == [4, 3]


def test_a_cine_has_time(make: Any, tmp_path: Path) -> None:
    frames = make.phantom(7).astype(np.uint8)
    dataset = make.header(
        "US", NumberOfFrames=7, FrameTime=40, BitsAllocated=8, BitsStored=8, HighBit=7
    )
    region = make.header("US", SOPClassUID=None, Modality=None)
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX, region.PhysicalDeltaY = 0.02, 0.03
    dataset.SequenceOfUltrasoundRegions = [region]
    (image,) = read_dicom(make.save(tmp_path / "cine", dataset, frames))
    np.testing.assert_array_equal(np.asarray(image.levels[0]), frames)
    assert image.axes == "TYX"
    assert image.spacing == pytest.approx({"T": 0.04, "Y": 0.3, "X": 0.2})
    assert image.units == {"T": "second", "Y": "millimeter", "X": "millimeter"}


def test_an_enhanced_file_is_sorted_by_place_and_time(make: Any, tmp_path: Path) -> None:
    data = np.stack([make.phantom(), make.phantom() + 500])
    order = np.random.default_rng(1).permutation(8)
    item = type(make.header())
    shared, groups = item(), []
    orientation, measures = item(), item()
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures.PixelSpacing, measures.SliceThickness = [0.7, 1.1], 2.5
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    for number in order:
        time, z = divmod(int(number), 4)
        group, place, content, rescale = item(), item(), item(), item()
        place.ImagePositionPatient = [0, 0, 2.5 * z]
        content.DimensionIndexValues = [z + 1, time + 1]
        content.TemporalPositionIndex = time + 1
        rescale.RescaleSlope, rescale.RescaleIntercept = 2, -1000
        group.PlanePositionSequence, group.FrameContentSequence = [place], [content]
        group.PixelValueTransformationSequence = [rescale]
        groups.append(group)
    dataset = make.header("MR", NumberOfFrames=8, SOPClassUID="1.2.840.10008.5.1.4.1.1.4.1")
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = groups
    pixels = data.reshape(8, 6, 5)[order]
    (image,) = read_dicom(make.save(tmp_path / "enhanced.dcm", dataset, pixels))
    assert image.axes == "TZYX"
    np.testing.assert_array_equal(np.asarray(image.levels[0]), data.astype(np.int32) * 2 - 1000)
    assert image.spacing == pytest.approx({"Z": 2.5, "Y": 0.7, "X": 1.1})


def test_an_intercept_of_zero_of_a_frame_counts(make: Any, tmp_path: Path) -> None:
    item = type(make.header())
    groups = []
    for intercept in (0, -10):
        group, rescale = item(), item()
        rescale.RescaleSlope, rescale.RescaleIntercept = 2, intercept
        group.PixelValueTransformationSequence = [rescale]
        groups.append(group)
    dataset = make.header("CT", NumberOfFrames=2, RescaleSlope=1, RescaleIntercept=-1024)
    dataset.PerFrameFunctionalGroupsSequence = groups
    data = make.phantom(2)
    (image,) = read_dicom(make.save(tmp_path / "enhanced.dcm", dataset, data))
    expected = data.astype(np.int32) * 2 - np.array([0, 10])[:, None, None]
    np.testing.assert_array_equal(np.asarray(image.levels[0]), expected)


def test_pictures_without_a_place_follow_their_numbers(make: Any, tmp_path: Path) -> None:
    data = make.phantom(3)
    for number, name in ((2, "a"), (0, "b"), (1, "c")):
        dataset = make.header("CR", InstanceNumber=number, SOPInstanceUID=generate_uid())
        make.save(tmp_path / "cr" / name, dataset, data[number])
    (image,) = read_dicom(tmp_path / "cr")
    assert (image.axes, image.grid) == ("NYX", None)
    np.testing.assert_array_equal(np.asarray(image.levels[0]), data)


def test_files_whose_series_was_taken_out_stay_together(
    series: Callable[..., Path], make: Any
) -> None:
    (image,) = read_dicom(series(make.phantom(), SeriesInstanceUID=""))
    np.testing.assert_array_equal(np.asarray(image.levels[0]), make.phantom())
