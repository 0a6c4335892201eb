"""Decoders of compressed frames that raise where a file is broken, and never end the process.

pydicom's first choices for JPEG (GDCM) and RLE (pylibjpeg-rle) abort or panic on frames whose own
header contradicts the file's. Here imagecodecs decodes them, and OpenJPEG JPEG 2000; colours, signs
and spare bits are still pydicom's part. Frames of another size than the file's are not decoded, so
that none takes more memory than was checked.
"""

from __future__ import annotations

import struct
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pydicom.pixels.decoders.base import Decoder, DecodeRunner
    from pydicom.uid import UID

PLUGIN = "medai"
_JPEG = ("4.50", "4.51", "4.57", "4.70")
_JPEG_LS = ("4.80", "4.81")
_JPEG_2000 = ("4.90", "4.91", "4.201", "4.202", "4.203")
_PREFIX = "1.2.840.10008.1.2."
_FUNCTIONS = {
    **dict.fromkeys(_JPEG, "jpeg_frame"),
    **dict.fromkeys(_JPEG_LS, "jpeg_ls_frame"),
    **dict.fromkeys(_JPEG_2000, "jpeg_2000_frame"),
    "5": "rle_frame",
}
DECODER_DEPENDENCIES: dict[str, tuple[str, ...]] = {}
"""What pydicom asks plugins for: nothing that is not installed with the package."""
_JPEG_END = b"\xff\xd9"
_J2K_START = b"\xff\x4f\xff\x51"
_SIZES = frozenset((*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), 0xF7))
"""JPEG markers of segments that say how large the picture is."""


@cache
def decoder_for(syntax: str) -> Decoder:
    """pydicom's decoder of a transfer syntax, with the plugin from here where there is one.

    Raises
    ------
    NotImplementedError
        If nothing decodes it.
    """
    from pydicom.pixels.decoders.base import Decoder, get_decoder
    from pydicom.uid import UID

    function = _FUNCTIONS.get(syntax.removeprefix(_PREFIX))
    if function is None:
        return get_decoder(syntax)
    decoder = Decoder(UID(syntax))
    decoder.add_plugin(PLUGIN, (__name__, function))
    return decoder


def is_available(uid: UID) -> bool:
    """What pydicom asks plugins."""
    return uid.removeprefix(_PREFIX) in _FUNCTIONS


def jpeg_frame(src: bytes, runner: DecodeRunner) -> bytes:
    """The samples of a JPEG, lossy or lossless, as they are coded: no colour is converted."""
    import imagecodecs

    _check_size(jpeg_size(src), runner)
    same = "YCBCR" if runner.samples_per_pixel == 3 else None
    return _samples(imagecodecs.jpeg8_decode(src, colorspace=same, outcolorspace=same), runner)


def jpeg_ls_frame(src: bytes, runner: DecodeRunner) -> bytes:
    """The samples of a JPEG-LS."""
    import imagecodecs

    _check_size(jpeg_size(src), runner)
    # Without an end, CharLS looks for it for ever.
    return _samples(imagecodecs.jpegls_decode(src + _JPEG_END), runner)


def jpeg_2000_frame(src: bytes, runner: DecodeRunner) -> bytes | bytearray:
    """The samples of a JPEG 2000, also of high throughput."""
    from pydicom.pixels.decoders.pylibjpeg import _decode_frame

    _check_size(jpeg_2000_size(src), runner)
    return _decode_frame(src, runner)


def rle_frame(src: bytes, runner: DecodeRunner) -> bytes:
    """The samples of an RLE frame, colours one after the other (PS3.5 Annex G).

    Each segment holds one byte of all samples of a colour, the most significant first.
    """
    import imagecodecs

    if runner.bits_allocated % 8:
        raise ValueError(f"RLE holds whole bytes, not samples of {runner.bits_allocated} bits")
    shape = (runner.samples_per_pixel, runner.bits_allocated // 8)
    count, *offsets = struct.unpack("<16I", src[:64].ljust(64, b"\0"))
    bounds = [*offsets[: min(count, 15)], len(src)]
    if count != shape[0] * shape[1] or bounds[0] < 64 or bounds != sorted(bounds):
        raise ValueError(f"the frame has {count} segments from {bounds}, which cannot be")
    pixels = runner.rows * runner.columns
    frame = np.empty((shape[0], pixels, shape[1]), np.uint8)
    for number, (start, end) in enumerate(pairwise(bounds)):
        segment = imagecodecs.packbits_decode(src[start:end])
        if len(segment) < pixels:
            raise ValueError(f"a segment holds {len(segment)} pixels of {pixels}")
        colour, byte = divmod(number, shape[1])
        frame[colour, :, shape[1] - 1 - byte] = np.frombuffer(segment, np.uint8, pixels)
    runner.set_option("planar_configuration", 1)
    return frame.tobytes()


def jpeg_size(src: bytes) -> tuple[int, int, int]:
    """Rows, columns and samples by the header of a JPEG or JPEG-LS; zeros if there is none."""
    at = src.find(b"\xff\xd8") + 2
    while 2 <= at <= len(src) - 10:
        if src[at] != 0xFF:
            at = src.find(b"\xff", at)  # as libjpeg, that skips what is no marker
            continue
        marker = src[at + 1]
        if marker in _SIZES:
            rows = int.from_bytes(src[at + 5 : at + 7], "big")
            return rows, int.from_bytes(src[at + 7 : at + 9], "big"), src[at + 9]
        alone = marker in (0xFF, 0x01) or 0xD0 <= marker <= 0xD8
        length = 0 if alone else int.from_bytes(src[at + 2 : at + 4], "big")
        at += 1 if marker == 0xFF else 2 + length
    return 0, 0, 0


def jpeg_2000_size(src: bytes) -> tuple[int, int, int]:
    """Rows, columns and samples by the header of a JPEG 2000; zeros if there is none."""
    at = src.find(_J2K_START)
    if at < 0 or at + 42 > len(src):
        return 0, 0, 0
    right, bottom, left, top = (
        int.from_bytes(src[at + n : at + n + 4], "big") for n in (8, 12, 16, 20)
    )
    return bottom - top, right - left, int.from_bytes(src[at + 40 : at + 42], "big")


def _check_size(size: tuple[int, int, int], runner: DecodeRunner) -> None:
    told = (runner.rows, runner.columns, runner.samples_per_pixel)
    if size != told:
        names = (" x ".join(map(str, one)) for one in (size, told))
        raise ValueError("the frame is of {} samples, but the file tells of {}".format(*names))


def _samples(frame: np.ndarray, runner: DecodeRunner) -> bytes:
    runner.set_option("bits_allocated", 8 * frame.dtype.itemsize)
    if runner.samples_per_pixel > 1:
        runner.set_option("planar_configuration", 0)
    return frame.tobytes()
