"""Labels in the family of formats that their image came in."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_medai.core.axes import CHANNEL
from napari_medai.core.errors import InputError
from napari_medai.io.dicom.files import is_dicom
from napari_medai.io.image_data import ImageData
from napari_medai.io.images import is_zarr
from napari_medai.io.ome_tiff import write_tiff
from napari_medai.io.ome_zarr.writer import write_zarr
from napari_medai.io.volume_writers import Volume, write_volume
from napari_medai.io.volumes import VOLUME_SUFFIXES, suffix_of
from napari_medai.tasks.segmentation import Segmentation

TIFF, ZARR, NIFTI, DICOM = ".ome.tif", ".zarr", ".nii.gz", ".dcm"
ITK = {".nrrd": ".nrrd", ".nhdr": ".nrrd", ".mha": ".mha", ".mhd": ".mha"}
ENDINGS = (TIFF, ZARR, NIFTI, ".nrrd", ".mha", DICOM)
"""Of all files that labels may be written to."""


def label_ending(source: Path, image: ImageData) -> str:
    """``.nii.gz`` for a NIfTI file, ``.dcm`` for a DICOM series, ``.ome.tif`` for a TIFF, ...

    What no other family has is OME-TIFF.
    """
    if is_zarr(source):
        return ZARR
    axes = image.axes.replace(CHANNEL, "")
    if image.grid is None or axes not in ("ZYX", "TZYX"):
        return TIFF
    suffix = suffix_of(source)
    if suffix in VOLUME_SUFFIXES:
        return ITK.get(suffix, NIFTI) if axes == "ZYX" else NIFTI
    return DICOM if axes == "ZYX" and is_dicom(source) else NIFTI


def write_label_file(
    stem: Path, result: Segmentation, image: ImageData, source: Path
) -> tuple[str, ...]:
    """Write labels to ``stem`` with the ending of `label_ending`; what the user should know.

    Volumes lie on the voxels of their source, in its own order. A DICOM segmentation refers to the
    series in ``source``, and cannot hold everything: what it cannot is written as NIfTI.
    """
    ending = label_ending(source, image)
    notes: tuple[str, ...] = ()
    if ending == TIFF:
        write_tiff(_named(stem, TIFF), labels_of(result, image, stem.name).image, labels=True)
        return ()
    if ending == ZARR:
        write_zarr(_named(stem, ZARR), labels_of(result, image, stem.name))
        return ()
    if ending == DICOM:
        try:
            _write_segmentation(_named(stem, DICOM), result, image, source)
            return ()
        except InputError as error:
            ending = NIFTI
            notes = (f"{error}; the labels were written as NIfTI.",)
    _write_volume(_named(stem, ending), result, image)
    return notes


def labels_of(result: Segmentation, image: ImageData, name: str) -> ImageData:
    """The labels found in an image, on its place, with their table and colours."""
    return ImageData(
        (result.labels,),
        result.axes,
        image.spacing,
        image.units,
        name=name,
        labels=True,
        origin=image.origin,
        grid=image.grid,
        features={column: values.tolist() for column, values in result.features.items()},
        colours={number: _rgba(colour) for number, colour in result.colours.items()},
    )


def _rgba(colour: str) -> tuple[float, ...]:
    """``"#rrggbb"`` as red, green, blue and opacity, 0 to 1."""
    return (*(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)), 1.0)


def _named(stem: Path, ending: str) -> Path:
    return stem.with_name(stem.name + ending)


def _write_volume(path: Path, result: Segmentation, image: ImageData) -> None:
    labels, grid = np.asarray(result.labels), image.grid
    assert grid is not None, "volumes lie in a patient"
    if image.stored is not None:
        labels, grid = image.stored.stored_again(labels), image.stored.stored
    write_volume(path, Volume(labels, grid, labels=True))


def _write_segmentation(path: Path, result: Segmentation, image: ImageData, source: Path) -> None:
    from napari_medai.io.dicom.layer_writer import fitting_series, segments_of
    from napari_medai.io.dicom.seg_writer import write_dicom_seg

    labels, grid = np.asarray(result.labels), image.grid
    assert grid is not None, "series lie in a patient"
    if not labels.any():
        raise InputError("nothing was found, and a DICOM segmentation cannot be empty")
    series = fitting_series(str(source), labels, grid)
    made = {
        "features": result.features,
        "metadata": {"medai": result.record},
        "colormap": labels_of(result, image, path.stem).colours,
    }
    write_dicom_seg(path, labels, grid, series, segments_of(labels, made))
