"""Train the shipped model ``hippocampus`` on Task04 of the Medical Segmentation Decathlon.

    python recipes/hippocampus/train.py DATA [--minutes M | --steps N] [--out DIR] [--from PACKAGE]

``DATA`` holds ``images/<id>``, ``labels/<id>`` (NIfTI; 0 background, 1 anterior, 2 posterior) and
``metadata.csv`` with the columns ``id`` and ``split`` (train or val). The model is trained on the
train part, of which one volume in twelve is held out to choose the weights; the val part is looked
at once, by the finished model, for the figures on its card. A run that was stopped goes on from its
checkpoint. ``--from`` begins a second round with the weights of a finished one.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from napari_medai.io.pairs import read_pair
from napari_medai.models.package import read_model
from napari_medai.models.registry import shipped_dir
from napari_medai.models.spec import ModelSpec
from napari_medai.nn.classes import ClassExample
from napari_medai.nn.training import Run, Schedule
from napari_medai.tasks.course import fresh_net
from napari_medai.tasks.evaluate import mean_class_figures
from napari_medai.tasks.pairs import Pair
from napari_medai.tasks.train_classes import (
    COLOURS,
    NETS,
    ZSCORE,
    ClassCourse,
    classes_spec,
    package_classes,
)

SEED = 0
HELD_OUT = 1 / 12
LEARNING_RATES = (3e-3, 1.5e-3)
"""Of the first round, and of one that goes on from it."""
CLASSES = ("anterior", "posterior")
STRUCTURE = {"scheme": "SCT", "value": "91723000", "meaning": "Anatomical Structure"}
HIPPOCAMPUS = {"scheme": "SCT", "value": "5366008", "meaning": "Hippocampus"}
"""What both classes are in SNOMED CT (DICOM PS3.16, CID 7150 and 7140)."""


def pairs(data: Path, split: str) -> Iterator[Pair]:
    """The volumes of one split with their labels, upright."""
    with (data / "metadata.csv").open(newline="") as table:
        names = [row["id"] for row in csv.DictReader(table) if row["split"] == split]
    for name in names:
        yield Pair(*read_pair(data / "images" / name, data / "labels" / name, classes=True))


def split_up(examples: list[ClassExample]) -> tuple[list[ClassExample], list[ClassExample]]:
    """Training and held-out examples."""
    order = np.random.default_rng(SEED).permutation(len(examples))
    held = round(len(examples) * HELD_OUT)
    return [examples[i] for i in order[held:]], [examples[i] for i in order[:held]]


def description() -> ModelSpec:
    """What the model says of itself; the figures come later."""
    return classes_spec(
        "hippocampus",
        {**NETS[3], "channels_in": 1, "channels_out": 1 + len(CLASSES)},
        classes=CLASSES,
        title="hippocampus (napari-medai)",
        description="Anterior and posterior hippocampus in T1-weighted MR, in a volume cut out "
        "around one of them.",
        config={
            "classes": [
                {"name": name, "colour": colour, "category": STRUCTURE, "code": HIPPOCAMPUS}
                for name, colour in zip(CLASSES, COLOURS, strict=False)
            ],
            "spacing": [1.0, 1.0, 1.0],
            "intensity": ZSCORE,
            # The left hippocampus mirrors the right one.
            "mirror": "X",
            "mirrored": True,
            "notice": "Not a medical device; research use only.",
            "training_data": (
                "182 volumes of Task04 (Hippocampus) of the Medical Segmentation Decathlon, "
                "Vanderbilt University Medical Center, CC BY-SA 4.0; 26 further volumes for the "
                "figures below. The weights are adapted from these data and under the same licence."
            ),
            "limits": (
                "Not for diagnosis, treatment or any other clinical decision. It knows boxes of "
                "about 35 x 50 x 35 mm around one hippocampus of adults, healthy or with a "
                "non-affective psychotic disorder, T1-weighted (MPRAGE) at 1 mm, with Z to the "
                "head, Y to the back and X to the left, as napari-medai lays files; it does not "
                "find the hippocampus in a whole head, and lesions, atrophy, children, other "
                "contrasts and strongly tilted volumes are unknown to it."
            ),
        },
        licence="CC-BY-SA-4.0",
        authors=({"name": "napari-medai developers"},),
        cite=(
            {
                "text": "Antonelli et al., The Medical Segmentation Decathlon, Nature "
                "Communications 13, 2022",
                "doi": "10.1038/s41467-022-30695-9",
            },
            {
                "text": "Simpson et al., A large annotated medical image dataset for the "
                "development and evaluation of segmentation algorithms, 2019",
                "url": "https://arxiv.org/abs/1902.09063",
            },
        ),
        tags=("hippocampus", "semantic-segmentation", "mri", "brain", "3d"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("hippocampus-training"), help="checkpoint")
    parser.add_argument("--package", type=Path, default=shipped_dir() / "hippocampus")
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=85)
    parser.add_argument("--from", dest="start", type=Path, help="the package to go on from")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    spec = description()
    course = ClassCourse(spec)
    training, held_out = split_up(course.examples(list(pairs(options.data, "train"))))
    print(len(training), "volumes to train on,", len(held_out), "held out", flush=True)
    start = None if options.start is None else read_model(options.start)
    net = fresh_net(spec, start, course.training_only, seed=SEED)
    schedule = Schedule(
        steps=options.steps,
        minutes=options.minutes,
        batch=course.batch,
        learning_rate=LEARNING_RATES[start is not None],
        validate_every=400,
        seed=SEED,
    )
    run = Run(
        net,
        course.objective(training, held_out),
        schedule,
        device=torch.device("cuda" if torch.cuda.is_available() else "cpu"),
        checkpoint=options.out / "checkpoint.pt",
    )
    for step in run.steps():
        if "score" in step.values:
            print(f"{run.trained.seconds:7.0f} s  {step.text}  {step.values}", flush=True)
    recipe = {
        "command": "python recipes/hippocampus/train.py DATA"
        + ("" if start is None else " --from PACKAGE"),
        "minutes": options.minutes,
        "steps": run.trained.steps,
        "batch": schedule.batch,
        "learning_rate": schedule.learning_rate,
        "seed": SEED,
        **({} if start is None else {"first_round": start.config["recipe"]}),
    }
    model = package_classes(
        options.package, spec, run.trained, recipe=recipe, scores={}, overwrite=True
    )
    scores = mean_class_figures(model, pairs(options.data, "val"))
    package_classes(
        options.package, spec, run.trained, recipe=recipe, scores=scores, overwrite=True
    )
    for label, row in scores.items():
        print(f"{label:12} {row}")


if __name__ == "__main__":
    main()
