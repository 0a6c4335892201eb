"""Headers of volumes that claim what cannot be: one sentence each, soon and in little memory."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from napari_medai.core.errors import InputError
from napari_medai.io.images import read_image

DATA = np.arange(7 * 6 * 5, dtype=np.int16).reshape(7, 6, 5)
HUGE = 30_000
ITK_NAMES = ("a.mha", "a.mhd", "a.nrrd", "packed.mha", "packed.nrrd")
LITTLE = 20e6
"""Bytes; a volume of the size claimed would take 420 kB or terabytes."""


def itk_file(folder: Path, name: str, **fields: str) -> Path:
    """A volume by SimpleITK with other values in the lines of its header."""
    image = sitk.GetImageFromArray(DATA)
    image.SetSpacing((1.0, 2.0, 3.0))
    path = folder / name
    sitk.WriteImage(image, str(path), useCompression=name.startswith("packed"))
    content = path.read_bytes()
    for field, value in fields.items():
        key = field.replace("_", " ").encode() + (b" = " if "mh" in path.suffix else b": ")
        at = content.index(key) + len(key)
        content = content[:at] + value.encode() + content[content.index(b"\n", at) :]
    path.write_bytes(content)
    return path


def mgh_file(folder: Path, at: int, form: str, *values: float) -> Path:
    """A volume by nibabel with other values from a byte of its header on."""
    path = folder / "a.mgh"
    affine = np.diag([1.0, 2.0, 3.0, 1.0]).astype(np.float32)
    nibabel.save(nibabel.MGHImage(DATA.transpose(), affine), path)
    content = bytearray(path.read_bytes())
    given = struct.pack(">" + form, *values)
    content[at : at + len(given)] = given
    path.write_bytes(content)
    return path


def refused(path: Path) -> str:
    """The sentence that a file is refused with, in little memory."""
    tracemalloc.start()
    with pytest.raises(InputError) as caught:
        read_image(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < LITTLE
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    return text


@pytest.mark.parametrize("name", ITK_NAMES)
def test_more_voxels_than_the_file_could_hold(name: str, tmp_path: Path) -> None:
    field = "sizes" if "nrrd" in name else "DimSize"
    told = refused(itk_file(tmp_path, name, **{field: f"{HUGE} {HUGE} {HUGE}"}))
    assert "claims 30000 x 30000 x 30000 voxels (54000000000000 bytes)" in told


@pytest.mark.parametrize("name", ITK_NAMES)
def test_more_voxels_than_the_file_holds(name: str, tmp_path: Path) -> None:
    # 420 000 bytes, which 420 compressed ones could be
    field = "sizes" if "nrrd" in name else "DimSize"
    told = refused(itk_file(tmp_path, name, **{field: "50 60 70"}))
    assert "cannot be read" in told
    if "mh" in name:
        assert "holds 420 of them" in told


@pytest.mark.parametrize("name", ["a.mha", "packed.mha"])
def test_whole_files_are_read(name: str, tmp_path: Path) -> None:
    (image,) = read_image(itk_file(tmp_path, name))
    np.testing.assert_array_equal(image.levels[0], DATA)


@pytest.mark.parametrize(
    ("name", "field", "value", "complaint"),
    [
        ("a.mha", "ElementSpacing", "0 2 3", r"positive numbers, got \[0.0, 2.0, 3.0\]"),
        ("a.mha", "ElementSpacing", "-1 2 3", r"positive numbers, got \[-1.0, 2.0, 3.0\]"),
        ("a.mha", "ElementSpacing", "nan 2 3", "positive numbers"),
        ("a.mha", "TransformMatrix", "1 0 0 1 0 0 0 0 1", "must not be singular"),
        ("a.mha", "TransformMatrix", "0 0 0 0 0 0 0 0 0", "must not be singular"),
        ("a.mha", "DimSize", "0 6 7", "one or more"),
        ("a.mha", "DimSize", "-5 6 7", "claims"),
        ("a.nrrd", "sizes", "0 6 7", "size is zero"),
        ("a.nrrd", "space_directions", "(0,0,0) (0,2,0) (0,0,3)", "positive numbers"),
        ("a.nrrd", "space_directions", "(1,0,0) (1,0,0) (0,0,3)", "must not be singular"),
        ("a.nrrd", "space_directions", "(nan,0,0) (0,2,0) (0,0,3)", "cannot be read"),
        ("a.nrrd", "space_origin", "(nan,0,0)", "cannot be read"),
    ],
)
def test_places_that_cannot_be(
    name: str, field: str, value: str, complaint: str, tmp_path: Path
) -> None:
    path = itk_file(tmp_path, name, **{field: value})
    with pytest.raises(InputError, match=complaint):
        read_image(path)


@pytest.mark.parametrize(
    ("at", "form", "values", "complaint"),
    [
        (4, "3i", (HUGE,) * 3, "claims 30000 x 30000 x 30000 x 1 voxels, which cannot be"),
        (4, "3i", (50, 60, 70), r"claims 50 x 60 x 70 voxels \(420284 bytes\)"),
        (4, "3i", (-5, 6, 7), "claims -5 x 6 x 7 x 1 voxels, which cannot be"),
        (4, "3i", (0, 6, 7), "which cannot be"),
        (0, "i", (3,), "not of the MGH format"),
        (20, "i", (77,), r"not of the MGH format \(version 1, kind 77\)"),
        (30, "3f", (0, 2, 3), "no place or spacing in its header is valid"),
        (30, "3f", (np.nan, 2, 3), "no place or spacing in its header is valid"),
    ],
)
def test_mgh_headers_that_cannot_be(
    at: int, form: str, values: tuple[float, ...], complaint: str, tmp_path: Path
) -> None:
    path = mgh_file(tmp_path, at, form, *values)
    with pytest.raises(InputError, match=complaint):
        read_image(path)


@pytest.mark.parametrize(
    "directions", [(1, 0, 0, 1, 0, 0, 0, 0, 1), (0,) * 9, (np.nan, 0, 0, 0, 1, 0, 0, 0, 1)]
)
def test_directions_of_an_mgh_give_way_to_its_spacing(
    directions: tuple[float, ...], tmp_path: Path
) -> None:
    (image,) = read_image(mgh_file(tmp_path, 42, "9f", *directions))
    assert image.spacing == {"Z": 3, "Y": 2, "X": 1}
    assert "its direction is not valid" in image.notes[0]
    assert "spacing is used instead" in image.notes[0]


@pytest.mark.parametrize("row", ["srow_x", "srow_y", "srow_z"])
@pytest.mark.parametrize("values", [(np.nan, 0, 0, 0), (0, 0, 0, 0), (np.inf, 1, 0, 0)])
@pytest.mark.parametrize("qform", [0, 1])
def test_a_bad_sform_gives_way(
    row: str, values: tuple[float, ...], qform: int, tmp_path: Path
) -> None:
    path = tmp_path / "a.nii"
    affine = np.diag([2.0, 3, 4, 1])
    image = nibabel.Nifti1Image(DATA.transpose(), affine, dtype=np.int16)
    image.header.set_qform(affine, code=qform)
    nibabel.save(image, path)
    header = nibabel.Nifti1Header(path.read_bytes()[:348], check=False)
    header[row] = values
    path.write_bytes(header.binaryblock + path.read_bytes()[348:])
    (found,) = read_image(path)
    assert found.grid is not None
    assert found.grid.spacing == pytest.approx((4, 3, 2))
    instead = "qform" if qform else "pixdim"
    assert f"{instead} is used instead" in found.notes[0]
