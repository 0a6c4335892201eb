"""Train the shipped model ``nuclei`` on the corrected 2018 Data Science Bowl images (BBBC038).

    python recipes/nuclei/train.py DATA [--minutes M | --steps N] [--out FOLDER] [--from PACKAGE]

``DATA`` holds ``images/<id>.png``, ``masks/<id>.png`` (labels, 0 background) and ``metadata.csv``
with the columns ``id``, ``type`` and ``split`` (train or val). The model is trained on the train
part, of which one image in twenty is held out to choose the weights and the threshold; the val
part is looked at once, by the finished model, for the figures on its card. A run that was stopped
goes on from its checkpoint. ``--from`` begins a second round with the weights of a finished one.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from skimage import io

from napari_medai.core.axes import AxesArray
from napari_medai.core.intensity import Percentiles
from napari_medai.core.metrics import IOUS, matchings, mean_average_precision
from napari_medai.core.steps import finished
from napari_medai.models.model import Model
from napari_medai.models.package import read_model
from napari_medai.models.registry import shipped_dir
from napari_medai.models.spec import ModelSpec
from napari_medai.nn.instances import Example, InstanceObjective
from napari_medai.nn.training import Run, Schedule
from napari_medai.tasks.course import fresh_net
from napari_medai.tasks.segment import SegmentParams, segment_steps
from napari_medai.tasks.train_objects import (
    NETS,
    ZOOM_RANGE,
    instance_spec,
    package_objects,
)

SEED = 0
DIAMETER = 24.0
PIXEL_SIZE = 0.4
"""Micrometres: a nucleus of about 10 micrometres is then as large as those trained on."""
HELD_OUT = 0.05
LEARNING_RATES = (3e-3, 1e-3)
"""Of the first round, and of one that goes on from it."""
SHARES = {
    "fluorescence": 0.60,
    "histology_purple_on_purple": 0.19,
    "histology_pink_purple": 0.02,
    "brightfield_purple_on_white": 0.10,
    "brightfield_gray": 0.09,
}
"""How often each kind of microscopy is drawn, whatever its number of images."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One image (channels, Y, X) of the data with its labels (Y, X)."""

    kind: str
    image: np.ndarray
    labels: np.ndarray


def pictures(data: Path, split: str) -> Iterator[Picture]:
    """The images of one split."""
    with (data / "metadata.csv").open(newline="") as table:
        rows = [row for row in csv.DictReader(table) if row["split"] == split]
    for row in rows:
        image = io.imread(data / "images" / f"{row['id']}.png")
        labels = io.imread(data / "masks" / f"{row['id']}.png")
        image = np.moveaxis(image, -1, 0) if image.ndim == 3 else image[None]
        yield Picture(row["type"], image, labels)


def split_up(data: Path, rng: np.random.Generator) -> tuple[list[Example], list[Example]]:
    """Training and held-out examples; each kind drawn as often as `SHARES` says."""
    kinds: dict[str, list[Example]] = {}
    for picture in pictures(data, "train"):
        example = Example.of(picture.image, picture.labels, intensity=Percentiles())
        kinds.setdefault(picture.kind, []).append(example)
    training, held_out = [], []
    for kind, members in sorted(kinds.items()):
        order = rng.permutation(len(members))
        held = order[: int(len(members) * HELD_OUT)]
        held_out += [members[i] for i in held]
        kept = [members[i] for i in order[len(held) :]]
        total = sum(example.weight for example in kept)
        training += [
            replace(example, weight=example.weight * SHARES[kind] / total) for example in kept
        ]
    return training, held_out


def description() -> ModelSpec:
    """What the model says of itself; the figures come later."""
    return instance_spec(
        "nuclei",
        {"channels_in": 3, "channels_out": 4, **NETS[2]},
        title="nuclei (napari-medai)",
        description="Cell nuclei in 2D: fluorescence, histology (H&E and others) and brightfield.",
        config={
            "diameter": DIAMETER,
            "zoom_range": ZOOM_RANGE,
            "pixel_size": PIXEL_SIZE,
            "training_data": (
                "479 images of the 2018 Data Science Bowl, stage 1 train, BBBC038v1, CC0, with the "
                "masks as corrected by K. Lopuhin and others (data-science-bowl-2018 fixes); 67 "
                "further images for the figures below"
            ),
            "limits": (
                "Research use. Trained on images in which nuclei stand apart or touch; in tissue "
                "where they overlap in depth, and in stains it has not seen, check the result. "
                "Objects other than nuclei (whole cells, bacteria) are not what it knows."
            ),
        },
        licence="BSD-3-Clause",
        authors=({"name": "napari-medai developers"},),
        cite=(
            {
                "text": "Caicedo et al., Nucleus segmentation across imaging experiments: the 2018 "
                "Data Science Bowl, Nature Methods 16, 2019",
                "doi": "10.1038/s41592-019-0612-7",
            },
        ),
        tags=("nuclei", "instance-segmentation", "fluorescence", "histology", "brightfield", "2d"),
    )


def figures(model: Model, data: Path) -> dict[str, dict[str, float]]:
    """AP at IoU 0.5 and its mean over 0.5 to 0.9, pooled over the val images of each kind."""
    pairs: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for picture in pictures(data, "val"):
        result = finished(segment_steps(AxesArray(picture.image, "CYX"), model, SegmentParams()))
        found = np.asarray(result.labels)
        for kind in {picture.kind, picture.kind.split("_")[0]}:
            pairs.setdefault(kind, []).append((picture.labels, found))
    table = {}
    for kind, members in sorted(pairs.items()):
        matched = matchings(members, ious=IOUS)
        table[kind] = {
            "AP50": round(matched[0].accuracy, 3),
            "mAP": round(mean_average_precision(matched), 3),
            "images": len(members),
        }
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("nuclei-training"), help="checkpoint")
    parser.add_argument("--package", type=Path, default=shipped_dir() / "nuclei")
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=95)
    parser.add_argument("--from", dest="start", type=Path, help="the package to go on from")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    training, held_out = split_up(options.data, np.random.default_rng(SEED))
    print(len(training), "images to train on,", len(held_out), "held out", flush=True)
    spec = description()
    objective = InstanceObjective(training, held_out, diameter=DIAMETER)
    start = None if options.start is None else read_model(options.start)
    net = fresh_net(spec, start, {}, seed=SEED)
    run = Run(
        net,
        objective,
        Schedule(
            steps=options.steps,
            minutes=options.minutes,
            learning_rate=LEARNING_RATES[start is not None],
            seed=SEED,
        ),
        device=torch.device("cuda" if torch.cuda.is_available() else "cpu"),
        checkpoint=options.out / "checkpoint.pt",
    )
    for step in run.steps():
        if "score" in step.values:
            print(f"{run.trained.seconds:7.0f} s  {step.text}  {step.values}", flush=True)
    recipe = {
        "command": "python recipes/nuclei/train.py DATA",
        "minutes": options.minutes,
        "steps": run.trained.steps,
        "batch": run.schedule.batch,
        "learning_rate": run.schedule.learning_rate,
        "seed": SEED,
    }
    model = package_objects(
        options.package, spec, run.trained, objective, recipe=recipe, overwrite=True
    )
    scores = figures(model, options.data)
    package_objects(
        options.package,
        spec,
        run.trained,
        objective,
        recipe=recipe,
        scores=scores,
        overwrite=True,
    )
    for kind, row in scores.items():
        print(f"{kind:32} {row}")


if __name__ == "__main__":
    main()
