"""Writing images and labels as OME-TIFF."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.units import in_micrometers, is_time, unit_symbol
from napari_medai.io.atomic import replacing
from napari_medai.io.tiff import image_name
from napari_medai.io.tiff_calibration import LABELS_MARK

_TILE = 256
_CLASSIC_BYTES = 2**32 - 2**25
_OME_TYPES = "u1 u2 u4 i1 i2 i4 f4 f8"


def write_tiff(
    path: str | Path,
    image: AxesArray,
    *,
    names: Sequence[str] = (),
    labels: bool = False,
    overwrite: bool = False,
) -> Path:
    """Write an image as OME-TIFF with its axes, pixel size, units and channel names.

    Losslessly compressed, in tiles, band by band: a lazy image is never held whole. Rows and
    columns are written last, RGB (three or four 8 or 16 bit channels, ``C`` last) as samples; a
    series that OME has no letter for becomes T, Z or C, whichever is free. ``labels`` marks
    object numbers and stores them in the smallest unsigned integers that hold them all (lazy
    ones in 32 bits); bool becomes uint8, float16 float32, and 64 bit integers are stored in 32
    bits if they fit.

    Raises
    ------
    InputError
        If ``path`` exists and ``overwrite`` is false, or OME-TIFF cannot hold the image.
    RunError
        If writing fails; nothing is left behind then.
    """
    from tifffile import TiffWriter

    path = Path(path)
    rgb = _is_rgb(image)
    ready, metadata = _laid_out(image, names=names, rgb=rgb)
    metadata["Name"] = image_name(path)
    if labels:
        metadata["Description"] = LABELS_MARK
    dtype = _label_type(ready.data) if labels else _storable_type(ready.data)
    rows, columns = (ready.sizes[axis] for axis in "YX")
    tile = (_TILE, _TILE) if min(rows, columns) >= _TILE else None
    big = int(np.prod(ready.shape, dtype=np.int64)) * dtype.itemsize > _CLASSIC_BYTES
    with (
        replacing(path, overwrite=overwrite) as partial,
        partial.open("w+b") as file,
        TiffWriter(file, bigtiff=big, ome=True) as writer,
    ):
        writer.write(
            _pieces(ready, dtype, tile=tile),
            shape=ready.shape,
            dtype=dtype,
            tile=tile,
            photometric="rgb" if rgb else "minisblack",
            compression="zlib",
            predictor=dtype.kind != "f",
            metadata=metadata,
            **_resolution(image),
        )
    return path


def _is_rgb(image: AxesArray) -> bool:
    return (
        image.axes[-1:] == "C"
        and image.shape[-1] in (3, 4)
        and np.dtype(image.data.dtype).str[1:] in ("u1", "u2")
    )


def _laid_out(
    image: AxesArray, *, names: Sequence[str], rgb: bool
) -> tuple[AxesArray, dict[str, Any]]:
    """The image with rows and columns last (then RGB), and its OME metadata."""
    if 0 in image.shape or "Y" not in image.axes or "X" not in image.axes:
        raise InputError(
            f"an image with axes {image.axes!r} and shape {image.shape} cannot be written as "
            "TIFF; it needs rows Y and columns X, and no empty axis"
        )
    tail = "YXC" if rgb else "YX"
    outer = "".join(axis for axis in image.axes if axis not in tail)
    ready = image.moved_to(outer + tail)
    free = iter(letter for letter in "TZC" if letter not in image.axes)
    letters = {axis: axis if axis in "TZC" else next(free, "") for axis in outer}
    if "" in letters.values():
        raise InputError(
            f"OME-TIFF has room for the axes T, Z and C besides rows and columns, but the image "
            f"has {image.axes!r}; choose one position of an axis"
        )
    metadata: dict[str, Any] = {
        "axes": "".join(letters.values()) + tail.replace("C", "S"),
        **_steps(image, letters | {"Y": "Y", "X": "X"}),
    }
    channels = 1 if rgb else next((ready.sizes[a] for a, b in letters.items() if b == "C"), 1)
    if names and len(names) == channels:
        metadata["Channel"] = {"Name": list(names)}
    elif names and not rgb:
        raise InputError(f"{channels} channels need as many names, got {len(names)}: {names!r}")
    return ready, metadata


def _steps(image: AxesArray, letters: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for axis, letter in letters.items():
        if axis not in image.spacing or letter == "C":
            continue
        unit = image.units.get(axis)
        if letter == "T":
            if is_time(unit):
                found["TimeIncrement"] = image.step(axis)
                found["TimeIncrementUnit"] = unit_symbol(unit)
            continue
        symbol = unit_symbol(unit) if in_micrometers(1.0, unit) else None
        found[f"PhysicalSize{letter}"] = image.step(axis)
        found[f"PhysicalSize{letter}Unit"] = symbol or "pixel"
    return found


def _resolution(image: AxesArray) -> dict[str, Any]:
    """Pixels per centimetre, for programs that do not read OME-XML."""
    lengths = [in_micrometers(image.step(axis), image.units.get(axis)) for axis in "XY"]
    if any(length is None for length in lengths):
        return {}
    steps = [float(length or 1.0) for length in lengths]
    if not all(1e-4 < step < 1e6 for step in steps):
        return {}
    return {"resolution": tuple(1e4 / step for step in steps), "resolutionunit": "CENTIMETER"}


def _pieces(
    image: AxesArray, dtype: np.dtype[Any], *, tile: tuple[int, int] | None
) -> Iterator[np.ndarray]:
    """Pages, or their tiles row by row; one band of tiles is in memory at a time."""
    outer = len(image.space + image.series) - 2 + ("C" in image.axes and image.axes[-1] != "C")
    rows, columns = image.shape[outer], image.shape[outer + 1]
    height, width = tile or (rows, columns)
    for index in np.ndindex(image.shape[:outer]):
        for top in range(0, rows, height):
            band = np.asarray(image.data[(*index, slice(top, min(top + height, rows)))])
            band = band.astype(dtype, copy=False)
            for left in range(0, columns, width):
                yield np.ascontiguousarray(band[:, left : left + width])


def _label_type(data: Any) -> np.dtype[Any]:
    dtype = np.dtype(data.dtype)
    if dtype.kind not in "biu":
        raise InputError(f"labels must be whole numbers, got {dtype} values; round them first")
    if dtype.kind == "b":
        return np.dtype("u1")
    if dtype.kind == "u" and dtype.itemsize <= 4 and not isinstance(data, np.ndarray):
        return np.dtype(dtype.str)
    low, high = _extent(data)
    if low < 0 or high >= 2**32:
        raise InputError(
            f"labels from {low} to {high} do not fit into 32 bits without a sign; "
            "renumber them from 1"
        )
    if not isinstance(data, np.ndarray):
        return np.dtype("u4")
    return np.dtype("u2" if high < 2**16 else "u4")


def _storable_type(data: Any) -> np.dtype[Any]:
    dtype: np.dtype[Any] = np.dtype(data.dtype).newbyteorder("=")
    if dtype.str[1:] in _OME_TYPES.split():
        return dtype
    if dtype.kind == "b":
        return np.dtype("u1")
    if dtype.kind == "f" and dtype.itemsize < 4:
        return np.dtype("f4")
    if dtype.kind in "iu":
        low, high = _extent(data)
        for smaller in ("i4", "u4"):
            if np.iinfo(smaller).min <= low and high <= np.iinfo(smaller).max:
                return np.dtype(smaller)
    raise InputError(
        f"OME-TIFF cannot hold these {dtype} values; convert the image to float64 or int32"
    )


def _extent(data: Any) -> tuple[int, int]:
    """The smallest and largest value, plane by plane."""
    outer = max(len(data.shape) - 2, 0)
    low, high = 0, 0
    for index in np.ndindex(tuple(data.shape[:outer])):
        for top in range(0, data.shape[outer], _TILE):
            band = np.asarray(data[(*index, slice(top, top + _TILE))])
            low, high = min(low, int(band.min())), max(high, int(band.max()))
    return low, high
