"""``napari-medai train``: a model of one's own, from folders of images and masks."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_medai.commands.checkpoint import Checkpoint, told_pairs
from napari_medai.commands.messages import told
from napari_medai.commands.options import add_params, params_from
from napari_medai.core.errors import InputError
from napari_medai.core.progress import ProgressLine
from napari_medai.core.steps import Step, Steps
from napari_medai.io.atomic import check_writable
from napari_medai.models.model import Model
from napari_medai.models.registry import find_model, own_folder, user_models_dir
from napari_medai.models.spec import check_name
from napari_medai.scripting.label_pairs import label_pairs
from napari_medai.scripting.training import TRAINABLE
from napari_medai.tasks.train import TrainParams, finds_classes, train_steps
from napari_medai.tasks.train_classes import MOST_CLASSES, check_classes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", choices=TRAINABLE, help="what the model is for")
    parser.add_argument("--images", required=True, type=Path, metavar="DIR", help="the images")
    parser.add_argument(
        "--masks",
        required=True,
        type=Path,
        metavar="DIR",
        help="their masks: files of the same names (or ending with _mask; images may end with "
        "_0000, as nnU-Net has them), 0 background, "
        "a number an object, or a class where --classes names them",
    )
    parser.add_argument(
        "--classes",
        nargs="+",
        default=(),
        metavar="NAME",
        help="what 1, 2, ... in the masks stand for, such as liver tumour: the model then finds "
        f"classes, not objects; {MOST_CLASSES} at most",
    )
    parser.add_argument(
        "--window",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="with --classes: the values that become dark and bright in every image, such as "
        "-160 240 for organs in CT; without it each image counts by its own mean and deviation",
    )
    parser.add_argument(
        "--mirror",
        default="",
        metavar="AXES",
        help="with --classes: the axes, such as X, along which a mirrored image is as good as "
        "another",
    )
    parser.add_argument("--name", required=True, help="the name of the model, such as my-nuclei")
    parser.add_argument("--from", dest="start", metavar="MODEL", help="go on from this model")
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="where to keep the state, to --resume from"
    )
    parser.add_argument("--resume", action="store_true", help="go on with a run that was stopped")
    parser.add_argument("--overwrite", action="store_true", help="replace a model of this name")
    add_params(parser, TrainParams)


def run(parsed: argparse.Namespace) -> int:
    params = params_from(parsed, TrainParams)
    check_classes(parsed.classes)
    start = None if parsed.start is None else find_model(parsed.start, parsed.task)
    checkpoint = _checkpoint(parsed)
    training = {
        "name": parsed.name,
        "start": start and f"{start.name} {start.sha256[:12]}",
        "classes": list(parsed.classes),
        "window": parsed.window,
        "mirror": parsed.mirror,
    }
    if parsed.resume:
        checkpoint.check(training)
    # what a run that is gone on with has made so far is its own
    overwrite = parsed.overwrite or (parsed.resume and checkpoint.made(parsed.name))
    own_folder(parsed.name, overwrite=overwrite)
    classes = finds_classes(parsed.classes, start)
    pairs = label_pairs(parsed.images, parsed.masks, classes=classes)
    training["images"] = told_pairs(pairs)
    if parsed.resume:
        checkpoint.check(training)
    else:
        checkpoint.remove()
    print(f"{len(pairs)} images with masks", flush=True)
    checkpoint.write(training)
    steps = train_steps(
        pairs,
        params,
        name=parsed.name,
        start=start,
        classes=parsed.classes,
        window=None if parsed.window is None else tuple(parsed.window),
        mirror=parsed.mirror,
        checkpoint=checkpoint.path,
        overwrite=overwrite,
    )
    try:
        model, scored = _trained(steps)
    finally:
        if not checkpoint.path.exists():
            checkpoint.remove()
    if model is None:
        return _stopped(parsed.name, checkpoint, kept=scored or parsed.resume)
    if parsed.checkpoint is None:
        checkpoint.remove()
    elif checkpoint.path.exists():
        checkpoint.write({}, model=model)
    print(_told(model))
    return 0


def _checkpoint(parsed: argparse.Namespace) -> Checkpoint:
    """The checkpoint that is asked for, which must exist to go on from, and only then."""
    if parsed.checkpoint is not None:
        given = Checkpoint(parsed.checkpoint.expanduser())
        check_writable(given.path.parent)
        if parsed.resume and not given.path.exists():
            raise InputError(f"there is no checkpoint {given.path}; leave out --resume to begin")
        if given.path.exists() and not parsed.resume:
            raise InputError(
                f"the checkpoint {given.path} exists already; add --resume to go on from it, "
                "or choose another file"
            )
        return given
    check_name(parsed.name)
    kept = Checkpoint(user_models_dir() / ".training" / f"{parsed.name}.pt")
    if not parsed.resume:
        check_writable(kept.path.parent)
    elif not kept.path.exists():
        raise InputError(
            f"no training of {parsed.name!r} was stopped that could go on; leave out --resume"
        )
    return kept


def _trained(steps: Steps[Model]) -> tuple[Model | None, bool]:
    """The model, None if the run was stopped; and whether anything was scored by then."""
    scored = False
    with ProgressLine() as line, _interrupts() as interrupted:
        while True:
            try:
                step = next(steps)
            except StopIteration as stop:
                return stop.value, True
            line(step)
            if "score" in step.values:
                scored = True
                _log(line, step)
            if interrupted:
                line.clear()
                print("stopping, and keeping the best so far", file=sys.stderr)
                steps.close()
                return None, scored


def _log(line: ProgressLine, step: Step) -> None:
    line.clear()
    print(step.text, flush=True)


def _stopped(name: str, checkpoint: Checkpoint, *, kept: bool) -> int:
    try:
        model = find_model(name) if kept else None
    except InputError:
        model = None
    if model is None:
        return told("stopped before anything was learned; no model was made", status=130)
    checkpoint.write({}, model=model)
    print(_told(model))
    return told("stopped; the same command with --resume goes on", status=130)


def _told(model: Model) -> str:
    scores: Any = model.config.get("scores", {}).get("held out", {})
    figures = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
    return (
        f"{model.name} is in {model.path}"
        + (f"; on held-out images: {figures}" if figures else "")
        + f"\nuse it: napari-medai segment IN --model {model.name} --out DIR"
    )


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Collects the first Ctrl-C, so that a step is finished; a second one stops at once."""
    seen: list[int] = []

    def note(number: int, frame: object) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(number)

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:  # not in the main thread
        yield seen
        return
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)
