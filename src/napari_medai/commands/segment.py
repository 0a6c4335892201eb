"""``napari-medai segment``: one image or a thousand, to files that other programs open."""

from __future__ import annotations

import argparse

from napari_medai.commands import batch
from napari_medai.commands.label_outputs import written_labels_steps
from napari_medai.commands.outputs import LABELS
from napari_medai.tasks.segment import SegmentParams

TASK = batch.Task(
    name="segment",
    model="nuclei",
    params=SegmentParams,
    files=LABELS,
    out="folder for <name>_labels in the format of the image (.ome.tif, .nii.gz, .nrrd, .mha, "
    "or .dcm, a DICOM segmentation), .csv (features) and .json (the record)",
    written_steps=written_labels_steps,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    batch.add_arguments(parser, TASK)


def run(parsed: argparse.Namespace) -> int:
    return batch.run(parsed, TASK)
