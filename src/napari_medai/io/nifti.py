"""Reading NIfTI (1 and 2, one file or a pair), Analyze and MGH volumes, by nibabel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.core.space import Grid
from napari_medai.io.image_data import ImageData
from napari_medai.io.tiff import LAZY_BYTES
from napari_medai.io.volumes import MOST_DEFLATED, suffix_of, upright_image

LABEL_INTENT = 1002
_CIFTI_INTENTS = range(3000, 3100)
_HEADER_BYTES = 540
_MILLIMETERS = {1: 1000.0, 2: 1.0, 3: 0.001}
_TIMES = {8: "second", 16: "millisecond", 24: "microsecond"}
_SLAB_BYTES = 16 * 2**20
_GZIP_SLAB_BYTES = 128 * 2**20


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
    contrast: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()


def read_nibabel(path: Path) -> ImageData:
    """The volume of a file; `napari_medai.io.volumes.read_volume` tells what is wrong with it."""
    from nibabel import imageglobals

    with imageglobals.LoggingOutputSuppressor():
        header = _mgh(path) if suffix_of(path) in (".mgh", ".mgz") else _nifti(path)
    shape = _spatial_shape(header.shape)
    _check_size(header, shape)
    rgb = header.dtype.names is not None
    voxels = Voxels(header, shape)
    data = _turned(voxels, rgb=rgb)
    lead = ("C" if rgb or len(shape) == 5 else "") + ("T" if len(shape) > 3 else "")
    if len(shape) == 5 and shape[3] == 1:
        data, lead = data[:, 0], "C"
    return upright_image(
        data,
        Grid.from_ras(header.affine),
        path,
        lead=lead,
        rgb=rgb,
        step=header.step,
        label_intent=header.label_intent,
        contrast=header.contrast,
        notes=header.notes,
    )


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
        self._proxy = ArrayProxy(str(header.pixels), spec, mmap=False)

    def __getitem__(self, key: Any) -> Any:
        values = np.asarray(self._proxy[key])
        if values.dtype.names is not None:
            return np.stack([values[name] for name in "RGB"], axis=-1)
        if self.dtype.kind in "iu" and self._scale != (1.0, 0.0):
            slope, inter = (int(n) for n in self._scale)
            return values.astype(self.dtype) * self.dtype.type(slope) + self.dtype.type(inter)
        return values.astype(self.dtype, copy=False)


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


def _turned(voxels: Voxels, *, rgb: bool) -> Any:
    """The axes reversed (..., k, j, i); RGB in front."""
    size = prod(voxels.shape) * voxels.dtype.itemsize
    if rgb or size <= LAZY_BYTES:
        values = voxels[()]
        return values.transpose((*range(values.ndim)[::-1],))
    import dask.array

    last = voxels.ndim - 1
    limit = _GZIP_SLAB_BYTES if voxels.gzipped else _SLAB_BYTES
    thick = max(1, limit * voxels.shape[last] // size)
    chunks = (*voxels.shape[:last], thick)
    lazy: Any = dask.array.from_array(voxels, chunks=chunks, asarray=False, fancy=False)
    return lazy.transpose((*range(voxels.ndim)[::-1],))


def _spatial_shape(shape: Sequence[int]) -> tuple[int, ...]:
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


def _check_size(header: Header, shape: tuple[int, ...]) -> None:
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


def _mgh(path: Path) -> Header:
    from nibabel.freesurfer.mghformat import MGHHeader
    from nibabel.openers import ImageOpener

    with ImageOpener(str(path)) as file:
        found = MGHHeader.from_fileobj(file, check=False)
    steps = [float(n) for n in found["delta"]]
    affine, notes = _first_valid(
        {
            "the directions of the header": found.get_affine,
            "the voxel sizes": lambda: _centred(steps, found.get_data_shape()),
        }
    )
    shape = tuple(int(n) for n in found.get_data_shape())
    time = float(found["tr"])
    return Header(
        path,
        shape,
        found.get_data_dtype(),
        int(found.get_data_offset()),
        1.0,
        0.0,
        affine,
        step=(time, "millisecond") if np.isfinite(time) and time > 0 else None,
        notes=notes,
    )


def _nifti(path: Path) -> Header:
    import nibabel
    from nibabel.openers import ImageOpener

    paired = suffix_of(path) in (".hdr", ".img")
    said, pixels = _pair(path) if paired else (path, path)
    with ImageOpener(str(said)) as file:
        block = file.read(_HEADER_BYTES)
    kinds: tuple[tuple[Any, Any], ...] = (
        (nibabel.Nifti1Pair, nibabel.Nifti1Image),
        (nibabel.Nifti2Pair, nibabel.Nifti2Image),
    )
    for pair, single in kinds:
        header_class = (pair if paired else single).header_class
        size = header_class.template_dtype.itemsize
        if len(block) >= size and pair.header_class.may_contain_header(block):
            return _nifti_header(header_class(block[:size], check=False), pixels)
    if paired:
        return _analyze(said, pixels)
    raise InputError(f"{path} is no NIfTI file; check its name or export it again")


def _pair(path: Path) -> tuple[Path, Path]:
    """The header and the pixels, whichever of the two is named."""
    same = path.suffix.isupper()
    header, pixels = (path.with_suffix(s.upper() if same else s) for s in (".hdr", ".img"))
    for one in (header, pixels):
        if not one.exists():
            raise InputError(
                f"{path} belongs to a pair of files, but {one.name} is missing; put it beside it"
            )
    return header, pixels


def _nifti_header(found: Any, pixels: Path) -> Header:
    intent = int(found["intent_code"])
    if intent in _CIFTI_INTENTS:
        raise InputError(
            f"{pixels} is a CIFTI matrix of a brain's surface, not a volume; "
            "convert it to a NIfTI volume with wb_command"
        )
    steps = [float(n) for n in found["pixdim"][1:4]]
    dims = [int(n) for n in found["dim"][1:4]]
    choices: dict[str, Callable[[], Any]] = {}
    if int(found["sform_code"]) != 0:
        choices["sform"] = found.get_sform
    if int(found["qform_code"]) != 0:
        choices["qform"] = lambda: _qform(found)
    choices["pixdim"] = lambda: _centred(steps, dims[: max(int(found["dim"][0]), 0)])
    affine, notes = _first_valid(choices)
    code = int(found["xyzt_units"])
    factor = _MILLIMETERS.get(code & 7, 1.0)
    affine[:3] *= factor
    slope, inter = found.get_slope_inter()
    low, high = float(found["cal_min"]), float(found["cal_max"])
    time = float(found["pixdim"][4])
    return Header(
        pixels,
        found.get_data_shape(),
        found.get_data_dtype(),
        int(found.get_data_offset()),
        1.0 if slope is None else float(slope),
        0.0 if inter is None else float(inter),
        affine,
        step=(time, _TIMES.get(code & 56)) if np.isfinite(time) and time > 0 else None,
        label_intent=intent == LABEL_INTENT,
        contrast=(low, high) if np.isfinite([low, high]).all() and low < high else None,
        notes=notes,
    )


def _qform(found: Any) -> Any:
    fixed = found.copy()
    if fixed["pixdim"][0] not in (-1, 1):
        fixed["pixdim"][0] = 1  # as nibabel and the standard say of 0
    return fixed.get_qform()


def _analyze(said: Path, pixels: Path) -> Header:
    import nibabel

    image: Any = nibabel.load(said)
    if not isinstance(image, nibabel.spatialimages.SpatialImage):
        raise InputError(f"{said} is no header of a volume; export it again as NIfTI")
    steps = [float(n) for n in image.header.get_zooms()[:3]]
    affine, notes = _first_valid(
        {"header": lambda: image.affine, "pixdim": lambda: _centred(steps, image.shape[:3])}
    )
    header: Any = image.header
    slope, inter = header.get_slope_inter()
    return Header(
        pixels,
        image.shape,
        image.get_data_dtype(),
        int(header.get_data_offset()),
        1.0 if slope is None else float(slope),
        0.0 if inter is None else float(inter),
        affine,
        notes=notes,
    )


def _centred(steps: Sequence[float], shape: Sequence[int]) -> np.ndarray:
    """What nibabel takes where only spacing is known: radiological, the origin in the middle."""
    if not all(np.isfinite(n) and n > 0 for n in steps[: len(shape)]):
        raise InputError(f"the spacing must be positive numbers, got {list(steps)}")
    whole = [*steps[: len(shape)], 1.0, 1.0, 1.0][:3]
    affine = np.diag([-whole[0], whole[1], whole[2], 1.0])
    sizes = np.array([*shape[:3], 1, 1, 1][:3])
    affine[:3, 3] = -affine[:3, :3] @ ((sizes - 1) / 2)
    return affine


def _first_valid(choices: dict[str, Callable[[], Any]]) -> tuple[np.ndarray, tuple[str, ...]]:
    """The first affine that is one, and a note where it is not the first of all."""
    wrong: dict[str, str] = {}
    for name, affine in choices.items():
        try:
            found = np.array(affine(), dtype=float)
            Grid.from_ras(found)
        except Exception as error:  # nibabel raises several kinds
            wrong[name] = str(error).split(";")[0]
            continue
        if not wrong:
            return found, ()
        first, reason = next(iter(wrong.items()))
        return found, (f"its {first} is not valid ({reason}); {name} is used instead",)
    reasons = ", ".join(f"{name}: {reason}" for name, reason in wrong.items())
    raise InputError(f"no place or spacing in its header is valid ({reasons}); correct the header")
