"""``napari-medai evaluate detect``: how well boxes are found in images whose objects are known."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_medai.commands.figures import check_figures_file, write_figures
from napari_medai.commands.messages import PROGRAM
from napari_medai.commands.options import add_params, params_from
from napari_medai.core.errors import InputError
from napari_medai.core.progress import ProgressLine
from napari_medai.core.steps import finished
from napari_medai.models.registry import find_model
from napari_medai.models.settings import class_names
from napari_medai.scripting.box_pairs import annotated_images, read_pairs, renamed
from napari_medai.tasks.detect import LEAST_SCORE, DetectParams
from napari_medai.tasks.evaluate import detection_scores_steps
from napari_medai.tasks.record import described_model

_COLUMNS = ("boxes", "AP@0.5", "AP@[.5:.95]", "precision", "recall", "F1")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--boxes",
        required=True,
        type=Path,
        metavar="FILE|DIR",
        help="the true boxes: a file of COCO JSON or CSV, or a folder of YOLO or Pascal VOC files",
    )
    parser.add_argument("--model", required=True, metavar="NAME", help="the model to score")
    parser.add_argument(
        "--split", metavar="PART", help="of a CSV with the column split, this part alone"
    )
    parser.add_argument(
        "--rename",
        nargs="+",
        default=(),
        metavar="CLASS=NAME",
        help="what the model calls a class of the boxes, such as Platelets=platelet",
    )
    add_params(parser, DetectParams)


def run(parsed: argparse.Namespace) -> int:
    model = find_model(parsed.model, parsed.task)
    params = params_from(parsed, DetectParams)
    params.chosen(class_names(model.config))
    check_figures_file(parsed.json, overwrite=parsed.overwrite)
    images, notes = annotated_images(parsed.images, parsed.boxes, split=parsed.split)
    for note in notes:
        print(f"{PROGRAM}: {note}", file=sys.stderr)
    images = renamed(images, _names(parsed.rename))
    with ProgressLine() as line:
        steps = detection_scores_steps(model, read_pairs(images), params, total=len(images))
        figures = finished(steps, line).described()
    print(f"{model.name} {model.version}, {figures['images']} images, {figures['boxes']} boxes")
    print(_table(figures))
    made = _made_by(model, parsed, params)
    write_figures(parsed.json, {**made, **figures}, overwrite=parsed.overwrite)
    return 0


def _names(given: Sequence[str]) -> dict[str, str]:
    pairs = [one.partition("=") for one in given]
    if wrong := [one for one, pair in zip(given, pairs, strict=True) if not all(pair)]:
        raise InputError(
            f"--rename takes a class, = and its other name, such as Platelets=platelet, got "
            f"{wrong[0]!r}"
        )
    return {old: new for old, _, new in pairs}


def _table(figures: dict[str, Any]) -> str:
    whole = {"AP@0.5": figures["mAP@0.5"], "AP@[.5:.95]": figures["mAP@[.5:.95]"]}
    rows = {**figures["classes"], "all": {**figures, **whole}}
    width = max(map(len, rows))
    lines = [" " * width + "".join(f"  {name:>{max(7, len(name))}}" for name in _COLUMNS)]
    for name, row in rows.items():
        cells = "".join(f"  {_cell(row[c]):>{max(7, len(c))}}" for c in _COLUMNS)
        lines.append(f"{name:<{width}}{cells}")
    lines.append(
        f"AP of all scores from {LEAST_SCORE:g} on, for all the mean over classes (mAP); "
        f"precision, recall and F1 at the threshold {figures['threshold']:g}, at an IoU of 0.5"
    )
    if figures["unknown"]:
        others = ", ".join(f"{count} {name}" for name, count in figures["unknown"].items())
        lines.append(f"not counted, of classes that were not looked for: {others}")
    if "FROC" in figures:
        told = figures["FROC"]["sensitivity by false positives a volume"].items()
        values = ", ".join(f"{_cell(value)} at {number}" for number, value in told)
        lines.append(
            f"FROC, centres in true boxes: sensitivity {values} false positives a volume; "
            f"mean {_cell(figures['FROC']['mean'])}"
        )
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def _made_by(model: Any, parsed: argparse.Namespace, params: DetectParams) -> dict[str, Any]:
    return {
        "task": parsed.task,
        "model": described_model(model),
        "overlap": params.overlap,
        "split": parsed.split,
    }
