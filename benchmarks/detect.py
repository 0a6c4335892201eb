"""Measure detection: accuracy, speed, memory, tiles, live thresholds. Run by hand.

    python benchmarks/detect.py accuracy IMAGES BOXES [--split val]
    python benchmarks/detect.py speed    IMAGES
    python benchmarks/detect.py memory   IMAGES [--size 16384 --shrink 3]
    python benchmarks/detect.py tiling   IMAGES [--size 4096 --shrink 3]
    python benchmarks/detect.py live     [--count 100000]

Each prints a table in markdown. ``--model`` takes a name or the folder of a package. Large images
are mosaics of the colour images in a folder.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from measuring import peak_megabytes, seconds, show

os.environ.setdefault("GOMP_SPINCOUNT", "0")

REPEATS = 9
SAME = 0.95
"""IoU from which a box of a tiled run is that of the untiled one."""
NAMES = {"Platelets": "platelet"}
"""Classes of BCCD by the names that the model has for them."""


class Smear:
    """A square colour image that repeats a mosaic and exists only where it is looked at."""

    def __init__(self, piece: np.ndarray, size: int) -> None:
        self.piece = piece
        self.shape = (size, size, 3)
        self.ndim = 3
        self.dtype = piece.dtype
        self.chunks = (min(1024, size), min(1024, size), 3)

    def __getitem__(self, key: Any) -> np.ndarray:
        rows, columns, colours = (
            np.arange(*part.indices(n)) for part, n in zip(key, self.shape, strict=True)
        )
        height, width = self.piece.shape[:2]
        return self.piece[np.ix_(rows % height, columns % width, colours)]


def smear(folder: Path, edge: int, *, shrink: int = 1) -> np.ndarray:
    """Colour images, so many times smaller, side by side until ``edge`` x ``edge`` is full."""
    from skimage import io
    from skimage.transform import downscale_local_mean

    def small(image: np.ndarray) -> np.ndarray:
        return downscale_local_mean(image, (shrink, shrink, 1)).round().astype(np.uint8)

    images = [small(io.imread(path)) for path in sorted(folder.iterdir())[:64]]
    height, width = images[0].shape[:2]
    rng = np.random.default_rng(0)
    rows = [
        np.concatenate(
            [images[rng.integers(len(images))] for _ in range(-(-edge // width))], axis=1
        )
        for _ in range(-(-edge // height))
    ]
    return np.concatenate(rows)[:edge, :edge]


def detected(model: Any, image: Any, **params: Any) -> Any:
    from napari_medai.core.axes import AxesArray
    from napari_medai.core.steps import finished
    from napari_medai.tasks.detect import DetectParams, detect_steps

    return finished(detect_steps(AxesArray(image, "YXC"), model, DetectParams(**params)))


def accuracy(options: argparse.Namespace) -> None:
    """COCO's figures, with the magnification estimated for each image, as a user has it."""
    from napari_medai.models.registry import find_model
    from napari_medai.scripting.box_pairs import annotated_images, read_pairs, renamed
    from napari_medai.tasks.evaluate import detection_scores

    found, notes = annotated_images(options.images, options.boxes, split=options.split or None)
    for note in notes:
        print(note, file=sys.stderr)
    known = {str(kind) for one in found for kind in one.boxes.kinds}
    names = {given: name for given, name in NAMES.items() if given in known}
    pairs = list(read_pairs(renamed(found, names)))
    told = detection_scores(find_model(options.model), pairs).described()
    figures = {
        name: told[name] for name in ("mAP@0.5", "mAP@[.5:.95]", "precision", "recall", "F1")
    }
    figures |= {f"{name}, AP@0.5": row["AP@0.5"] for name, row in told["classes"].items()}
    show(["figure", "value"], [[name, value] for name, value in figures.items()])


def speed(options: argparse.Namespace) -> None:
    """A whole call on one smear, and the bare net on the pixels that it sees."""
    import torch
    from skimage import io

    from napari_medai.models.registry import find_model
    from napari_medai.tasks.suitable import loaded_net

    model = find_model(options.model)
    image = io.imread(sorted(options.images.iterdir())[0])
    whole, found = seconds(lambda: detected(model, image), REPEATS)
    given, _ = seconds(lambda: detected(model, image, diameter=105), REPEATS)
    net = loaded_net(model, device="auto")
    zoom = float(model.config["zoom"])
    sides = [-(-round(n * zoom) // 32) * 32 for n in image.shape[:2]]
    pixels = torch.rand(1, 3, *sides)
    bare, _ = seconds(lambda: net.backend(pixels), REPEATS)
    size = " x ".join(map(str, image.shape[1::-1]))
    show(
        ["image", "objects", "whole call s", "diameter given s", "bare net s", "ratio"],
        [[size, found.count, f"{whole:.3f}", f"{given:.3f}", f"{bare:.3f}", f"{whole / bare:.2f}"]],
    )


def memory(options: argparse.Namespace) -> None:
    """Peak memory and time of a lazy mosaic, in a fresh process."""
    rows = []
    for size in options.size:
        one = in_a_process(size)
        rows.append([f"{size}²", one["count"], f"{one['seconds']:.0f}", f"{one['peak'] / 1e3:.2f}"])
    show(["image", "objects", "s", "peak GB"], rows)


def memory_of_one(options: argparse.Namespace, size: int) -> dict[str, Any]:
    from napari_medai.models.registry import find_model

    image = Smear(smear(options.images, 2048, shrink=options.shrink), size)
    began = time.perf_counter()
    result = detected(find_model(options.model), image, threshold=options.threshold)
    took = time.perf_counter() - began
    return {"count": result.count, "seconds": took, "peak": peak_megabytes()}


def tiling(options: argparse.Namespace) -> None:
    """How many boxes of a tiled run are those of the untiled one."""
    from napari_medai.core.box_matching import match_boxes
    from napari_medai.models.registry import find_model

    model, rows = find_model(options.model), []
    for size in options.size:
        image = smear(options.images, size, shrink=options.shrink)
        whole = detected(model, image, tile=size, block=size, threshold=options.threshold)
        diameter = whole.record["found"]["diameter"]
        for tile, block in ((1024, 0), (512, 2048), (700, 1100)):
            cut = detected(
                model, image, tile=tile, block=block, diameter=diameter, threshold=options.threshold
            )
            matches = match_boxes(
                [(whole.boxes, cut.boxes)], classes=list(whole.classes), ious=(SAME,)
            )
            share = int(np.isfinite(matches.matched).sum()) / max(1, whole.count, cut.count)
            rows.append(
                [f"{size}²", tile, block or "auto", whole.count, cut.count, f"{100 * share:.3f} %"]
            )
    titles = ["boxes untiled", "boxes tiled", f"the same (IoU ≥ {SAME})"]
    show(["image", "tile", "block", *titles], rows)


def live(options: argparse.Namespace) -> None:
    """New thresholds over so many candidates, some of which overlap."""
    import torch

    from napari_medai.nn.box_scorer import Candidates, distinct, joined
    from napari_medai.tasks.detect import DetectParams, rethresholded
    from napari_medai.tasks.detection import Candidates as Kept
    from napari_medai.tasks.detection import Detection, Grid

    rng, count = np.random.default_rng(0), options.count
    side = 100 * (count / 2) ** 0.5
    middle = np.repeat(rng.uniform(0, side, (count // 2, 1, 2)), 2, axis=0)
    middle = middle + rng.normal(0, 8, (count, 1, 2))
    half = rng.uniform(30, 70, (count, 1, 2))
    corners = torch.from_numpy(np.concatenate([middle - half, middle + half], axis=1)).float()
    kinds = torch.from_numpy(rng.integers(0, 3, count // 2).repeat(2))
    scores = torch.from_numpy(rng.uniform(0.01, 1, count)).float()
    began = time.perf_counter()
    planes = [distinct(Candidates(corners, kinds, scores), least=0.1)]
    once = time.perf_counter() - began
    names = ("RBC", "WBC", "platelet")
    boxes, overlaps, _ = joined(planes, names)
    grid = Grid("", "YX", (round(side),) * 2, {})
    kept = Kept(boxes, np.zeros((len(boxes), 0), np.int64), overlaps, grid)
    record: dict[str, Any] = {"parameters": {}, "found": {}}
    whole = Detection(
        boxes, kept.places, {}, record, kept, classes=dict.fromkeys(names, ""), wanted=names
    )
    rows = []
    for threshold, overlap, classes in ((0.3, 0.5, ""), (0.05, 0.2, ""), (0.5, 0.7, "WBC")):
        params = DetectParams(threshold=threshold, overlap=overlap, classes=classes)
        took, found = seconds(lambda params=params: rethresholded(whole, params), REPEATS)
        rows.append(
            [len(boxes), threshold, overlap, classes or "all", found.count, f"{1000 * took:.0f}"]
        )
    show(["candidates", "threshold", "overlap", "classes", "boxes", "ms"], rows)
    print(f"\nfinding the overlaps, once: {once:.2f} s")


def in_a_process(size: int) -> dict[str, Any]:
    """One size measured in a fresh process, so that nothing else counts for its peak memory."""
    command = [sys.executable, __file__, *sys.argv[1:], "--only", str(size)]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.returncode)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = top.add_subparsers(dest="command", required=True)
    for name, sizes in (("memory", [16384]), ("tiling", [4096])):
        command = commands.add_parser(name)
        command.add_argument("images", type=Path)
        command.add_argument("--size", type=int, nargs="+", default=sizes)
        command.add_argument("--threshold", type=float, default=0.5)
        command.add_argument("--shrink", type=int, default=1, help="3: cells of a third the size")
        command.add_argument("--only", type=int, help=argparse.SUPPRESS)
    command = commands.add_parser("accuracy")
    command.add_argument("images", type=Path)
    command.add_argument("boxes", type=Path)
    command.add_argument("--split", default="", help="part of a table with a column split")
    commands.add_parser("speed").add_argument("images", type=Path)
    commands.add_parser("live").add_argument("--count", type=int, default=100_000)
    for command in commands.choices.values():
        command.add_argument("--model", default="blood-cells", help="a name, or a package's folder")
    return top


def main() -> None:
    options = parser().parse_args()
    if getattr(options, "only", None) is not None:
        print(json.dumps(memory_of_one(options, options.only)))
        return
    tables = {
        "accuracy": accuracy,
        "speed": speed,
        "memory": memory,
        "tiling": tiling,
        "live": live,
    }
    tables[options.command](options)


if __name__ == "__main__":
    from napari_medai.core.errors import MedaiError

    try:
        main()
    except MedaiError as error:
        sys.exit(str(error))
