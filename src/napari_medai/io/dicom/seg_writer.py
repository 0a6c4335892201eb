"""Labels written as a DICOM segmentation that lies on its source series.

By highdicom (Bridge et al., J Digit Imaging 2022), as PS3.3 A.51 defines the object: binary for a
few segments, which every viewer reads, a label map for many. Who the patient is stays in the
source: the attributes that say so are empty unless they are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.core.space import Grid, carried
from napari_medai.io.atomic import replacing
from napari_medai.io.dicom.seg_canvas import EVERY_SLICE
from napari_medai.io.dicom.segments import Segment, described
from napari_medai.io.dicom.source import quiet

if TYPE_CHECKING:
    from pydicom import Dataset

MOST_BINARY = 64
"""Segments up to which each is a mask of its own; more are written as one label map."""
MOST_SEGMENTS = 65_535
IDENTITY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
"""What a segmentation must hold but may leave empty."""
MORE_IDENTITY = (
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "EthnicGroup",
    "OtherPatientIDs",
    "OtherPatientIDsSequence",
    "OtherPatientNames",
    "PatientBirthTime",
    "PatientComments",
    "IssuerOfPatientID",
    "AdditionalPatientHistory",
    "MedicalAlerts",
    "Allergies",
    "Occupation",
    "PhysiciansOfRecord",
    "NameOfPhysiciansReadingStudy",
    "StudyDescription",
    "AdmittingDiagnosesDescription",
)
"""What it may hold of the source's patient and study, and is better without."""

REFERRED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
"""What images are referred to by."""


@dataclass(frozen=True, slots=True, eq=False)
class SourceSeries:
    """The images that were segmented: their headers, and where their slices lie.

    ``headers`` are in the order of the slices of ``grid``; one, of a file that holds them all.
    ``positions`` (x, y, z) are what the files say of each slice's first pixel: where slices are
    uneven, the grid has them at even steps.
    """

    headers: Sequence[Dataset]
    grid: Grid
    shape: tuple[int, int, int]
    positions: Sequence[Sequence[float]]


def write_dicom_seg(
    path: str | Path,
    labels: np.ndarray,
    grid: Grid,
    source: SourceSeries,
    segments: Sequence[Segment],
    *,
    overwrite: bool = False,
    identity: bool = False,
) -> Path:
    """Write labels (Z, Y, X), 0 background, that lie on ``grid`` over a series of images.

    ``identity`` takes the patient's name, number and the like over from the source, which an
    archive may need to file the object; without it they are empty.

    Raises
    ------
    InputError
        If the labels do not lie on the voxels of the series, hold a value without a segment, or
        ``path`` exists and ``overwrite`` is false.
    RunError
        If writing fails; nothing is left behind then.
    """
    path = Path(path)
    _check_referable(source)
    planes = carried(labels, grid, source.grid, source.shape)
    _check_described(planes, segments)
    numbered = _numbered(segments)
    with quiet():
        segmentation = _segmentation(_renumbered(planes, numbered), source, numbered)
    if not identity:
        _forget(segmentation)
    with replacing(path, overwrite=overwrite) as partial:
        segmentation.save_as(partial)
    return path


def _check_referable(source: SourceSeries) -> None:
    """Refuse a series whose images have no names to refer to."""
    for header in source.headers:
        missing = [name for name in REFERRED if not header.get(name)]
        if missing:
            raise InputError(
                f"a DICOM segmentation refers to its images by their UIDs, but those of the series "
                f"were taken out ({', '.join(missing)}); save the labels as NIfTI"
            )


def _completed(source: SourceSeries) -> list[Dataset]:
    """The headers with what a segmentation takes over, empty where files leave it out.

    highdicom looks for sizes of voxels even where it is given others.
    """
    from pydicom.uid import generate_uid

    frame = generate_uid()
    for header in source.headers:
        header.SliceThickness = header.get("SliceThickness") or _step_across(source.grid)
        if "PerFrameFunctionalGroupsSequence" in header:
            _share(header)
        for name in (*IDENTITY, "PositionReferenceIndicator"):
            if name not in header:
                setattr(header, name, "")
        if not header.get("FrameOfReferenceUID"):
            header.FrameOfReferenceUID = frame
    return list(source.headers)


def _share(header: Dataset) -> None:
    """Say once for all frames what an enhanced file says for each."""
    first = header.PerFrameFunctionalGroupsSequence[0]
    shared = header.SharedFunctionalGroupsSequence[0]
    for name in ("PixelMeasuresSequence", "PlaneOrientationSequence"):
        if name in first and name not in shared:
            setattr(shared, name, first[name].value)


def _check_described(labels: np.ndarray, segments: Sequence[Segment]) -> None:
    """Refuse labels that a segmentation cannot hold."""
    if not segments or not labels.any():
        raise InputError(
            "there is no label on the series to be saved; segment it first, or choose the layer "
            "that lies on it"
        )
    if len(segments) > MOST_SEGMENTS:
        raise InputError(
            f"a DICOM segmentation holds at most {MOST_SEGMENTS} segments, got {len(segments)}; "
            "save the labels as NIfTI or OME-TIFF"
        )
    strange = np.setdiff1d(np.unique(labels), [0, *(segment.label for segment in segments)])
    if strange.size:
        raise InputError(
            f"the labels hold {int(strange[0])}, which no segment describes; "
            "describe every label that occurs"
        )


def _numbered(segments: Sequence[Segment]) -> dict[int, Segment]:
    """Segments by their numbers: 1 to n in their order, as masks must be, or in a map the labels'.

    Where the two differ, the description of a segment tells its label.
    """
    by_label = {segment.label: segment for segment in segments}
    if len(segments) > MOST_BINARY and max(by_label) <= MOST_SEGMENTS:
        return dict(sorted(by_label.items()))
    return dict(enumerate(segments, start=1))


def _renumbered(labels: np.ndarray, numbered: Mapping[int, Segment]) -> np.ndarray:
    """The numbers of segments in place of their labels."""
    numbers = np.array(list(numbered))
    known = np.array([segment.label for segment in numbered.values()])
    order = np.argsort(known)
    place = np.searchsorted(known[order], labels).clip(max=len(known) - 1)
    small = np.uint8 if numbers.max() < 256 else np.uint16
    return np.where(labels > 0, numbers[order][place], 0).astype(small)


def _segmentation(
    planes: np.ndarray, source: SourceSeries, numbered: Mapping[int, Segment]
) -> Dataset:
    import highdicom as hd
    from pydicom.uid import ExplicitVRLittleEndian
    from pydicom.valuerep import DS

    _, spacing, direction = source.grid.as_lps()
    columns, rows = direction[:, 0], direction[:, 1]
    step = _step_across(source.grid)
    even = _is_even(source)
    leans = abs(step - spacing[2]) > 1e-6 * step
    kind = hd.seg.SegmentationTypeValues
    first = next(iter(numbered.values()))
    made = hd.seg.Segmentation(
        source_images=_completed(source),
        pixel_array=planes,
        segmentation_type=kind.BINARY if len(numbered) <= MOST_BINARY else kind.LABELMAP,
        segment_descriptions=[described(n, segment) for n, segment in numbered.items()],
        series_instance_uid=hd.UID(),
        series_number=300,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="napari-medai",
        manufacturer_model_name=first.algorithm or "drawn",
        software_versions=first.version or "0",
        device_serial_number="0",
        content_label="SEGMENTATION",
        content_description=None if even else EVERY_SLICE,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        pixel_measures=hd.PixelMeasuresSequence(
            pixel_spacing=[spacing[1], spacing[0]],
            slice_thickness=step,
        ),
        plane_orientation=hd.PlaneOrientationSequence(
            hd.CoordinateSystemNames.PATIENT, [float(n) for n in (*columns, *rows)]
        ),
        plane_positions=[
            hd.PlanePositionSequence(hd.CoordinateSystemNames.PATIENT, [float(n) for n in position])
            for position in source.positions
        ],
        # Where a few frames do not tell how the series lies, all are there.
        omit_empty_frames=even and (not leans or int(planes.any(axis=(1, 2)).sum()) > 1),
    )
    # highdicom puts the measures of the source in place of those that it is given.
    measures = made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.pop("SpacingBetweenSlices", None)
    if even:
        measures.SpacingBetweenSlices = DS(step, auto_format=True)
    return made


def _step_across(grid: Grid) -> float:
    """The distance between slices at right angles to them, which is less where a stack leans."""
    normal = np.cross(grid.direction[:, 1], grid.direction[:, 2])
    return grid.spacing[0] * abs(float(grid.direction[:, 0] @ normal))


def _is_even(source: SourceSeries) -> bool:
    """Whether slices lie where the grid has them, but for rounding."""
    index = np.zeros((len(source.positions), 3))
    index[:, 0] = np.arange(len(index))
    shown = index @ source.grid.affine[:3, :3].T + source.grid.origin
    off = np.abs(np.array(source.positions, dtype=float)[:, ::-1] - shown)
    return bool(off.max() <= 0.02 * source.grid.spacing[0])


def _forget(dataset: Dataset) -> None:
    """Empty what must be there, and remove what may be, of the patient."""
    for name in IDENTITY:
        if name in dataset:
            setattr(dataset, name, "")
    for name in MORE_IDENTITY:
        if name in dataset:
            delattr(dataset, name)
