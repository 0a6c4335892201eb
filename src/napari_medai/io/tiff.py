"""Reading TIFF, OME-TIFF, ImageJ TIFF and the whole-slide and microscope formats built on it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.io.image_data import ImageData
from napari_medai.io.tiff_calibration import Calibration, calibration

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPageSeries

LAZY_BYTES = 256 * 2**20
"""Images that are larger than this when decoded stay on disk and are read as they are sliced."""

_EXTRA_SERIES = ("Thumbnail", "Label", "Macro", "Map")
_BLOCK = 1024
_CUT_SHORT = re.compile(  # what tifffile logs: pages, descriptions or tables of strips and tiles
    r"invalid (page )?offset|series metadata invalid|failed to reshape"
    r"|TiffTag (270|273|279|324|325) .*invalid value offset"
)


class TiffPixels:
    """One resolution of one image of a TIFF, read as it is sliced.

    Opens its file at the first read, so it can be pickled and sent to another process.
    """

    def __init__(self, path: Path, series: int, level: int) -> None:
        self._source = (path, series, level)
        self._zarr: Any = None
        array = self._open()
        self.shape: tuple[int, ...] = array.shape
        self.dtype: np.dtype[Any] = array.dtype
        self.ndim = len(self.shape)
        self.chunks: tuple[int, ...] = array.chunks

    def __getitem__(self, key: Any) -> Any:
        return self._open()[key]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_zarr": None, "_file": None}

    def __del__(self) -> None:
        file = self.__dict__.get("_file")
        if file is not None:
            file.close()

    def _open(self) -> Any:
        if self._zarr is None:
            import zarr
            from tifffile import TiffFile

            path, series, level = self._source
            self._file: TiffFile | None = TiffFile(path)
            store = self._file.series[series].aszarr(level=level)
            self._zarr = zarr.open_array(store, mode="r")
        return self._zarr


def read_tiff(path: str | Path) -> list[ImageData]:
    """The images of a TIFF file, one for each series; large ones are lazy.

    Axes of length 1 are dropped. Samples (tifffile's ``S``) become ``C``, last, without alpha;
    letters for axes that the file does not name (``Q``, ``I``) are kept.

    Raises
    ------
    InputError
        If the file is missing, no TIFF, cut short, or compressed in a way that cannot be read.
    """
    from tifffile import TiffFile

    path = Path(path)
    size = _file_size(path)
    try:
        with _complaints() as complaints, TiffFile(path) as tif:
            chosen = [i for i, series in enumerate(tif.series) if _is_image(tif, series)]
            _check_complete(tif, chosen, complaints, size)
            images = [_image(tif, i, path, alone=len(chosen) == 1) for i in chosen]
    except InputError:
        raise
    except _CutShortError as error:
        raise InputError(f"{path} is cut short ({error}); copy or export it again") from error
    except Exception as error:  # tifffile and its decoders raise whatever a broken file provokes
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise InputError(
            f"{path} cannot be read as TIFF ({reason}); if another program opens it, "
            "save it again as OME-TIFF there"
        ) from error
    if not images:
        raise InputError(f"{path} holds no image of two or more dimensions; choose another file")
    return images


class _CutShortError(ValueError):
    """The file ends before its pixels do."""


def _file_size(path: Path) -> int:
    try:
        with path.open("rb"):
            return path.stat().st_size
    except OSError as error:
        raise InputError(
            f"{path} cannot be opened ({error.strerror or error}); check the path"
        ) from error


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Collect what tifffile only logs while it carries on with half a file."""
    messages: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("tifffile")
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield messages
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


def _check_complete(tif: TiffFile, chosen: list[int], complaints: list[str], size: int) -> None:
    for text in complaints:
        if _CUT_SHORT.search(text):
            raise _CutShortError("its directory points behind its end")
    levels = [level for index in chosen for level in tif.series[index].levels]
    needed = max(map(_end, levels), default=0)
    if needed > size:
        raise _CutShortError(f"{needed} bytes are needed, it has {size}")


def _end(series: TiffPageSeries) -> int:
    """Where the pixels of a series end in the file, from its first and last page."""
    if series.dataoffset is not None:
        return int(series.dataoffset + series.nbytes)
    last = series.pages[-1] if len(series.pages) else None
    pages = [page for page in (series.keyframe, last) if page is not None]
    return max(
        (int(o + b) for p in pages for o, b in zip(p.dataoffsets, p.databytecounts, strict=False)),
        default=0,
    )


def _is_image(tif: TiffFile, series: TiffPageSeries) -> bool:
    if tif.is_svs and series.name in _EXTRA_SERIES:
        return False
    return len(series.shape) - ("S" in series.axes) >= 2 and 0 not in series.shape


def _image(tif: TiffFile, index: int, path: Path, *, alone: bool) -> ImageData:
    series = tif.series[index]
    axes, order, last, rgb = _axes(series)
    lazy = series.nbytes > LAZY_BYTES
    levels = []
    for number, level in enumerate(series.levels):
        array: Any = _lazy(path, index, number) if lazy else level.asarray()
        array = array.transpose(order)
        levels.append(array[..., :last] if last else array)
    known: Calibration = calibration(tif, index)
    stem = image_name(path)
    return ImageData(
        levels=tuple(levels),
        axes=axes,
        spacing={a: s for a, s in known.spacing.items() if a in axes},
        units={a: u for a, u in known.units.items() if a in axes},
        names=known.names if len(known.names) == _length(axes, levels[0]) else (),
        name=stem if alone else f"{stem} {known.name or series.name or index}",
        rgb=rgb,
        labels=known.labels and not rgb,
    )


def _length(axes: str, array: Any) -> int:
    return int(array.shape[axes.index("C")]) if "C" in axes else 1


def _lazy(path: Path, series: int, level: int) -> Any:
    """Pixels read as they are sliced: mapped from the file, or as a dask array of its tiles."""
    from tifffile import memmap

    try:
        return memmap(path, series=series, level=level, mode="r")
    except ValueError:  # compressed, tiled, or in pieces
        import dask.array

    pixels = TiffPixels(path, series, level)
    np.asarray(pixels[(0,) * pixels.ndim])  # a codec that is missing is found now
    chunks = tuple(
        min(n, chunk * max(1, _BLOCK // chunk)) if n > 16 else chunk
        for n, chunk in zip(pixels.shape, pixels.chunks, strict=True)
    )
    return dask.array.from_array(pixels, chunks=chunks, asarray=False, fancy=False)


def _axes(series: TiffPageSeries) -> tuple[str, tuple[int, ...], int | None, bool]:
    """Axes by our letters, the order that brings samples last, samples to keep, and if RGB."""
    axes = _unique(series.axes)
    order = tuple(range(len(axes)))
    if "S" not in axes or "C" in axes:
        return axes, order, None, False
    samples = axes.index("S")
    order = (*order[:samples], *order[samples + 1 :], samples)
    count = series.shape[samples]
    page = series.keyframe
    colour = int(page.photometric) in (2, 6) and count >= 3
    alpha = any(int(extra) in (1, 2) for extra in page.extrasamples or ())
    last = count - 1 if alpha and count in (2, 4) else None
    rgb = colour and (last or count) == 3 and series.dtype.kind == "u" and series.dtype.itemsize < 4
    return axes.replace("S", "") + "C", order, last, rgb


def _unique(axes: str) -> str:
    """Different capital letters; the last two become ``YX`` if the file names neither."""
    axes = axes.upper()
    if "Y" not in axes and "X" not in axes and "S" not in axes[-2:]:
        axes = axes[:-2] + "YX"
    free = iter(letter for letter in "QIUVWABDEFGHJKLMNOPR" if letter not in axes)
    result = ""
    for letter in axes:
        result += letter if letter.isalpha() and letter not in result else next(free)
    return result


def image_name(path: Path) -> str:
    """A file's name without its suffixes, also without ``.ome`` and ``.nii``."""
    return re.sub(r"\.(ome|nii)$", "", path.stem, flags=re.IGNORECASE)
