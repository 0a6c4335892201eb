"""Train the shipped model ``nuclei-gan`` on the fluorescence images of the 2018 Data Science Bowl.

    python recipes/nuclei-gan/train.py DATA [--minutes M | --steps N] [--out FOLDER]

``DATA`` holds ``images/<id>.png``, ``masks/<id>.png`` (labels, 0 background) and ``metadata.csv``
with the columns ``id``, ``type`` and ``split`` (train or val). Of the train part one image in
sixteen is held out to choose the weights; the val part is what the figures on the card compare
with. A run that was stopped goes on from its checkpoint.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skimage import io

from napari_medai.core.axes import AxesArray
from napari_medai.core.steps import finished
from napari_medai.models.model import Model
from napari_medai.models.package import read_model
from napari_medai.models.registry import find_model, shipped_dir
from napari_medai.models.spec import ModelSpec
from napari_medai.nn.synthesis import SynthesisObjective
from napari_medai.nn.training import Run, Schedule
from napari_medai.tasks.course import fresh_net
from napari_medai.tasks.evaluate_synthesize import JUDGE, evaluate_synthesis
from napari_medai.tasks.object_params import ObjectParams
from napari_medai.tasks.painter_models import Knowledge, package_painter, painter_spec
from napari_medai.tasks.pairs import Pair
from napari_medai.tasks.synthesize_objects import objects_steps
from napari_medai.tasks.train_synthesize import CROP, learned_from, painted_examples

SEED = 0
HELD_OUT = 1 / 16
RATE = 6e-4
MOMENTUM = 0.5
PAINTED, EDGE = 200, 256
"""Images that the figures are of, and their edge in pixels."""
SHORTEST = 128
"""Pixels; smaller images are left out."""


def pairs(data: Path, split: str) -> Iterator[Pair]:
    """The fluorescence images of one split with their labels."""
    with (data / "metadata.csv").open(newline="") as table:
        rows = [row for row in csv.DictReader(table) if row["split"] == split]
    for row in rows:
        if row["type"] != "fluorescence":
            continue
        image = io.imread(data / "images" / f"{row['id']}.png")
        labels = io.imread(data / "masks" / f"{row['id']}.png")
        gray = image if image.ndim == 2 else image[..., 0]
        if labels.any() and (labels == 0).any() and min(labels.shape) >= SHORTEST:
            yield Pair(AxesArray(gray, "YX"), labels, row["id"])


def description(learned: Knowledge | None) -> ModelSpec:
    """What the model says of itself; the figures come later."""
    return painter_spec(
        "nuclei-gan",
        2,
        description="Fluorescence images of cell nuclei with their labels, or onto given labels.",
        title="nuclei-gan (napari-medai)",
        config={
            "alias": "nuclei",
            "training_data": (
                "358 fluorescence images of the 2018 Data Science Bowl, stage 1 train, BBBC038v1, "
                "CC0, with the masks as corrected by K. Lopuhin and others "
                "(data-science-bowl-2018 fixes); of their looks and layouts it keeps numbers, no "
                "pixels"
            ),
            "limits": (
                "Research use. Images are as real as those it learned from: 8 bit, nuclei of 8 to "
                "60 pixels, in focus and a little out of it. They are made to train and to test "
                "with, and are not data: never report measurements on them as found."
            ),
            **({"learned": "{}"} if learned is None else learned.thinned().as_config()),
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
        tags=("nuclei", "synthesis", "fluorescence", "gan", "2d"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("nuclei-gan-training"), help="checkpoint")
    parser.add_argument("--package", type=Path, default=shipped_dir() / "nuclei-gan")
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--from", dest="start", type=Path, help="the package to go on from")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    drawn = list(pairs(options.data, "train"))
    examples = painted_examples(drawn, description(None))
    order = np.random.default_rng(SEED).permutation(len(drawn)).tolist()
    held = order[: round(HELD_OUT * len(order))]
    kept = sorted(set(order) - set(held))
    learned = learned_from([drawn[at] for at in kept], [examples[at] for at in kept])
    start = None if options.start is None else read_model(options.start)
    if start is not None:
        # the net's inputs mean what they meant before
        learned = replace(learned, scales=Knowledge.of(start).scales)
    spec = description(learned)
    print(len(kept), "images to train on,", len(held), "held out", flush=True)
    objective = SynthesisObjective(
        [examples[at] for at in kept],
        [examples[at] for at in held],
        learned.scales,
        CROP[2],
        seed=SEED,
    )
    schedule = Schedule(
        steps=options.steps,
        minutes=options.minutes,
        batch=8,
        learning_rate=RATE,
        momentum=MOMENTUM,
        validate_every=200,
        seed=SEED,
    )
    run = Run(
        fresh_net(spec, start, {}, seed=SEED),
        objective,
        schedule,
        device=torch.device("cuda" if torch.cuda.is_available() else "cpu"),
        checkpoint=options.out / "checkpoint.pt",
    )
    parts: dict[str, float] = {}
    for step in run.steps():
        for name, value in step.values.items():
            if isinstance(value, float):
                parts[name] = 0.98 * parts.get(name, value) + 0.02 * value
        if "score" in step.values:
            told = {name: round(value, 4) for name, value in parts.items()}
            now = {name: round(step.values[name], 4) for name in ("score", "variety")}
            print(
                f"{run.trained.seconds:7.0f} s  step {run.trained.steps}: {now}  {told}", flush=True
            )
            show(options.out / f"samples-{run.trained.steps:06d}.png", step.values["samples"])
    recipe = {
        "command": "python recipes/nuclei-gan/train.py DATA"
        + ("" if start is None else " --from PACKAGE"),
        "minutes": options.minutes,
        "steps": run.trained.steps,
        "batch": schedule.batch,
        "learning_rate": schedule.learning_rate,
        "momentum": schedule.momentum,
        "seed": SEED,
        **({} if start is None else {"round_before": start.config["recipe"]}),
    }

    def packaged(scores: dict[str, Any] | None) -> Model:
        return package_painter(
            options.package, spec, run.trained, recipe=recipe, scores=scores, overwrite=True
        )

    model = packaged(None)
    scores = figures(model, options.data, [drawn[at] for at in kept])
    packaged(scores)
    for name, value in scores.items():
        print(f"{name:40} {value}")


def painted(model: Model, count: int) -> list[Pair]:
    """Images that the model makes from nothing, with their labels."""
    found = []
    for number in range(1, count + 1):
        steps = objects_steps((EDGE, EDGE), ObjectParams(seed=SEED), number, model=model)
        made = finished(steps)
        found.append(Pair(made.image, made.labels, f"painted {number}"))
    return found


def figures(model: Model, data: Path, training: list[Pair]) -> dict[str, Any]:
    """How real its images are beside the val part, and whether it copies the training part."""
    scores = evaluate_synthesis(
        painted(model, PAINTED),
        list(pairs(data, "val")),
        find_model(JUDGE, "segment"),
        training=training,
    )
    made, other = scores.made, scores.reference
    kernels = {"KID": made.kernel} | ({"KID of other real images": other.kernel} if other else {})
    copies = {"features": scores.features_copied, "pixels": scores.pixels_copied}
    return {
        "AP50 of its labels by nuclei": round(scores.agreement.accuracy, 3),
        "AP50 of real labels by nuclei": round(scores.real_agreement.accuracy, 3),
        **{name: f"{kid.value:.4f} ± {kid.error:.4f}" for name, kid in kernels.items()},
        **{f"copies by {name}": check.sentence for name, check in copies.items()},
    }


def show(path: Path, samples: np.ndarray) -> None:
    """Paintings side by side, as a picture to look at."""
    rows = [
        np.concatenate(list(samples[at : at + 8]), 1) for at in range(0, len(samples) // 8 * 8, 8)
    ]
    picture = (np.clip(np.concatenate(rows), 0, 1) * 255).astype(np.uint8)
    io.imsave(path, picture, check_contrast=False)


if __name__ == "__main__":
    main()
