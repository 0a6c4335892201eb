"""Grow trees of vessels: ends, joints and radii by `core.vessel_growth`, then bends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.core.seeds import Seed, generator
from napari_medai.core.steps import Step, Steps, finished
from napari_medai.core.vessel_bends import bent_tree
from napari_medai.core.vessel_domain import Domain
from napari_medai.core.vessel_growth import Growth
from napari_medai.core.vessels import VesselTree

MOST = 5000
"""Segments that a tree has at most."""

_PIECES = 4
"""Segments to a branch, where branches bend."""


def grown_vessels(shape: Sequence[int], **options: Any) -> VesselTree:
    """The tree of `grown_vessels_steps`, with the same arguments."""
    return finished(grown_vessels_steps(shape, **options))


def grown_vessels_steps(
    shape: Sequence[int],
    *,
    seed: Seed,
    segments: int = 500,
    radius: float = 1.0,
    exponent: float = 3.0,
    variation: float = 0.2,
    tortuosity: float = 0.0,
    crossing: bool = False,
    mask: np.ndarray | None = None,
) -> Steps[VesselTree]:
    """Grow a tree of vessels that fills an image, or the True pixels of a mask.

    It comes in at the first pixels along the first axis, amid the others. All vessels lie within.

    Parameters
    ----------
    shape
        Two or three edges, 16 pixels at least each.
    seed
        The same seed gives the same tree.
    segments
        1 to `MOST`. Fewer grow where there is no room, which `VesselTree.notes` say.
    radius
        The median of the thinnest vessels', in pixels.
    exponent
        1 to 10: `VesselTree.exponent`.
    variation
        0 to 1: the standard deviation of the logarithm of the thinnest vessels' radii.
    tortuosity
        0 to 1: how far branches, each then of several segments, bend off their straight line.
    crossing
        Whether vessels may run through each other, as they seem to in projections. Otherwise
        branches that do not meet at a joint keep apart: axes by the sum of their radii at least.
    mask
        bool, of that shape.

    Raises
    ------
    InputError
        If a number is out of range, the shape is too small or does not fit the mask, or the
        widest vessel does not fit in.
    """
    _check(segments=segments, radius=radius, exponent=exponent)
    for name, share in (("variation", variation), ("tortuosity", tortuosity)):
        if not 0 <= share <= 1:
            raise InputError(f"{name} must be 0 to 1, got {share}")
    segments = int(segments)
    domain, rng = Domain.of(shape, mask), generator(seed)
    branches = max(1, segments // _PIECES) if tortuosity else segments
    ends = (branches + 1) // 2
    flows = np.exp(exponent * variation * rng.normal(size=ends))
    growth = Growth.begun(domain, flows, radius, exponent, crossing=crossing)
    for grown in growth.growing(rng):
        yield Step(grown, ends, "growing")
    if not growth.count:
        raise InputError(
            f"no vessel with a radius of {radius:g} pixels found room in {domain.shape}; ask for a "
            "smaller radius, or enlarge the shape or the mask"
        )
    complete = growth.ends == ends
    made = growth.count * (_PIECES if tortuosity else 1)
    tree = bent_tree(
        growth.grown(),
        domain,
        rng,
        segments=segments if complete else min(made, segments),
        exponent=exponent,
        tortuosity=tortuosity,
        crossing=crossing,
    )
    return tree if complete else replace(tree, notes=(_note(tree, segments),))


def _note(tree: VesselTree, wanted: int) -> str:
    return (
        f"{len(tree.segments)} of {wanted} segments found room; enlarge the shape, or ask for "
        "fewer or thinner ones"
    )


def _check(*, segments: int, radius: float, exponent: float) -> None:
    if isinstance(segments, bool) or segments != int(segments) or not 1 <= segments <= MOST:
        raise InputError(f"segments must be a whole number from 1 to {MOST}, got {segments}")
    if not (isfinite(radius) and radius > 0):
        raise InputError(f"radius must be a number above 0, got {radius}")
    if not 1 <= exponent <= 10:
        raise InputError(f"exponent must be 1 to 10, got {exponent}; 3 is Murray's law")
