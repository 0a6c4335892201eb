from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from napari_medai.core.errors import InputError
from napari_medai.core.space import Grid, carried
from napari_medai.io.dicom.reader import read_dicom, source_series
from napari_medai.io.dicom.seg_writer import MOST_BINARY, SourceSeries, write_dicom_seg
from napari_medai.io.dicom.segments import Segment

SHAPE = (4, 6, 5)
SECRETS = {
    "PatientName": "Planted^Name",
    "PatientID": "planted-id-77",
    "PatientBirthDate": "19330317",
    "PatientAge": "093Y",
    "AccessionNumber": "planted-acc",
    "ReferringPhysicianName": "Planted^Doctor",
    "StudyDescription": "planted study",
    "StudyID": "plantedst",
}


def _turned() -> np.ndarray:
    a, b = 0.2, -0.35
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return about_z @ about_x


def _series(direction: np.ndarray) -> SourceSeries:
    """A CT of four slices, with an identity to be left behind."""
    grid = Grid.from_lps((-20.0, 31.5, -7.0), (0.8, 0.7, 3.0), direction)
    origin, spacing, axes = grid.as_lps()
    headers = []
    study, series, frame = (pydicom.uid.generate_uid() for _ in range(3))
    for index in range(SHAPE[0]):
        ds = pydicom.Dataset()
        ds.file_meta = pydicom.dataset.FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID = CTImageStorage
        ds.SOPInstanceUID = pydicom.uid.generate_uid()
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
        ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "CT", 4, index + 1
        ds.StudyDate, ds.StudyTime, ds.PatientSex = "20260101", "101010", "F"
        ds.PositionReferenceIndicator = ""
        for name, value in SECRETS.items():
            setattr(ds, name, value)
        ds.Rows, ds.Columns = SHAPE[1:]
        ds.PixelSpacing = [spacing[1], spacing[0]]
        ds.SliceThickness = spacing[2]
        ds.ImageOrientationPatient = [float(n) for n in (*axes[:, 0], *axes[:, 1])]
        place = np.array(origin) + index * spacing[2] * axes[:, 2]
        ds.ImagePositionPatient = [float(n) for n in place]
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.SamplesPerPixel = 16, 16, 15, 1
        ds.PixelRepresentation, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        headers.append(ds)
    return SourceSeries(headers, grid, SHAPE, [h.ImagePositionPatient for h in headers])


def _labels() -> np.ndarray:
    labels = np.zeros(SHAPE, np.int32)
    labels[1:3, 1:4, 1:3] = 2
    labels[2, 4, 4] = 7
    return labels


SEGMENTS = (
    Segment(7, "dot", "medai", "1.0", colour=(255, 0, 0)),
    Segment(2, "block", "medai", "1.0", kind=("10200004", "SCT", "Liver")),
)


def _read_back(path: Path) -> tuple[np.ndarray, Any, Any]:
    """Labels 1 to n, the affine of (slice, row, column) to LPS, and the object."""
    seg = hd.seg.segread(path)
    volume = seg.get_volume(combine_segments=True)
    return volume.array, volume.affine, seg


def _sorted(points: np.ndarray) -> np.ndarray:
    return points[np.lexsort(points.round(2).T)]


@pytest.mark.parametrize("direction", [np.eye(3), _turned()], ids=["axial", "oblique"])
def test_labels_come_back_in_their_place(direction: np.ndarray, tmp_path: Path) -> None:
    source, labels = _series(direction), _labels()
    up = source.grid.upright(SHAPE)
    path = write_dicom_seg(tmp_path / "a.dcm", up.laid(labels), up.grid, source, SEGMENTS)
    array, affine, seg = _read_back(path)
    assert [s.segment_label for s in seg.SegmentSequence] == ["dot", "block"]
    for value, number in ((7, 1), (2, 2)):
        expected = np.argwhere(labels == value) @ source.grid.affine[:3, :3].T + source.grid.origin
        found = np.argwhere(array == number) @ affine[:3, :3].T + affine[:3, 3]
        assert _sorted(found[:, ::-1]) == pytest.approx(_sorted(expected), abs=1e-3)
    block = seg.get_segment_description(2)
    assert block.segmented_property_type.meaning == "Liver"


def test_it_refers_to_the_series(tmp_path: Path) -> None:
    source = _series(np.eye(3))
    path = write_dicom_seg(tmp_path / "a.dcm", _labels(), source.grid, source, SEGMENTS)
    seg = pydicom.dcmread(path)
    first = source.headers[0]
    assert seg.StudyInstanceUID == first.StudyInstanceUID
    assert seg.FrameOfReferenceUID == first.FrameOfReferenceUID
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == first.SeriesInstanceUID
    frame = seg.PerFrameFunctionalGroupsSequence[0]
    image = frame.DerivationImageSequence[0].SourceImageSequence[0]
    place = frame.PlanePositionSequence[0].ImagePositionPatient
    named = {h.SOPInstanceUID: h.ImagePositionPatient for h in source.headers}
    assert named[image.ReferencedSOPInstanceUID] == pytest.approx(place)


@pytest.mark.parametrize("identity", [False, True])
def test_who_the_patient_is_stays_behind_unless_asked_for(identity: bool, tmp_path: Path) -> None:
    source = _series(np.eye(3))
    path = write_dicom_seg(
        tmp_path / "a.dcm", _labels(), source.grid, source, SEGMENTS, identity=identity
    )
    written = path.read_bytes()
    found = {name for name, value in SECRETS.items() if value.encode() in written}
    assert ({"PatientName", "PatientID"} <= found) if identity else not found
    assert (b"20260101" in written) == identity


def test_many_labels_become_a_label_map(tmp_path: Path) -> None:
    source = _series(np.eye(3))
    labels = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    segments = [Segment(int(n), f"object {n}", "medai", "1.0") for n in np.unique(labels)[1:]]
    assert len(segments) > MOST_BINARY
    path = write_dicom_seg(tmp_path / "a.dcm", labels, source.grid, source, segments)
    seg = hd.seg.segread(path)
    assert seg.segmentation_type == hd.seg.SegmentationTypeValues.LABELMAP
    # highdicom counts slices against the normal of right-handed axes: downwards here
    assert np.array_equal(seg.get_volume(combine_segments=True).array, labels[::-1])


def test_labels_elsewhere_are_refused(tmp_path: Path) -> None:
    source = _series(np.eye(3))
    moved = source.grid.cropped((0, 0.5, 0))
    with pytest.raises(InputError, match="do not lie on each other"):
        write_dicom_seg(tmp_path / "a.dcm", _labels(), moved, source, SEGMENTS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [(np.zeros(SHAPE, int), "there is no label"), (_labels() + 1, "which no segment describes")],
)
def test_labels_without_a_segment_are_refused(
    labels: np.ndarray, complaint: str, tmp_path: Path
) -> None:
    source = _series(np.eye(3))
    with pytest.raises(InputError, match=complaint):
        write_dicom_seg(tmp_path / "a.dcm", labels, source.grid, source, SEGMENTS)


def test_nothing_is_overwritten_silently(tmp_path: Path) -> None:
    source, path = _series(np.eye(3)), tmp_path / "a.dcm"
    write_dicom_seg(path, _labels(), source.grid, source, SEGMENTS)
    before = path.read_bytes()
    with pytest.raises(InputError, match="exists"):
        write_dicom_seg(path, _labels(), source.grid, source, SEGMENTS)
    assert path.read_bytes() == before
    write_dicom_seg(path, _labels(), source.grid, source, SEGMENTS[::-1], overwrite=True)
    assert path.read_bytes() != before


def test_a_series_without_uids_is_refused(tmp_path: Path) -> None:
    source = _series(np.eye(3))
    source.headers[1].SOPInstanceUID = ""
    with pytest.raises(InputError, match=r"taken out \(SOPInstanceUID\); save the labels as NIfTI"):
        write_dicom_seg(tmp_path / "a.dcm", _labels(), source.grid, source, SEGMENTS)


@pytest.mark.parametrize("files", [False, True], ids=["phantom", "gap"])
def test_a_series_opened_and_segmented_is_its_source(
    series: Callable[..., Path], make: Any, tmp_path: Path, files: bool
) -> None:
    folder = series(make.phantom())
    if files:
        sorted(folder.iterdir())[1].unlink()
    (image,) = read_dicom(folder)
    (source,) = source_series(folder)
    labels = (np.asarray(image.levels[0]) > 0).astype(np.int32)
    assert image.grid is not None
    path = write_dicom_seg(
        tmp_path / "a.dcm", labels, image.grid, source, [Segment(1, "letter", "medai", "1.0")]
    )
    expected = {
        tuple(np.round(h.ImagePositionPatient, 3))
        for h, plane in zip(source.headers, image.stored.stored_again(labels), strict=True)
        if plane.any() or files  # empty slices tell where a gap is
    }
    frames = pydicom.dcmread(path).PerFrameFunctionalGroupsSequence
    found = {tuple(np.round(f.PlanePositionSequence[0].ImagePositionPatient, 3)) for f in frames}
    assert found == expected
    (again,) = read_dicom(path)
    back = carried(np.asarray(again.levels[0]), again.grid, image.grid, labels.shape)
    assert np.array_equal(back, labels)
    assert again.labels
    assert list(again.features["class"]) == ["letter"]


def _there_and_back(folder: Path, kept: slice) -> None:
    """Labels on some slices of a series lie on it again when their segmentation is read."""
    (image,) = read_dicom(folder)
    (source,) = source_series(folder)
    assert image.grid is not None
    labels = np.zeros(image.levels[0].shape, np.int32)
    labels[kept, 1:3, 2:4] = 1
    path = write_dicom_seg(
        folder.parent / "seg.dcm", labels, image.grid, source, [Segment(1, "box", "medai", "1.0")]
    )
    (again,) = read_dicom(path)
    assert again.grid is not None
    back = carried(np.asarray(again.levels[0]), again.grid, image.grid, labels.shape)
    assert np.array_equal(back, labels)


@pytest.mark.parametrize("kept", [slice(2, 12, 3), slice(4, 5)], ids=["some", "one"])
@pytest.mark.parametrize("step", [1.0, 2.5])
def test_labels_on_a_leaning_stack_lie_on_it_again(
    series: Callable[..., Path], make: Any, step: float, kept: slice
) -> None:
    tilt = np.radians(20)
    way = step * np.array([0.0, np.sin(tilt), np.cos(tilt)])
    folder = series(make.phantom(14), step=way, spacing=(0.5, 0.5))
    _there_and_back(folder, kept)
    measures = pydicom.dcmread(folder.parent / "seg.dcm").SharedFunctionalGroupsSequence[0]
    told = measures.PixelMeasuresSequence[0].SpacingBetweenSlices
    assert told == pytest.approx(step * np.cos(tilt), rel=1e-6)


def test_a_step_that_is_not_told_is_measured_exactly(
    series: Callable[..., Path], make: Any, tmp_path: Path
) -> None:
    folder = series(make.phantom(40), step=0.9397)
    _there_and_back(folder, slice(2, 38))
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    measures = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    del measures.SpacingBetweenSlices, measures.SliceThickness
    seg.save_as(tmp_path / "seg.dcm")
    (again,) = read_dicom(tmp_path / "seg.dcm")
    assert again.levels[0].shape[0] == 36
    assert again.grid is not None
    assert again.grid.spacing[0] == pytest.approx(0.9397, rel=1e-6)
    assert not again.notes


@pytest.mark.parametrize("kept", [slice(2, 6), slice(0, 7, 6), slice(4, 5), slice(None)])
@pytest.mark.parametrize(
    "heights", [[0, 1, 2, 4, 5, 6, 7], [0, 1, 2, 3.5, 4.5, 6, 7]], ids=["missing", "uneven"]
)
def test_labels_on_uneven_slices_lie_on_them_again(
    series: Callable[..., Path], make: Any, heights: list[float], kept: slice
) -> None:
    places = np.outer(heights, [0, 0, 2.5])
    _there_and_back(series(make.phantom(7), places=places), kept)


@pytest.mark.parametrize("heights", [[0, 1, 2, 3, 4], [0, 1, 3, 4, 5]], ids=["even", "missing"])
def test_labels_on_an_enhanced_series_lie_on_it_again(
    make: Any, tmp_path: Path, heights: list[float]
) -> None:
    item = pydicom.Dataset
    directions, measures, groups = item(), item(), []
    directions.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures.PixelSpacing, measures.SliceThickness = [0.7, 1.1], 2.5
    for height in heights:
        group, place = item(), item()
        place.ImagePositionPatient = [0, 0, 2.5 * height]
        group.PlanePositionSequence = [place]
        groups.append(group)
    shared = item()
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [directions], [measures]
    dataset = make.header("MR", NumberOfFrames=5, SOPClassUID="1.2.840.10008.5.1.4.1.1.4.1")
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = groups
    make.save(tmp_path / "mr" / "1.dcm", dataset, make.phantom(5))
    _there_and_back(tmp_path / "mr", slice(1, 4, 2))
