"""Boxes become layers: rectangles with their class and score, or points in their middles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.axes import AxesArray
from napari_medai.io.layer_grid import SOURCE
from napari_medai.tasks.detection import Detection
from napari_medai.ui.layers import Place, Window, model_name, place_of, placed_record

if TYPE_CHECKING:
    from napari.layers import Layer, Points, Shapes

MOST_SHAPES = 5000
"""Boxes beyond which napari's Shapes become slow, and points are offered instead."""
NO_COLOUR = "#ffffff"
EDGE = 3.0
"""Width of the edges, and size of the text, of boxes of `USUAL` pixels."""
USUAL = 100.0
TEXT = "{class} {score:.2f}"


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
    """
    from napari.layers import Shapes

    place = source if isinstance(source, Place) else place_of(source, axes=axes, window=window)
    rows, corners = _rectangles(result)
    data = _laid(result, place, rows, corners)
    edges = result.boxes.sizes[:, -2:]
    width = EDGE * (float(np.median(edges)) / USUAL if len(edges) else 1.0)
    return Shapes(
        list(data) or None,
        shape_type="rectangle",
        ndim=len(place.beside(_axes(result))),
        edge_width=max(1.0, width),
        face_color="transparent",
        text={"string": TEXT, "size": 8, "anchor": "upper_left", "color": "white"},
        **_coloured(result, rows, "edge_color"),
        **_described(result, place, rows),
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
    rows = np.arange(result.count)
    data = _laid(result, place, rows, result.boxes.centres[:, None])[:, 0]
    edges = result.boxes.sizes[:, -2:]
    return Points(
        data,
        ndim=len(place.beside(_axes(result))),
        size=max(1.0, float(np.median(edges)) / 3 if len(edges) else 10.0),
        border_width=0,
        **_coloured(result, rows, "face_color"),
        **_described(result, place, rows),
    )


def _axes(result: Detection) -> str:
    """The axes of the image without channels, in its order."""
    image = str(result.record["image"]["axes"])
    return "".join(axis for axis in image if axis in result.lead + result.space)


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
    first = np.ceil(low[:, 0]).astype(int)
    last = np.maximum(first, np.floor(high[:, 0]).astype(int))
    slices = last - first + 1
    rows = np.repeat(rows, slices)
    within = np.arange(len(rows)) - (np.cumsum(slices) - slices)[rows]
    depth = (first[rows] + within)[:, None, None].astype(np.float32)
    return rows, np.concatenate([np.broadcast_to(depth, (len(rows), 4, 1)), flat[rows]], axis=2)


def _laid(result: Detection, place: Place, rows: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (n, m, space) of the boxes ``rows`` in the axes of the layer (n, m, axes)."""
    columns = {
        axis: np.broadcast_to(result.places[rows, at][:, None], points.shape[:2])
        for at, axis in enumerate(result.lead)
    }
    columns |= {axis: points[..., at] for at, axis in enumerate(result.space)}
    nothing = np.zeros(points.shape[:2])
    beside = place.beside(_axes(result))
    return np.stack([columns.get(axis, nothing) for axis in beside], axis=-1).astype(float)


def _coloured(result: Detection, rows: np.ndarray, what: str) -> dict[str, Any]:
    """A colour a class."""
    if not result.count:
        return {}
    known = list(result.classes)
    colours = np.array([result.classes[name] or NO_COLOUR for name in known])
    place = {name: at for at, name in enumerate(known)}
    return {what: list(colours[[place[str(kind)] for kind in result.boxes.kinds[rows]]])}


def _described(result: Detection, place: Place, rows: np.ndarray) -> dict[str, Any]:
    import pandas as pd

    features = {name: column[rows] for name, column in result.features.items()}
    return {
        "name": f"{place.name} {model_name(result.record)}".strip(),
        "features": pd.DataFrame(features),
        "metadata": {
            "medai": placed_record(result.record, place),
            **({SOURCE: place.path} if place.path else {}),
        },
        **place.arguments(place.beside(_axes(result))),
    }
