"""``napari-medai train``: a model of one's own, from images and what belongs to them."""

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
from napari_medai.commands.train_inputs import check_task, drawn, pairs_for, steps_for
from napari_medai.core.errors import InputError
from napari_medai.core.fields import fields_of
from napari_medai.core.progress import ProgressLine
from napari_medai.core.steps import Step, Steps
from napari_medai.io.atomic import check_writable
from napari_medai.models.model import Model
from napari_medai.models.registry import find_model, own_folder, user_models_dir
from napari_medai.models.spec import check_name
from napari_medai.scripting.training import PAINTER, TRAINABLE
from napari_medai.tasks.denoise_params import DenoiseParams
from napari_medai.tasks.train import TrainParams
from napari_medai.tasks.train_classes import MOST_CLASSES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", choices=TRAINABLE, help="what the model is for")
    parser.add_argument("--images", required=True, type=Path, metavar="DIR", help="the images")
    parser.add_argument(
        "--masks",
        type=Path,
        metavar="DIR",
        help="to segment or synthesize, their masks: files of the same names (or ending with "
        "_mask; images may end with _0000, as nnU-Net has them), 0 background, a number an object, "
        "or a class where --classes names them",
    )
    parser.add_argument(
        "--boxes",
        type=Path,
        metavar="FILE|DIR",
        help="to detect, the boxes of their objects: a file of COCO JSON or CSV, or a folder of "
        "YOLO or Pascal VOC files",
    )
    parser.add_argument(
        "--classes",
        nargs="+",
        default=(),
        metavar="NAME",
        help="to segment, what 1, 2, ... in the masks stand for, such as liver tumour: the model "
        f"then finds classes, not objects; {MOST_CLASSES} at most; to detect, the classes of boxes "
        "to learn, all without it",
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
    parser.add_argument(
        "--clean",
        type=Path,
        metavar="DIR",
        help="to denoise, the clean images of the same scenes: files of the same names (or ending "
        "with _clean, _high, _gt or _target); without them, it learns from the noisy ones alone",
    )
    across = fields_of(DenoiseParams)["across"]
    parser.add_argument(
        "--across",
        default=across.default,
        choices=across.limits["choices"],
        help=f"to denoise: {across.help[0].lower()}{across.help[1:]}",
    )
    parser.add_argument(
        "--synthetic",
        type=int,
        default=0,
        metavar="N",
        help="to segment objects: train on N synthetic images as well",
    )
    parser.add_argument(
        "--painter",
        default=PAINTER,
        metavar="MODEL",
        help=f"with --synthetic: the model that makes them (default: {PAINTER})",
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
    check_task(parsed)
    start = None if parsed.start is None else find_model(parsed.start, parsed.task)
    checkpoint = _checkpoint(parsed)
    training = {
        "name": parsed.name,
        "start": start and f"{start.name} {start.sha256[:12]}",
        "classes": list(parsed.classes),
        "window": parsed.window,
        "mirror": parsed.mirror,
        "across": parsed.across,
        "synthetic": [parsed.synthetic, parsed.painter] if parsed.synthetic else None,
    }
    if parsed.resume:
        checkpoint.check(training)
    # what a run that is gone on with has made so far is its own
    overwrite = parsed.overwrite or (parsed.resume and checkpoint.made(parsed.name))
    own_folder(parsed.name, overwrite=overwrite)
    pairs = pairs_for(parsed, start)
    training["images"] = told_pairs(pairs)
    if parsed.resume:
        checkpoint.check(training)
    else:
        checkpoint.remove()
    print(f"{len(pairs)} images with {drawn(pairs)}", flush=True)
    checkpoint.write(training)
    steps = steps_for(
        parsed,
        pairs,
        params,
        name=parsed.name,
        start=start,
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
    scores: Any = model.config.get("scores", {})
    held_out = scores.get("held out", {})
    figures = ", ".join(f"{name} {value:.3f}" for name, value in held_out.items())
    plain = [f"{name}: {value:g}" for name, value in scores.items() if isinstance(value, float)]
    use = f"{model.task} IN --model {model.name}"
    if model.task == "synthesize":
        use = f"synthesize {model.name}"
    return (
        f"{model.name} is in {model.path}"
        + (f"; on held-out images: {figures}" if figures else "")
        + "".join(f"; {one}" for one in plain)
        + f"\nuse it: napari-medai {use} --out DIR"
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
