"""The first image, or a part as large as is made at once, to see what will come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from napari_medai.core.axes import AxesArray
from napari_medai.tasks.synthesize import Kind
from napari_medai.tasks.synthesize_objects import TILE
from napari_medai.tasks.synthetic import SHAPES

AMOUNTS = ("count", "segments")
"""Parameters that grow with the image."""


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What a preview makes: one image of this shape, or on this part of the labels."""

    shape: tuple[int, ...]
    params: Any
    labels: AxesArray | None = None


def trial_of(
    kind: Kind, shape: Sequence[int], params: Any, *, labels: AxesArray | None = None
) -> Trial:
    """A preview of images of a shape, or on labels of that shape.

    Where the first image has more pixels along an edge than one tile of its net, or than is usual
    for what needs none, a part is made, with as many objects to a pixel. The part of labels is in
    their middle, or else around one of their objects.
    """
    if len(shape) not in SHAPES:  # which is told when it is made
        return Trial(tuple(shape), replace(params, images=1), labels)
    most = (TILE[len(shape)],) * len(shape) if kind.model is not None else SHAPES[len(shape)]
    edges = tuple(min(edge, limit) for edge, limit in zip(shape, most, strict=True))
    share = prod(edges) / max(1, prod(shape))
    amounts = {name: getattr(params, name, 0) for name in AMOUNTS}
    fewer = {name: max(1, round(n * share)) for name, n in amounts.items() if n}
    one = replace(params, images=1, **fewer)
    if labels is None or edges == tuple(shape):
        return Trial(edges, one, labels)
    return Trial(edges, one, _part(labels, edges))


def _part(labels: AxesArray, edges: tuple[int, ...]) -> AxesArray:
    """A part with an object in it, if there is any."""
    middle = tuple(n // 2 for n in labels.shape)
    part = labels.cropped(**_window(labels, middle, edges))
    if np.asarray(part.data).any():
        return part
    found = np.flatnonzero(np.asarray(labels.data))
    if not found.size:
        return part
    place = np.unravel_index(int(found[len(found) // 2]), labels.shape)
    return labels.cropped(**_window(labels, tuple(map(int, place)), edges))


def _window(labels: AxesArray, place: tuple[int, ...], edges: tuple[int, ...]) -> dict[str, slice]:
    """As large as ``edges``, around a place as far as the border lets it."""
    window = {}
    for axis, at, edge, n in zip(labels.axes, place, edges, labels.shape, strict=True):
        start = min(max(0, at - edge // 2), n - edge)
        window[axis] = slice(start, start + edge)
    return window
