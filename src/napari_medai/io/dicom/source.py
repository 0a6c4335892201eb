"""One DICOM file: its header, and where its pixels are; no pixel is read here."""

from __future__ import annotations

import io
import os
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from napari_medai.core.errors import InputError
from napari_medai.io.dicom.codecs import PLUGIN
from napari_medai.io.dicom.encoding import Frames, frames_there
from napari_medai.io.dicom.tags import value, whole

if TYPE_CHECKING:
    from pydicom import Dataset

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
NATIVE = (IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED)

_ORDERS: tuple[Literal["little", "big"], ...] = ("little", "big")
_PIXELS = {0x0008: "FloatPixelData", 0x0009: "DoubleFloatPixelData", 0x0010: "PixelData"}
_TAGS = {
    (0x7FE0).to_bytes(2, order) + element.to_bytes(2, order): name
    for element, name in _PIXELS.items()
    for order in _ORDERS
}
_HEAD = 2**16
_UNDEFINED = 0xFFFFFFFF
_INFLATED_LIMIT = 512 * 2**20


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A file with its header.

    ``keyword`` names the element with the pixels ('' where there is none), ``start`` is where its
    value begins, ``syntax`` the transfer syntax that it is decoded by, ``frames`` how many frames
    are there whole. ``notes`` say what is not as it should be.
    """

    path: Path
    header: Dataset
    syntax: str
    keyword: str = ""
    vr: str = ""
    start: int = 0
    frames: int = 0
    notes: tuple[str, ...] = ()


def read_source(path: Path) -> Source:
    """The header of a file, also of one without preamble or file meta information.

    Raises
    ------
    InputError
        If it is not DICOM, or its pixels are cut short or cannot be as many as it claims.
    """
    try:
        with opened(path) as file:
            header = _header(file)
            if not len(header):
                raise InputError(f"{path} holds no DICOM data set; choose another file")
            return _located(path, header, file)
    except InputError as error:
        if str(error).startswith(str(path)):
            raise
        raise InputError(f"{path}: {error}") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error}); check the file") from error
    except Exception as error:  # pydicom raises whatever a broken file provokes
        raise InputError(
            f"{path} cannot be read as DICOM ({first_line(error)}); export it again"
        ) from error


def _header(file: BinaryIO) -> Dataset:
    """The data set before the pixels; the file then stands at these, or at its end.

    Most headers are short: read at once, and parsed in memory, they take half the time.
    """
    from pydicom import dcmread

    near = io.BytesIO(file.read(_HEAD))
    with suppress(Exception):  # a header that goes on behind; if it is broken, it is so below
        header = dcmread(near, stop_before_pixels=True, force=True)
        at = near.tell()
        if near.read(4) in _TAGS:
            file.seek(at)
            header.buffer = None
            return header
    file.seek(0)
    header = dcmread(file, stop_before_pixels=True, force=True)
    header.buffer = None
    return header


def first_line(error: BaseException) -> str:
    """What an error says, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and "all available plugins" in lines[0]:
        lines = [lines[1].removeprefix(f"{PLUGIN}: ")]
    return (lines[0] if lines else type(error).__name__).rstrip(".:")[:200]


@contextmanager
def quiet() -> Iterator[None]:
    """Without pydicom's warnings: what matters is checked, and told in notes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Bounded(io.BufferedReader):
    """A file that sets no memory aside for bytes beyond its end.

    A broken header may claim elements of 4 GB, which pydicom asks for at once.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._size = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > io.DEFAULT_BUFFER_SIZE:
            size = min(size, max(self._size - self.tell(), 0))
        return super().read(size)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file; of a deflated one what it holds, in memory."""
    with Bounded(path) as file:
        begin = _deflated_from(file)
        if begin is None:
            yield file
            return
    yield io.BytesIO(_inflated(path, begin, path.stat().st_mtime_ns))


def _deflated_from(file: BinaryIO) -> int | None:
    """Where a deflated data set begins; None if it is not deflated."""
    start = file.read(512)
    file.seek(0)
    if start[128:132] != b"DICM" or DEFLATED.encode() not in start:
        return None
    if start[132:136] != b"\x02\x00\x00\x00":
        return None
    return 144 + int.from_bytes(start[140:144], "little")


@lru_cache(maxsize=2)
def _inflated(path: Path, begin: int, _changed: int) -> bytes:
    packed = path.read_bytes()[begin:]
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = stream.decompress(packed, _INFLATED_LIMIT)
    except zlib.error as error:
        raise InputError(f"{path} cannot be inflated ({error}); export it again") from error
    if stream.unconsumed_tail:
        raise InputError(
            f"{path} inflates to more than {_INFLATED_LIMIT >> 20} MB; export it uncompressed"
        )
    return data


def _located(path: Path, header: Dataset, file: BinaryIO) -> Source:
    """The source with its pixels found; the file stands at their element, or at its end."""
    implicit, little = header.original_encoding
    meta = getattr(header, "file_meta", None)
    inflated = isinstance(file, io.BytesIO)
    told = EXPLICIT if inflated else str(value(meta, "TransferSyntaxUID") or "")
    order: Literal["little", "big"] = "little" if little else "big"
    keyword = _TAGS.get(file.read(4), "")
    if not keyword:
        return Source(path, header, told)
    vr = file.read(2)
    implicit = vr not in (b"OB", b"OW", b"OF", b"OD", b"UN")  # some mix both
    length = int.from_bytes(vr + file.read(2) if implicit else file.read(6)[-4:], order)
    start = file.tell()
    there = file.seek(0, os.SEEK_END) - start
    plain = IMPLICIT if implicit else EXPLICIT if little else BIG_ENDIAN
    syntax = told or plain
    file.seek(start)
    found: Frames = frames_there(
        header, file, syntax=syntax, keyword=keyword, there=there, undefined=length == _UNDEFINED
    )
    known = () if told else ("the file does not name its transfer syntax; it was found out",)
    claimed = max(whole(header, "NumberOfFrames") or 1, 1)
    if "NumberOfFrames" in header and whole(header, "NumberOfFrames") is None:
        del header.NumberOfFrames  # decoders would stumble over it
    if found.count < claimed:
        known = (
            *known,
            f"the pixels are cut short: {found.count} of {claimed} frames are whole and shown",
        )
    return Source(
        path,
        header,
        found.syntax,
        keyword,
        "OW" if implicit else vr.decode(),
        start,
        found.count,
        (*known, *found.notes),
    )
