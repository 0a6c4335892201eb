"""Writing volumes as NIfTI, NRRD and MetaImage, where other programs find them in their place."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.axes import ArrayLike, check_dtype
from napari_medai.core.errors import InputError
from napari_medai.core.space import Grid
from napari_medai.core.units import in_seconds, unit_word
from napari_medai.io.atomic import replacing
from napari_medai.io.layer_errors import told_by_napari
from napari_medai.io.layer_grid import SOURCE, grid_of_layer
from napari_medai.io.volumes import VOLUME_SUFFIXES, read_volume, suffix_of

SCANNER = 1
"""NIfTI's code for coordinates of the scanner."""


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """Values (Z, Y, X) or (T, Z, Y, X), and where Z Y X lie; ``seconds`` is the step of T."""

    data: ArrayLike
    grid: Grid
    labels: bool = False
    seconds: float | None = None


def write_volume(path: str | Path, volume: Volume, *, overwrite: bool = False) -> Path:
    """Write a volume in the format of the path's suffix: .nii, .nii.gz, .nrrd or .mha.

    Raises
    ------
    InputError
        If there is no such format, it cannot hold the values, or ``path`` exists and
        ``overwrite`` is false.
    RunError
        If writing fails; nothing is left behind then.
    """
    path = Path(path)
    write = _WRITERS.get(suffix_of(path))
    if write is None:
        raise InputError(
            f"{path.name} names no format for volumes; end it with one of {', '.join(_WRITERS)}"
        )
    check_dtype(volume.data.dtype)
    shape = tuple(volume.data.shape)
    if len(shape) not in (3, 4) or 0 in shape:
        raise InputError(
            f"a volume has the axes Z Y X, or T Z Y X, but these values have the shape {shape}; "
            "save one channel at a time, or as OME-TIFF"
        )
    with replacing(path, overwrite=overwrite) as partial:
        write(partial, volume)
    return path


@told_by_napari
def write_volume_layer(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write an Image layer as a volume, as npe2 calls it."""
    return _write_layer(path, data, attributes, labels=False)


@told_by_napari
def write_labels_volume(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a Labels layer as a volume, as npe2 calls it."""
    return _write_layer(path, data, attributes, labels=True)


def _write_layer(path: str, data: Any, attributes: dict[str, Any], *, labels: bool) -> list[str]:
    if attributes.get("rgb"):
        raise InputError(
            "volumes hold one value a voxel, but the layer is RGB; save it as OME-TIFF"
        )
    finest = data[0] if attributes.get("multiscale") else data
    units = tuple(attributes.get("units") or ())
    if not all(unit_word(unit) for unit in units[-3:]):
        warnings.warn(
            "the layer counts pixels, so its steps were written as millimetres; set its scale "
            "and units to have it in its size",
            stacklevel=3,
        )
    seconds = _seconds(attributes, units) if len(finest.shape) == 4 else None
    volume = Volume(finest, grid_of_layer(attributes), labels, seconds)
    volume = _as_the_source(volume, (attributes.get("metadata") or {}).get(SOURCE))
    # napari's dialog has asked already whether a file may be replaced
    return [str(write_volume(path, volume, overwrite=True))]


def _as_the_source(volume: Volume, path: str | None) -> Volume:
    """Labels made on a volume, in the order of axes that its file has: some viewers ask for it."""
    if not path or suffix_of(Path(path)) not in VOLUME_SUFFIXES:
        return volume
    try:
        source = read_volume(path)[0]
    except InputError:  # it is gone, or another by now
        return volume
    if source.grid is None or source.stored is None:
        return volume
    same = tuple(source.levels[0].shape[-3:]) == tuple(volume.data.shape[-3:])
    if not (same and np.allclose(source.grid.affine, volume.grid.affine, atol=1e-4)):
        return volume
    data = source.stored.stored_again(np.asarray(volume.data))
    return replace(volume, data=data, grid=source.stored.stored)


def _seconds(attributes: dict[str, Any], units: tuple[Any, ...]) -> float | None:
    return in_seconds(float(attributes["scale"][-4]), units[-4]) if len(units) >= 4 else None


def _write_nifti(path: Path, volume: Volume) -> None:
    """The sform says where voxels lie, and so does the qform where it can (it knows no shear)."""
    import nibabel

    data = _plain(volume.data)
    affine = volume.grid.as_ras()
    # nibabel counts (i, j, k, t)
    image: Any = nibabel.Nifti1Image(data.transpose(), affine, dtype=data.dtype)
    image.header.set_sform(affine, code=SCANNER)
    image.header.set_qform(affine, code=SCANNER, strip_shears=True)
    image.header.set_xyzt_units("mm", None if volume.seconds is None else "sec")
    if data.ndim == 4:
        image.header.set_zooms((*image.header.get_zooms()[:3], volume.seconds or 1.0))
    if volume.labels:
        image.header.set_intent("label")
    nibabel.save(image, path)


def _write_itk(path: Path, volume: Volume) -> None:
    import SimpleITK

    data = _plain(volume.data)
    if data.ndim != 3:
        raise InputError(
            f"{suffix_of(path)} files hold one volume, got {data.shape[0]} along T; "
            "save them as .nii.gz, or one at a time"
        )
    image: Any = SimpleITK.GetImageFromArray(np.ascontiguousarray(data))
    origin, spacing, direction = volume.grid.as_lps()
    image.SetOrigin(origin)
    image.SetSpacing(spacing)
    image.SetDirection(direction.ravel().tolist())
    try:
        SimpleITK.WriteImage(image, str(path), useCompression=True)
    except RuntimeError as error:  # ITK says so of a full disk
        raise OSError(" ".join(str(error).split())[-200:]) from error


def _plain(data: ArrayLike) -> np.ndarray:
    """The values in a dtype that these formats have."""
    values = np.asarray(data)
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    return values.astype(np.float32) if values.dtype == np.float16 else values


_WRITERS: dict[str, Callable[[Path, Volume], None]] = {
    ".nii.gz": _write_nifti,
    ".nii": _write_nifti,
    ".nrrd": _write_itk,
    ".mha": _write_itk,
}
