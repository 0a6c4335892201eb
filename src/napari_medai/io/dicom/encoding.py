"""How many frames a file can hold, from its header and its length, before anything is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from napari_medai.core.errors import InputError
from napari_medai.io.dicom.tags import whole, word

if TYPE_CHECKING:
    from pydicom import Dataset

_NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
_EXPLICIT = "1.2.840.10008.1.2.1"
_RLE = "1.2.840.10008.1.2.5"
_BY_MARKER = {
    **dict.fromkeys((0xC0, 0xC1, 0xC2), "1.2.840.10008.1.2.4.50"),
    0xC3: "1.2.840.10008.1.2.4.70",
    0xF7: "1.2.840.10008.1.2.4.81",
}
_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_BLANK_BYTES = 64 * 2**20
"""Frames up to this size may be compressed to almost nothing: blank ones are."""
_EXPANSION = 2000


@dataclass(frozen=True, slots=True)
class Frames:
    """How many frames are there whole, and the transfer syntax that they are in."""

    count: int
    syntax: str
    notes: tuple[str, ...] = ()


def frames_there(
    header: Dataset,
    file: BinaryIO,
    *,
    syntax: str,
    keyword: str,
    there: int,
    undefined: bool,
) -> Frames:
    """Count the whole frames; the file stands at the value of the pixels, ``there`` bytes long.

    Raises
    ------
    InputError
        If not one is there, or the picture claimed is larger than the bytes could say.
    """
    claimed = max(whole(header, "NumberOfFrames") or 1, 1)
    bits = frame_bits(header, keyword)
    boxed = undefined or (syntax not in _NATIVE and _is_item(file))
    if not boxed:
        other = () if syntax in _NATIVE else (_wrong("not compressed"),)
        return _native(syntax if syntax in _NATIVE else _EXPLICIT, claimed, bits, there, other)
    sizes, complete, begins = _items(file, limit=max(4 * claimed, 64))
    if not sizes:
        raise InputError(
            f"the pixels are cut short: not one of {claimed} frames is there; export the file again"
        )
    other = ()
    if syntax in _NATIVE or not syntax:
        syntax = _guessed(begins)
        other = (_wrong("compressed"),)
    _check_plausible(syntax, bits, sum(sizes), claimed)
    whole_items = len(sizes) if complete else len(sizes) - 1
    count = claimed if complete and len(sizes) >= claimed else min(claimed, whole_items)
    if claimed == 1 or (len(sizes) < claimed and complete and len(sizes) == 1):
        count = 1
    if count < 1:
        raise InputError(
            f"the pixels are cut short: not one of {claimed} frames is whole; export the file again"
        )
    return Frames(count, syntax, other)


def frame_bits(header: Dataset, keyword: str) -> int:
    """Bits of one decoded frame.

    Raises
    ------
    InputError
        If the header does not say how large it is.
    """
    rows, columns = whole(header, "Rows") or 0, whole(header, "Columns") or 0
    samples = whole(header, "SamplesPerPixel") or 1
    deep = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}.get(keyword)
    bits = deep or whole(header, "BitsAllocated") or 0
    if rows < 1 or columns < 1 or samples not in (1, 3, 4) or bits not in (1, 8, 16, 32, 64):
        raise InputError(
            f"the header tells of a picture of {columns} x {rows} pixels, {samples} samples each "
            f"of {bits} bits, which cannot be; export the file again"
        )
    if word(header, "PhotometricInterpretation") == "YBR_FULL_422":
        return rows * columns * 2 * bits
    return rows * columns * samples * bits


def _native(syntax: str, claimed: int, bits: int, there: int, notes: tuple[str, ...]) -> Frames:
    count = min(claimed, 8 * there // bits)
    if count < 1:
        raise InputError(
            f"the pixels are cut short: one frame takes {-(-bits // 8)} bytes, "
            f"{there} are there; export the file again"
        )
    return Frames(count, syntax, notes)


def _is_item(file: BinaryIO) -> bool:
    start = file.tell()
    found = file.read(4) == _ITEM
    file.seek(start)
    return found


def _items(file: BinaryIO, *, limit: int) -> tuple[list[int], bool, bytes]:
    """Sizes of the fragments after the table of offsets, if all are whole, and how they begin."""
    start = file.tell()
    end = file.seek(0, 2)
    file.seek(start)
    sizes: list[int] = []
    begins, complete, table = b"", True, True
    while len(sizes) < limit:
        head = file.read(8)
        if len(head) < 8 or head[:4] != _ITEM:
            complete = head[:4] == _END
            break
        size = int.from_bytes(head[4:], "little")
        here = file.tell()
        if here + size > end:
            if not table:
                begins = begins or file.read(64)
                sizes.append(end - here)
            complete = False
            break
        if not table:
            begins = begins or file.read(4096)
            sizes.append(size)
        table = False
        file.seek(here + size)
    file.seek(start)
    return sizes, complete, begins


def _guessed(begins: bytes) -> str:
    """The transfer syntax of a compressed frame, from its first marks."""
    if begins.startswith((b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP")):
        return "1.2.840.10008.1.2.4.91"
    at = 2 if begins.startswith(b"\xff\xd8") else len(begins)
    while at + 4 <= len(begins) and begins[at] == 0xFF:
        if begins[at + 1] in _BY_MARKER:
            return _BY_MARKER[begins[at + 1]]
        at += 2 + int.from_bytes(begins[at + 2 : at + 4], "big")
    raise InputError(
        "the pixels are compressed, but the file does not say how; export it again uncompressed"
    )


def _check_plausible(syntax: str, bits: int, there: int, claimed: int) -> None:
    size = bits // 8
    # RLE says at most 128 bytes with 2; what the others can say of a blank picture has no limit.
    limit = 64 * there if syntax == _RLE else max(_EXPANSION * there, _BLANK_BYTES)
    if size > limit:
        raise InputError(
            f"the header claims a picture of {size} bytes, which the {there} bytes of compressed "
            "pixels cannot hold; export the file again"
        )


def _wrong(what: str) -> str:
    return f"the pixels are {what}, other than the file's transfer syntax says; read as they are"
