"""One task on one image or a thousand: what the commands that write results have in common."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any, Protocol

from napari_medai.commands.messages import PROGRAM, sentence, status_of, told
from napari_medai.commands.options import (
    add_calibration,
    add_params,
    calibration,
    params_from,
    placed,
)
from napari_medai.commands.outputs import (
    Files,
    Outputs,
    check_apart,
    is_result,
    wanted_record,
)
from napari_medai.core.axes import CHANNEL, AxesArray
from napari_medai.core.errors import InputError, OutOfMemoryError, RunError
from napari_medai.core.fields import left_out, suited
from napari_medai.core.progress import ProgressLine
from napari_medai.core.steps import Steps, finished
from napari_medai.io.atomic import check_writable
from napari_medai.io.image_data import ImageData
from napari_medai.io.images import find_images, read_image
from napari_medai.models.model import Model
from napari_medai.models.registry import find_model
from napari_medai.tasks.suitable import loaded_net


class Result(Protocol):
    """What is told of an image's result."""

    @property
    def told(self) -> str: ...
    @property
    def notes(self) -> tuple[str, ...]: ...


class WrittenSteps(Protocol):
    """Work on an image and write what was found, all of it or nothing."""

    def __call__(
        self,
        image: ImageData,
        model: Any,
        params: Any,
        outputs: Outputs,
        *,
        notes: dict[str, Any],
        overlay: bool,
        overwrite: bool,
    ) -> Steps[Any]: ...


@dataclass(frozen=True, slots=True)
class Task:
    """What differs between the commands.

    ``model`` is the one taken where none is named, ``out`` what is said of ``--out``; ``check``
    refuses parameters that a model cannot work with. ``how`` is what the records of its results
    say beside model and parameters. ``own`` is the word that is named in place of a model where
    the task makes its own.
    """

    name: str
    model: str
    params: type
    files: Files
    out: str
    written_steps: WrittenSteps
    check: Callable[[Any, Any], object] = lambda params, model: None
    how: Mapping[str, Any] = field(default_factory=dict)
    own: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """What is the same for all images of a run; without a ``model``, the task makes its own."""

    task: Task
    model: Model | None
    params: Any
    options: dict[str, Any]
    overlay: bool
    overwrite: bool
    debug: bool = False

    @property
    def decoder(self) -> str:
        return self.task.own if self.model is None else self.model.decoder

    @property
    def model_name(self) -> str:
        return self.task.own if self.model is None else self.model.name

    def wanted(self, source: Path) -> dict[str, Any]:
        parameters = suited(self.params, self.decoder)
        model = self.task.own if self.model is None else self.model
        return wanted_record(source, model, parameters, self.options) | dict(self.task.how)


def add_arguments(parser: argparse.ArgumentParser, task: Task) -> None:
    parser.add_argument(
        "images", nargs="+", metavar="IN", help="image files, folders of images, or patterns"
    )
    own = f", or {task.own} to learn from each image itself" if task.own else ""
    parser.add_argument(
        "--model", default=task.model, metavar="NAME", help=f"default {task.model}{own}"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help=task.out)
    parser.add_argument(
        "--overlay", action="store_true", help=f"also draw <name>{task.files.picture}"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace results that exist")
    add_calibration(parser)
    add_params(parser, task.params)


def run(parsed: argparse.Namespace, task: Task) -> int:
    """Work on all images that are not done already; the exit status."""
    batch = Batch(
        task=task,
        model=None if parsed.model == task.own else find_model(parsed.model, task.name),
        params=params_from(parsed, task.params),
        options=calibration(parsed),
        overlay=parsed.overlay,
        overwrite=parsed.overwrite,
        debug=parsed.debug,
    )
    task.check(batch.params, batch.model)
    sources = [path for path in find_images(parsed.images) if not is_result(path)]
    if not sources:
        raise InputError("only results of earlier runs were given; name the images themselves")
    if note := left_out(batch.params, batch.decoder, model=batch.model_name):
        print(f"{PROGRAM}: {note}", file=sys.stderr)
    folder = check_writable(parsed.out.expanduser())
    outputs = [Outputs(source, folder, task.files) for source in sources]
    check_apart(outputs)
    todo = [one for one in outputs if not _is_done(one, batch)]
    for one in outputs:
        if one not in todo:
            print(f"{one.source.name}: done already")
    _check_free(todo, batch)
    if todo and batch.model is not None:
        loaded_net(batch.model, device=batch.params.device)
    return _work_through(todo, batch)


def _is_done(outputs: Outputs, batch: Batch) -> bool:
    if batch.overwrite:
        return False
    return outputs.hold(batch.wanted(outputs.source), overlay=batch.overlay)


def _check_free(todo: Sequence[Outputs], batch: Batch) -> None:
    taken = [one for one in todo if one.present]
    if taken and not batch.overwrite:
        more = f" (and so for {len(taken) - 1} more)" if len(taken) > 1 else ""
        raise InputError(
            f"{taken[0].present[0]} exists already{more}, not made as asked for now; "
            "choose another folder, or add --overwrite"
        )


def _work_through(todo: Sequence[Outputs], batch: Batch) -> int:
    """One after the other; one that fails does not hold up the rest."""
    status, done = 0, 0
    for number, outputs in enumerate(todo, 1):
        label = f"{number}/{len(todo)} {outputs.source.name}" if len(todo) > 1 else ""
        try:
            line = _written(outputs, batch, label)
        except KeyboardInterrupt:
            left = f"{done} of {len(todo)} images are finished"
            again = "; the same command goes on with the others" if len(todo) > 1 else ""
            return told(f"stopped: {left}{again}", status=130)
        except Exception as error:
            hopeless = isinstance(error, RunError) and not isinstance(error, OutOfMemoryError)
            if hopeless or batch.debug:
                raise  # a full disk, say: the next image would fare no better
            told(f"error: {outputs.source.name}: {sentence(error)}", status=2)
            status = max(status, status_of(error)) if status != 1 else 1
            continue
        print(line, flush=True)
        done += 1
    if status and len(todo) > 1:
        told(f"{len(todo) - done} of {len(todo)} images failed", status=status)
    return status


def _written(outputs: Outputs, batch: Batch, label: str) -> str:
    began = time.perf_counter()
    image = opened(outputs.source, batch.options)
    steps = batch.task.written_steps(
        image,
        batch.model,
        batch.params,
        outputs,
        notes=batch.wanted(outputs.source),
        overlay=batch.overlay,
        overwrite=batch.overwrite,
    )
    with ProgressLine(label) as line, closing(steps):
        result = finished(steps, line)
    for note in result.notes:
        print(f"{PROGRAM}: {outputs.source.name}: {note}", file=sys.stderr)
    return f"{outputs.source.name}: {told_speed(result, image.image, time.perf_counter() - began)}"


def opened(path: Path, options: dict[str, Any]) -> ImageData:
    """The image of a file, with the axes, scale, units and channel given; large ones are lazy."""
    images = read_image(path)
    images = [image for image in images if not image.labels] or images
    if len(images) > 1:
        print(
            f"{PROGRAM}: {path.name} holds {len(images)} images; the first is taken",
            file=sys.stderr,
        )
    image = images[0]
    if not options:
        return image
    array = placed(image.image, options)
    return replace(
        image,
        levels=(array.data,),
        axes=array.axes,
        spacing=array.spacing,
        units=array.units,
        names=(),
        grid=image.grid if set(options) == {"channel"} else None,
    )


def told_speed(result: Result, image: AxesArray, seconds: float) -> str:
    """What was found, seconds and speed, in words."""
    pixels = prod(n for axis, n in image.sizes.items() if axis != CHANNEL)
    return f"{result.told}, {seconds:.1f} s, {pixels / 1e6 / max(seconds, 1e-6):.2g} Mpx/s"
