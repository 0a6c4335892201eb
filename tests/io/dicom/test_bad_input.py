from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import JPEGBaseline8Bit, RLELossless

from napari_medai.core.errors import InputError
from napari_medai.io.dicom.reader import read_dicom


def test_a_picture_cut_short_says_how_much_is_there(make: Any, tmp_path: Path) -> None:
    path = make.save(tmp_path / "a.dcm", make.header(), make.phantom()[0])
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match="one frame takes 60 bytes, 50 are there"):
        read_dicom(path)


def test_whole_frames_of_a_file_cut_short_are_shown(make: Any, tmp_path: Path) -> None:
    frames = make.phantom(7)
    path = make.save(tmp_path / "a.dcm", make.header("US", NumberOfFrames=7), frames)
    path.write_bytes(path.read_bytes()[:-100])
    (image,) = read_dicom(path)
    np.testing.assert_array_equal(np.asarray(image.levels[0]), frames[:5])
    assert image.notes == ("the pixels are cut short: 5 of 7 frames are whole and shown",)


def test_a_bad_file_does_not_spoil_a_series(series: Callable[..., Path], make: Any) -> None:
    folder = series(make.phantom())
    by_size = sorted(folder.iterdir(), key=lambda path: path.name[5:])
    last = by_size[-1]
    last.write_bytes(last.read_bytes()[:-50])
    (image,) = read_dicom(folder)
    np.testing.assert_array_equal(np.asarray(image.levels[0]), make.phantom()[:3])
    assert image.notes == ("1 file of 4 cannot be read and is left out",)


@pytest.mark.parametrize("syntax", [None, RLELossless, JPEGBaseline8Bit])
def test_a_huge_picture_in_a_small_file_is_refused(syntax: Any, make: Any, tmp_path: Path) -> None:
    path = make.save(tmp_path / "a.dcm", make.header(), make.phantom()[0])
    data = path.read_bytes()
    for tag in (b"\x28\0\x10\0", b"\x28\0\x11\0"):
        at = data.index(tag) + 8
        data = data[:at] + (40000).to_bytes(2, "little") + data[at + 2 :]
    if syntax is not None:
        start = data.index(b"\xe0\x7f\x10\0")
        frame = b"\xff\xd8\xff\xe0" + b"\0" * 200
        item = b"\xfe\xff\0\xe0"
        data = data[:start] + b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff" + item + b"\0\0\0\0"
        data += item + len(frame).to_bytes(4, "little") + frame + b"\xfe\xff\xdd\xe0\0\0\0\0"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"3200000000 bytes|cannot be decoded|does not say how"):
        read_dicom(path)


@pytest.mark.parametrize(
    ("tags", "complaint"),
    [
        ({"Rows": 0}, "5 x 0 pixels"),
        ({"BitsAllocated": 12}, "12 bits"),
        ({"SamplesPerPixel": 7}, "7 samples"),
        ({"Columns": None}, "0 x 6 pixels"),
    ],
)
def test_headers_that_cannot_be(
    tags: dict[str, Any], complaint: str, make: Any, tmp_path: Path
) -> None:
    import pydicom

    path = make.save(tmp_path / "a.dcm", make.header(), make.phantom()[0])
    dataset = pydicom.dcmread(path)
    for keyword, value in tags.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(path)
    with pytest.raises(InputError, match=complaint):
        read_dicom(path)


@pytest.mark.parametrize(
    ("uid", "modality", "text"),
    [
        ("1.2.840.10008.5.1.4.1.1.88.33", "SR", "is a structured report, which holds no image"),
        ("1.2.840.10008.5.1.4.1.1.104.1", "DOC", r"is an encapsulated document \(PDF\), which"),
        ("1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT", "is a set of RT structures"),
        ("1.2.840.10008.5.1.4.1.1.481.5", "RTPLAN", "is an RT plan, which holds no image"),
        ("1.2.840.10008.5.1.4.1.1.11.1", "PR", "is a presentation state, which"),
        ("1.2.840.10008.5.1.4.1.1.88.59", "KO", "is a list of key objects, which"),
        ("1.2.840.10008.5.1.4.1.1.9.1.1", "ECG", "is a waveform, which"),
        ("1.2.840.10008.5.1.4.1.1.2", "CT", "is a CT Image without pixels, which holds no image"),
        ("1.2.3.4.5", "XX", "is an object of an unknown kind, which holds no image"),
    ],
)
def test_what_is_no_picture_is_named(
    uid: str, modality: str, text: str, series: Callable[..., Path], make: Any, tmp_path: Path
) -> None:
    dataset = make.header(modality, SOPClassUID=uid)
    del dataset.SamplesPerPixel
    path = make.save(tmp_path / "a.dcm", dataset)
    with pytest.raises(InputError, match=text):
        read_dicom(path)
    folder = series(make.phantom())
    path.rename(folder / "a.dcm")
    (image,) = read_dicom(folder)
    assert image.image.shape == (4, 6, 5)
    assert image.notes[0].startswith("1 × ")
    assert image.notes[0].endswith(": no image, left out")


def test_a_wrong_transfer_syntax_is_seen_through(
    series: Callable[..., Path], make: Any, tmp_path: Path
) -> None:
    # Pixels as they are in a file that says they are JPEG.
    path = make.save(tmp_path / "a.dcm", make.header(), make.phantom()[0])
    data = path.read_bytes()
    at = data.index(b"\x02\0\x10\0UI") + 6
    size = int.from_bytes(data[at : at + 2], "little")
    uid = b"1.2.840.10008.1.2.4.50"
    length = int.from_bytes(data[140:144], "little") - size + len(uid)
    head = data[:140] + length.to_bytes(4, "little") + data[144:at]
    path.write_bytes(head + len(uid).to_bytes(2, "little") + uid + data[at + 2 + size :])
    (image,) = read_dicom(path)
    np.testing.assert_array_equal(np.asarray(image.levels[0]), make.phantom()[0])
    assert "the pixels are not compressed, other than" in image.notes[0]


def test_a_frame_that_cannot_be_decoded_is_one_sentence(data: Path, tmp_path: Path) -> None:
    good = (data / "dicom" / "MR_small_jpeg_ls_lossless.dcm").read_bytes()
    path = tmp_path / "a.dcm"
    path.write_bytes(good[:-2500] + bytes(2500))
    with pytest.raises(InputError, match=r"cannot be decoded|cut short") as caught:
        read_dicom(path)
    assert "\n" not in str(caught.value)


def test_a_header_that_claims_4_gb_sets_no_memory_aside(make: Any, tmp_path: Path) -> None:
    import tracemalloc

    path = make.save(tmp_path / "a.dcm", make.header(ImageComments="x" * 20), make.phantom()[0])
    content = path.read_bytes()
    at = content.index(b"\x20\0\0\x40LT")
    path.write_bytes(content[:at] + b"\x20\0\0\x40OB\0\0\xf0\xff\xff\xff" + content[at + 8 :])
    tracemalloc.start()
    with pytest.raises(InputError):
        read_dicom(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50e6


def test_a_header_with_values_of_another_kind_is_read(make: Any, tmp_path: Path) -> None:
    path = make.save(tmp_path / "a.dcm", make.header(), make.phantom()[0])
    content = path.read_bytes()
    at = content.index(b"\x08\0\x60\0CS\x02\0")  # the modality, as a number
    path.write_bytes(content[: at + 4] + b"US\x02\0\x07\0" + content[at + 10 :])
    (image,) = read_dicom(path)
    assert image.metadata["modality"] == "OT"


@pytest.mark.parametrize("broken", ["LUTData", "LUTDescriptor"])
def test_a_table_of_values_that_cannot_be_used_is_one_sentence(
    broken: str, make: Any, tmp_path: Path
) -> None:
    from pydicom import Dataset

    table = Dataset()
    table.LUTDescriptor = [4, 0, 16]
    table.add_new("LUTData", "OW", b"\1\0\2\0\3\0\4\0")
    delattr(table, broken)
    header = make.header(ModalityLUTSequence=[table])
    path = make.save(tmp_path / "a.dcm", header, make.phantom()[0])
    if broken == "LUTDescriptor":  # as if there were none
        assert read_dicom(path)[0].image.shape == (6, 5)
        return
    with pytest.raises(InputError, match="modality LUT"):
        read_dicom(path)


@pytest.mark.parametrize(
    ("name", "syntax"),
    [
        ("SC_rgb_jpeg_dcmtk.dcm", b"1.2.840.10008.1.2.4.50"),
        ("MR_small_jpeg_ls_lossless.dcm", b"1.2.840.10008.1.2.4.80"),
        ("JPEG2000.dcm", b"1.2.840.10008.1.2.4.91"),
    ],
)
def test_compressed_pixels_that_are_said_to_be_plain_are_read(
    name: str, syntax: bytes, data: Path, tmp_path: Path
) -> None:
    content = (data / "dicom" / name).read_bytes()
    plain = b"1.2.840.10008.1.2.1".ljust(len(syntax), b"\0")
    assert syntax in content
    (tmp_path / name).write_bytes(content.replace(syntax, plain, 1))
    (told,) = read_dicom(data / "dicom" / name)
    (image,) = read_dicom(tmp_path / name)
    np.testing.assert_array_equal(np.asarray(image.levels[0]), np.asarray(told.levels[0]))
    assert "the pixels are compressed, other than" in image.notes[-1]
