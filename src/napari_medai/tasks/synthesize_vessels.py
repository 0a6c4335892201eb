"""Images of vessels whose truth is known: a tree is grown, numbered, and drawn."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import cast

import numpy as np

from napari_medai.core.axes import SPACE, AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.steps import Step, Steps, as_part
from napari_medai.core.vessel_domain import SHORTEST
from napari_medai.core.vessel_features import Rows, vessel_features
from napari_medai.core.vessel_images import vessel_image
from napari_medai.core.vessel_masks import branch_labels, segment_labels, vessel_mask
from napari_medai.core.vessel_trees import grown_vessels_steps
from napari_medai.core.vessels import VesselTree
from napari_medai.core.words import digits
from napari_medai.tasks.record import run_record
from napari_medai.tasks.synthetic import Synthetic, checked_shape, image_generators
from napari_medai.tasks.vessel_params import VesselParams

VESSELS = "vessels"
"""What is said in place of a model's name: growing needs no net."""

LABELS: Mapping[str, Callable[[VesselTree], np.ndarray]] = {
    "segments": segment_labels,
    "branches": branch_labels,
    "tree": lambda tree: vessel_mask(tree).astype(np.int32),
}
"""How pixels are numbered, by what a number is for."""


def vessels_steps(
    shape: Sequence[int],
    params: VesselParams,
    number: int = 1,
    *,
    spacing: Mapping[str, float] | None = None,
    units: Mapping[str, str] | None = None,
) -> Steps[Synthetic]:
    """Grow a tree of vessels and draw it: one image, which depends on the seed and its number.

    Parameters
    ----------
    shape
        (y, x) or (z, y, x): two or three edges of 16 pixels or more.
    number
        Which of the images of the seed, from 1 on.
    spacing, units
        As of `AxesArray`: the same along all axes, as vessels are round in pixels.

    Raises
    ------
    InputError
        If the shape or the spacing does not suit, or the widest vessel does not fit in.
    """
    began = time.perf_counter()
    edges = checked_shape(shape, least=SHORTEST)
    axes, look = SPACE[-len(edges) :], params.look
    step = _one_step(axes, spacing or {}, units or {})
    growing, drawing = image_generators(params.seed, number, parts=2)
    steps = grown_vessels_steps(edges, seed=growing, **params.growth)
    tree = yield from as_part(steps, done=0, total=3, text="growing")
    yield Step(1, 3, "numbering")
    labels = LABELS[params.numbering](tree)
    yield Step(2, 3, "drawing")
    values = vessel_image(tree, seed=drawing, look=look)
    image = AxesArray(values, axes, dict(spacing or {}), dict(units or {}))
    found = {"segments": len(tree.segments), "branches": len(np.unique(tree.branches))}
    record = run_record(
        "synthesize",
        VESSELS,
        {"shape": list(edges), **asdict(params)},
        image,
        device="cpu",
        seconds=time.perf_counter() - began,
        found={**found, "fraction": round(float((labels > 0).mean()), 6)},
    )
    yield Step(3, 3, "drawn")
    return Synthetic(
        image=image,
        labels=labels,
        features=vessel_features(tree, axes=axes, step=step, rows=cast(Rows, params.numbering)),
        record=record,
        told=", ".join(f"{digits(count)} {what}" for what, count in found.items()),
        notes=tree.notes,
        tree=tree,
    )


def _one_step(axes: str, spacing: Mapping[str, float], units: Mapping[str, str]) -> float:
    """The step along all axes."""
    steps = {(float(spacing.get(axis, 1.0)), units.get(axis, "")) for axis in axes}
    if len(steps) > 1:
        told = ", ".join(f"{step:g} {unit}".strip() for step, unit in sorted(steps))
        raise InputError(
            "vessels are round in pixels, so these must be as long along all axes, but they are "
            f"{told}; give one scale and one unit"
        )
    return steps.pop()[0]
