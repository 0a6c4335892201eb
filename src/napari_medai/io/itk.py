"""Reading NRRD and MetaImage volumes, by SimpleITK."""

from __future__ import annotations

import re
import zlib
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.core.space import Grid
from napari_medai.io.image_data import ImageData
from napari_medai.io.label_names import says_labels
from napari_medai.io.tiff import image_name
from napari_medai.io.volumes import MOST_DEFLATED, suffix_of, upright_image

_READERS = {
    ".nrrd": "NrrdImageIO",
    ".nhdr": "NrrdImageIO",
    ".mha": "MetaImageIO",
    ".mhd": "MetaImageIO",
}
_HEADER_BYTES = 2**16
_PIECE = 2**18
_COMPRESSED = re.compile(rb"^\s*CompressedData\s*=\s*True", re.I | re.M)
_DATA_FILE = re.compile(rb"^\s*(?:ElementDataFile\s*=|data ?file:)\s*(.+?)\s*$", re.I | re.M)


def read_itk(path: Path) -> ImageData:
    """The volume of a file; `napari_medai.io.volumes.read_volume` tells what is wrong with it."""
    import SimpleITK

    reader: Any = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO(_READERS[suffix_of(path)])
    reader.ReadImageInformation()
    size, count = reader.GetSize(), int(reader.GetNumberOfComponents())
    _check_head(reader, path, count)
    grid = _grid_of(reader) if len(size) > 2 else None
    reader.LoadPrivateTagsOff()
    image = reader.Execute()
    data = SimpleITK.GetArrayFromImage(image)
    vector = count > 1
    if vector:
        data = np.moveaxis(data, -1, 0)
    rgb = count == 3 and data.dtype == np.uint8
    if grid is None:
        return _plane(data, path, image.GetSpacing(), vector=vector, rgb=rgb)
    lead = ("C" if vector else "") + ("T" if len(size) == 4 else "")
    if rgb and "T" in lead:
        rgb = False
    step = (float(image.GetSpacing()[3]), None) if len(size) == 4 else None
    return upright_image(data, grid, path, lead=lead, rgb=rgb, step=step)


def _grid_of(reader: Any) -> Grid:
    direction = np.array(reader.GetDirection()).reshape((reader.GetDimension(),) * 2)
    return Grid.from_lps(reader.GetOrigin()[:3], reader.GetSpacing()[:3], direction[:3, :3])


def _check_head(reader: Any, path: Path, count: int) -> None:
    """Refuse what is no volume, or claims more than its files can hold."""
    import SimpleITK

    size = reader.GetSize()
    if not 2 <= len(size) <= 4 or min(size) < 1:
        raise InputError(
            f"its header claims the dimensions {list(size)}, but two to four are needed, each of "
            "one or more; export it again"
        )
    kind = reader.GetPixelID()
    name = SimpleITK.GetPixelIDValueAsString(kind)
    if "complex" in name or "label" in name:
        raise InputError(f"it holds values of the kind {name!r}; export it with real numbers")
    bits = re.search(r"(\d+)-bit", name)
    needed = prod(size) * count * (int(bits[1]) // 8 if bits else 1)
    claim = f"its header claims {' x '.join(map(str, size))} voxels ({needed} bytes)"
    present = _bytes_of(path)
    if needed > present * MOST_DEFLATED:
        raise InputError(f"{claim}, but the file has {present} bytes; copy or export it again")
    held = _held_by_meta(path, needed) if suffix_of(path) in (".mha", ".mhd") else None
    if held is not None and held < needed:
        raise InputError(f"{claim}, but the file holds {held} of them; copy or export it again")
    steps = reader.GetSpacing()
    if not all(np.isfinite(n) and n > 0 for n in steps):
        raise InputError(
            f"its spacing must be positive numbers, got {list(steps)}; correct the header"
        )


def _bytes_of(path: Path) -> int:
    """The bytes of a file, or of the files of pixels that its header names."""
    with path.open("rb") as file:
        named = _DATA_FILE.search(file.read(_HEADER_BYTES))
    own = path.stat().st_size
    if named is None or named[1].upper() == b"LOCAL":
        return own
    other = path.parent / named[1].decode("utf-8", "replace")
    if other.is_file():
        return other.stat().st_size
    if named[1].upper().startswith(b"LIST") or b"%" in named[1]:
        return sum(one.stat().st_size for one in path.parent.iterdir() if one.is_file())
    raise InputError(f"its pixels are in {other.name}, which is missing; put it beside it")


def _held_by_meta(path: Path, needed: int) -> int | None:
    """How many bytes of pixels a MetaImage holds, up to ``needed``, which ITK does not check.

    None where they are in several files.
    """
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
    named = _DATA_FILE.search(head)
    if named is None:
        return None
    pixels, start = path, head.find(b"\n", named.end(1)) + 1
    if named[1].upper() != b"LOCAL":
        pixels, start = path.parent / named[1].decode("utf-8", "replace"), 0
    if not pixels.is_file():
        return None
    with pixels.open("rb") as file:
        file.seek(start)
        if not _COMPRESSED.search(head):
            return max(pixels.stat().st_size - start, 0)
        return _inflated(file, needed)


def _inflated(file: BinaryIO, most: int) -> int:
    """How many bytes a zlib or gzip stream inflates to, counted up to ``most``."""
    stream, count = zlib.decompressobj(zlib.MAX_WBITS | 32), 0
    packed = file.read(_PIECE)
    try:
        while packed and count < most and not stream.eof:
            count += len(stream.decompress(packed, 16 * _PIECE))
            packed = stream.unconsumed_tail or file.read(_PIECE)
    except zlib.error:
        pass  # what came before the damage counts
    return min(count, most)


def _plane(data: Any, path: Path, steps: Any, *, vector: bool, rgb: bool) -> ImageData:
    """A flat image lies nowhere in a patient."""
    axes = ("C" if vector else "") + "YX"
    if rgb:
        data, axes = np.moveaxis(data, 0, -1), "YXC"
    return ImageData(
        levels=(data,),
        axes=axes,
        spacing={"Y": float(steps[1]), "X": float(steps[0])},
        units=dict.fromkeys("YX", "millimeter"),
        name=image_name(path),
        rgb=rgb,
        labels=not vector and data.dtype.kind in "iu" and says_labels(image_name(path)),
    )
