"""``napari-medai detect``: the boxes of one image or a thousand, to files of other programs."""

from __future__ import annotations

import argparse

from napari_medai.commands import batch
from napari_medai.commands.box_outputs import written_boxes_steps
from napari_medai.commands.outputs import BOXES
from napari_medai.models.model import Model
from napari_medai.models.settings import class_names
from napari_medai.tasks.detect import DetectParams


def _check_classes(params: DetectParams, model: Model) -> None:
    params.chosen(class_names(model.config))


TASK = batch.Task(
    name="detect",
    model="blood-cells",
    params=DetectParams,
    files=BOXES,
    out="folder for <name>_boxes.json (COCO), <name>_boxes.csv (a row a box) and "
    "<name>_boxes_record.json (how they were made)",
    written_steps=written_boxes_steps,
    check=_check_classes,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    batch.add_arguments(parser, TASK)


def run(parsed: argparse.Namespace) -> int:
    return batch.run(parsed, TASK)
