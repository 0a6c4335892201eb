"""Compressed frames: as pydicom decodes them, and broken ones as an error."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.pixels.decoders.base import get_decoder

from napari_medai.core.errors import InputError
from napari_medai.io.dicom import pixels
from napari_medai.io.dicom.codecs import decoder_for, jpeg_2000_size, jpeg_size
from napari_medai.io.dicom.pixels import decoded
from napari_medai.io.dicom.reader import read_dicom
from napari_medai.io.dicom.source import read_source

FRAMES = {
    "SC_rgb_jpeg_dcmtk.dcm": (b"\xff\xd8\xff", 5),
    "MR_small_jpeg_ls_lossless.dcm": (b"\xff\xd8\xff", 5),
    "JPEG2000.dcm": (b"\xff\x4f\xff\x51", 8),
}
"""How frames begin, and where in the segment with their size it is, from its marker on."""


def _frame(content: bytes, name: str) -> int:
    return content.rindex(FRAMES[name][0])


def test_sizes_are_read_from_frames(data: Path) -> None:
    for name, size in {
        "SC_rgb_jpeg_dcmtk.dcm": (100, 100, 3),
        "MR_small_jpeg_ls_lossless.dcm": (64, 64, 1),
        "JPEG2000.dcm": (1024, 256, 1),
    }.items():
        content = (data / "dicom" / name).read_bytes()
        found = jpeg_2000_size if name == "JPEG2000.dcm" else jpeg_size
        assert found(content[_frame(content, name) :]) == size
    for nothing in (b"", b"\xff\xd8", b"\xff\xd8\xff\xc0\0", b"\xff" * 50, b"\0" * 50):
        assert jpeg_size(nothing) == jpeg_2000_size(nothing) == (0, 0, 0)


@pytest.mark.parametrize("name", FRAMES)
def test_frames_are_decoded_as_pydicom_does(
    name: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = read_source(data / "dicom" / name)
    ours = decoded(source, 0)
    monkeypatch.setattr(pixels, "decoder_for", get_decoder)
    np.testing.assert_array_equal(ours, decoded(source, 0))


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_that_claims_to_be_huge_is_not_decoded(
    name: str, data: Path, tmp_path: Path
) -> None:
    content = bytearray((data / "dicom" / name).read_bytes())
    start, offset = _frame(content, name), FRAMES[name][1]
    if name == "JPEG2000.dcm":
        content[start + offset : start + offset + 8] = (60_000).to_bytes(4, "big") * 2
    else:
        marker = b"\xff\xf7" if "ls" in name else b"\xff\xc0"
        at = content.index(marker, start)
        content[at + offset : at + offset + 4] = (60_000).to_bytes(2, "big") * 2
    path = tmp_path / "a.dcm"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"the frame is of 60000 x 60000 x \d samples"):
        read_dicom(path)


def test_a_jpeg_without_a_table_is_an_error_and_no_crash(data: Path, tmp_path: Path) -> None:
    content = (data / "dicom" / "SC_rgb_jpeg_dcmtk.dcm").read_bytes()
    start = _frame(content, "SC_rgb_jpeg_dcmtk.dcm")
    for marker in (b"\xff\xdb", b"\xff\xc0"):
        at = content.index(marker, start)
        path = tmp_path / "a.dcm"
        path.write_bytes(content[:at] + b"\0" * 7 + content[at + 7 :])
        with pytest.raises(InputError, match="cannot be decoded"):
            read_dicom(path)


@pytest.mark.parametrize("part", [0.3, 0.5, 0.9])
def test_a_jpeg_ls_cut_short_ends(part: float, data: Path, tmp_path: Path) -> None:
    # CharLS alone goes on for ever.
    content = (data / "dicom" / "MR_small_jpeg_ls_lossless.dcm").read_bytes()
    start = _frame(content, "MR_small_jpeg_ls_lossless.dcm")
    path = tmp_path / "a.dcm"
    path.write_bytes(content[: start + int(part * (len(content) - start))])
    with pytest.raises(InputError, match=r"cannot be decoded|cut short"):
        read_dicom(path)


def test_an_rle_frame_that_holds_too_little_is_an_error(data: Path, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(data / "dicom" / "MR_small_RLE.dcm")
    dataset.Columns = 128
    dataset.save_as(tmp_path / "a.dcm")
    with pytest.raises(InputError, match="a segment holds 4096 pixels of 8192"):
        read_dicom(tmp_path / "a.dcm")


def test_rle_of_more_than_is_told_does_no_harm(data: Path, tmp_path: Path) -> None:
    # pylibjpeg-rle panics on this one.
    content, start = _rle(data)
    path = tmp_path / "a.dcm"
    path.write_bytes(content[: start + 64] + b"\x81\0" * 200 + content[start + 464 :])
    (image,) = read_dicom(path)
    good = np.asarray(read_dicom(data / "dicom" / "MR_small_RLE.dcm")[0].levels[0])
    assert np.array_equal(np.asarray(image.levels[0]) & 0xFF, good & 0xFF)


@pytest.mark.parametrize("offsets", [(64, 2**32 - 1), (64, 60), (2, 0, 0), (0, 0)])
def test_rle_segments_that_lie_elsewhere_are_an_error(
    offsets: tuple[int, ...], data: Path, tmp_path: Path
) -> None:
    # imagecodecs' own decoder of such frames reads beyond their end.
    content, start = _rle(data)
    header = struct.pack(f"<{len(offsets)}I", *offsets)
    path = tmp_path / "a.dcm"
    path.write_bytes(content[: start + 4] + header + content[start + 4 + len(header) :])
    with pytest.raises(InputError, match="has 2 segments from"):
        read_dicom(path)


def _rle(data: Path) -> tuple[bytes, int]:
    """A file, and where its frame of two segments begins."""
    content = (data / "dicom" / "MR_small_RLE.dcm").read_bytes()
    return content, content.index(struct.pack("<2I", 2, 64))


def test_the_header_of_the_file_must_fit_the_frame(data: Path, tmp_path: Path) -> None:
    # GDCM aborts the process on this one.
    dataset = pydicom.dcmread(data / "dicom" / "SC_rgb_jpeg_dcmtk.dcm")
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.save_as(tmp_path / "a.dcm")
    with pytest.raises(InputError, match="100 x 100 x 3 samples, but the file tells of 100 x 100"):
        read_dicom(tmp_path / "a.dcm")


def test_what_nothing_decodes_is_named() -> None:
    with pytest.raises(NotImplementedError):
        decoder_for("1.2.840.10008.1.2.4.100")
