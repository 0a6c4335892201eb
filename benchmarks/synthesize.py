"""Measure made images: how real they are, whether they are copies, and whether they teach.

    python benchmarks/synthesize.py realism  SYNTHETIC REAL [--training DIR]
    python benchmarks/synthesize.py training IMAGES MASKS --synthetic DIR --held-out IMAGES MASKS
    python benchmarks/synthesize.py subsets  IMAGES MASKS [--sizes 5 20 100 --seeds 3]
    python benchmarks/synthesize.py speed    [--model NAME]

``SYNTHETIC``, ``REAL`` and ``DIR`` hold ``images/`` and ``masks/`` (labels) of the same names. Of
images in a table (``--csv``, with the columns id, type and split) those of ``--type`` and
``--split`` are taken, as training images or held-out ones those of ``--training-split`` or
``--held-out-split``. Each prints a table in markdown.

``training`` trains the segmenter from nothing: on made images alone, on all real ones, and on a few
real ones without and with the made ones, each with the same number of steps, and scores it on
images that were held out. ``--out FILE`` keeps each score as it comes, and goes on from there.
Who made the images must not have seen more real ones than are said to be few: ``{size}`` and
``{seed}`` in ``--synthetic`` stand for images made from each subset alone, and ``subsets`` tells
the names in each.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from labelled import folder_pairs, pairs_within
from measuring import show
from teaching import Arm, arms, keep, kept_scores, score, subset, summary

os.environ.setdefault("GOMP_SPINCOUNT", "0")

from napari_medai.core.errors import InputError

# --- how real, and whether copies


def realism(options: argparse.Namespace) -> None:
    from napari_medai.models.registry import find_model
    from napari_medai.tasks.evaluate_synthesize import RealismParams, evaluate_synthesis

    which = {"table": options.csv, "kind": options.kind}
    real = pairs_within(options.real, **which, split=options.split)
    training = None
    if options.training is not None:
        training = pairs_within(options.training)
    elif options.training_split:
        training = pairs_within(options.real, **which, split=options.training_split)
    params = RealismParams(crop=options.crop, crops=options.crops, compared=options.compared)
    began = time.perf_counter()
    scores = evaluate_synthesis(
        pairs_within(options.synthetic), real, find_model(options.model), params, training=training
    )
    took = time.perf_counter() - began
    rows = []
    for name, likeness, agreed in (
        ("synthetic", scores.made, scores.agreement),
        ("other real", scores.reference, scores.real_agreement),
    ):
        cells = ["", "", ""]
        if likeness is not None:
            kernel, frechet = likeness.kernel, likeness.frechet
            cells = [f"{kernel.value:.4f} ± {kernel.error:.4f}", f"{frechet.value:.2f}"]
            cells.append(str(frechet.counts[0]))
        rows.append([name, *cells, f"{agreed.accuracy:.3f}"])
    show(["against real images", "KID", "FID", "crops for FID", "AP@0.5 of objects found"], rows)
    print()
    rows = []
    for name, check in (("features", scores.features_copied), ("pixels", scores.pixels_copied)):
        found = check.found
        figures = (found.limit, found.smallest, *found.medians[::-1])
        count = f"{found.below} of {found.samples}"
        rows.append(
            [name, count, *(f"{f:.3f}" for f in figures), f"{check.made}, {check.training}"]
        )
    titles = [
        "nearer than the limit",
        "limit: 1 % of real",
        "smallest",
        "real median",
        "its median",
    ]
    show(["copies by", *titles, "most alike"], rows)
    print(f"\nFeatures: {scores.features}. {took:.0f} s.")


# --- whether they teach


def training(options: argparse.Namespace) -> None:
    which = {"table": options.csv, "kind": options.kind}
    real = folder_pairs(options.images, options.masks, **which, split=options.split)
    if options.held_out is not None:
        held_out = folder_pairs(*options.held_out)
    elif options.held_out_split not in ("", options.split):
        folders = options.images, options.masks
        held_out = folder_pairs(*folders, **which, split=options.held_out_split)
    else:
        raise InputError(
            "give images to score on: --held-out IMAGES MASKS, or a --held-out-split other than "
            "that of the training"
        )
    done = kept_scores(options)
    scores: dict[Arm, float] = {}
    for arm in arms(options, len(real)):
        if arm not in done:
            began = time.perf_counter()
            done[arm] = score(arm, real, held_out, options)
            took = time.perf_counter() - began
            print(f"{arm.name}, seed {arm.seed}: {done[arm]:.3f} in {took:.0f} s", file=sys.stderr)
            keep(options, arm, done[arm], took)
        scores[arm] = done[arm]
    summary(scores, len(real))


def subsets(options: argparse.Namespace) -> None:
    which = {"table": options.csv, "kind": options.kind, "split": options.split}
    real = folder_pairs(options.images, options.masks, **which)
    rows = [
        [size, seed, " ".join(real[at].name for at in subset(len(real), size=size, seed=seed))]
        for size in options.sizes
        for seed in range(options.seeds)
    ]
    show(["size", "seed", "images"], rows)


def speed(options: argparse.Namespace) -> None:
    from painting import rows

    show(["what", "bound", "found"], rows(options.model))


# --- running


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = top.add_subparsers(dest="command", required=True)
    for name in ("realism", "training", "subsets"):
        command = commands.add_parser(name)
        first, second = ("synthetic", "real") if name == "realism" else ("images", "masks")
        command.add_argument(first, type=Path)
        command.add_argument(second, type=Path)
        command.add_argument("--csv", type=Path, help="a table with columns id, type, split")
        command.add_argument("--type", dest="kind", default="", help="kind of image in the table")
        command.add_argument("--split", default="", help="part of the table")
        if name != "realism":
            command.add_argument("--sizes", type=int, nargs="+", default=[5, 20, 100])
            command.add_argument("--seeds", type=int, default=3)
    commands.add_parser("speed").add_argument("--model", default="nuclei", help="a painter")
    realistic, learning = commands.choices["realism"], commands.choices["training"]
    realistic.add_argument("--training", type=Path, help="what the images were made from")
    realistic.add_argument("--training-split", default="")
    realistic.add_argument("--model", default="nuclei", help="a name, or a package's folder")
    for option, default in (("crop", 128), ("crops", 1000), ("compared", 300)):
        realistic.add_argument(f"--{option}", type=int, default=default)
    learning.add_argument("--synthetic", required=True, help="a folder; may hold {size} and {seed}")
    learning.add_argument("--held-out", type=Path, nargs=2, metavar=("IMAGES", "MASKS"))
    learning.add_argument("--held-out-split", default="")
    learning.add_argument("--steps", type=int, default=1000, help="of each training")
    learning.add_argument("--batch", type=int, default=8)
    learning.add_argument("--share", type=float, default=0.5, help="of crops from real images")
    learning.add_argument("--most", type=int, default=None, help="made images, at most")
    learning.add_argument("--out", type=Path, help="keep the scores there, and go on from them")
    return top


def main() -> None:
    options = parser().parse_args()
    tables = {"realism": realism, "training": training, "subsets": subsets, "speed": speed}
    tables[options.command](options)


if __name__ == "__main__":
    from napari_medai.core.errors import MedaiError

    try:
        main()
    except MedaiError as error:
        sys.exit(str(error))
