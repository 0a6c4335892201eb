"""Whether made images teach: the segmenter trained on them, and on real ones, scored on others."""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from labelled import pairs_within
from measuring import show

from napari_medai.core.steps import finished
from napari_medai.tasks.pairs import Pair

CALIBRATED_ON = 20
"""Images, at most, on which the threshold of a trained model is set."""
COLUMNS = ("real", "synthetic", "seed", "steps", "share", "AP50", "seconds")


@dataclass(frozen=True)
class Arm:
    """One training: so many real images, with made ones or without, by a seed."""

    real: int
    synthetic: bool
    seed: int

    @property
    def name(self) -> str:
        words = [f"{self.real} real"] if self.real else []
        return " + ".join([*words, *(["synthetic"] if self.synthetic else [])])


def subset(count: int, *, size: int, seed: int) -> list[int]:
    """Which of so many images are the few of a seed; smaller sets are part of larger ones."""
    return np.random.default_rng(seed).permutation(count)[:size].tolist()


def arms(options: argparse.Namespace, count: int) -> Iterator[Arm]:
    """All trainings, seed by seed, so that a run that is stopped has whole ones."""
    sizes = [size for size in options.sizes if size < count]
    for seed in range(options.seeds):
        for size in sizes:
            yield Arm(size, False, seed)
            yield Arm(size, True, seed)
        yield Arm(0, True, seed)
        yield Arm(count, False, seed)


def score(
    arm: Arm, real: Sequence[Pair], held_out: Sequence[Pair], options: argparse.Namespace
) -> float:
    """AP@0.5 on the held-out images, pooled, of a model trained so."""
    from napari_medai.core.metrics import matchings
    from napari_medai.tasks.segment import SegmentParams, segment_steps

    few = [real[at] for at in subset(len(real), size=arm.real, seed=arm.seed)]
    made = []
    if arm.synthetic:
        folder = str(options.synthetic).format(size=arm.real or len(real), seed=arm.seed)
        made = pairs_within(Path(folder))[: options.most]
    with tempfile.TemporaryDirectory() as scratch:
        model = trained(few, made, Path(scratch) / "model", arm, options)
        both = [
            (
                pair.labels,
                np.asarray(finished(segment_steps(pair.image, model, SegmentParams())).labels),
            )
            for pair in held_out
        ]
    return matchings(both, ious=(0.5,))[0].accuracy


def trained(
    few: list[Pair], made: list[Pair], folder: Path, arm: Arm, options: argparse.Namespace
) -> Any:
    """A model after so many steps; real images, where there are any, set its threshold.

    Nothing is held out to choose the best weights: of five images none can be spared. Of the crops
    ``--share`` are of real images, however many made ones there are.
    """
    from napari_medai.nn.device import chosen_device
    from napari_medai.nn.training import Run, Schedule
    from napari_medai.tasks.course import fresh_net
    from napari_medai.tasks.pairs import common_axes
    from napari_medai.tasks.train_objects import ObjectCourse, object_spec

    pairs = [*few, *made]
    course = ObjectCourse(object_spec("judged", pairs, *common_axes(pairs)))
    parts = [course.examples(part) if part else [] for part in (few, made)]
    shares = (options.share, 1 - options.share) if all(parts) else (1.0, 1.0)
    examples = []
    for part, share in zip(parts, shares, strict=True):
        total = sum(example.weight for example in part)
        examples += [replace(one, weight=one.weight * share / total) for one in part]
    calibrating = next(part for part in parts if part)[:CALIBRATED_ON]
    objective = course.objective(examples, calibrating)
    schedule = Schedule(
        steps=options.steps, batch=options.batch, validate_every=options.steps, seed=arm.seed
    )
    net = fresh_net(course.spec, None, {}, seed=arm.seed)
    run = Run(net, objective, schedule, device=chosen_device().torch)
    finished(run.steps())
    recipe = {"steps": options.steps, "seed": arm.seed}
    return course.packaged(
        folder, run.trained, objective, recipe=recipe, scored="trained on", overwrite=True
    )


def kept_scores(options: argparse.Namespace) -> dict[Arm, float]:
    """Those of an earlier run with as many steps."""
    if options.out is None or not options.out.exists():
        return {}
    with options.out.open(newline="") as table:
        rows = list(csv.DictReader(table))
    same = [
        row
        for row in rows
        if int(row["steps"]) == options.steps and float(row["share"]) == options.share
    ]
    return {
        Arm(int(row["real"]), bool(int(row["synthetic"])), int(row["seed"])): float(row["AP50"])
        for row in same
    }


def keep(options: argparse.Namespace, arm: Arm, value: float, took: float) -> None:
    if options.out is None:
        return
    fresh = not options.out.exists()
    with options.out.open("a", newline="") as table:
        writer = csv.writer(table)
        if fresh:
            writer.writerow(COLUMNS)
        row = [arm.real, int(arm.synthetic), arm.seed, options.steps, options.share]
        writer.writerow([*row, f"{value:.4f}", f"{took:.0f}"])


def summary(scores: dict[Arm, float], count: int) -> None:
    """Means over the seeds, and what the made images add, seed by seed."""
    kinds = dict.fromkeys((arm.real, arm.synthetic) for arm in scores)
    means, rows = {}, []
    for real, made in sorted(kinds):
        values = [
            value for arm, value in scores.items() if (arm.real, arm.synthetic) == (real, made)
        ]
        means[real, made] = statistics.mean(values)
        spread = f"{statistics.stdev(values):.3f}" if len(values) > 1 else ""
        gain = ""
        if real and made:
            pairs = [
                value - scores[replace(arm, synthetic=False)]
                for arm, value in scores.items()
                if (arm.real, arm.synthetic) == (real, made)
            ]
            gain = f"{statistics.mean(pairs):+.3f} ({', '.join(f'{one:+.3f}' for one in pairs)})"
        name = Arm(real, made, 0).name
        rows.append([name, len(values), f"{means[real, made]:.3f}", spread, gain])
    show(["trained on", "seeds", "AP@0.5", "deviation", "gain, each seed's"], rows)
    share = means[0, True] / means[count, False] if means[count, False] else 0.0
    print(f"\nSynthetic alone reaches {share:.0%} of all {count} real images.")
