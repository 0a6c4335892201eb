"""Files of many makers: the small ones that are here, and all where they are."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.pixels import apply_color_lut, apply_modality_lut

from napari_medai.core.errors import InputError
from napari_medai.io.dicom.files import holds_dicom
from napari_medai.io.dicom.reader import read_dicom
from napari_medai.io.image_data import ImageData

SMALL = [
    "MR_small_RLE.dcm",
    "JPEG2000.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "ExplVR_BigEnd.dcm",
    "image_dfl.dcm",
]
MISSING = ("JPEG-lossy.dcm", "JPGExtended.dcm", "OT-PAL-8-face.dcm", "too_short.dcm", "badVR.dcm")
"""Ends of the names of pictures that we read and pydicom does not."""


@pytest.fixture(autouse=True)
def _without_the_words_of_others() -> Iterator[None]:
    """pydicom warns and logs of what is odd in a file, which is the point of most of them."""
    logging.disable(logging.CRITICAL)
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(True)
    logging.disable(logging.NOTSET)


def files_in(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and holds_dicom(path)]


def expected(dataset: Any) -> np.ndarray | None:
    """The values by pydicom; None where it cannot read them."""
    try:
        array = dataset.pixel_array
        if dataset.PhotometricInterpretation == "PALETTE COLOR":
            return np.asarray(apply_color_lut(array, dataset))[..., :3]
        if dataset.PhotometricInterpretation == "MONOCHROME1":
            array = 2**dataset.BitsStored - 1 - array
        if dataset.get("Modality") == "RTDOSE":
            return array * float(dataset.DoseGridScaling)
        if "PerFrameFunctionalGroupsSequence" in dataset or dataset.SamplesPerPixel == 3:
            return array  # a modality LUT is not for colours, frames have their own
        return np.asarray(apply_modality_lut(array, dataset))
    except Exception:
        return None


def as_stored(image: ImageData) -> np.ndarray:
    data = np.asarray(image.levels[0])
    return data if image.stored is None else np.asarray(image.stored.stored_again(data))


def check_values(path: Path, dataset: Any, images: list[ImageData], theirs: np.ndarray) -> str:
    """Compare a file's values with those of pydicom or highdicom; what kind of file it is."""
    modality = dataset.get("Modality", "")
    if modality == "SEG":
        check_segments(path, images, theirs)
        return "segmentations"
    if modality == "SM":
        (image,) = images
        whole = highdicom.imread(path).get_total_pixel_matrix(apply_icc_profile=False)
        np.testing.assert_array_equal(as_stored(image), whole, err_msg=path.name)
        return "slides"
    if "PerFrameFunctionalGroupsSequence" in dataset:
        check_frames(dataset, images, theirs)
        return "enhanced"
    (image,) = images
    ours, theirs = as_stored(image).squeeze(), theirs.squeeze()
    if ours.shape != theirs.shape:  # cut short
        assert len(ours) < len(theirs)
        assert any("cut short" in note for note in image.notes)
        theirs = theirs[: len(ours)]
    np.testing.assert_allclose(
        ours.astype(float), theirs.astype(float), rtol=1e-6, err_msg=path.name
    )
    return "doses" if modality == "RTDOSE" else "plain"


def check_segments(path: Path, images: list[ImageData], theirs: np.ndarray) -> None:
    try:
        found = highdicom.seg.segread(path)
    except ValueError:  # it reads no big endian
        ours = as_stored(images[0])
        theirs = theirs.reshape(ours.shape)
        assert any(np.array_equal(ours, frames) for frames in (theirs, theirs[::-1])), path
        return
    if found.is_tiled:
        whole = found.get_total_pixel_matrix(combine_segments=False)
    elif images[0].stored is None:  # on an X-ray, which has no place
        whole = found.pixel_array.reshape(*as_stored(images[0]).shape, 1)
    else:
        volume = found.get_volume(combine_segments=False)
        whole = volume.array
        up = np.linalg.inv(images[0].stored.stored.affine)
        corners = [np.array(volume.affine) @ [*index, 1] for index in ((0, 0, 0), (2, 3, 4))]
        places = [up @ [*corner[2::-1], 1] for corner in corners]
        assert np.allclose(places, np.rint(places), atol=1e-3)
        if places[0][0] > 0:  # theirs begins at the other end
            whole = whole[::-1]
    for number, label in enumerate(found.segment_numbers):
        mask = np.any([as_stored(image) == label for image in images], axis=0)
        np.testing.assert_array_equal(mask, whole[..., number] >= 0.5, err_msg=path.name)


def check_frames(dataset: Any, images: list[ImageData], theirs: np.ndarray) -> None:
    """Every frame is at its place in one of the images, with its own slope and intercept."""
    shared = dataset.SharedFunctionalGroupsSequence[0]
    for own, picture in zip(dataset.PerFrameFunctionalGroupsSequence, theirs, strict=False):
        groups = [group for group in (own, shared) if "PixelValueTransformationSequence" in group]
        values = picture.astype(float)
        if groups:
            rescale = groups[0].PixelValueTransformationSequence[0]
            values = values * float(rescale.RescaleSlope) + float(rescale.RescaleIntercept)
        place = (own if "PlanePositionSequence" in own else shared).get("PlanePositionSequence")
        assert any(holds(image, place, values) for image in images)


def holds(image: ImageData, place: Any, values: np.ndarray) -> bool:
    data = as_stored(image)
    pictures = data.reshape(-1, *values.shape)
    if image.stored is not None and place:
        position = [float(n) for n in place[0].ImagePositionPatient]
        index = np.linalg.inv(image.stored.stored.affine) @ [*position[::-1], 1]
        if not np.allclose(index[:3], [np.rint(index[0]), 0, 0], atol=2e-3):
            return False
        pictures = data[..., round(index[0]), :, :].reshape(-1, *values.shape)
    return any(np.allclose(picture, values, rtol=1e-5) for picture in pictures)


def check_place(path: Path, image: ImageData) -> str:
    """Compare a file's geometry with SimpleITK's; what was compared."""
    reader: Any = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO("GDCMImageIO")
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return "unknown to ITK"
    spacing = np.array(reader.GetSpacing())
    if image.stored is None:
        steps = [image.spacing.get(axis) for axis in "XY"]
        if None in steps or (spacing == 1).all():
            return "without size, or of a size that ITK does not look for"
        assert np.allclose(np.array(steps, float), spacing[:2], atol=1e-3), path
        return "sizes of pixels"
    origin, steps, direction = image.stored.stored.as_lps()
    theirs = np.array(reader.GetDirection()).reshape((reader.GetDimension(),) * 2)[:3, :3]
    depth = image.image.sizes["Z"]
    assert np.allclose(steps[:2], spacing[:2], atol=1e-3), path
    assert np.allclose(direction[:, :2], theirs[:, :2], atol=1e-4), path
    step = steps[2] * direction[:, 2]
    ours = sorted((np.array(origin) + k * step).tolist() for k in (0, depth - 1))
    if depth > 1 and reader.GetSize()[2] == depth:
        way = theirs[:, 2] * spacing[2] * (depth - 1)
        ends = sorted([list(reader.GetOrigin()), (np.array(reader.GetOrigin()) + way).tolist()])
        assert np.allclose(ours, ends, atol=1e-3), path
        return "volumes"
    assert np.abs(np.array(ours) - reader.GetOrigin()).max(axis=1).min() < 1e-3, path
    return "slices"


@pytest.mark.parametrize("name", SMALL)
def test_small_files_hold_what_pydicom_says(name: str, data: Path) -> None:
    dataset = pydicom.dcmread(data / "dicom" / name)
    theirs = expected(dataset)
    assert theirs is not None
    check_values(data / "dicom" / name, dataset, read_dicom(data / "dicom" / name), theirs)


def test_all_files_hold_what_others_say(real: Path) -> None:
    kinds: Counter[str] = Counter()
    places: Counter[str] = Counter()
    refused: list[str] = []
    for path in files_in(real):
        dataset = pydicom.dcmread(path, force=True)
        theirs = expected(dataset)
        try:
            images = read_dicom(path)
        except InputError as error:
            assert theirs is None, path
            refused.append(str(error))
            continue
        if theirs is None:
            assert path.name.startswith("DICOMDIR") or path.name.endswith(MISSING), path
            kinds["directories" if path.name[0:8] == "DICOMDIR" else "unknown to pydicom"] += 1
            continue
        kinds[check_values(path, dataset, images, theirs)] += 1
        if dataset.get("Modality") not in ("SEG", "SM"):
            places[check_place(path, images[0])] += 1
    assert all(str(real) in told for told in refused)
    print(f"\nread {kinds.total()}: {dict(kinds)}\nplaces: {dict(places)}")
    print(f"refused {len(refused)}:", *refused, sep="\n  ")
    assert kinds.total() >= 240
    assert places["volumes"] + places["slices"] >= 80


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
