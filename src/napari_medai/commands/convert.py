"""``napari-medai convert``: an image or labels in another format, in the same place."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_medai.commands.messages import PROGRAM
from napari_medai.core.errors import InputError
from napari_medai.core.space import Grid
from napari_medai.core.units import in_micrometers, in_seconds
from napari_medai.io.atomic import check_free
from napari_medai.io.image_data import ImageData
from napari_medai.io.images import TIFF_SUFFIXES, read_image
from napari_medai.io.volumes import suffix_of

VOLUMES = (".nii.gz", ".nii", ".nrrd", ".mha")
ZARR = ".zarr"
DICOM = ".dcm"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", type=Path, metavar="IN", help="an image, labels, or a DICOM folder"
    )
    parser.add_argument(
        "target",
        type=Path,
        metavar="OUT",
        help="the file to write; its ending tells the format: .nii.gz, .nii, .nrrd, .mha, "
        ".ome.tif, .ome.zarr, or .dcm for a DICOM segmentation of labels. Labels for an OME-Zarr "
        "image that exists are added to it",
    )
    parser.add_argument(
        "--series",
        type=Path,
        metavar="DICOM",
        help="for .dcm: the series that the labels were made on, which the file refers to",
    )
    parser.add_argument(
        "--keep-patient",
        action="store_true",
        help="for .dcm: take the patient's name, number and the like over from the series, as an "
        "archive may need them",
    )
    parser.add_argument("--labels", action="store_true", help="the values are object numbers")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")


def run(parsed: argparse.Namespace) -> int:
    suffix = suffix_of(parsed.target)
    if suffix != ZARR:  # labels may join an image
        check_free(parsed.target, overwrite=parsed.overwrite)
    images = read_image(parsed.source)
    image = replace(images[0], labels=images[0].labels or parsed.labels)
    beside = suffix == ZARR and not image.labels
    labels = [one for one in images[1:] if one.labels and beside]
    if len(images) > 1 + len(labels):
        _tell(f"{parsed.source} holds {len(images)} images; the first is taken")
    for note in image.notes:
        _tell(note)
    if suffix in VOLUMES:
        _write_volume(image, parsed)
    elif suffix in TIFF_SUFFIXES:
        _write_tiff(image, parsed)
    elif suffix == ZARR:
        from napari_medai.io.ome_zarr.writer import write_zarr

        print(write_zarr(parsed.target, image, labels=labels, overwrite=parsed.overwrite))
        return 0
    elif suffix == DICOM:
        _write_segmentation(image, parsed)
    else:
        raise InputError(
            f"{parsed.target.name} names no format that can be written; end it with one of "
            f"{', '.join((*VOLUMES, '.ome.tif', '.ome.zarr', DICOM))}"
        )
    print(parsed.target)
    return 0


def _tell(note: str) -> None:
    print(f"{PROGRAM}: {note}", file=sys.stderr)


def _write_tiff(image: ImageData, parsed: argparse.Namespace) -> None:
    from napari_medai.io.ome_tiff import write_tiff

    write_tiff(
        parsed.target,
        image.image,
        names=image.names,
        labels=image.labels,
        overwrite=parsed.overwrite,
    )


def _write_volume(image: ImageData, parsed: argparse.Namespace) -> None:
    from napari_medai.io.volume_writers import Volume, write_volume

    whole = image.image
    if whole.series not in ("", "T") or whole.sizes.get("C", 1) > 1:
        raise InputError(
            f"volumes have the axes Z Y X, or T Z Y X, but {parsed.source} has "
            f"{' '.join(whole.axes)}; convert it to .ome.tif"
        )
    order = ("T" if "T" in whole.axes else "") + "ZYX"
    volume = Volume(
        whole.moved_to(order).data,
        image.grid or _flat_grid(image),
        image.labels,
        in_seconds(whole.step("T"), whole.units.get("T")),
    )
    write_volume(parsed.target, volume, overwrite=parsed.overwrite)


def _flat_grid(image: ImageData) -> Grid:
    """The grid of an image that lies in no patient: in its size, from its origin."""
    affine = np.eye(4)
    for row, axis in enumerate("ZYX"):
        unit = in_micrometers(1.0, image.units.get(axis))
        millimetres = 1.0 if unit is None else unit / 1000
        affine[row, row] = image.image.step(axis) * millimetres
        affine[row, 3] = image.origin.get(axis, 0.0) * millimetres
    return Grid(affine)


def _write_segmentation(image: ImageData, parsed: argparse.Namespace) -> None:
    from napari_medai.io.dicom.layer_writer import fitting_series, segments_of
    from napari_medai.io.dicom.seg_writer import write_dicom_seg

    if parsed.series is None:
        raise InputError(
            "a DICOM segmentation refers to the series that its labels were made on; "
            "name it with --series FOLDER"
        )
    # Labels that napari saved as OME-Zarr tell no patient; whether they lie on the series is seen.
    in_size = all(in_micrometers(1.0, image.units.get(axis)) for axis in "ZYX")
    grid = image.grid or (_flat_grid(image) if in_size else None)
    if not image.labels or grid is None or image.image.axes != "ZYX":
        raise InputError(
            f"a DICOM segmentation is made of labels (Z, Y, X) in a patient, but {parsed.source} "
            "holds none; add --labels if its values are object numbers"
        )
    labels = np.asarray(image.levels[0])
    write_dicom_seg(
        parsed.target,
        labels,
        grid,
        fitting_series(str(parsed.series), labels, grid),
        segments_of(labels, {"features": image.features, "colormap": image.colours}),
        overwrite=parsed.overwrite,
        identity=parsed.keep_patient,
    )
