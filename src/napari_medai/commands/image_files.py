"""Restored images in the family of formats that their image came in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.commands.label_files import ITK, NIFTI, TIFF, ZARR
from napari_medai.core.errors import InputError
from napari_medai.core.units import in_seconds
from napari_medai.io.image_data import ImageData
from napari_medai.io.images import is_zarr
from napari_medai.io.ome_tiff import write_tiff
from napari_medai.io.ome_zarr.writer import write_zarr
from napari_medai.io.volume_writers import Volume, write_volume
from napari_medai.io.volumes import VOLUME_SUFFIXES, suffix_of
from napari_medai.tasks.denoising import Restoration

IMAGE_ENDINGS = (TIFF, ZARR, NIFTI, ".nrrd", ".mha")
"""Of all files that images may be written to."""
MOST_AXES = 5
"""That OME-TIFF and OME-Zarr have room for."""


def image_ending(source: Path, image: ImageData) -> str:
    """``.nii.gz`` for volumes of NIfTI and DICOM files, ``.nrrd``, ``.mha``, ``.zarr`` for theirs.

    What no other family has is OME-TIFF.

    Raises
    ------
    InputError
        If the image has more axes than that can hold.
    """
    axes = image.axes
    if len(axes) > MOST_AXES:
        raise InputError(
            f"files have room for {MOST_AXES} axes, but {source.name} has {' '.join(axes)}; save "
            "one position of an axis as a file of its own, or choose a --channel"
        )
    if is_zarr(source):
        return ZARR
    if image.grid is None or axes not in ("ZYX", "TZYX"):
        return TIFF
    suffix = suffix_of(source)
    return ITK.get(suffix, NIFTI) if suffix in VOLUME_SUFFIXES and axes == "ZYX" else NIFTI


def write_image_file(stem: Path, result: Restoration, image: ImageData, ending: str) -> Path:
    """Write a restored image to ``stem`` with an ending, in the place of the image it came from.

    TIFF and OME-Zarr take it in pieces; volumes, which lie on the voxels of their source in its
    own order, are held whole.
    """
    path = stem.with_name(stem.name + ending)
    restored = replace(
        image,
        levels=(result.image,),
        name=path.stem if ending == ZARR else image.name,
        rgb=image.rgb and np.dtype(result.image.dtype).kind == "u",
        labels=False,
        features={},
        colours={},
    )
    if ending == TIFF:
        return write_tiff(path, restored.image, names=image.names)
    if ending == ZARR:
        return write_zarr(path, restored)
    return write_volume(path, _volume(result, image))


def _volume(result: Restoration, image: ImageData) -> Volume:
    values: Any = np.asarray(result.image)
    grid = image.grid
    assert grid is not None, "volumes lie in a patient"
    if image.stored is not None:
        values, grid = image.stored.stored_again(values), image.stored.stored
    step = in_seconds(image.image.step("T"), image.units.get("T")) if "T" in image.axes else None
    return Volume(values, grid, seconds=step)
