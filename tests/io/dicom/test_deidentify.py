"""De-identified DICOM: nothing of the patient is left in it, nothing of the image is lost."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, FileDataset, Sequence, dcmread
from pydicom.data import get_testdata_file
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from napari_medai.cli import main
from napari_medai.core.errors import RunError
from napari_medai.core.steps import finished
from napari_medai.io.dicom import deidentify, risks
from napari_medai.io.dicom.cleaning import known_vr
from napari_medai.io.dicom.deidentify import Outcome, deidentify_steps
from napari_medai.io.dicom.files import find_all
from napari_medai.io.dicom.profile import profile_action, profile_rows
from napari_medai.io.dicom.pseudonyms import Pseudonyms, run_secret

NAMES = Pseudonyms(b"a secret of a test")
SHARED = Path(os.environ.get("MEDAI_TEST_DATA") or Path(__file__).parents[3] / "../shared/data")
KEPT = (
    "Modality",
    "SOPClassUID",
    "Rows",
    "Columns",
    "PixelSpacing",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "SliceThickness",
    "RescaleSlope",
    "RescaleIntercept",
    "Manufacturer",
    "KVP",
    "ImageType",
)
Run = Callable[..., tuple[int, str, str]]


def ct() -> FileDataset:
    return dcmread(get_testdata_file("CT_small.dcm", download=False))


def saved(dataset: FileDataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(path, enforce_file_format=True)
    return path


def outcomes(given: Path, out: Path, **options: bool) -> list[Outcome]:
    out.mkdir(exist_ok=True)
    return finished(deidentify_steps(find_all([given], out=out).files, out, NAMES, **options))


def cleaned(dataset: FileDataset, tmp_path: Path) -> tuple[FileDataset, bytes]:
    """A dataset as it comes out, and the bytes of its file."""
    (one,) = outcomes(saved(dataset, tmp_path / "in.dcm"), tmp_path / "out")
    assert one.status == "written", one.why
    assert one.path is not None
    return dcmread(one.path), one.path.read_bytes()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        status = main([str(word) for word in arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


# Nothing of the patient is left


def planted_value(vr: str, number: int) -> tuple[Any, bytes]:
    """A value that is found nowhere else, and the bytes to look for (none: too short for that)."""
    word = f"QZ{number:05d}K"
    day = date(1801, 1, 1) + timedelta(number)
    texts = {
        "DA": f"{day:%Y%m%d}",
        "DT": f"{day:%Y%m%d}101112.{number:06d}",
        "TM": f"101112.{number:06d}",
        "DS": f"7.913{number:05d}",
        "IS": f"79{number:05d}",
        "UI": f"1.2.3.9913.{number}",
        "PN": f"{word}^First",
        "UR": f"http://{word}.org",
    }
    if vr == "AS":
        return "077Y", b""
    if vr in ("OB", "OW", "UN", "OD", "OF"):
        return word.encode(), word.encode()
    if vr in ("US", "SS", "UL", "SL", "FL", "FD", "AT"):
        return 7913, b""
    text = texts.get(vr, word)
    return text, text.encode()


def single_rows() -> list[tuple[int, str]]:
    """Attributes of the table that can stand in a dataset, and their value representation."""
    tags = [row.tag.replace(",", "") for row in profile_rows() if not {"x", "g"} & set(row.tag)]
    numbers = [int(tag, 16) for tag in tags]
    kept = [tag for tag in numbers if tag >> 16 not in (0x0000, 0x0002, 0x0004)]
    return [(tag, known_vr(tag) or "LO") for tag in kept]


def plant(dataset: Dataset) -> set[bytes]:
    """Put something to be found into each attribute of the table."""
    marks: set[bytes] = set()
    for number, (tag, vr) in enumerate(single_rows()):
        if vr == "SQ":
            item = Dataset()
            item.CodeMeaning, mark = planted_value("LO", number)
            if profile_action(tag) == "U*":
                item = Dataset()
                item.ReferencedSOPInstanceUID, mark = planted_value("UI", number)
            inner = Dataset()
            inner.add_new(tag, "SQ", Sequence([item]))
            dataset.add_new(tag, "SQ", Sequence([inner, item]))
        else:
            value, mark = planted_value(vr, number)
            dataset.add_new(tag, vr, value)
        marks |= {mark} if mark else set()
    return marks


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_every_attribute_of_the_table_is_cleaned_wherever_it_stands(
    tmp_path: Path, syntax: UID
) -> None:
    dataset = ct()
    dataset.file_meta.TransferSyntaxUID = syntax
    marks = plant(dataset)
    assert len(marks) > 600
    nested = Dataset()
    plant(nested)
    middle = Dataset()
    middle.PixelMeasuresSequence = Sequence([nested])
    dataset.SharedFunctionalGroupsSequence = Sequence([middle])
    dataset.Modality = "CT"
    del dataset["ContentSequence"], dataset["EncapsulatedDocument"]
    after, held = cleaned(dataset, tmp_path)
    given = (tmp_path / "in.dcm").read_bytes()
    assert [mark for mark in marks if mark not in given] == []
    assert [mark for mark in marks if mark in held] == []
    for tag, vr in single_rows():
        action, element = profile_action(tag), after.get_item(tag)
        if action == "X":
            assert element is None
        elif action == "Z" and element is not None:
            assert not element.value
        elif vr not in ("SQ",) and element is not None:
            assert element.value, Tag(tag)
    inside = after.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert inside.SOPInstanceUID == after.SOPInstanceUID
    assert inside.ReferencedImageSequence[1].ReferencedSOPInstanceUID.startswith("2.25.")


def test_what_the_table_does_not_name_is_cleaned_too(tmp_path: Path) -> None:
    dataset = ct()
    dataset.PatientName = "Beeblebrox^Zaphod"
    dataset.ConvolutionKernel = "for BEEBLEBROX"
    dataset.EvaluatorName = "Planted^Person"
    dataset.add_new(0x00180FF0, "LO", "PLANTED unknown")
    dataset.add_new(0x00280FF0, "UN", b"PLANTED as UN!")
    dataset.add_new(0x00204000, "UN", b"PLANTED comment ")
    dataset.add_new(0x00081060, "UN", b"PLANTED^reader")
    dataset.add_new(0x00180087, "LO", "PLANTED number")
    dataset.add_new(0x50000010, "LO", "PLANTED curve")
    dataset.add_new(0x60001500, "LO", "PLANTED overlay")
    dataset.add_new(0x60003000, "OW", b"PLANTED overlay ")
    dataset.private_block(0x0099, "PLANTED BLOCK", create=True).add_new(1, "LO", "PLANTED private")
    item = Dataset()
    item.private_block(0x0099, "PLANTED BLOCK", create=True).add_new(2, "UN", b"PLANTED!")
    item.PersonName = "Planted^Nested"
    dataset.CTExposureSequence = Sequence([item])
    dataset.DateOfGainCalibration = "18991231"
    dataset.SOPInstanceUIDOfConcatenationSource = "1.2.3.9913.1"
    dataset.preamble = b"PLANTED here".ljust(128, b"\0")
    dataset.file_meta.SourceApplicationEntityTitle = "PLANTED"
    dataset.file_meta.PrivateInformationCreatorUID = "1.2.3.9913"
    dataset.file_meta.PrivateInformation = b"PLANTED!"
    after, held = cleaned(dataset, tmp_path)
    for mark in (b"planted", b"beeblebrox", b"zaphod", b"18991231", b"1.2.3.9913"):
        assert mark not in held.lower()
    assert after.preamble == b"\0" * 128
    assert after.ConvolutionKernel == "ANONYMIZED"
    assert not [tag for tag in after.keys() if tag.is_private]  # noqa: SIM118
    assert not after.CTExposureSequence[0].get((0x0099, 0x0010))


def test_the_copy_says_that_it_is_one(tmp_path: Path) -> None:
    after, _ = cleaned(ct(), tmp_path)
    assert after.PatientIdentityRemoved == "YES"
    assert "PS3.15 2026c" in after.DeidentificationMethod
    code = after.DeidentificationMethodCodeSequence[0]
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("113100", "DCM")
    assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID
    assert after.PatientName == ""
    assert after.PatientID.startswith("P")


def test_the_image_is_kept(tmp_path: Path) -> None:
    before = ct()
    after, _ = cleaned(ct(), tmp_path)
    for keyword in KEPT:
        assert after[keyword].value == before[keyword].value
    assert after.PixelData == before.PixelData
    assert after.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID


# UIDs


def two_slices(folder: Path) -> None:
    for number in (1, 2):
        dataset = ct()
        dataset.SOPInstanceUID = f"1.2.3.{number}"
        dataset.PatientID = "4711"
        item = Dataset()
        item.ReferencedSOPClassUID = dataset.SOPClassUID
        item.ReferencedSOPInstanceUID = f"1.2.3.{3 - number}"
        dataset.ReferencedImageSequence = Sequence([item])
        dataset.InstanceNumber = number
        saved(dataset, folder / "deep" / "er" / f"Jane Doe {number}.dcm")


def in_order(out: Path) -> list[FileDataset]:
    return sorted((dcmread(p) for p in out.rglob("*.dcm")), key=lambda d: int(d.InstanceNumber))


def test_uids_agree_in_files_references_and_runs_with_one_key(run: Run, tmp_path: Path) -> None:
    two_slices(tmp_path / "in")
    key = tmp_path / "key"
    for out in ("a", "b"):
        assert run("deidentify", tmp_path / "in", "--out", tmp_path / out, "--key", key)[0] == 0
    assert run("deidentify", tmp_path / "in", "--out", tmp_path / "c")[0] == 0
    first, second = in_order(tmp_path / "a")
    assert first.ReferencedImageSequence[0].ReferencedSOPInstanceUID == second.SOPInstanceUID
    assert second.ReferencedImageSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert first.ReferencedImageSequence[0].ReferencedSOPClassUID == first.SOPClassUID
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "PatientID"):
        assert first[keyword].value == second[keyword].value
        assert first[keyword].value == in_order(tmp_path / "b")[0][keyword].value
        assert first[keyword].value != in_order(tmp_path / "c")[0][keyword].value
    assert first.StudyInstanceUID.is_valid
    (series,) = (tmp_path / "a").iterdir()
    assert series.name == first.SeriesInstanceUID
    assert {p.stem for p in series.iterdir()} == {first.SOPInstanceUID, second.SOPInstanceUID}
    assert key.stat().st_mode & 0o077 == 0
    assert not run_secret(tmp_path / "c").path.exists()


def test_uids_of_dicom_itself_stay() -> None:
    assert NAMES.uid("1.2.840.10008.5.1.4.1.1.2") == "1.2.840.10008.5.1.4.1.1.2"
    assert NAMES.uid("1.2.840.10008.4711").startswith("2.25.")
    assert NAMES.uid("") == ""
    assert "secret" not in repr(NAMES).replace("secret=", "")


# Burnt-in text and objects that cannot be cleaned


@pytest.mark.parametrize(
    ("change", "sign"),
    [
        ({"BurnedInAnnotation": "YES"}, "text is burnt into its pixels"),
        ({"Modality": "US"}, "does not say whether text is burnt"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "Secondary Capture Image Storage"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "a picture of a screen"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LABEL"]}, "the label"),
    ],
)
def test_images_with_text_in_their_pixels(
    run: Run, tmp_path: Path, change: dict[str, Any], sign: str
) -> None:
    dataset = ct()
    for keyword, value in change.items():
        setattr(dataset, keyword, value)
    source = saved(dataset, tmp_path / "study" / "a" / "x.dcm").parents[1]
    arguments = ("deidentify", source, "--out", tmp_path / "out")
    status, _, said = run(*arguments)
    assert status == 2
    assert "warning: study/a/x.dcm was skipped" in said
    assert sign in said
    assert not list((tmp_path / "out").iterdir())
    status, _, said = run(*arguments, "--allow-burnt-in")
    assert status == 0
    assert "warning: study/a/x.dcm: " in said
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == 1


def test_who_says_that_nothing_is_burnt_in_is_believed() -> None:
    dataset = ct()
    dataset.Modality = "US"
    dataset.BurnedInAnnotation = "NO"
    assert risks.burnt_in_sign(dataset) == ""
    dataset.add_new(0x60000010, "US", 128)
    assert "spare bits" in risks.burnt_in_sign(dataset)


@pytest.mark.parametrize(
    ("name", "why"),
    [("reportsi.dcm", "a report"), ("rtplan.dcm", "RT Plan Storage and holds no pixels")],
)
def test_documents_are_skipped(run: Run, tmp_path: Path, name: str, why: str) -> None:
    source = get_testdata_file(name, download=False)
    status, _, said = run("deidentify", source, "--out", tmp_path / "out")
    assert status == 2
    assert why in said
    assert not list((tmp_path / "out").iterdir())


def test_an_enclosed_document_and_a_private_kind_are_refused() -> None:
    dataset = ct()
    dataset.EncapsulatedDocument = b"%PDF"
    assert "encloses a document" in risks.refusal(dataset)
    dataset = ct()
    dataset.SOPClassUID = "1.3.12.2.1107.5.9.1"
    assert "private to a manufacturer" in risks.refusal(dataset)


# Folders, broken files, interrupted batches


def test_a_folder_of_all_sorts(run: Run, tmp_path: Path) -> None:
    two_slices(tmp_path / "in")
    shutil.copy(tmp_path / "in/deep/er/Jane Doe 1.dcm", tmp_path / "in/copy.dcm")
    (tmp_path / "in/notes.txt").write_text("not DICOM")
    cut = saved(ct(), tmp_path / "in/cut.dcm")
    cut.write_bytes(cut.read_bytes()[:-2000])
    status, said, error = run("deidentify", tmp_path / "in", "--out", tmp_path / "in" / "out")
    assert status == 2
    assert "2 files written" in said
    assert "1 given twice" in said
    assert "1 left out that are not DICOM" in said
    assert "error: in/cut.dcm: its pixel data is cut short" in error
    assert "1 of 4 DICOM files were not written" in error
    cut.unlink()
    status, said, _ = run("deidentify", tmp_path / "in", "--out", tmp_path / "in" / "out")
    assert status == 0
    assert "2 done already" in said
    status, _, error = run("deidentify", tmp_path / "in", "--out", tmp_path / "in" / "out")
    assert status == 2
    assert "holds files of an earlier run" in error


def test_two_images_with_one_uid(run: Run, tmp_path: Path) -> None:
    saved(ct(), tmp_path / "in/a.dcm")
    other = ct()
    other.PatientID = "other"
    saved(other, tmp_path / "in/b.dcm")
    status, _, error = run("deidentify", tmp_path / "in", "--out", tmp_path / "out")
    assert status == 2
    assert "in/b.dcm: it has the SOP Instance UID of in/a.dcm, but another content" in error


def test_a_dicomdir_is_left_out(run: Run, tmp_path: Path) -> None:
    saved(ct(), tmp_path / "in/a.dcm")
    directory = Path(get_testdata_file("CT_small.dcm", download=False)).with_name("DICOMDIR")
    if not directory.exists():
        shutil.copy(tmp_path / "in/a.dcm", tmp_path / "in/DICOMDIR")
    else:
        shutil.copy(directory, tmp_path / "in/DICOMDIR")
    status, said, _ = run("deidentify", tmp_path / "in", "--out", tmp_path / "out")
    assert status == 0
    assert "1 DICOMDIR left out" in said


def test_an_interrupted_batch_goes_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_slices(tmp_path / "in")
    arguments = ("deidentify", tmp_path / "in", "--out", tmp_path / "out")
    write, seen = deidentify._write, []

    def interrupted(encoded: memoryview, path: Path) -> None:
        seen.append(path)
        if len(seen) == 2:
            raise KeyboardInterrupt
        write(encoded, path)

    monkeypatch.setattr(deidentify, "_write", interrupted)
    status, _, error = run(*arguments)
    assert status == 130
    assert "stopped: 1 of 2 files are finished; the same command goes on" in error
    monkeypatch.setattr(deidentify, "_write", write)
    status, said, _ = run(*arguments)
    assert status == 0
    assert "1 files written" in said
    assert "1 done already" in said
    first, second = in_order(tmp_path / "out")
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert first.ReferencedImageSequence[0].ReferencedSOPInstanceUID == second.SOPInstanceUID


def test_a_full_disk_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two_slices(tmp_path / "in")

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(RunError, match="No space left on device"):
        outcomes(tmp_path / "in", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_bad_input(run: Run, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "a.txt").write_text("text")
    source = saved(ct(), tmp_path / "in" / "a.dcm")
    short = tmp_path / "short"
    short.write_text("abc")
    (tmp_path / "file").write_text("")
    out = ("--out", tmp_path / "out")
    for arguments, sentence in [
        ((empty, *out), "there is no DICOM file to de-identify (1 other files were found)"),
        ((tmp_path / "none", *out), "none does not exist"),
        ((empty / "a.txt", *out), "a.txt is not a DICOM file"),
        ((source.parent, "--out", source.parent), "is both input and output"),
        ((source, "--out", tmp_path / "file"), "results cannot be written to"),
        ((source, *out, "--key", tmp_path / "out" / "key"), "would lie in the output folder"),
        ((source, *out, "--key", short), "holds 3 bytes, but 16 are needed"),
    ]:
        status, said, error = run("deidentify", *arguments)
        assert (status, said) == (2, "")
        assert sentence in error
    assert not list((tmp_path / "out").rglob("*.dcm"))


# Real files


@pytest.mark.skipif(not (SHARED / "fixtures_dicom").is_dir(), reason=f"no DICOM files in {SHARED}")
@pytest.mark.parametrize("name", ["ultrasound_deid", "lungmask_ct2", "dcm_qa_enh", "highdicom"])
def test_real_files(tmp_path: Path, name: str) -> None:
    found = outcomes(SHARED / "fixtures_dicom" / name, tmp_path / "out", allow_burnt_in=True)
    written = [one for one in found if one.status == "written"]
    assert written
    for one in written:
        assert one.path is not None
        before, after = dcmread(one.source.path), dcmread(one.path)
        odd = len(before.PixelData) % 2  # not allowed, and made even
        assert after.PixelData == before.PixelData + b"\0" * odd
        assert after.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID
        held = one.path.read_bytes()
        for keyword in ("PatientID", "SOPInstanceUID", "StudyInstanceUID", "PatientName"):
            value = str(before.get(keyword) or "").encode()
            assert len(value) < 5 or value not in held, (one.source.shown, keyword)
