"""``napari-medai segment``: one image or a thousand, to files that other programs open."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

from napari_medai.commands import batch
from napari_medai.commands.inside import BoxesInFile
from napari_medai.commands.label_outputs import written_labels_steps
from napari_medai.commands.outputs import LABELS, is_result
from napari_medai.core.errors import InputError
from napari_medai.io.images import find_images
from napari_medai.tasks.inside_boxes import TASK as INSIDE
from napari_medai.tasks.segment import SegmentParams

TASK = batch.Task(
    name="segment",
    model="nuclei",
    params=SegmentParams,
    files=LABELS,
    out="folder for <name>_labels in the format of the image (.ome.tif, .nii.gz, .nrrd, .mha, "
    "or .dcm, a DICOM segmentation), .csv (features) and .json (the record)",
    written_steps=written_labels_steps,
    how={"task": "segment"},
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    batch.add_arguments(parser, TASK)
    parser.add_argument(
        "--inside",
        type=Path,
        metavar="FILE",
        help="segment in these boxes alone, of COCO JSON or CSV as detect writes them, "
        "one object in each",
    )
    parser.add_argument(
        "--several", action="store_true", help="a box of --inside may hold several objects"
    )


def run(parsed: argparse.Namespace) -> int:
    if parsed.inside is None:
        if parsed.several:
            raise InputError("--several is for boxes; add --inside FILE, or leave it out")
        return batch.run(parsed, TASK)
    boxes = BoxesInFile.read(parsed.inside.expanduser(), single=not parsed.several)
    boxes.check([path for path in find_images(parsed.images) if not is_result(path)])
    inside = replace(
        TASK,
        written_steps=partial(written_labels_steps, inside=boxes),
        how={"task": INSIDE, "inside": boxes.record},
    )
    return batch.run(parsed, inside)
