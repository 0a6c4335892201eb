"""Nothing that tells of whom a picture is leaves the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.datadict import DicomDictionary, dictionary_VR
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from napari_medai.io.layer_data import read_layers

PLANTED = "Zyx9Planted"
TEXT = {"AE", "AS", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}
DATES = {"DA": "19010203", "DT": "19010203040506", "TM": "040506.789"}
# What decides how pixels are read, and what a picture is.
NEEDED = {
    "Modality",
    "PhotometricInterpretation",
    "SpecificCharacterSet",
    "TransferSyntaxUID",
    "SOPClassUID",
    "SOPInstanceUID",
    "ImageType",
}


def plant(dataset: Dataset) -> int:
    """An identifier in every standard text, date and UID of the main groups; how many there are."""
    count = 0
    for tag, (vr, _, _, retired, keyword) in DicomDictionary.items():
        group = tag >> 16
        if not keyword or retired or keyword in NEEDED or group in (2, 4) or group % 2:
            continue
        if group not in (0x8, 0x10, 0x12, 0x18, 0x20, 0x28, 0x32, 0x38, 0x40, 0x54):
            continue
        if vr in TEXT:
            dataset.add_new(tag, vr, PLANTED if vr != "AS" else "077Y")
        elif vr in DATES:
            dataset.add_new(tag, vr, DATES[vr])
        elif vr == "UI" and keyword not in dataset:
            dataset.add_new(tag, vr, "1.9.8.7.6.5.4321")
        else:
            continue
        count += 1
    return count


def leaks(text: str) -> list[str]:
    marks = (PLANTED, "19010203", "040506", "077Y", "1.9.8.7.6.5.4321", "1.2.3.77")
    return [mark for mark in marks if mark.lower() in text.lower()]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("modality", ["CT", "MR", "PT", "US"])
def test_no_layer_holds_an_identifier(modality: str, make: Any, tmp_path: Path) -> None:
    folder = tmp_path / f"{PLANTED}_study" / PLANTED
    for number, picture in enumerate(make.phantom()):
        dataset = make.header(
            modality,
            ImagePositionPatient=[0, 0, 3 * number],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            PixelSpacing=[1, 1],
            SeriesInstanceUID="1.2.3.77",
            StudyInstanceUID="1.2.3.77",
            EchoTime=12,
            PatientWeight=70,
        )
        assert plant(dataset) > 500
        item = Dataset()
        item.add_new(dictionary_tag("CodeMeaning"), "LO", PLANTED)
        dataset.RadiopharmaceuticalInformationSequence = Sequence([item])
        dataset.RequestAttributesSequence = Sequence([item])
        dataset.add_new(0x00091001, "LO", PLANTED)
        make.save(folder / f"{PLANTED}{number}.dcm", dataset, picture)
    for path in (folder, folder.parent):
        layers = read_layers(path)
        assert len(layers) == 1
        assert leaks(repr(layers)) == []
        ((data, options, _),) = layers
        assert leaks(str(data.name) + repr(data)) == []
        np.testing.assert_array_equal(np.asarray(data), make.phantom())
        assert options["metadata"]["medai"]["acquisition"]["echo time (ms)"] == 12


def dictionary_tag(keyword: str) -> int:
    from pydicom.datadict import tag_for_keyword

    tag = tag_for_keyword(keyword)
    assert tag is not None
    assert dictionary_VR(tag) == "LO"
    return tag


@pytest.mark.parametrize(
    ("kernel", "told"), [("B30f", True), ("STANDARD", True), ("Smith", False), ("J Doe 1", False)]
)
def test_a_kernel_is_told_only_if_it_is_one(
    kernel: str, told: bool, series: Callable[..., Path], make: Any
) -> None:
    ((_, options, _),) = read_layers(series(make.phantom(), ConvolutionKernel=kernel))
    found = options["metadata"]["medai"].get("acquisition", {}).get("kernel")
    assert found == (kernel if told else None)


def test_text_burnt_in_is_told(series: Callable[..., Path], make: Any) -> None:
    from napari_medai.io.dicom.reader import read_dicom

    (image,) = read_dicom(series(make.phantom(), BurnedInAnnotation="YES"))
    assert "text burnt in" in image.notes[0]
