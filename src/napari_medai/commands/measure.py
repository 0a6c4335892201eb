"""``napari-medai measure``: what each label of a file measures, as a table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from napari_medai.commands.messages import PROGRAM
from napari_medai.commands.options import add_calibration, calibration, placed
from napari_medai.core.alignment import cut_to
from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.measures import measure_steps
from napari_medai.core.progress import ProgressLine
from napari_medai.core.ruler import ruler_of
from napari_medai.core.steps import finished
from napari_medai.io.atomic import check_free
from napari_medai.io.image_data import ImageData
from napari_medai.io.images import read_image
from napari_medai.io.results import write_features_csv


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("labels", type=Path, metavar="LABELS", help="a file of labels")
    parser.add_argument(
        "--image",
        type=Path,
        metavar="IMAGE",
        help="a file or DICOM folder on the same grid, whose values are measured",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="the table to write, as CSV"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    add_calibration(parser)


def run(parsed: argparse.Namespace) -> int:
    check_free(parsed.out, overwrite=parsed.overwrite)
    labels = _first(parsed.labels)
    array = placed(labels.image, calibration(parsed))
    direction = labels.grid.direction if labels.grid is not None and not parsed.scale else None
    image = None if parsed.image is None else _lying_on(labels, _first(parsed.image))
    steps = measure_steps(array, ruler_of(array, direction=direction), image=image)
    with ProgressLine(parsed.labels.name) as line:
        table = finished(steps, line).features
    kinds = dict(
        zip(labels.features.get("index", ()), labels.features.get("class", ()), strict=False)
    )
    if kinds:
        named = [str(kinds.get(int(label), "")) for label in table["index"]]
        table = {"index": table["index"], "class": np.array(named, dtype=object), **table}
    write_features_csv(parsed.out, table, overwrite=parsed.overwrite)
    print(parsed.out)
    return 0


def _first(path: Path) -> ImageData:
    images = read_image(path)
    more = (f"{path} holds {len(images)} images; the first is taken",)
    for note in (*(more if len(images) > 1 else ()), *images[0].notes):
        print(f"{PROGRAM}: {note}", file=sys.stderr)
    return images[0]


def _lying_on(labels: ImageData, image: ImageData) -> AxesArray:
    """The part of an image that labels lie on; where no place is known, sizes are compared."""
    if labels.grid is None or image.grid is None or labels.image.axes != "ZYX":
        return image.image
    there = np.linalg.inv(image.grid.affine) @ labels.grid.affine
    part = cut_to(image.image, labels.image, lambda at: there[:3, :3] @ at + there[:3, 3])
    if part is None:
        raise InputError(
            "the labels do not lie on voxels of the image; give the image that they were made on"
        )
    return part
