"""``napari-medai evaluate``: how well a model does on images whose truth is known."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

TASKS = {
    "detect": "score found boxes by true ones",
    "denoise": "score restored images by clean ones, or by what was taken away",
    "synthesize": "compare made images with real ones, and look for training images among them",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    tasks = parser.add_subparsers(dest="task", metavar="TASK", required=True)
    for name, purpose in TASKS.items():
        task = tasks.add_parser(name, help=purpose)
        task.add_argument("--images", required=True, type=Path, metavar="DIR", help="the images")
        task.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
        task.add_argument("--overwrite", action="store_true", help="replace a file that exists")
        task.add_argument(
            "--debug",
            action="store_true",
            default=argparse.SUPPRESS,
            help="show where an error comes from",
        )
        module = import_module(f"napari_medai.commands.evaluate_{name}")
        module.add_arguments(task)
        task.set_defaults(score=module.run)


def run(parsed: argparse.Namespace) -> int:
    status: int = parsed.score(parsed)
    return status
