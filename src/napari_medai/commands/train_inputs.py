"""What ``napari-medai train`` learns from: the images, what belongs to them, and the training."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from napari_medai.commands.messages import PROGRAM
from napari_medai.core.errors import InputError
from napari_medai.core.steps import Steps
from napari_medai.core.words import digits
from napari_medai.models.model import Model
from napari_medai.models.registry import find_model
from napari_medai.scripting.box_pairs import box_pairs
from napari_medai.scripting.label_pairs import label_pairs
from napari_medai.scripting.noisy_pairs import noisy_pairs
from napari_medai.scripting.training import check_options
from napari_medai.tasks.pairs import BoxPair
from napari_medai.tasks.train import TrainParams, finds_classes, train_steps
from napari_medai.tasks.train_boxes import train_boxes_steps
from napari_medai.tasks.train_classes import check_classes
from napari_medai.tasks.train_denoise import NoisyPair, train_denoise_steps
from napari_medai.tasks.train_synthesize import train_synthesize_steps

TAKEN = {"segment": "masks", "detect": "boxes", "denoise": "clean", "synthesize": "masks"}
"""What belongs to the images, by the task."""


def check_task(parsed: argparse.Namespace) -> None:
    """Refuse a task without what belongs to its images, and with what is for another."""
    wanted = TAKEN[parsed.task]
    if getattr(parsed, wanted) is None and parsed.task != "denoise":
        raise InputError(f"train {parsed.task} needs --{wanted}; see napari-medai train --help")
    for other in TAKEN.values():
        if other != wanted and getattr(parsed, other) is not None:
            raise InputError(f"train {parsed.task} takes --{wanted}, not --{other}; leave it out")
    check_options(
        parsed.task,
        classes=parsed.classes,
        window=parsed.window,
        mirror=parsed.mirror,
        across=parsed.across,
        synthetic=parsed.synthetic,
    )
    check_classes(parsed.classes)


def pairs_for(parsed: argparse.Namespace, start: Model | None) -> list[Any]:
    """The images with what belongs to them; what was left out is told."""
    if parsed.task == "denoise":
        return noisy_pairs(parsed.images, parsed.clean)
    if parsed.task in ("segment", "synthesize"):
        by_class = finds_classes(parsed.classes, start)
        return label_pairs(parsed.images, parsed.masks, classes=by_class)
    pairs, notes = box_pairs(parsed.images, parsed.boxes, classes=parsed.classes)
    for note in notes:
        print(f"{PROGRAM}: {note}", file=sys.stderr)
    return pairs


def steps_for(
    parsed: argparse.Namespace, pairs: list[Any], params: TrainParams, **how: Any
) -> Steps[Model]:
    """The training that is asked for."""
    if parsed.task == "denoise":
        return train_denoise_steps(pairs, params, across=parsed.across, **how)
    if parsed.task == "detect":
        return train_boxes_steps(pairs, params, **how)
    if parsed.task == "synthesize":
        return train_synthesize_steps(pairs, params, **how)
    if parsed.synthetic:
        painter = find_model(parsed.painter, "synthesize")
        how |= {"synthetic": parsed.synthetic, "painter": painter}
    window = None if parsed.window is None else tuple(parsed.window)
    how |= {"classes": parsed.classes, "window": window, "mirror": parsed.mirror}
    return train_steps(pairs, params, **how)


def drawn(pairs: Sequence[Any]) -> str:
    """``masks``, ``noise alone``, or ``12 boxes: 7 RBC, 5 WBC``."""
    if any(isinstance(pair, NoisyPair) for pair in pairs):
        alone = all(pair.clean is None for pair in pairs)
        return "noise alone" if alone else "clean ones"
    kinds = Counter(
        str(kind) for pair in pairs if isinstance(pair, BoxPair) for kind in pair.boxes.kinds
    )
    if not any(isinstance(pair, BoxPair) for pair in pairs):
        return "masks"
    parts = ", ".join(f"{digits(count)} {kind}" for kind, count in sorted(kinds.items()))
    return f"{digits(kinds.total())} boxes: {parts}" if kinds else "no boxes"
