"""Reading NRRD and MetaImage volumes, by SimpleITK."""

from __future__ import annotations

import re
from math import prod
from pathlib import Path
from typing import Any

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
    reader.LoadPrivateTagsOff()
    image = reader.Execute()
    data = SimpleITK.GetArrayFromImage(image)
    vector = count > 1
    if vector:
        data = np.moveaxis(data, -1, 0)
    rgb = count == 3 and data.dtype == np.uint8
    if len(size) == 2:
        return _plane(data, path, image.GetSpacing(), vector=vector, rgb=rgb)
    direction = np.array(image.GetDirection()).reshape(len(size), len(size))
    grid = Grid.from_lps(image.GetOrigin()[:3], image.GetSpacing()[:3], direction[:3, :3])
    lead = ("C" if vector else "") + ("T" if len(size) == 4 else "")
    if rgb and "T" in lead:
        rgb = False
    step = (float(image.GetSpacing()[3]), None) if len(size) == 4 else None
    return upright_image(data, grid, path, lead=lead, rgb=rgb, step=step)


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
    present = _bytes_of(path)
    if needed > present * MOST_DEFLATED:
        raise InputError(
            f"its header claims {' x '.join(map(str, size))} voxels ({needed} bytes), but the "
            f"file has {present} bytes; copy or export it again"
        )
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
