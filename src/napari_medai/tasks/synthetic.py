"""What was synthesized, and what is the same whatever is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from operator import index
from typing import Any

import numpy as np

from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.vessels import VesselTree
from napari_medai.core.words import digits

SHAPES = {2: (512, 512), 3: (128, 128, 128)}
"""The shape by the number of axes, where none is given."""
MOST_PIXELS = 2**27
"""Of one image; drawing takes some 60 bytes for each."""
MOST_HELD = 2**28
"""Pixels of all images that are held at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Synthetic:
    """An image and its truth.

    Parameters
    ----------
    image
        Of vessels float32, painted ones in the dtype of what was learned from or of the style; with
        its axes, spacing and units.
    labels
        int32, of the image's shape: the numbers of what was drawn, 0 is background.
    features
        The table of the labels: a column ``index`` of their numbers, and others.
    record
        How it was made, plain values only.
    told
        What was made, in a few words.
    notes
        What could not be done.
    tree
        Vessels themselves, in pixels; None where there are none.
    """

    image: AxesArray
    labels: np.ndarray
    features: Mapping[str, np.ndarray]
    record: Mapping[str, Any]
    told: str
    notes: tuple[str, ...] = ()
    tree: VesselTree | None = None


def notes_of(made: Sequence[Synthetic]) -> list[str]:
    """What could not be done in each image; of several, with its number."""
    several = len(made) > 1
    return [
        f"image {number}: {note}" if several else note
        for number, one in enumerate(made)
        for note in one.notes
    ]


def image_generators(seed: int, number: int, *, parts: int) -> list[np.random.Generator]:
    """Where the chance in each part of an image comes from: its seed and its number, nothing else.

    So an image is the same however many there are. The first is number 1.
    """
    return np.random.default_rng([seed, number]).spawn(parts)


def shape_wanted(shape: Any = None, ndim: Any = None) -> Any:
    """The shape, or the one of `SHAPES` with so many axes; of two if nothing is said.

    Raises
    ------
    InputError
        If ``ndim`` is not 2 or 3, or not that of the shape.
    """
    if ndim is not None and (isinstance(ndim, bool) or ndim not in SHAPES):
        raise InputError(f"ndim must be 2 or 3, got {ndim!r}")
    if shape is None:
        return SHAPES[2 if ndim is None else int(ndim)]
    if ndim is not None and hasattr(shape, "__len__") and len(shape) != ndim:
        raise InputError(
            f"the shape {tuple(shape)} has {len(shape)} axes, but ndim is {ndim}; leave one out"
        )
    return shape


def checked_shape(shape: Any, *, least: int) -> tuple[int, ...]:
    """Two or three edges of ``least`` pixels or more, as whole numbers.

    Raises
    ------
    InputError
        If they are something else, or make more than `MOST_PIXELS`.
    """
    try:
        edges = tuple(index(edge) for edge in shape)
    except TypeError:
        edges = ()
    if len(edges) not in SHAPES or min(edges) < least:
        raise InputError(
            f"shape must be 2 or 3 whole numbers of {least} or more, got {shape!r}; for example "
            "(512, 512) or (128, 128, 128)"
        )
    if prod(edges) > MOST_PIXELS:
        raise InputError(
            f"an image may have {digits(MOST_PIXELS)} pixels, but the shape {edges} makes "
            f"{digits(prod(edges))}; ask for a smaller one"
        )
    return edges


def check_held(shape: tuple[int, ...], images: int) -> None:
    """Refuse more images than memory is likely to hold."""
    if images * prod(shape) > MOST_HELD:
        raise InputError(
            f"{images} images of the shape {shape} are too many to be held at once; ask for fewer, "
            "or write them to files with napari-medai synthesize"
        )
