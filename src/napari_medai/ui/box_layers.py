"""Boxes become layers: rectangles with their class and score, or points in their middles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.axes import AxesArray
from napari_medai.io.layer_grid import SOURCE
from napari_medai.tasks.detection import Detection
from napari_medai.ui.layers import Place, Window, model_name, place_of, placed_record

if TYPE_CHECKING:
    import pandas as pd
    from napari.layers import Layer, Points, Shapes

MOST_SHAPES = 5000
"""Boxes beyond which napari's Shapes become slow, and points are offered instead."""
MOST_TEXTS = 500
"""Boxes whose texts are shown; napari works on texts for seconds where there are thousands."""
NO_COLOUR = "#ffffff"
EDGE = 3.0
"""Width of the edges, and size of the text, of boxes of `USUAL` pixels."""
USUAL = 100.0
TEXT = "{class} {score:.2f}"


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """What a layer shows of boxes.

    ``data`` (m, 4, axes) are the corners of rectangles, (m, axes) points; ``rows`` (m,) the box
    that each belongs to, rising; ``colours`` (m, 4) RGBA; ``features`` a row each.
    """

    data: np.ndarray
    rows: np.ndarray
    colours: np.ndarray
    features: pd.DataFrame


def rectangles(result: Detection, place: Place) -> Drawn:
    """The rectangles of boxes; those of volumes have one a slice."""
    rows, corners = _rectangles(result)
    return _drawn(result, place, rows, _laid(result, place, rows, corners))


def middles(result: Detection, place: Place) -> Drawn:
    """The middles of boxes."""
    rows = np.arange(result.count)
    # Halved sums, and columns one after the other, over which napari looks for extremes often: each
    # is several times faster than the usual where there are many.
    centres = result.boxes.corners[:, :1] / 2 + result.boxes.corners[:, 1:] / 2
    points = np.asfortranarray(_laid(result, place, rows, centres)[:, 0])
    return _drawn(result, place, rows, points)


def rectangle_count(result: Detection) -> int:
    """How many `rectangles` there are."""
    return result.count if result.boxes.ndim == 2 else int(_slices(result)[1].sum())


def edge_width(result: Detection) -> float:
    """The width of the edges of boxes, in pixels."""
    edges = result.boxes.sizes[:, -2:]
    return max(1.0, EDGE * (float(np.median(edges)) / USUAL if len(edges) else 1.0))


def shapes_layer(
    result: Detection,
    source: Layer | AxesArray | Place,
    *,
    axes: str | None = None,
    window: Window | None = None,
) -> Shapes:
    """The boxes found, as a new Shapes layer of rectangles that lies on its source.

    Boxes of volumes are the stack of their rectangles, one a slice, with the same ``index``.
    Scale, translate, rotate, shear, affine, units and axis labels are the source's, axis by axis.
    The features (``class``, ``score``, ...) and the record (``metadata["medai"]``) come along.
    Beyond `MOST_TEXTS` the texts are there but not shown.
    """
    from napari.layers import Shapes

    place = source if isinstance(source, Place) else place_of(source, axes=axes, window=window)
    drawn = rectangles(result, place)
    return Shapes(
        list(drawn.data) or None,
        shape_type="rectangle",
        ndim=len(layer_axes_of(result, place)),
        edge_width=edge_width(result),
        face_color="transparent",
        opacity=1.0,
        text=_text(result, shown=len(drawn.rows) <= MOST_TEXTS),
        **({"edge_color": drawn.colours} if len(drawn.rows) else {}),
        **_described(result, place, drawn),
    )


def points_layer(
    result: Detection,
    source: Layer | AxesArray | Place,
    *,
    axes: str | None = None,
    window: Window | None = None,
) -> Points:
    """The middles of the boxes found, as a new Points layer; otherwise as `shapes_layer`."""
    from napari.layers import Points

    place = source if isinstance(source, Place) else place_of(source, axes=axes, window=window)
    drawn = middles(result, place)
    edges = result.boxes.sizes[:, -2:]
    return Points(
        drawn.data,
        ndim=len(layer_axes_of(result, place)),
        size=max(1.0, float(np.median(edges)) / 3 if len(edges) else 10.0),
        border_width=0,
        **({"face_color": drawn.colours} if len(drawn.rows) else {}),
        **_described(result, place, drawn, points=True),
    )


def features_of(result: Detection, place: Place) -> dict[str, np.ndarray]:
    """The features of boxes, with the positions of their planes in the image, not in its window."""
    starts = starts_of(result, place)
    return {
        name: column + starts[name] if name in starts else column
        for name, column in result.features.items()
    }


def starts_of(result: Detection, place: Place) -> dict[str, int]:
    """Where the window begins along each axis beside those of a box, by its column's name."""
    cuts = {axis: place.window.get(axis, slice(0)) for axis in result.lead}
    return {axis.lower(): cut.start or 0 for axis, cut in cuts.items()}


def record_of(result: Detection, place: Place, *, points: bool = False) -> dict[str, Any]:
    """How the boxes of a layer were made, and from what; whether they are shown as points."""
    return placed_record(result.record, place) | ({"points": True} if points else {})


def _text(result: Detection, *, shown: bool) -> dict[str, Any]:
    """Class and score of each box in the colour of its class, as napari's layers take it."""
    from napari.layers.utils.color_encoding import NominalColorEncoding
    from napari.utils.colormaps.categorical_colormap import CategoricalColormap

    sure = np.isfinite(result.boxes.scores).any() or not result.count
    colours = {name: colour or NO_COLOUR for name, colour in result.classes.items()}
    return {
        "string": TEXT if sure else "{class}",
        "size": 10,
        "anchor": "upper_left",
        "color": NominalColorEncoding(
            feature="class", colormap=CategoricalColormap(colormap=colours)
        ),
        "visible": shown,
    }


def layer_axes_of(result: Detection, place: Place) -> str:
    """The axes of a layer of the boxes."""
    image = str(result.record["image"]["axes"])
    return place.beside("".join(axis for axis in image if axis in result.lead + result.space))


def _rectangles(result: Detection) -> tuple[np.ndarray, np.ndarray]:
    """The box of each rectangle, and its corners (n, 4, space), around its pixels."""
    boxes = result.boxes.corners
    low, high = boxes[:, 0], boxes[:, 1]
    around = np.array([[0, 0], [0, 1], [1, 1], [1, 0]])
    flat = np.stack(
        [np.where(corner, high[:, -2:], low[:, -2:]) for corner in around], axis=1
    ).reshape(-1, 4, 2)
    rows = np.arange(len(boxes))
    if result.boxes.ndim == 2:
        return rows, flat
    first, slices = _slices(result)
    rows = np.repeat(rows, slices)
    within = np.arange(len(rows)) - (np.cumsum(slices) - slices)[rows]
    depth = (first[rows] + within)[:, None, None].astype(np.float32)
    return rows, np.concatenate([np.broadcast_to(depth, (len(rows), 4, 1)), flat[rows]], axis=2)


def _slices(result: Detection) -> tuple[np.ndarray, np.ndarray]:
    """The first slice of each box of a volume, and how many it goes through, at least one."""
    low, high = result.boxes.corners[:, 0, 0], result.boxes.corners[:, 1, 0]
    deepest = result.candidates.grid.shape[len(result.lead)] - 1
    # A box between the middles of two slices is shown on one that is there.
    first = np.clip(np.ceil(low).astype(int), 0, deepest)
    return first, np.clip(np.floor(high).astype(int), first, deepest) - first + 1


def _laid(result: Detection, place: Place, rows: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (n, m, space) of the boxes ``rows`` in the axes of the layer (n, m, axes)."""
    columns = {
        axis: np.broadcast_to(result.places[rows, at][:, None], points.shape[:2])
        for at, axis in enumerate(result.lead)
    }
    columns |= {axis: points[..., at] for at, axis in enumerate(result.space)}
    nothing = np.zeros(points.shape[:2])
    beside = layer_axes_of(result, place)
    return np.stack([columns.get(axis, nothing) for axis in beside], axis=-1).astype(float)


def _drawn(result: Detection, place: Place, rows: np.ndarray, data: np.ndarray) -> Drawn:
    """Data with a colour a class, and with features."""
    import pandas as pd
    from napari.utils.colormaps.standardize_color import transform_color

    known = list(result.classes)
    colours = transform_color([result.classes[name] or NO_COLOUR for name in known] or [NO_COLOUR])
    kinds = np.zeros(result.count, dtype=np.int64)
    for at, name in enumerate(known):
        kinds[result.boxes.kinds == name] = at
    features = {name: column[rows] for name, column in features_of(result, place).items()}
    return Drawn(data, rows, np.asarray(colours)[kinds[rows]], pd.DataFrame(features))


def _described(
    result: Detection, place: Place, drawn: Drawn, *, points: bool = False
) -> dict[str, Any]:
    return {
        "name": f"{place.name} {model_name(result.record)}".strip(),
        "features": drawn.features,
        "metadata": {
            "medai": record_of(result, place, points=points),
            **({SOURCE: place.path} if place.path else {}),
        },
        **place.arguments(layer_axes_of(result, place)),
    }
