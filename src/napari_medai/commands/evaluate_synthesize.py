"""``napari-medai evaluate synthesize``: how real made images are, and whether they are copies."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from napari_medai.commands.figures import check_figures_file, write_figures
from napari_medai.commands.options import add_params, params_from
from napari_medai.core.errors import InputError
from napari_medai.core.progress import ProgressLine
from napari_medai.core.steps import finished
from napari_medai.models.registry import find_model
from napari_medai.scripting.label_pairs import label_pairs
from napari_medai.tasks.evaluate_synthesize import (
    JUDGE,
    RealismParams,
    evaluate_synthesis_steps,
)
from napari_medai.tasks.record import described_model
from napari_medai.tasks.synthesis_scores import CopyCheck, Likeness, SynthesisScores


def add_arguments(parser: argparse.ArgumentParser) -> None:
    folders = {
        "--masks": "the labels of the images: files of the same names (or ending with _mask), 0 "
        "background, a number an object",
        "--real": "real images, best those that the made ones do not come from",
        "--real-masks": "their labels",
        "--training": "the images that the made ones come from, to look for among them; without "
        "them, the real ones are looked for",
        "--training-masks": "their labels",
    }
    for name, purpose in folders.items():
        needed = not name.startswith("--training")
        parser.add_argument(name, required=needed, type=Path, metavar="DIR", help=purpose)
    parser.add_argument(
        "--model",
        default=JUDGE,
        metavar="NAME",
        help="the model that finds objects, whose encoder describes images (default %(default)s)",
    )
    add_params(parser, RealismParams)


def run(parsed: argparse.Namespace) -> int:
    model = find_model(parsed.model, "segment")
    params = params_from(parsed, RealismParams)
    check_figures_file(parsed.json, overwrite=parsed.overwrite)
    if (parsed.training is None) != (parsed.training_masks is None):
        raise InputError("--training and --training-masks belong together; give both or neither")
    made, real = (
        label_pairs(images, masks)
        for images, masks in ((parsed.images, parsed.masks), (parsed.real, parsed.real_masks))
    )
    training = None
    if parsed.training is not None:
        training = label_pairs(parsed.training, parsed.training_masks)
    with ProgressLine() as line:
        steps = evaluate_synthesis_steps(made, real, model, params, training=training)
        scores = finished(steps, line)
    print("\n".join(told(scores)))
    figures = {
        "task": parsed.task,
        "model": described_model(model),
        "parameters": asdict(params),
        **scores.described(),
    }
    write_figures(parsed.json, figures, overwrite=parsed.overwrite)
    return 0


def told(scores: SynthesisScores) -> Sequence[str]:
    """The figures as lines of text, those of real images beside them."""
    made, real, training = scores.images
    rows = [("", "KID", "± error", "FID", "AP@0.5")]
    agreed = (scores.agreement.accuracy, scores.real_agreement.accuracy)
    for name, likeness, accuracy in zip(
        ("synthetic", "real"), (scores.made, scores.reference), agreed, strict=True
    ):
        rows.append((name, *_cells(likeness), f"{accuracy:.3f}"))
    lines = ["".join(f"{cell:>11}" for cell in row[1:]) for row in rows]
    return [
        f"{made} synthetic and {real} real images, {training} to look for among them",
        *(f"{row[0]:<9}{line}" for row, line in zip(rows, lines, strict=True)),
        f"KID and FID to real images; features: {scores.features}",
        *([scores.made.frechet.sentence] if scores.made.frechet.biased else []),
        "AP of the objects found, against the labels",
        f"copies, by features: {_copied(scores.features_copied)}",
        f"copies, by pixels: {_copied(scores.pixels_copied)}",
    ]


def _cells(likeness: Likeness | None) -> tuple[str, str, str]:
    if likeness is None:
        return "-", "-", "-"
    kernel = likeness.kernel
    return f"{kernel.value:.4f}", f"{kernel.error:.4f}", f"{likeness.frechet.value:.2f}"


def _copied(check: CopyCheck) -> str:
    return check.sentence
