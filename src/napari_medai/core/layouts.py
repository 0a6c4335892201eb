"""New label images whose objects lie as in others: as many, as large, as long, as close."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import atan, isfinite, prod, sqrt

import numpy as np

from napari_medai.core.blobs import drawn_blobs
from napari_medai.core.canvas import Canvas, Piece
from napari_medai.core.errors import InputError
from napari_medai.core.layout_statistics import ImageLayout, LayoutStatistics
from napari_medai.core.neighbours import ball_size
from napari_medai.core.placement import Wanted, placed
from napari_medai.core.quantiles import drawn_values
from napari_medai.core.seeds import Seed, generator

SHORTEST = 8
"""Pixels that each edge of an image has at least."""

_CROWDED = 0.2
"""From this share of the image on, large objects are placed first: later they find no room."""
_FULL = 0.8
"""More of an image is not tried to cover."""
_MOST_IRREGULAR = 0.12
"""More is of objects that were drawn as one by mistake, or of scraps."""


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """``labels`` int32, objects from 1 on without gaps, each in one piece.

    ``wanted`` is what they were to be like, with its sizes and its number as asked for, and
    ``model`` which image of the statistics that was; ``notes`` say what could not be done.
    """

    labels: np.ndarray
    wanted: ImageLayout
    model: int
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        return int(self.labels.max())


def drawn_layout(
    statistics: LayoutStatistics,
    shape: Sequence[int],
    *,
    seed: Seed,
    count: int | None = None,
    density: float | None = None,
    size: float | None = None,
) -> Layout:
    """Draw a label image like one of those the statistics are of, which is chosen by chance.

    Parameters
    ----------
    shape
        Of two or three axes as the statistics, `SHORTEST` pixels at least each.
    seed
        The same seed gives the same image.
    count
        Objects; by default as many as the density asks for.
    density
        Objects to a pixel; by default that of the chosen image.
    size
        The median diameter in pixels; by default that of the chosen image, among those whose
        median fits in ``shape``. The density follows, so that as much of the image is covered.

    Raises
    ------
    InputError
        If a number is not positive, both count and density are given, the shape is too small or
        has another number of axes, or the seed is out of range.
    """
    edges = _checked_shape(statistics, shape)
    _check_numbers(count=count, density=density, size=size)
    rng = generator(seed)
    model, image = _chosen(statistics, edges, size, rng)
    if count is None:
        count = max(1, round((image.density if density is None else density) * prod(edges)))
    image = replace(image, count=int(count), density=count / prod(edges))
    diameters = _diameters(image, edges, rng)
    canvas = Canvas.empty(edges, most=len(diameters))
    wanted = Wanted(len(diameters), image.clustering, image.touching)
    placed(canvas, _pieces(image, diameters, rng), wanted, rng)
    return Layout(canvas.labels, image, model, _notes(canvas.count, image))


def _checked_shape(statistics: LayoutStatistics, shape: Sequence[int]) -> tuple[int, ...]:
    edges = tuple(int(edge) for edge in shape)
    if len(edges) != statistics.ndim:
        raise InputError(
            f"a shape of {len(edges)} axes was asked for, but the statistics are of "
            f"{statistics.ndim}; give {statistics.ndim} numbers"
        )
    if min(edges) < SHORTEST:
        raise InputError(
            f"the shape {edges} is too small: each edge has {SHORTEST} pixels or more; enlarge it"
        )
    return edges


def _check_numbers(*, count: int | None, density: float | None, size: float | None) -> None:
    if count is not None and density is not None:
        raise InputError(
            f"a count of {count} and a density of {density} were given; give one of them"
        )
    if count is not None and (isinstance(count, bool) or count != int(count) or count < 1):
        raise InputError(f"count must be a whole number of 1 or more, got {count}")
    for name, number in (("density", density), ("size", size)):
        if number is not None and not (isfinite(number) and number > 0):
            raise InputError(f"{name} must be a number above 0, got {number}")


def _chosen(
    statistics: LayoutStatistics,
    edges: tuple[int, ...],
    size: float | None,
    rng: np.random.Generator,
) -> tuple[int, ImageLayout]:
    """Which image, and its numbers, at the asked size."""
    shortest = min(edges)
    fitting = [
        at
        for at, image in enumerate(statistics.images)
        if size is not None or image.diameter <= shortest
    ]
    if not fitting or (size is not None and size > shortest):
        least = min(i.diameter for i in statistics.images) if size is None else size
        raise InputError(
            f"the shape {edges} is too small for objects of {least:g} pixels; enlarge it, or ask "
            "for a smaller size"
        )
    chosen = fitting[int(rng.integers(len(fitting)))]
    image = statistics.images[chosen]
    if size is None:
        return chosen, image
    scale = size / image.diameter
    diameters = tuple(scale * diameter for diameter in image.diameters)
    return chosen, replace(image, diameters=diameters, density=image.density / scale**image.ndim)


def _diameters(image: ImageLayout, edges: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Of the objects that are to be placed, no more than could fit, in the order to place them."""
    diameters = drawn_values(image.diameters, min(image.count, prod(edges)), rng)
    covered = np.cumsum(ball_size(image.ndim) * (diameters / 2) ** image.ndim) / prod(edges)
    if covered[-1] <= _CROWDED:
        return diameters
    kept = max(1, int((covered <= _FULL).sum()))
    return np.asarray(-np.sort(-diameters[:kept]))


def _pieces(image: ImageLayout, diameters: np.ndarray, rng: np.random.Generator) -> Iterator[Piece]:
    """Objects of these sizes, one after another."""
    count = len(diameters)
    elongations = np.maximum(drawn_values(image.elongations, count, rng), 1)
    irregularities = drawn_values(image.irregularities, count, rng)
    blobs = drawn_blobs(
        rng,
        diameters=diameters,
        axes=_axes(image, elongations, rng),
        irregularities=np.clip(irregularities, 0, _MOST_IRREGULAR),
    )
    for blob, diameter in zip(blobs, diameters.tolist(), strict=True):
        yield Piece.of(blob, diameter)


def _axes(image: ImageLayout, elongations: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Half axes as columns, the longest first."""
    ndim = image.ndim
    lengths = np.ones((len(elongations), ndim))
    lengths[:, 0] = elongations
    if ndim == 3:
        lengths[:, 1] = elongations**image.middle
    main = np.array(image.direction)
    turns = rng.normal(size=(len(elongations), ndim, ndim))
    along = turns[:, :, 0] @ main
    turns[:, :, 0] += ((_stretch(image.alignment, ndim) - 1) * along)[:, None] * main
    turned = np.linalg.qr(turns)[0]
    return np.asarray(turned * lengths[:, None])


def _stretch(alignment: float, ndim: int) -> float:
    """How much to stretch random directions along one axis, for them to be so aligned.

    They then have an angular central Gaussian distribution (Tyler 1987).
    """
    aligned = min(max(alignment, 0.0), 0.99)
    if ndim == 2:
        return (1 + aligned) / (1 - aligned)
    stretches = np.geomspace(1.001, 1000, 400)
    return float(np.interp(aligned, [_aligned_by(s) for s in stretches], stretches))


def _aligned_by(stretch: float) -> float:
    """The alignment of directions in space that were stretched so much."""
    root = sqrt(stretch**2 - 1)
    along = stretch**2 / root**2 * (1 - atan(root) / root)
    return (3 * along - 1) / 2


def _notes(count: int, wanted: ImageLayout) -> tuple[str, ...]:
    if count >= wanted.count:
        return ()
    return (
        f"{count} of {wanted.count} objects found room; enlarge the image, or ask for fewer or "
        "smaller ones",
    )
