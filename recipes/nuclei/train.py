"""Train the shipped model ``nuclei`` on the corrected 2018 Data Science Bowl images (BBBC038).

    python recipes/nuclei/train.py DATA [--out DIR] [--minutes M | --steps N]

``DATA`` holds ``images/<id>.png``, ``masks/<id>.png`` (labels, 0 background) and ``metadata.csv``
with the columns ``id``, ``type`` and ``split`` (train or val). The ``val`` part is not looked at
here: ``score.py`` measures the finished model on it.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from skimage import io

from napari_medai.core.intensity import Percentiles
from napari_medai.nn.instances import Example, InstanceObjective
from napari_medai.nn.training import Run, Schedule
from napari_medai.nn.unet import UNet

DIAMETER = 24.0
HELD_OUT = 0.05
SHARES = {
    "fluorescence": 0.60,
    "histology_purple_on_purple": 0.19,
    "histology_pink_purple": 0.02,
    "brightfield_purple_on_white": 0.10,
    "brightfield_gray": 0.09,
}
"""How often each kind of microscopy is drawn, whatever its number of images."""


def examples(data: Path, split: str) -> dict[str, list[Example]]:
    """The examples of one split, by kind of microscopy."""
    found: dict[str, list[Example]] = {}
    with (data / "metadata.csv").open() as table:
        rows = [row for row in csv.DictReader(table) if row["split"] == split]
    for row in rows:
        image = io.imread(data / "images" / f"{row['id']}.png")
        labels = io.imread(data / "masks" / f"{row['id']}.png")
        image = np.moveaxis(image, -1, 0) if image.ndim == 3 else image[None]
        example = Example.of(
            image,
            labels,
            percentiles=Percentiles(),
            weight=int(row["nuclei"]) + 15,
        )
        found.setdefault(row["type"], []).append(example)
    return found


def split_up(
    kinds: dict[str, list[Example]], rng: np.random.Generator
) -> tuple[list[Example], list[Example]]:
    """Training and held-out examples; each kind drawn as often as `SHARES` says."""
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("nuclei-training"))
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    options.out.mkdir(parents=True, exist_ok=True)
    training, held_out = split_up(examples(options.data, "train"), np.random.default_rng(0))
    print(len(training), "to train on,", len(held_out), "held out", flush=True)
    run = Run(
        UNet(channels_in=3, channels_out=4, shuffle=2),
        InstanceObjective(training, held_out, diameter=DIAMETER),
        Schedule(steps=options.steps, minutes=options.minutes),
        device=torch.device("cpu"),
        checkpoint=options.out / "checkpoint.pt",
    )
    for step in run.steps():
        if "score" in step.values:
            print(f"{run.trained.seconds:7.0f} s  {step.text}  {step.values}", flush=True)


if __name__ == "__main__":
    main()
