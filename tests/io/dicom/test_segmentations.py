from __future__ import annotations

from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest

from napari_medai.core.errors import InputError
from napari_medai.io.dicom.reader import read_dicom
from napari_medai.io.layer_data import layer_data


def test_overlapping_segments_are_layers_on_their_grid(data: Path) -> None:
    path = data / "dicom" / "seg_image_ct_binary_overlap.dcm"
    first, second = read_dicom(path)
    assert first.labels
    assert second.labels
    assert "2 layers" in first.notes[0]
    seg = highdicom.seg.segread(path)
    for image, number in ((first, 1), (second, 2)):
        theirs = seg.get_volume(
            segment_numbers=[number], combine_segments=True, allow_missing_positions=True
        )
        assert image.features["index"] == [number]
        assert image.stored is not None
        assert image.grid is not None
        ours = np.asarray(image.stored.stored_again(image.levels[0]))
        np.testing.assert_array_equal(ours * number, theirs.array[::-1] * number)
        assert ours.max() == number
        # the same places: highdicom counts from the other end
        index = np.argwhere(ours > 0)[0]
        place = image.stored.stored.affine @ [*index, 1]
        flipped = [len(ours) - 1 - index[0], *index[1:], 1]
        np.testing.assert_allclose(place[2::-1], (theirs.affine @ flipped)[:3], atol=2e-3)


def test_fractions_of_one_half_count(data: Path) -> None:
    path = data / "dicom" / "seg_image_ct_true_fractional.dcm"
    (image,) = read_dicom(path)
    assert image.stored is not None
    assert "fractional" in image.notes[0]
    frames = highdicom.seg.segread(path).pixel_array
    ours = np.asarray(image.stored.stored_again(image.levels[0]))
    assert ours.sum() == (frames >= 127.5).sum() > 0


def test_segments_of_a_slide(data: Path) -> None:
    path = data / "dicom" / "seg_image_sm_dots_tiled_full.dcm"
    (image,) = read_dicom(path)
    theirs = highdicom.seg.segread(path).get_total_pixel_matrix(combine_segments=True)
    np.testing.assert_array_equal(np.asarray(image.levels[0]), theirs)
    assert (image.axes, image.grid) == ("YX", None)
    assert image.units == {"Y": "micrometer", "X": "micrometer"}
    assert len(image.features["index"]) == 50
    _, options, kind = layer_data(image)
    assert kind == "labels"
    assert options["features"]["index"] == image.features["index"]


@pytest.mark.parametrize("step", [2.5, -2.5])
def test_empty_slices_are_there(step: float, make: Any, tmp_path: Path) -> None:
    """Frames at the slices 1 and 4 of a sagittal stack: what lies between is empty."""
    item = type(make.header())
    shared, groups, segments = item(), [], []
    directions, measures = item(), item()
    directions.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    measures.PixelSpacing, measures.SpacingBetweenSlices = [0.7, 1.1], 2.5
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [directions], [measures]
    for z, number in ((1, 2), (4, 2), (4, 1)):
        group, place, of = item(), item(), item()
        place.ImagePositionPatient = [-z * step, 3, 4]
        of.ReferencedSegmentNumber = number
        group.PlanePositionSequence, group.SegmentIdentificationSequence = [place], [of]
        groups.append(group)
    for number, name in ((1, "left"), (2, "right")):
        segment, code = item(), item()
        segment.SegmentNumber, segment.SegmentLabel = number, name
        code.CodeMeaning = "Organ"
        segment.SegmentedPropertyCategoryCodeSequence = [code]
        segments.append(segment)
    dataset = make.header(
        "SEG",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4",
        SegmentationType="BINARY",
        NumberOfFrames=3,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=groups,
        SegmentSequence=segments,
    )
    masks = np.zeros((3, 6, 5), np.uint8)
    masks[0, 0, 1] = masks[1, 2, 3] = masks[2, 5, 4] = 1
    (image,) = read_dicom(make.save(tmp_path / "seg.dcm", dataset, masks))
    assert image.features == {
        "index": [1, 2],
        "class": ["left", "right"],
        "category": ["Organ", "Organ"],
        "type": ["", ""],
    }
    data, grid = np.asarray(image.levels[0]), image.grid
    assert grid is not None
    assert sorted(data.shape) == [4, 5, 6]
    expected = {2: [(1, 0, 1), (4, 2, 3)], 1: [(4, 5, 4)]}
    for number, places in expected.items():
        found = [
            grid.affine[:3, :3] @ at + grid.affine[:3, 3] for at in np.argwhere(data == number)
        ]
        wanted = [(4 - 0.7 * y, 3 + 1.1 * x, -z * step) for z, y, x in places]
        np.testing.assert_allclose(sorted(map(tuple, found)), sorted(wanted), atol=1e-6)


def test_tiles_that_lie_nowhere_are_refused(data: Path, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(data / "dicom" / "seg_image_sm_dots_tiled_full.dcm")
    place, frame = pydicom.Dataset(), pydicom.Dataset()
    place.RowPositionInTotalImagePixelMatrix = place.ColumnPositionInTotalImagePixelMatrix = 1
    frame.PlanePositionSlideSequence = [place]
    dataset.DimensionOrganizationType = "TILED_SPARSE"
    dataset.PerFrameFunctionalGroupsSequence = [frame, frame]
    dataset.save_as(tmp_path / "a.dcm")
    with pytest.raises(InputError, match=r"says of 2 of its \d+ tiles where they lie"):
        read_dicom(tmp_path / "a.dcm")
