"""Decoding, one picture at a time and only when it is looked at."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO
from uuid import uuid4

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.io.dicom.codecs import decoder_for
from napari_medai.io.dicom.planes import Plane
from napari_medai.io.dicom.source import NATIVE, Source, first_line, opened, quiet
from napari_medai.io.dicom.tags import whole, word
from napari_medai.io.dicom.values import Scaling

_CACHE_BYTES = 256 * 2**20
_EXTENDED = "1.2.840.10008.1.2.4.51"
_decoding = threading.Lock()


class Recent:
    """The pictures decoded last, of all stacks together, up to a number of bytes."""

    def __init__(self, limit: int = _CACHE_BYTES) -> None:
        self._limit, self._used = limit, 0
        self._kept: OrderedDict[Any, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Any) -> np.ndarray | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: Any, picture: np.ndarray) -> None:
        with self._lock:
            if key in self._kept or picture.nbytes > self._limit // 4:
                return
            self._kept[key] = picture
            self._used += picture.nbytes
            while self._used > self._limit:
                self._used -= self._kept.popitem(last=False)[1].nbytes


RECENT = Recent()


class Stack:
    """Planes as an array of ``shape``: lead axes, then rows and columns, then colours if any.

    It is read as it is sliced, one plane after the other, and can be pickled.
    """

    def __init__(self, planes: Sequence[Plane], lead: tuple[int, ...], scaling: Scaling) -> None:
        header = planes[0].source.header
        self.planes, self._lead, self._scaling = tuple(planes), lead, scaling
        self._token = uuid4().hex
        self.colour, self.dtype = _colours(planes[0]), scaling.dtype
        if word(header, "PhotometricInterpretation") == "PALETTE COLOR" and self.colour:
            self.dtype = _with_palette(np.zeros((1, 1), np.uint8), header).dtype
        rows, columns = int(header.Rows), int(header.Columns)
        self._picture = (rows, columns, 3) if self.colour else (rows, columns)
        self.shape = (*lead, *self._picture)
        self.ndim = len(self.shape)

    def __getitem__(self, key: Any) -> np.ndarray:
        keys = key if isinstance(key, tuple) else (key,)
        keys = (*keys, *(slice(None),) * (self.ndim - len(keys)))
        count = len(self._lead)
        wanted = np.arange(len(self.planes)).reshape(self._lead)[keys[:count]]
        pictures = [self.picture(int(n))[keys[count:]] for n in np.ravel(wanted)]
        if not pictures:
            return np.empty((*np.shape(wanted), *self._picture), self.dtype)[(..., *keys[count:])]
        return np.stack(pictures).reshape(*np.shape(wanted), *pictures[0].shape)

    def picture(self, number: int) -> np.ndarray:
        """The values of one plane.

        Raises
        ------
        InputError
            If its pixels cannot be decoded.
        """
        found = RECENT.get((self._token, number))
        if found is None:
            found = self._decoded(self.planes[number])
            RECENT.put((self._token, number), found)
        return found

    def lazy(self) -> Any:
        """As a dask array, a plane a chunk."""
        import dask.array

        chunks = (*(1,) * len(self._lead), *self._picture)
        return dask.array.from_array(
            self, chunks=chunks, name=f"dicom-{self._token}", asarray=False, fancy=False
        )

    def _decoded(self, plane: Plane) -> np.ndarray:
        stored = decoded(plane.source, plane.index)
        scaled = _coloured if self.colour else self._scaling.applied
        picture = scaled(stored, plane)
        if picture.shape != self._picture:
            raise InputError(
                f"a picture of the series decodes to {picture.shape}, but its header tells of "
                f"{self._picture}; export it again"
            )
        return picture.astype(self.dtype, copy=False)


def decoded(source: Source, index: int) -> np.ndarray:
    """The numbers of one frame as pydicom's decoders give them; colours as RGB.

    Raises
    ------
    InputError
        If no decoder can.
    """
    from pydicom.pixels.utils import as_pixel_options

    try:
        with _alone(source), opened(source.path) as file:
            options = as_pixel_options(source.header)
            options |= {"pixel_keyword": source.keyword, "pixel_vr": source.vr}
            options["number_of_frames"] = max(whole(source.header, "NumberOfFrames") or 1, 1)
            file.seek(source.start)
            if source.syntax == _EXTENDED and whole(source.header, "BitsStored") == 12:
                return _twelve_bits(file, index, options)
            if source.syntax in NATIVE and whole(source.header, "BitsAllocated") == 1:
                return _single_bits(file, source, index)
            return decoder_for(source.syntax).as_array(file, index=index, validate=True, **options)[
                0
            ]
    except InputError:
        raise
    except NotImplementedError as error:
        raise InputError(
            f"{source.path} is compressed in a way that cannot be read ({source.syntax}); "
            "export it uncompressed"
        ) from error
    except Exception as error:  # decoders raise whatever broken pixels provoke
        raise InputError(
            f"{source.path}: its pixels cannot be decoded ({first_line(error)}); export it again"
        ) from error


def _twelve_bits(file: BinaryIO, index: int, options: dict[str, Any]) -> np.ndarray:
    """A JPEG of 12 bits, which none of pydicom's decoders under a free licence reads."""
    import imagecodecs
    from pydicom.encaps import get_frame

    data = get_frame(file, index, number_of_frames=options["number_of_frames"])
    return np.asarray(imagecodecs.jpeg8_decode(data))


def _single_bits(file: BinaryIO, source: Source, index: int) -> np.ndarray:
    """A mask of one bit a pixel; frames follow each other without filling bytes up, for which
    pydicom 3.0 reads one byte too few.
    """
    rows, columns = int(source.header.Rows), int(source.header.Columns)
    first, count = index * rows * columns, rows * columns
    skipped = first % 8
    file.seek(source.start + first // 8)
    packed = np.frombuffer(file.read(-(-(skipped + count) // 8)), np.uint8)
    bits = np.unpackbits(packed, bitorder="little")[skipped : skipped + count]
    return bits.reshape(rows, columns)


@contextmanager
def _alone(source: Source) -> Iterator[None]:
    """Decoders of compressed pixels warn, and warnings are the whole process's: one at a time."""
    if source.syntax in NATIVE:
        yield
        return
    with _decoding, quiet():
        yield


def _colours(plane: Plane) -> bool:
    header = plane.source.header
    if word(header, "PhotometricInterpretation") == "PALETTE COLOR":
        return "RedPaletteColorLookupTableDescriptor" in header
    return (whole(header, "SamplesPerPixel") or 1) >= 3


def _coloured(stored: np.ndarray, plane: Plane) -> np.ndarray:
    if stored.ndim == 2:
        stored = _with_palette(stored, plane.source.header)
    return stored[..., :3]


def _with_palette(stored: np.ndarray, header: Any) -> np.ndarray:
    from pydicom.pixels.processing import apply_color_lut

    try:
        return np.asarray(apply_color_lut(stored, header))
    except Exception as error:  # pydicom raises whatever a broken table provokes
        raise InputError(
            f"the palette of colours cannot be used ({first_line(error)}); export the file again"
        ) from error
