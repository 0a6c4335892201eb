"""``napari-medai synthesize``: images with their truth from nothing, to files."""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.commands.label_files import TIFF
from napari_medai.commands.messages import PROGRAM, told
from napari_medai.commands.options import add_params, numbers, params_from
from napari_medai.commands.outputs import SYNTHETIC, Outputs, staged, write_record
from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.progress import ProgressLine
from napari_medai.core.steps import Steps, finished
from napari_medai.io.atomic import check_writable
from napari_medai.io.images import read_image
from napari_medai.io.ome_tiff import write_tiff
from napari_medai.io.results import write_features_csv
from napari_medai.scripting.synthesize import NO_COUNT, order_of
from napari_medai.tasks.record import described_model
from napari_medai.tasks.synthesize import Kind, kinds
from napari_medai.tasks.synthetic import Synthetic

LABELS = "_labels" + TIFF


@dataclass(frozen=True, slots=True)
class Order:
    """What is the same for all images of a run."""

    kind: Kind
    ground: AxesArray
    params: Any
    options: Mapping[str, Any]
    overwrite: bool

    def wanted(self, number: int) -> dict[str, Any]:
        """What the record of an image says beside what was found."""
        return {
            "model": described_model(self.kind.model or self.kind.name),
            "parameters": {"shape": list(self.ground.shape), **asdict(self.params)},
            "options": dict(self.options),
            "number": number,
        }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    models = parser.add_subparsers(dest="model", metavar="MODEL", required=True)
    for name, kind in kinds().items():
        about = f"make {kind.about}"
        one = models.add_parser(
            name,
            aliases=[] if kind.model is None or kind.model.name == name else [kind.model.name],
            help=about,
            description=f"{about[0].upper()}{about[1:]}.",
        )
        _add_options(one, name, kind)


def _add_options(parser: argparse.ArgumentParser, model: str, kind: Kind) -> None:
    parser.add_argument(
        "--shape",
        type=int,
        nargs="+",
        metavar="N",
        help="rows and columns, or slices, rows and columns, in pixels",
    )
    parser.add_argument(
        "--ndim",
        type=int,
        metavar="N",
        help="without --shape: 2 for 512 512 (default), 3 for 128 128 128",
    )
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="DIR",
        help=f"folder for {model}_0001{TIFF} (the image), {model}_0001{LABELS}, "
        f"{model}_0001_labels.csv (a row a label) and {model}_0001_labels.json (the record), ...",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    parser.add_argument(
        "--scale",
        type=numbers,
        metavar="N[,N…]",
        help="size of a pixel: one number, or one for each axis",
    )
    parser.add_argument("--units", metavar="UNIT", help="unit of --scale, such as micrometer")
    # it may stand after the model's name, too
    parser.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS
    )
    if kind.model is not None:
        parser.add_argument(
            "--labels",
            type=Path,
            metavar="FILE",
            help="labels to be painted (whole numbers, 0 background), which also give the shape",
        )
        parser.add_argument(
            "--style", type=Path, metavar="FILE", help="an image whose look is followed"
        )
    add_params(parser, kind.params)
    if kind.model is not None:
        parser.set_defaults(count=None)  # to tell 0 from nothing


def run(parsed: argparse.Namespace) -> int:
    if getattr(parsed, "count", 1) == 0:
        raise InputError(NO_COUNT)
    parsed.count = getattr(parsed, "count", None) or 0
    files = {name: getattr(parsed, name, None) for name in ("labels", "style")}
    given = {name: None if path is None else _pixels(path) for name, path in files.items()}
    wanted = order_of(
        parsed.model,
        shape=parsed.shape,
        ndim=parsed.ndim,
        **given,
        scale=parsed.scale,
        units=parsed.units,
    )
    order = Order(
        kind=wanted.kind,
        ground=wanted.ground,
        params=params_from(parsed, wanted.kind.params),
        options={
            "scale": parsed.scale,
            "units": parsed.units,
            **{name: _told_pixels(one) for name, one in given.items() if one is not None},
        },
        overwrite=parsed.overwrite,
    )
    folder = check_writable(parsed.out.expanduser())
    outputs = {
        number: Outputs(Path(f"{parsed.model}_{number:04d}"), folder, SYNTHETIC)
        for number in range(1, order.params.images + 1)
    }
    todo = {number: one for number, one in outputs.items() if not _is_done(one, order, number)}
    if len(todo) < len(outputs):
        print(f"{len(outputs) - len(todo)} of {len(outputs)} images: done already")
    _check_free(todo.values(), order)
    return _work_through(todo, order)


def _pixels(path: Path) -> AxesArray:
    """Of the first image in a file."""
    return read_image(path.expanduser())[0].image


def _told_pixels(image: AxesArray) -> str:
    """What must be the same for an image to be the one that is asked for: no name of a file."""
    values = np.ascontiguousarray(image.data)
    digest = hashlib.sha256(f"{image.axes} {values.shape} {values.dtype}".encode())
    digest.update(values.data)
    return digest.hexdigest()


def _is_done(outputs: Outputs, order: Order, number: int) -> bool:
    return not order.overwrite and outputs.hold(order.wanted(number), overlay=False)


def _check_free(todo: Iterable[Outputs], order: Order) -> None:
    taken = [one.present[0] for one in todo if one.present]
    if taken and not order.overwrite:
        more = f" (and so for {len(taken) - 1} more)" if len(taken) > 1 else ""
        raise InputError(
            f"{taken[0]} exists already{more}, not made as asked for now; choose another folder, "
            "or add --overwrite"
        )


def _work_through(todo: Mapping[int, Outputs], order: Order) -> int:
    """One after the other: those that are written stay, whatever happens to the next."""
    for done, (number, outputs) in enumerate(todo.items()):
        try:
            line = _written(outputs, order, number)
        except KeyboardInterrupt:
            again = "; the same command goes on with the others" if len(todo) > 1 else ""
            return told(f"stopped: {done} of {len(todo)} images are finished{again}", status=130)
        print(line, flush=True)
    return 0


def _written(outputs: Outputs, order: Order, number: int) -> str:
    """Make an image and write it; what is told of it."""
    began, name = time.perf_counter(), outputs.stem.name
    steps = _written_steps(outputs, order, number)
    with ProgressLine(name) as line, closing(steps):
        made = finished(steps, line)
    for note in made.notes:
        print(f"{PROGRAM}: {name}: {note}", file=sys.stderr)
    return f"{name}: {made.told}, {time.perf_counter() - began:.1f} s"


def _written_steps(outputs: Outputs, order: Order, number: int) -> Steps[Synthetic]:
    """Make an image and write it with its truth, all or nothing."""
    ground, make = order.ground, order.kind.steps
    with staged(outputs, overwrite=order.overwrite) as new:
        made = yield from make(
            ground.shape, order.params, number, spacing=ground.spacing, units=ground.units
        )
        write_tiff(new.at(TIFF), made.image)
        write_tiff(new.at(LABELS), made.image.with_data(made.labels), labels=True)
        write_features_csv(new.table, made.features)
        write_record(new, made.record, notes=made.notes, more=order.wanted(number))
    return made
