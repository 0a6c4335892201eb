"""Files of many makers: the small ones that are here, and all where they are."""

from __future__ import annotations

import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.pixels import apply_color_lut, apply_modality_lut

from napari_medai.core.errors import InputError
from napari_medai.io.dicom.files import holds_dicom
from napari_medai.io.dicom.reader import read_dicom

SMALL = [
    "MR_small_RLE.dcm",
    "JPEG2000.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "ExplVR_BigEnd.dcm",
    "image_dfl.dcm",
]
OTHER = ("SEG", "SM", "RTDOSE")


def expected(path: Path) -> np.ndarray | None:
    """The values by pydicom, as stored; None where it cannot read them."""
    try:
        dataset = pydicom.dcmread(path, force=True)
        array = dataset.pixel_array
        if dataset.PhotometricInterpretation == "PALETTE COLOR":
            return np.asarray(apply_color_lut(array, dataset))[..., :3]
        if dataset.PhotometricInterpretation == "MONOCHROME1":
            array = 2**dataset.BitsStored - 1 - array
        if "PerFrameFunctionalGroupsSequence" in dataset or dataset.SamplesPerPixel == 3:
            return array  # a modality LUT is not for colours
        return np.asarray(apply_modality_lut(array, dataset))
    except Exception:
        return None


def assert_equal(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = expected(path)
        dataset = pydicom.dcmread(path, force=True, stop_before_pixels=True)
    modality = dataset.get("Modality", "")
    if theirs is None:
        with suppress(InputError):
            read_dicom(path)
        return
    images = read_dicom(path)
    if modality in OTHER or len(images) > 1:
        return
    (image,) = images
    ours = np.asarray(image.levels[0])
    if image.stored is not None:
        ours = np.asarray(image.stored.stored_again(ours))
    ours = ours.squeeze()
    theirs = theirs.squeeze()
    if "PerFrameFunctionalGroupsSequence" in dataset:
        assert ours.size == theirs.size
        return
    if ours.shape != theirs.shape:
        assert len(ours) < len(theirs)
        theirs = theirs[: len(ours)]
    np.testing.assert_allclose(
        ours.astype(float), theirs.astype(float), rtol=1e-6, err_msg=path.name
    )


@pytest.mark.parametrize("name", SMALL)
def test_small_files_hold_what_pydicom_says(name: str, data: Path) -> None:
    assert expected(data / "dicom" / name) is not None
    assert_equal(data / "dicom" / name)


def test_all_files_hold_what_pydicom_says(real: Path) -> None:
    files = [p for p in sorted(real.rglob("*")) if p.is_file() and holds_dicom(p)]
    files = [p for p in files if "TINY_ALPHA" not in p.parts and p.name[:8] != "DICOMDIR"]
    assert len(files) > 250
    for path in files:
        assert_equal(path)


@pytest.mark.parametrize("folder", ["torchio_ct17", "totalseg_ct_jpeg2000/series", "lungmask_ct2"])
def test_real_series_lie_where_itk_says(folder: str, real: Path) -> None:
    (image,) = read_dicom(real / folder)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(real / folder)))
    theirs = reader.Execute()
    assert image.stored is not None
    data = SimpleITK.GetArrayFromImage(theirs)
    ours = np.asarray(image.stored.stored_again(image.levels[0]))
    np.testing.assert_array_equal(ours, data)
    for index in ([0, 0, 0], [n - 1 for n in data.shape], [data.shape[0] // 2, 5, 9]):
        place = image.stored.stored.affine @ [*index, 1]
        point = theirs.TransformIndexToPhysicalPoint(index[::-1])
        np.testing.assert_allclose(place[2::-1], point, atol=1e-3)


def test_enhanced_files_of_a_series_are_times(real: Path) -> None:
    import nibabel

    (image,) = read_dicom(real / "dcm_qa_enh" / "In" / "Siemens")
    assert image.axes == "TZYX"
    reference = nibabel.load(real / "dcm_qa_enh/Ref/Siemens_REST1_w_SMS_PF7-8_6.nii")
    assert image.grid is not None
    ours, theirs = np.asarray(image.levels[0]), np.asarray(reference.dataobj)
    to_ras = reference.affine
    for index in ((0, 0, 0), (3, 40, 20), (5, 11, 50)):
        z, y, x = image.grid.affine[:3, :3] @ index + image.grid.affine[:3, 3]
        i, j, k = np.rint(np.linalg.inv(to_ras) @ [-x, -y, z, 1])[:3].astype(int)
        np.testing.assert_array_equal(ours[(slice(None), *index)], theirs[i, j, k])
