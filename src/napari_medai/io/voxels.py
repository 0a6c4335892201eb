"""The voxels of a file that nibabel reads: what its header says of them, and their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.io.tiff import LAZY_BYTES
from napari_medai.io.volumes import MOST_DEFLATED

_SLAB_BYTES = 16 * 2**20
_GZIP_SLAB_BYTES = 128 * 2**20
_GZIP_BYTES = 2**30
_SPARE = 2**20


@dataclass(frozen=True, slots=True)
class Header:
    """What a header says of the voxels, in nibabel's order of axes (i, j, k, ...)."""

    pixels: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    slope: float
    inter: float
    affine: np.ndarray
    step: tuple[float, str | None] | None = None
    label_intent: bool = False
    label_names: Mapping[int, str] = field(default_factory=dict)
    contrast: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()


class Voxels:
    """The values of a file, scaled, in nibabel's order of axes; read as they are sliced."""

    def __init__(self, header: Header, shape: tuple[int, ...]) -> None:
        from nibabel.arrayproxy import ArrayProxy

        self.shape = shape
        self.ndim = len(shape)
        self.gzipped = header.pixels.suffix.lower() in (".gz", ".mgz")
        self._scale = (header.slope, header.inter)
        self.dtype = _scaled_type(header.dtype, *self._scale)
        factors = (1.0, 0.0) if self.dtype.kind in "biu" else self._scale
        spec = (shape, header.dtype, header.offset, *factors)
        self._spec = spec
        self._path = header.pixels
        self._proxy = ArrayProxy(str(header.pixels), spec, mmap=False)

    def __getitem__(self, key: Any) -> Any:
        return self._converted(np.asarray(self._proxy[key]))

    def whole(self) -> Any:
        """All values: of a compressed file twice as fast as by slices."""
        from nibabel.volumeutils import apply_read_scaling

        shape, dtype, offset, slope, inter = self._spec
        needed = offset + prod(shape) * dtype.itemsize
        content = _inflated(self._path, needed) if self.gzipped else None
        if content is None:
            return self[()]
        stored = np.ndarray(shape, dtype, content, offset, order="F")
        return self._converted(np.asarray(apply_read_scaling(stored, slope, inter)))

    def _converted(self, values: np.ndarray) -> Any:
        if values.dtype.names is not None:
            return np.stack([values[name] for name in "RGB"], axis=-1)
        if self.dtype.kind in "iu" and self._scale != (1.0, 0.0):
            slope, inter = (int(n) for n in self._scale)
            return values.astype(self.dtype) * self.dtype.type(slope) + self.dtype.type(inter)
        return values.astype(self.dtype, copy=False)


def _inflated(path: Path, needed: int) -> bytearray | None:
    """What a gzip file holds, by libdeflate; None where it is not what its end tells."""
    import imagecodecs

    packed = path.read_bytes()
    size = int.from_bytes(packed[-4:], "little")
    if not needed <= size <= needed + _SPARE:
        return None
    content = bytearray(size)
    try:
        imagecodecs.gzip_decode(packed, out=content)
    except (ValueError, imagecodecs.GzipError):
        return None
    return content


def _scaled_type(stored: np.dtype[Any], slope: float, inter: float) -> np.dtype[Any]:
    """Whole numbers stay so where the factors are whole and 32 bits hold all that may come."""
    if stored.names is not None:
        return np.dtype("u1")
    native = stored.newbyteorder("=")
    if (slope, inter) == (1.0, 0.0):
        return native
    if native.kind in "iu" and slope == int(slope) and inter == int(inter):
        limits = np.iinfo(native)
        ends = sorted(int(n) * int(slope) + int(inter) for n in (limits.min, limits.max))
        for name in ("i2", "u2", "i4"):
            wider = np.iinfo(name)
            if wider.min <= ends[0] and ends[1] <= wider.max:
                return np.dtype(name)
    return np.dtype("c16" if native.kind == "c" else "f8")


def turned(voxels: Voxels, *, rgb: bool) -> Any:
    """The axes reversed (..., k, j, i); RGB in front."""
    size = prod(voxels.shape) * voxels.dtype.itemsize
    # A compressed file can only be read from its beginning on, so each slice takes as long as all.
    if rgb or size <= (_GZIP_BYTES if voxels.gzipped else LAZY_BYTES):
        values = voxels.whole()
        return values.transpose((*range(values.ndim)[::-1],))
    import dask.array

    last = voxels.ndim - 1
    limit = _GZIP_SLAB_BYTES if voxels.gzipped else _SLAB_BYTES
    thick = max(1, limit * voxels.shape[last] // size)
    chunks = (*voxels.shape[:last], thick)
    lazy: Any = dask.array.from_array(voxels, chunks=chunks, asarray=False, fancy=False)
    return lazy.transpose((*range(voxels.ndim)[::-1],))


def spatial_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Three axes at least, and none of length 1 behind them."""
    sizes = [int(n) for n in shape]
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes.pop()
    sizes += [1] * (3 - len(sizes))
    if min(sizes) < 1 or len(sizes) > 5:
        raise InputError(
            f"its header claims the dimensions {list(shape)}, but a volume has up to five, each "
            "of one or more; export it again"
        )
    return tuple(sizes)


def check_size(header: Header, shape: tuple[int, ...]) -> None:
    """Refuse a header that claims more voxels than the file can hold."""
    needed = header.offset + prod(shape) * header.dtype.itemsize
    present = header.pixels.stat().st_size
    gzipped = header.pixels.suffix.lower() in (".gz", ".mgz")
    most = present * MOST_DEFLATED if gzipped else present
    if header.offset < 0 or needed > most:
        raise InputError(
            f"its header claims {' x '.join(map(str, shape))} voxels ({needed} bytes), but "
            f"{header.pixels.name} has {present} bytes; copy or export it again"
        )
