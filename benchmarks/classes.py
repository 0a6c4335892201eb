"""Models of classes: accuracy on any pairs, speed and memory. See benchmarks/README.md."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dask.array
import numpy as np
import torch

from napari_medai.core.axes import AxesArray
from napari_medai.core.steps import finished
from napari_medai.io.pairs import find_pairs, read_pair
from napari_medai.models.model import Model
from napari_medai.models.registry import find_model
from napari_medai.nn.class_figures import FIGURES
from napari_medai.tasks.evaluate import mean_class_figures
from napari_medai.tasks.pairs import Pair
from napari_medai.tasks.segment import SegmentParams, segment_steps
from napari_medai.tasks.suitable import image_range, loaded_net

CT = (600, 512, 512)
REPEATS = 5
MM = dict.fromkeys("ZYX", "millimeter")


def accuracy(options: argparse.Namespace) -> None:
    """Mean figures of each class."""
    model = find_model(options.model, "segment")
    kept = _of_the_split(options)
    pairs = (
        Pair(*read_pair(image, mask, classes=True))
        for image, mask in find_pairs(options.images, options.masks)
        if kept is None or image.name in kept
    )
    figures = mean_class_figures(model, pairs, SegmentParams(mirror=options.mirror))
    print(f"| class | {' | '.join(FIGURES)} | volumes |\n|---|{'--:|' * 4}")
    for name, row in figures.items():
        print(f"| {name} | {' | '.join(f'{value:g}' for value in row.values())} |")


def _of_the_split(options: argparse.Namespace) -> set[str] | None:
    import csv

    if options.csv is None:
        return None
    with options.csv.open(newline="") as table:
        return {row["id"] for row in csv.DictReader(table) if row["split"] == options.split}


def speed(options: argparse.Namespace) -> None:
    """The whole call on a volume, and the bare net on the same voxels."""
    model = find_model(options.model, "segment")
    image = AxesArray(_noise(options.size), "ZYX", dict.fromkeys("ZYX", 1.0), MM)
    whole = _median(lambda: finished(segment_steps(image, model, SegmentParams())))
    bare = _bare(image, model)
    size = " x ".join(map(str, options.size))
    print("| volume | whole call, s | bare net, s | ratio |\n|---|--:|--:|--:|")
    print(f"| {size} | {whole:.3f} | {bare:.3f} | {whole / bare:.2f} |")


def _bare(image: AxesArray, model: Model) -> float:
    net = loaded_net(model, device="auto")
    ready = image_range(image.data, model).scaled(image.data)[None, None]
    tensor = torch.from_numpy(np.ascontiguousarray(ready))
    return _median(lambda: net.scores(tensor))


def _median(call: object) -> float:
    seconds = []
    for _ in range(1 + REPEATS):
        began = time.perf_counter()
        call()  # type: ignore[operator]
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds[1:]))


def memory(options: argparse.Namespace) -> None:
    """Peak memory of segmenting a lazy CT, in a fresh process."""
    code = f"import classes; classes.segment_ct({options.model!r}, {options.depth})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    print("| volume | seconds | peak memory, MB |\n|---|--:|--:|")
    print(done.stdout.strip())


def segment_ct(model: str, depth: int) -> None:
    """Segment a volume that exists only where it is read, and print a row of the table."""
    piece = _noise((10, *CT[1:]))
    volume = dask.array.concatenate(
        [dask.array.from_array(piece, chunks=(1, 512, 512))] * (depth // 10)
    )
    image = AxesArray(volume, "ZYX", {"Z": 1.0, "Y": 0.8, "X": 0.8}, MM)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        job = segment_steps(
            image, find_model(model, "segment"), SegmentParams(), out=Path(scratch) / "l"
        )
        finished(job)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"| {' x '.join(map(str, image.shape))} | {time.perf_counter() - began:.0f} | {peak:.0f} |"
    )


def _noise(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).normal(40, 60, shape).astype(np.int16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("accuracy", help=accuracy.__doc__)
    one.add_argument("images", type=Path)
    one.add_argument("masks", type=Path)
    one.add_argument("--csv", type=Path, help="a table with the columns id (file name) and split")
    one.add_argument("--split", default="val")
    one.add_argument("--mirror", choices=("auto", "on", "off"), default="auto")
    one.set_defaults(run=accuracy)
    two = commands.add_parser("speed", help=speed.__doc__)
    two.add_argument("--size", type=int, nargs=3, default=(35, 51, 35))
    two.set_defaults(run=speed)
    three = commands.add_parser("memory", help=memory.__doc__)
    three.add_argument("--depth", type=int, default=CT[0])
    three.set_defaults(run=memory)
    for command in (one, two, three):
        command.add_argument("--model", default="hippocampus")
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
