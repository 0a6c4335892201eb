"""Measure segmentation: accuracy, speed, memory, and whether tiles show. Run by hand.

    python benchmarks/segment.py accuracy IMAGES MASKS [--csv metadata.csv --split val]
    python benchmarks/segment.py speed  [IMAGES] [--size 2048 8192]
    python benchmarks/segment.py memory [IMAGES] [--size 8192 32768]
    python benchmarks/segment.py tiling [IMAGES] [--size 2048]

Each prints a table in markdown. ``--model`` takes a name or the folder of a package. Large images
are mosaics of the gray ones in a folder, by default those of the tests.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
from images import PIECE, Endless, mosaic, read_pairs
from measuring import peak_megabytes, seconds, show

os.environ.setdefault("GOMP_SPINCOUNT", "0")

SAMPLES = Path(__file__).parents[1] / "tests" / "data" / "nuclei" / "images"
LARGEST_OTSU = 4096
"""Edge from which Otsu + watershed takes minutes and is left out."""
TILINGS = ((128, 0), (512, 0), (0, 256), (0, 700), (256, 512), (128, 160))


# --- what is measured


def segmented(model: Any, image: Any, *, out: Path | None = None, **params: Any) -> Any:
    from napari_medai.core.axes import AxesArray
    from napari_medai.core.steps import finished
    from napari_medai.tasks.segment import SegmentParams, segment_steps

    axes = "YX" if len(image.shape) == 2 else "YXC"
    image = image[..., :3] if axes == "YXC" else image
    return finished(segment_steps(AxesArray(image, axes), model, SegmentParams(**params), out=out))


def otsu_watershed(image: np.ndarray) -> np.ndarray:
    """What one does without a net: the rarer side of Otsu's threshold, split by distance."""
    from scipy import ndimage
    from skimage import feature, filters, segmentation

    gray = image if image.ndim == 2 else image[..., :3].mean(-1)
    smooth = ndimage.gaussian_filter(gray.astype(np.float32), 1)
    if smooth.min() == smooth.max():
        return np.zeros(gray.shape, np.int32)
    inside = smooth > filters.threshold_otsu(smooth)
    inside = inside if inside.mean() <= 0.5 else ~inside
    depth = ndimage.distance_transform_edt(inside)
    rough = ndimage.gaussian_filter(depth, 1)
    peaks = feature.peak_local_max(rough, min_distance=5, labels=inside.astype(np.int32))
    seeds = np.zeros(gray.shape, np.int32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return np.asarray(segmentation.watershed(-rough, seeds, mask=inside))


def bare_net(model: Any, image: np.ndarray, *, diameter: float, repeats: int) -> float:
    """Seconds of the backend alone on the pixels that a whole call shows it."""
    import torch
    from torch.nn import functional

    from napari_medai.core.axes import AxesArray
    from napari_medai.core.steps import finished
    from napari_medai.tasks.assembly import Layout
    from napari_medai.tasks.finders import ObjectFinder
    from napari_medai.tasks.magnification import magnification_of
    from napari_medai.tasks.suitable import loaded_net, normalised_reader

    net = loaded_net(model, device="auto")
    layout = Layout(AxesArray(image, "YX"), "YX")
    seen = finished(magnification_of(layout, model, ObjectFinder(net), diameter=diameter))
    read = normalised_reader(layout.plane({}), model)
    strides = [int(n) for n in net.net.stride]
    pieces = []
    for y in range(0, image.shape[0], PIECE):
        for x in range(0, image.shape[1], PIECE):
            end_y, end_x = min(y + PIECE, image.shape[0]), min(x + PIECE, image.shape[1])
            piece = torch.from_numpy(read((slice(y, end_y), slice(x, end_x))).copy())[None]
            size = [
                max(s, round(n * float(scale) / s) * s)
                for n, s, scale in zip(piece.shape[2:], strides, seen.scales, strict=True)
            ]
            pieces.append(functional.interpolate(piece, size=size, mode="bilinear"))

    def run() -> None:
        for piece in pieces:
            net.backend(piece.to(net.device))
        if net.device.type == "cuda":
            torch.cuda.synchronize()

    return seconds(run, repeats)[0]


# --- the four tables


def accuracy(options: argparse.Namespace) -> None:
    from napari_medai.core.metrics import matchings, mean_average_precision
    from napari_medai.models.registry import find_model

    model = find_model(options.model)
    found: dict[str, list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {}
    for pair in read_pairs(options.images, options.masks, table=options.csv, split=options.split):
        labels = np.asarray(segmented(model, pair.image).labels)
        found.setdefault(pair.kind, []).append((pair.labels, labels, otsu_watershed(pair.image)))
    if not found:
        sys.exit("no image has a mask of the same name; check the folders, --csv and --split")
    if len(found) > 1:
        found["all"] = [three for members in found.values() for three in members]
    rows = []
    for kind, members in found.items():
        ours = matchings((true, labels) for true, labels, _ in members)
        peer = matchings((true, labels) for true, _, labels in members)
        count = sum(len(np.unique(true[true > 0])) for true, _, _ in members)
        figures = [
            ours[0].accuracy, mean_average_precision(ours),
            peer[0].accuracy, mean_average_precision(peer),
        ]  # fmt: skip
        rows.append([kind, len(members), count, *(f"{figure:.3f}" for figure in figures)])
    titles = ["AP@0.5", "mean AP 0.5:0.9", "Otsu + watershed AP@0.5", "its mean AP"]
    show(["images of", "images", "objects", *titles], rows)


def speed(options: argparse.Namespace) -> None:
    rows = []
    for size in options.size:
        one = in_a_process(options, size)
        ratio = one["whole"] / one["net"]
        rows.append([
            f"{size}²", one["count"], f"{one['whole']:.2f}", f"{one['net']:.2f}", f"{ratio:.2f}",
            f"{one['otsu']:.2f}", f"{one['peak']:.0f}", one["device"],
        ])  # fmt: skip
    titles = ["whole call, s", "bare net, s", "ratio", "Otsu + watershed, s", "peak, MB", "on"]
    show(["image", "objects", *titles], rows)


def speed_of_one(options: argparse.Namespace, size: int) -> dict[str, Any]:
    from napari_medai.models.registry import find_model

    model = find_model(options.model)
    image = mosaic(options.images, size)
    whole, result = seconds(lambda: segmented(model, image), options.repeats)
    peak = peak_megabytes()
    diameter = result.record["found"]["diameter"]
    device, count = result.record["device"], result.count
    del result
    return {
        "count": count,
        "whole": whole,
        "net": bare_net(model, image, diameter=diameter, repeats=options.repeats),
        "otsu": seconds(lambda: otsu_watershed(image), 1)[0] if size <= LARGEST_OTSU else nan,
        "peak": peak,
        "device": device,
    }


def memory(options: argparse.Namespace) -> None:
    rows, first = [], 0.0
    for size in options.size:
        one = in_a_process(options, size)
        first = first or one["peak"]
        rows.append([
            f"{size}²", one["count"], f"{one['seconds']:.0f}", f"{one['peak']:.0f}",
            f"{one['peak'] / first:.2f}",
        ])  # fmt: skip
    show(["lazy uint8 image", "objects", "seconds", "peak, MB", "ratio to the first"], rows)


def memory_of_one(options: argparse.Namespace, size: int) -> dict[str, Any]:
    from napari_medai.models.registry import find_model

    image = Endless(mosaic(options.images, min(PIECE, size)), size)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        out = Path(scratch) / "labels.zarr"
        result = segmented(
            find_model(options.model),
            image,
            out=out,
            block=options.block,
            diameter=options.diameter,
        )
    took = time.perf_counter() - began
    return {"count": result.count, "seconds": took, "peak": peak_megabytes()}


def tiling(options: argparse.Namespace) -> None:
    from napari_medai.core.metrics import matching
    from napari_medai.models.registry import find_model

    model = find_model(options.model)
    rows = []
    for size in options.size:
        image = mosaic(options.images, size)
        whole = segmented(model, image, block=size)
        diameter = whole.record["found"]["diameter"]
        for tile, block in TILINGS:
            cut = segmented(model, image, tile=tile, block=block or size, diameter=diameter)
            same = matching(np.asarray(whole.labels), np.asarray(cut.labels), iou=0.99)
            share = same.true_positives / max(1, whole.count, cut.count)
            rows.append([
                f"{size}²", tile or "auto", block or "whole", whole.count, cut.count,
                f"{100 * share:.2f} %",
            ])  # fmt: skip
    titles = ["objects whole", "objects cut", "the same (IoU ≥ 0.99)"]
    show(["image", "tile", "block", *titles], rows)


# --- running and showing


def in_a_process(options: argparse.Namespace, size: int) -> dict[str, Any]:
    """One size measured in a fresh process, so that nothing else counts for its peak memory."""
    command = [sys.executable, __file__, *sys.argv[1:], "--only", str(size)]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.returncode)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = top.add_subparsers(dest="command", required=True)
    plan = {"accuracy": [], "speed": [2048, 8192], "memory": [8192, 32768], "tiling": [2048]}
    for name, sizes in plan.items():
        command = commands.add_parser(name)
        if name == "accuracy":
            command.add_argument("images", type=Path)
            command.add_argument("masks", type=Path)
            command.add_argument("--csv", type=Path, help="a table with columns id, type, split")
            command.add_argument("--split", default="val", help="part of the table; '' for all")
        else:
            command.add_argument("images", type=Path, nargs="?", default=SAMPLES)
            command.add_argument("--size", type=int, nargs="+", default=sizes)
            command.add_argument("--repeats", type=int, default=5)
            command.add_argument("--block", type=int, default=0, help="edge of the blocks")
            if name == "memory":
                command.add_argument("--diameter", type=float, default=0, help="0: estimated")
            command.add_argument("--scratch", type=Path, help="where labels go meanwhile")
            command.add_argument("--only", type=int, help=argparse.SUPPRESS)
        command.add_argument("--model", default="nuclei", help="a name, or a package's folder")
    return top


def main() -> None:
    options = parser().parse_args()
    if getattr(options, "only", None) is not None:
        one = {"speed": speed_of_one, "memory": memory_of_one}[options.command]
        print(json.dumps(one(options, options.only)))
        return
    tables = {"accuracy": accuracy, "speed": speed, "memory": memory, "tiling": tiling}
    tables[options.command](options)


if __name__ == "__main__":
    from napari_medai.core.errors import MedaiError

    try:
        main()
    except MedaiError as error:
        sys.exit(str(error))
