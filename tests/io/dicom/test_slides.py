from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest

from napari_medai.core.errors import InputError
from napari_medai.io.dicom.reader import read_dicom
from napari_medai.io.layer_data import layer_data


@pytest.fixture
def slide(data: Path) -> Path:
    return data / "dicom" / "sm_image_jpegls.dcm"


def test_a_slide_is_put_together(slide: Path) -> None:
    (image,) = read_dicom(slide)
    frames = pydicom.dcmread(slide).pixel_array
    whole = frames.reshape(5, 5, 10, 10, 3).swapaxes(1, 2).reshape(50, 50, 3)
    picture = image.levels[0]
    np.testing.assert_array_equal(np.asarray(picture), whole)
    np.testing.assert_array_equal(np.asarray(picture[7:33:3, 41]), whole[7:33:3, 41])
    np.testing.assert_array_equal(np.asarray(picture[::-1, 3:4, 1]), whole[::-1, 3:4, 1])
    assert (image.axes, image.rgb, image.grid) == ("YXC", True, None)
    assert image.units == {"Y": "micrometer", "X": "micrometer"}
    spacing = pydicom.dcmread(slide).SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert image.spacing["Y"] == pytest.approx(spacing.PixelSpacing[0] * 1000)


def test_instances_are_levels_and_the_label_is_not_shown(slide: Path, tmp_path: Path) -> None:
    shutil.copy(slide, tmp_path / "b.dcm")
    small = pydicom.dcmread(slide)
    small.decompress()
    frames = small.pixel_array.reshape(5, 5, 10, 10, 3).swapaxes(1, 2).reshape(50, 50, 3)
    half = np.zeros((30, 30, 3), np.uint8)
    half[:25, :25] = frames[::2, ::2]
    small.SOPInstanceUID = small.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    small.TotalPixelMatrixRows = small.TotalPixelMatrixColumns = 25
    small.NumberOfFrames = 9
    small.DimensionOrganizationType = "TILED_FULL"
    tiles = half.reshape(3, 10, 3, 10, 3).swapaxes(1, 2)
    small.PixelData = tiles.tobytes()
    small.pop("PerFrameFunctionalGroupsSequence", None)
    small.save_as(tmp_path / "a.dcm")
    small.ImageType = ["ORIGINAL", "PRIMARY", "LABEL", "NONE"]
    small.SOPInstanceUID = small.file_meta.MediaStorageSOPInstanceUID = "1.2.3.5"
    small.save_as(tmp_path / "label.dcm")
    (image,) = read_dicom(tmp_path)
    assert [level.shape for level in image.levels] == [(50, 50, 3), (25, 25, 3)]
    np.testing.assert_array_equal(np.asarray(image.levels[1]), frames[::2, ::2])
    assert "label" in image.notes[-1]
    _, options, _ = layer_data(image)
    assert options["multiscale"]
    assert options["rgb"]
    with pytest.raises(InputError, match="may tell of whom it is"):
        read_dicom(tmp_path / "label.dcm")
