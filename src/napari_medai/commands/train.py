"""``napari-medai train``: a model of one's own, from folders of images and masks or boxes."""

from __future__ import annotations

import argparse
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_medai.commands.checkpoint import Checkpoint, told_pairs
from napari_medai.commands.messages import PROGRAM, told
from napari_medai.commands.options import add_params, params_from
from napari_medai.core.errors import InputError
from napari_medai.core.progress import ProgressLine
from napari_medai.core.steps import Step, Steps
from napari_medai.core.words import digits
from napari_medai.io.atomic import check_writable
from napari_medai.models.model import Model
from napari_medai.models.registry import find_model, own_folder, user_models_dir
from napari_medai.models.spec import check_name
from napari_medai.scripting.box_pairs import box_pairs
from napari_medai.scripting.label_pairs import label_pairs
from napari_medai.scripting.training import TRAINABLE, check_box_options
from napari_medai.tasks.pairs import BoxPair, Pair
from napari_medai.tasks.train import TrainParams, finds_classes, train_steps
from napari_medai.tasks.train_boxes import train_boxes_steps
from napari_medai.tasks.train_classes import MOST_CLASSES, check_classes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", choices=TRAINABLE, help="what the model is for")
    parser.add_argument("--images", required=True, type=Path, metavar="DIR", help="the images")
    parser.add_argument(
        "--masks",
        type=Path,
        metavar="DIR",
        help="to segment, their masks: files of the same names (or ending with _mask; images may "
        "end with _0000, as nnU-Net has them), 0 background, a number an object, or a class where "
        "--classes names them",
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
    _check_options(parsed)
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
    pairs = _pairs(parsed, start)
    training["images"] = told_pairs(pairs)
    if parsed.resume:
        checkpoint.check(training)
    else:
        checkpoint.remove()
    print(f"{len(pairs)} images with {_drawn(pairs)}", flush=True)
    checkpoint.write(training)
    steps = _steps(
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


def _check_options(parsed: argparse.Namespace) -> None:
    """Refuse a task without what is drawn for it, and with what is drawn for the other."""
    wanted, other = ("boxes", "masks") if parsed.task == "detect" else ("masks", "boxes")
    if getattr(parsed, wanted) is None:
        raise InputError(f"train {parsed.task} needs --{wanted}; see napari-medai train --help")
    if getattr(parsed, other) is not None:
        raise InputError(f"train {parsed.task} takes --{wanted}, not --{other}; leave it out")
    if parsed.task == "detect":
        check_box_options(window=parsed.window, mirror=parsed.mirror)


def _pairs(parsed: argparse.Namespace, start: Model | None) -> list[Any]:
    """The images with what was drawn for them; what was left out is told."""
    if parsed.task == "segment":
        by_class = finds_classes(parsed.classes, start)
        return label_pairs(parsed.images, parsed.masks, classes=by_class)
    pairs, notes = box_pairs(parsed.images, parsed.boxes, classes=parsed.classes)
    for note in notes:
        print(f"{PROGRAM}: {note}", file=sys.stderr)
    return pairs


def _steps(
    parsed: argparse.Namespace, pairs: list[Any], params: TrainParams, **how: Any
) -> Steps[Model]:
    """The training that is asked for."""
    if parsed.task == "detect":
        return train_boxes_steps(pairs, params, **how)
    window = None if parsed.window is None else tuple(parsed.window)
    how |= {"classes": parsed.classes, "window": window, "mirror": parsed.mirror}
    return train_steps(pairs, params, **how)


def _drawn(pairs: Sequence[Pair] | Sequence[BoxPair]) -> str:
    """``masks``, or ``12 boxes: 7 RBC, 5 WBC``."""
    kinds = Counter(
        str(kind) for pair in pairs if isinstance(pair, BoxPair) for kind in pair.boxes.kinds
    )
    if not any(isinstance(pair, BoxPair) for pair in pairs):
        return "masks"
    parts = ", ".join(f"{digits(count)} {kind}" for kind, count in sorted(kinds.items()))
    return f"{digits(kinds.total())} boxes: {parts}" if kinds else "no boxes"


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
        + f"\nuse it: napari-medai {model.task} IN --model {model.name} --out DIR"
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
