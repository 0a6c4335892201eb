"""Train the shipped model ``blood-cells`` on the BCCD smears.

    python recipes/blood-cells/train.py DATA [--minutes M | --steps N] [--out DIR] [--rate R]
        [--from PACKAGE] [--more] [--other IMAGES MASKS]

``DATA`` holds ``images/*.jpg`` and ``boxes.csv`` with the columns image, split (train or val),
label (RBC, WBC or Platelets), xmin, ymin, xmax and ymax. The model is trained on the train part, of
which one image in twelve is held out to choose the weights; the val part is looked at once, by the
finished model, for the figures on its card. A run that was stopped goes on from its checkpoint.
``--from`` begins another round with the weights of a finished one; with ``--more`` two of three
smears of the val part are trained on as well, and the figures are of the third alone.

``--other`` are white cells of another laboratory, one an image, with masks (0 background): the
card then tells how well they are found. They are never trained on.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from napari_medai.core.axes import CHANNEL, AxesArray
from napari_medai.core.boxes import Boxes, label_boxes
from napari_medai.io.annotated import read_annotated
from napari_medai.io.images import read_image
from napari_medai.models.model import Model
from napari_medai.models.package import read_model
from napari_medai.models.registry import shipped_dir
from napari_medai.models.spec import ModelSpec
from napari_medai.nn.box_crops import BoxExample
from napari_medai.nn.crops import Appearance, varied
from napari_medai.nn.training import Run, Schedule
from napari_medai.scripting.box_pairs import read_pairs, renamed
from napari_medai.tasks.box_models import NETS, box_spec, package_boxes, sizes_of
from napari_medai.tasks.course import fresh_net
from napari_medai.tasks.evaluate import detection_scores
from napari_medai.tasks.pairs import BoxPair
from napari_medai.tasks.train_boxes import BoxCourse

SEED = 0
HELD_OUT = 1 / 12
MEASURED = 3
"""With ``--more``, one val smear in so many is kept for the figures."""
CLASSES = {"RBC": "#e6194b", "WBC": "#4363d8", "platelet": "#ffe119"}
NAMES = {"Platelets": "platelet"}
ZOOMS = (0.6, 1.0, 1.5)
"""How much larger or smaller cells are in the images that stand for other laboratories."""
LAMPS = Appearance(
    gain=1, gamma=1, blur=0.5, noise=0.5, invert=0, gray=0, colour=1, shade=0.5, tint=1
)


def pairs(data: Path, split: str) -> list[BoxPair]:
    """The smears of one split with their boxes."""
    found, notes = read_annotated(data / "images", data / "boxes.csv", split=split)
    for note in notes:
        print(note)
    return list(read_pairs(renamed(found, NAMES)))


def other_light(given: list[BoxPair]) -> Iterator[BoxPair]:
    """The same smears as if from another laboratory: in other sizes, stains and lamps."""
    from skimage.transform import resize

    rng = np.random.default_rng(SEED)
    for at, pair in enumerate(given):
        zoom = ZOOMS[at % len(ZOOMS)]
        image = np.asarray(pair.image.moved_to("YX" + CHANNEL).data) / 255.0
        size = [round(n * zoom) for n in image.shape[:2]]
        seen = resize(image, (*size, 3), anti_aliasing=True).transpose(2, 0, 1)
        shown = varied(torch.from_numpy(seen).float(), rng, LAMPS).clamp(0, 1).numpy()
        values = (shown.transpose(1, 2, 0) * 255).round().astype(np.uint8)
        corners = (pair.boxes.corners + 0.5) * np.float32(zoom) - 0.5
        yield replace(
            pair, image=AxesArray(values, "YXC"), boxes=replace(pair.boxes, corners=corners)
        )


def other_cells(images: Path, masks: Path) -> Iterator[BoxPair]:
    """White cells, one an image, from the outlines of cytoplasm and nucleus together."""
    for path in sorted(images.iterdir()):
        (mask,) = read_image(masks / path.name)
        inside = (np.asarray(mask.image.data) > 0).astype(np.int32)
        boxes, _ = label_boxes(inside)
        (found,) = read_image(path)
        cells = Boxes.of(boxes.corners, ["WBC"] * len(boxes))
        yield BoxPair(found.image, cells, path.name)


def split_up(examples: list[BoxExample]) -> tuple[list[BoxExample], list[BoxExample]]:
    """Training and held-out examples."""
    order = np.random.default_rng(SEED).permutation(len(examples))
    held = round(len(examples) * HELD_OUT)
    return [examples[i] for i in order[held:]], [examples[i] for i in order[:held]]


def figures(model: Model, given: list[BoxPair]) -> dict[str, float]:
    """Average precisions, the magnification of each image estimated; only what there is."""
    told = detection_scores(model, given).described()
    rows = {"mAP@0.5": told["mAP@0.5"], "mAP@[.5:.95]": told["mAP@[.5:.95]"]}
    rows |= {f"{name} AP@0.5": row["AP@0.5"] for name, row in told["classes"].items()}
    return {name: value for name, value in rows.items() if value is not None}


def description(given: list[BoxPair], *, more: int, unseen: int) -> ModelSpec:
    """What the model says of itself; the figures come later.

    It learns from ``given`` and so many ``more`` smears, and is measured on so many others.
    """
    return box_spec(
        "blood-cells",
        {**NETS[2], "channels_in": 3, "kinds": len(CLASSES)},
        classes=tuple(CLASSES),
        title="blood-cells (napari-medai)",
        description="Red cells, white cells and platelets on a stained blood smear, as boxes.",
        config={
            "classes": [{"name": name, "colour": colour} for name, colour in CLASSES.items()],
            **sizes_of(given, "YX"),
            "notice": "Not a medical device; research use only.",
            "training_data": (
                f"{len(given) + more} smears of the BCCD data set, 640 x 480 pixels, from one "
                f"laboratory, MIT licence; {unseen} others for the figures below."
            ),
            "limits": (
                "Not for diagnosis or any other clinical decision. It knows smears with red cells "
                "of about 100 pixels, in Giemsa-like stains; the magnification is estimated from "
                "the image where it has several cells, or given by the diameter. Red cells in "
                "clumps are missed or taken for one; the boxes that it learned from leave out some "
                "red cells at the border. It counts white cells but does not tell their kinds, and "
                "parasites, sickle cells and other diseases are unknown to it."
            ),
        },
        licence="MIT",
        authors=({"name": "napari-medai developers"},),
        cite=(
            {
                "text": "BCCD Dataset (blood cell count and detection), images by cosmicad and "
                "akshaylamba",
                "url": "https://github.com/Shenggan/BCCD_Dataset",
            },
        ),
        tags=("blood", "smear", "object-detection", "brightfield", "cells", "2d"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("blood-cells-training"), help="checkpoint")
    parser.add_argument("--package", type=Path, default=shipped_dir() / "blood-cells")
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=85)
    parser.add_argument("--rate", type=float, default=2e-3, help="the largest learning rate")
    parser.add_argument("--from", dest="start", type=Path, help="the package to go on from")
    parser.add_argument("--more", action="store_true", help="train on most of the val part too")
    parser.add_argument("--other", type=Path, nargs=2, metavar=("IMAGES", "MASKS"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    given, val = pairs(options.data, "train"), pairs(options.data, "val")
    more = [pair for at, pair in enumerate(val) if options.more and at % MEASURED]
    unseen = val[::MEASURED] if options.more else val
    spec = description(given, more=len(more), unseen=len(unseen))
    course = BoxCourse(spec)
    training, held_out = split_up(course.examples(given))
    training += course.examples(more)
    print(len(training), "smears to train on,", len(held_out), "held out", flush=True)
    start = None if options.start is None else read_model(options.start)
    schedule = Schedule(
        steps=options.steps,
        minutes=options.minutes,
        batch=course.batch,
        learning_rate=options.rate,
        validate_every=250,
        seed=SEED,
    )
    objective = course.objective(training, held_out)
    run = Run(
        fresh_net(spec, start, course.training_only, seed=SEED),
        objective,
        schedule,
        device=torch.device("cuda" if torch.cuda.is_available() else "cpu"),
        checkpoint=options.out / "checkpoint.pt",
    )
    for step in run.steps():
        if "score" in step.values:
            print(f"{run.trained.seconds:7.0f} s  {step.text}  {step.values}", flush=True)
    recipe = {
        "command": "python recipes/blood-cells/train.py DATA"
        + ("" if start is None else " --from PACKAGE")
        + (" --more" if options.more else ""),
        "minutes": options.minutes,
        "steps": run.trained.steps,
        "batch": schedule.batch,
        "learning_rate": schedule.learning_rate,
        "seed": SEED,
        **({} if start is None else {"round_before": start.config["recipe"]}),
    }

    def packaged(scores: dict[str, dict[str, float]]) -> None:
        package_boxes(
            options.package,
            spec,
            run.trained,
            objective,
            recipe=recipe,
            scores=scores,
            script=False,
            overwrite=True,
        )

    packaged({"not measured yet": {"mAP50": 0.0}})
    model, name = read_model(options.package), f"{len(unseen)} smears of BCCD val"
    scores = {
        name: figures(model, unseen),
        f"{name}, in other zooms, stains and lamps": figures(model, list(other_light(unseen))),
    }
    if options.other:
        others = list(other_cells(*options.other))
        scores["white cells of another laboratory"] = figures(model, others)
    packaged(scores)
    for label, row in scores.items():
        print(f"{label:40} {row}")


if __name__ == "__main__":
    main()
