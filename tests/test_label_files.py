"""``napari-medai segment`` writes labels in the family of its input, on the input's own voxels."""

from __future__ import annotations

import json
from itertools import permutations, product
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from napari_medai.cli import main
from napari_medai.io.images import read_image
from napari_medai.models.package import read_model

NAMES = {"front": 1, "back": 2}


@pytest.fixture
def segment(class_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Run the command; the files that it wrote, and what it said on the error stream."""

    def run(source: Path, *more: str) -> tuple[list[Path], str]:
        out = tmp_path / "out"
        given = ["segment", str(source), "--model", str(class_package), "--out", str(out)]
        assert main([*given, "--device", "cpu", *more]) == 0
        return sorted(out.iterdir()), capsys.readouterr().err

    return run


def volume(shape: tuple[int, ...] = (20, 24, 28)) -> np.ndarray:
    return np.random.default_rng(0).normal(200, 60, shape).astype(np.int16)


def saved(path: Path, turn: np.ndarray) -> Path:
    affine = np.eye(4)
    affine[:3, :3] = turn
    affine[:3, 3] = (-20, 31, 7)
    nibabel.save(nibabel.Nifti1Image(volume(), affine), path)
    return path


@pytest.mark.parametrize(
    "turn",
    [
        np.eye(3)[list(order)] * signs
        for order, signs in list(product(permutations(range(3)), product((1, -1), repeat=3)))[::7]
    ],
    ids=lambda turn: "".join(f"{n:+.0f}" for n in turn[turn != 0]),
)
def test_nifti_labels_have_the_voxels_of_the_scan(segment, tmp_path: Path, turn) -> None:
    source = saved(tmp_path / "scan.nii.gz", turn)
    files, _ = segment(source)
    assert [path.name for path in files] == [
        "scan_labels.csv",
        "scan_labels.json",
        "scan_labels.nii.gz",
    ]
    scan, labels = nibabel.load(source), nibabel.load(files[2])
    assert labels.shape == scan.shape
    assert labels.get_data_dtype() == np.uint8
    np.testing.assert_allclose(labels.affine, scan.affine, atol=1e-6)
    # the features were measured on the upright volume, the file is in the scan's own order
    stored = np.asarray(labels.dataobj)
    rows = [line.split(",") for line in files[0].read_text().splitlines()]
    column = rows[0].index("mean_intensity")
    for row, number in enumerate(NAMES.values(), 1):
        mean = np.asarray(scan.dataobj)[stored == number].mean()
        assert float(rows[row][column]) == pytest.approx(mean, rel=1e-5)
    (upright,) = read_image(files[2])
    assert upright.labels


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_itk_formats_stay_themselves(segment, tmp_path: Path, suffix: str) -> None:
    image = SimpleITK.GetImageFromArray(volume())
    image.SetDirection((0, 1, 0, 1, 0, 0, 0, 0, -1))
    image.SetOrigin((3, -4, 5))
    SimpleITK.WriteImage(image, tmp_path / f"scan{suffix}")
    files, _ = segment(tmp_path / f"scan{suffix}")
    labels = SimpleITK.ReadImage(next(p for p in files if p.suffix == suffix))
    assert labels.GetSize() == image.GetSize()
    np.testing.assert_allclose(labels.GetDirection(), image.GetDirection(), atol=1e-9)
    np.testing.assert_allclose(labels.GetOrigin(), image.GetOrigin(), atol=1e-9)


def series(folder: Path) -> Path:
    study, uid, frame = generate_uid(), generate_uid(), generate_uid()
    for index, plane in enumerate(volume()):
        ds = pydicom.Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, generate_uid()
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, uid, frame
        ds.Modality, ds.PatientName, ds.InstanceNumber = "CT", "Planted^Name", index + 1
        ds.PatientID, ds.StudyID, ds.StudyDate = "planted-4711", "planted-9", "20200101"
        ds.Rows, ds.Columns = plane.shape
        ds.PixelSpacing, ds.SliceThickness = [1.0, 1.0], 1.0
        ds.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
        ds.ImagePositionPatient = [-10.0, -12.0, 100.0 - index]
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.SamplesPerPixel = 16, 16, 15, 1
        ds.PixelRepresentation, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.PixelData = plane.tobytes()
        folder.mkdir(exist_ok=True)
        ds.save_as(folder / f"{index}.dcm", enforce_file_format=True)
    return folder


def test_a_dicom_series_gets_a_dicom_segmentation(
    segment, class_package: Path, tmp_path: Path
) -> None:
    import highdicom

    source = series(tmp_path / "ct")
    files, _ = segment(source, "--overlay")
    assert [path.name for path in files] == [
        "ct_labels.csv",
        "ct_labels.dcm",
        "ct_labels.json",
        "ct_overlay.png",
    ]
    written = highdicom.seg.segread(files[1])
    names = {number: written.get_segment_description(number).segment_label for number in (1, 2)}
    assert names == {1: "front", 2: "back"}
    wanted = {
        n: [int(entry["colour"][i : i + 2], 16) for i in (1, 3, 5)]
        for n, entry in enumerate(read_model(class_package).config["classes"], 1)
    }
    colours = read_image(files[1])[0].colours
    assert {n: [round(255 * c) for c in rgba[:3]] for n, rgba in colours.items()} == wanted
    assert written.SeriesInstanceUID != pydicom.dcmread(source / "0.dcm").SeriesInstanceUID
    (scan,), (labels,) = read_image(source), read_image(files[1])
    np.testing.assert_allclose(labels.grid.affine, scan.grid.affine, atol=1e-6)
    found = np.asarray(labels.levels[0])
    means = [np.asarray(scan.levels[0])[found == number].mean() for number in (1, 2)]
    rows = [line.split(",") for line in files[0].read_text().splitlines()]
    column = rows[0].index("mean_intensity")
    assert [float(row[column]) for row in rows[1:]] == pytest.approx(means, rel=1e-5)
    for path in files[:3]:
        assert b"lanted" not in path.read_bytes()
    again, _ = segment(source, "--overlay")
    assert again == files


def test_what_a_segmentation_cannot_hold_is_written_as_nifti(
    segment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_medai.io.dicom import layer_writer

    monkeypatch.setattr(layer_writer, "source_series", lambda place: iter(()))
    files, said = segment(series(tmp_path / "ct"))
    assert "ct_labels.nii.gz" in [path.name for path in files]
    assert "the labels were written as NIfTI" in said
    record = json.loads(files[1].read_text())
    assert any("written as NIfTI" in note for note in record["notes"])


def test_a_scale_of_ones_own_makes_a_tiff(segment, tmp_path: Path) -> None:
    source = saved(tmp_path / "scan.nii.gz", np.eye(3))
    files, _ = segment(source, "--scale", "1", "--units", "millimeter")
    assert "scan_labels.ome.tif" in [path.name for path in files]


def test_ome_zarr_stays_itself(segment, tmp_path: Path) -> None:
    from napari_medai.io.image_data import ImageData
    from napari_medai.io.ome_zarr.writer import write_zarr

    spacing, units = dict.fromkeys("ZYX", 1.0), dict.fromkeys("ZYX", "millimeter")
    given = ImageData((volume(),), "ZYX", spacing, units, origin={"Y": 40.0})
    files, _ = segment(write_zarr(tmp_path / "scan.ome.zarr", given))
    path = next(path for path in files if path.name == "scan_labels.zarr")
    (labels,) = read_image(path)
    assert labels.labels
    assert labels.origin == {"Y": 40.0}
    assert labels.spacing == spacing
    assert set(np.unique(np.asarray(labels.levels[0]))) == {0, 1, 2}
    assert labels.colours[1] == pytest.approx((0xE6 / 255, 0x19 / 255, 0x4B / 255, 1.0), abs=0.01)


def test_only_what_was_written_is_replaced(segment, tmp_path: Path, class_package: Path) -> None:
    source = saved(tmp_path / "scan.nii.gz", np.eye(3))
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(volume()), tmp_path / "scan.nrrd")
    out = tmp_path / "out"
    out.mkdir()
    mine = out / "scan_labels.nrrd"
    mine.write_bytes(b"drawn by hand")
    given = ["--model", str(class_package), "--out", str(out), "--device", "cpu"]
    assert main(["segment", str(source), *given]) == 2
    segment(source, "--overwrite")
    segment(source, "--overwrite", "--tile", "64")
    assert mine.read_bytes() == b"drawn by hand"
    assert (out / "scan_labels.nii.gz").exists()
    segment(source, "--overwrite", "--scale", "1")
    assert not (out / "scan_labels.nii.gz").exists()
    assert (out / "scan_labels.ome.tif").exists()
    assert mine.exists()
