"""``napari-medai convert``: the same voxels, in the same place, in another format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from napari_medai.cli import main
from napari_medai.core.axes import AxesArray
from napari_medai.core.space import Grid, carried
from napari_medai.io.image_data import ImageData
from napari_medai.io.images import read_image
from napari_medai.io.ome_tiff import write_tiff
from napari_medai.io.ome_zarr.writer import write_zarr
from napari_medai.io.volume_writers import Volume, write_volume

GRID = Grid.from_lps((-20.0, 31.5, -7.0), (0.8, 0.7, 3.0), np.diag([1.0, -1, -1]))
DATA = np.arange(4 * 6 * 5, dtype=np.int16).reshape(4, 6, 5)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return write_volume(tmp_path / "scan.nii.gz", Volume(DATA, GRID))


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """A CT on the grid of `scan`."""
    folder = tmp_path / "series"
    folder.mkdir()
    origin, spacing, axes = GRID.as_lps()
    study, uid = generate_uid(), generate_uid()
    for index, plane in enumerate(DATA):
        ds = pydicom.Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, generate_uid()
        ds.StudyInstanceUID, ds.SeriesInstanceUID = study, uid
        ds.Modality, ds.PatientName, ds.InstanceNumber = "CT", "Planted^Name", index + 1
        ds.Rows, ds.Columns = plane.shape
        ds.PixelSpacing, ds.SliceThickness = [spacing[1], spacing[0]], spacing[2]
        ds.ImageOrientationPatient = [float(n) for n in (*axes[:, 0], *axes[:, 1])]
        ds.ImagePositionPatient = [
            float(n) for n in np.array(origin) + index * spacing[2] * axes[:, 2]
        ]
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.SamplesPerPixel = 16, 16, 15, 1
        ds.PixelRepresentation, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.PixelData = plane.tobytes()
        ds.save_as(folder / f"{index}.dcm", enforce_file_format=True)
    return folder


@pytest.mark.parametrize("suffix", [".nii", ".nrrd", ".mha"])
def test_a_scan_keeps_its_values_and_place(scan: Path, suffix: str, tmp_path: Path) -> None:
    out = tmp_path / f"out{suffix}"
    assert main(["convert", str(scan), str(out)]) == 0
    (image,) = read_image(out)
    assert image.grid is not None
    assert np.array_equal(carried(np.asarray(image.levels[0]), image.grid, GRID, (4, 6, 5)), DATA)


def test_a_dicom_folder_becomes_a_volume(series: Path, scan: Path, tmp_path: Path) -> None:
    assert main(["convert", str(series), str(tmp_path / "out.nii.gz")]) == 0
    (image,), (same,) = read_image(tmp_path / "out.nii.gz"), read_image(scan)
    assert image.grid is not None
    assert same.grid is not None
    assert image.grid.affine == pytest.approx(same.grid.affine, abs=1e-4)
    assert np.array_equal(image.levels[0], same.levels[0])


@pytest.mark.parametrize("keep", [False, True])
def test_labels_become_a_segmentation_of_their_series(
    series: Path, tmp_path: Path, keep: bool
) -> None:
    labels = (DATA > 100).astype(np.uint8)
    path = write_volume(tmp_path / "ct_labels.nii.gz", Volume(labels, GRID, labels=True))
    out = tmp_path / "out.dcm"
    options = ["--keep-patient"] if keep else []
    assert main(["convert", str(path), str(out), "--series", str(series), *options]) == 0
    (image,) = read_image(out)
    assert image.labels
    assert image.grid is not None
    found = carried(np.asarray(image.levels[0]), image.grid, GRID, (4, 6, 5))
    assert np.array_equal(found, labels)
    assert (b"Planted" in out.read_bytes()) == keep


def test_a_tiff_becomes_a_volume_in_its_size(tmp_path: Path) -> None:
    image = AxesArray(
        DATA, "ZYX", {"Z": 2.0, "Y": 0.5, "X": 0.5}, dict.fromkeys("ZYX", "micrometer")
    )
    write_tiff(tmp_path / "a.ome.tif", image)
    assert main(["convert", str(tmp_path / "a.ome.tif"), str(tmp_path / "a.nii")]) == 0
    (found,) = read_image(tmp_path / "a.nii")
    assert found.spacing["Z"] == pytest.approx(0.002)
    assert main(["convert", str(tmp_path / "a.nii"), str(tmp_path / "b.ome.tif")]) == 0
    (again,) = read_image(tmp_path / "b.ome.tif")
    assert np.array_equal(np.asarray(again.levels[0]), np.asarray(found.levels[0]))


@pytest.mark.parametrize(
    ("out", "complaint"),
    [
        ("out.png", "names no format that can be written"),
        ("out.dcm", "name it with --series FOLDER"),
        ("scan.nii.gz", "exists"),
    ],
)
def test_what_cannot_be_written_is_told(
    scan: Path, out: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    assert main(["convert", str(scan), str(tmp_path / out)]) == 2
    assert complaint in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_an_image_is_no_segmentation(
    scan: Path, series: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.dcm"
    assert main(["convert", str(scan), str(out), "--series", str(series)]) == 2
    assert "add --labels" in capsys.readouterr().err


def test_labels_go_to_ome_zarr_and_back(tmp_path: Path) -> None:
    labels = (DATA > 60).astype(np.uint8)
    path = write_volume(tmp_path / "ct_labels.nii.gz", Volume(labels, GRID, labels=True))
    out = tmp_path / "labels.ome.zarr"
    assert main(["convert", str(path), str(out)]) == 0
    assert read_image(out)[0].labels
    assert main(["convert", str(out), str(tmp_path / "back_labels.nii.gz")]) == 0
    (image,) = read_image(tmp_path / "back_labels.nii.gz")
    assert image.labels
    assert image.grid is not None
    found = carried(np.asarray(image.levels[0]), image.grid, GRID, (4, 6, 5))
    assert np.array_equal(found, labels)


@pytest.mark.parametrize("patient", [False, True])
def test_labels_of_ome_zarr_become_a_segmentation(
    series: Path, tmp_path: Path, patient: bool
) -> None:
    """Also those that a layer was saved to, in millimetres but in no patient."""
    labels = (DATA > 60).astype(np.uint8)
    path = write_volume(tmp_path / "ct_labels.nii.gz", Volume(labels, GRID, labels=True))
    zarr, out = tmp_path / "labels.zarr", tmp_path / "out.dcm"
    (source,) = read_image(path)
    assert source.grid is not None
    if not patient:
        origin = dict(zip("ZYX", source.grid.origin, strict=True))
        source = replace(source, grid=None, stored=None, origin=origin)
    write_zarr(zarr, source)
    assert main(["convert", str(zarr), str(out), "--series", str(series)]) == 0
    (image,) = read_image(out)
    assert image.grid is not None
    found = carried(np.asarray(image.levels[0]), image.grid, GRID, (4, 6, 5))
    assert np.array_equal(found, labels)


def test_labels_join_an_ome_zarr_image(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "scan.zarr"
    assert main(["convert", str(scan), str(out)]) == 0
    path = write_volume(tmp_path / "ct_labels.nii.gz", Volume(DATA // 60, GRID, labels=True))
    capsys.readouterr()
    assert main(["convert", str(path), str(out)]) == 0
    assert capsys.readouterr().out == f"{out}/labels/ct_labels\n"
    image, labels = read_image(out)
    assert image.grid is not None
    assert labels.grid is not None
    assert image.grid.affine == pytest.approx(labels.grid.affine)
    assert main(["convert", str(path), str(out)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["convert", str(out), str(tmp_path / "copy.zarr")]) == 0
    assert capsys.readouterr().err == ""
    assert [one.labels for one in read_image(tmp_path / "copy.zarr")] == [False, True]
    assert main(["convert", str(out / "labels" / "ct_labels"), str(tmp_path / "b.mha")]) == 0
    (back,) = read_image(tmp_path / "b.mha")
    assert back.grid is not None
    found = carried(np.asarray(back.levels[0]), back.grid, GRID, (4, 6, 5))
    assert np.array_equal(found, DATA // 60)


def test_micrometers_become_millimetres_at_the_same_place(tmp_path: Path) -> None:
    image = ImageData(
        (DATA,),
        "ZYX",
        {"Z": 2.0, "Y": 500.0, "X": 0.5},
        {"Z": "millimeter", "Y": "micrometer", "X": "millimeter"},
        origin={"Z": 10.0, "Y": -1500.0},
    )
    write_zarr(tmp_path / "a.zarr", image)
    assert main(["convert", str(tmp_path / "a.zarr"), str(tmp_path / "a.nii")]) == 0
    (found,) = read_image(tmp_path / "a.nii")
    assert found.grid is not None
    assert found.grid.spacing == pytest.approx((2, 0.5, 0.5))
    assert found.grid.origin == pytest.approx((10, -1.5, 0))
    assert np.array_equal(found.levels[0], DATA)
