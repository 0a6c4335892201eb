"""napari's Shapes layers to COCO JSON and CSV and back, as npe2 calls it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_medai.core.axes import AXIS_WORDS
from napari_medai.core.boxes import Boxes, Outline
from napari_medai.core.errors import InputError
from napari_medai.io.box_plane import BoxPlane
from napari_medai.io.coco import Annotations, write_coco
from napari_medai.io.layer_errors import told_by_napari
from napari_medai.io.results import write_features_csv

OPEN = ("line", "path")
ELLIPSE_CORNERS = 64


@told_by_napari
def write_shapes_coco(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a Shapes layer as COCO JSON: rectangles as boxes, others as polygons too."""
    annotations = annotations_of(data, attributes)
    # napari's dialog has asked already whether a file may be replaced
    write_coco(path, annotations, name=str(attributes.get("name", "")), overwrite=True)
    return [path]


@told_by_napari
def write_shapes_csv(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write the boxes around the shapes of a layer as CSV, a row each, with their features.

    Columns: index, the index along other axes than y and x, top, left, bottom, right (pixels,
    whole numbers at their centres), class and score where there are any, then other features.
    """
    found = annotations_of(data, attributes)
    boxes = np.array([outline.box for outline in found.outlines]).reshape(-1, 4)
    places = np.array([outline.position for outline in found.outlines], dtype=int)
    places = places.reshape(len(boxes), len(found.axes))
    kept = _closed(data, attributes)
    columns: dict[str, Any] = {"index": np.arange(1, len(boxes) + 1)}
    columns |= {axis.lower(): places[:, at] for at, axis in enumerate(found.axes)}
    columns |= dict(zip(("top", "left", "bottom", "right"), boxes.T, strict=True))
    features: Any = attributes.get("features")
    for name in features if features is not None else ():
        if name not in columns:
            columns[str(name)] = np.asarray(features[name])[kept]
    write_features_csv(path, columns, overwrite=True)
    return [path]


def annotations_of(data: Sequence[Any], attributes: dict[str, Any]) -> Annotations:
    """The closed shapes of a layer, each in its plane.

    Lines and paths enclose nothing and are left out with a warning.

    Raises
    ------
    InputError
        If a shape does not lie in a plane of y and x.
    """
    found, notes = _annotations(data, attributes)
    for note in notes:
        warnings.warn(note, stacklevel=2)
    return found


def boxes_of_shapes(
    data: Sequence[Any], attributes: dict[str, Any]
) -> tuple[list[BoxPlane], tuple[str, ...]]:
    """The boxes around the closed shapes of a layer, by plane, and notes on what was left out.

    Planes are in rising order; classes and scores are those of its features ``class`` and
    ``score``. Shapes are numbered from 1 in ``rows``. Where they lie within an image is not looked
    at: `usable_boxes` tells.

    Raises
    ------
    InputError
        If a shape does not lie in a plane of y and x.
    """
    found, notes = _annotations(data, attributes)
    numbers = [at + 1 for at in _closed(data, attributes)]
    by_plane: dict[tuple[int, ...], list[tuple[int, Outline]]] = {}
    for number, outline in zip(numbers, found.outlines, strict=True):
        by_plane.setdefault(outline.position, []).append((number, outline))
    name = str(attributes.get("name", ""))
    planes = []
    for position, shapes in sorted(by_plane.items()):
        edges = [outline.box for _, outline in shapes]
        scores = [np.nan if one.score is None else one.score for _, one in shapes]
        boxes = Boxes.of(np.reshape(edges, (-1, 2, 2)), [one.kind for _, one in shapes], scores)
        where = dict(zip(found.axes, position, strict=True))
        rows = [f"shape {number}" for number, _ in shapes]
        planes.append(BoxPlane(name, boxes, where, rows=rows))
    return planes, notes


def _annotations(
    data: Sequence[Any], attributes: dict[str, Any]
) -> tuple[Annotations, tuple[str, ...]]:
    kinds = _types(data, attributes)
    kept = _closed(data, attributes)
    left = len(data) - len(kept)
    notes = (f"{left} lines and paths enclose nothing and were left out",) if left else ()
    outlines = [
        _outline(np.asarray(data[at], dtype=float), kinds[at], _row(attributes, at)) for at in kept
    ]
    lead = np.asarray(data[0]).shape[1] - 2 if len(data) else 0
    return Annotations(tuple(outlines), _axes(attributes, lead)), notes


def _outline(points: np.ndarray, kind: str, row: dict[str, Any]) -> Outline:
    lead = points[:, :-2]
    if lead.size and np.ptp(lead, axis=0).max() > 0.5:
        raise InputError(
            "a shape runs through several planes, but only shapes within one can be saved; draw "
            "it again in one plane"
        )
    flat = points[:, -2:]
    if kind == "ellipse":
        flat = _ellipse(flat)
    position = tuple(round(float(n)) for n in lead.mean(axis=0)) if lead.size else ()
    score = float(row.get("score", np.nan))
    kind = str(row.get("class", ""))
    return Outline(flat, position, kind, score if np.isfinite(score) else None)


def _ellipse(corners: np.ndarray) -> np.ndarray:
    """The outline of the ellipse in a box of four corners."""
    middle = corners.mean(axis=0)
    across, along = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    angle = np.linspace(0, 2 * np.pi, ELLIPSE_CORNERS, endpoint=False)[:, None]
    return np.asarray(middle + np.cos(angle) * across + np.sin(angle) * along)


def _types(data: Sequence[Any], attributes: dict[str, Any]) -> list[str]:
    given = attributes.get("shape_type", "polygon")
    return [given] * len(data) if isinstance(given, str) else [str(kind) for kind in given]


def _closed(data: Sequence[Any], attributes: dict[str, Any]) -> list[int]:
    return [at for at, kind in enumerate(_types(data, attributes)) if kind not in OPEN]


def _row(attributes: dict[str, Any], at: int) -> dict[str, Any]:
    features = attributes.get("features")
    if features is None:
        return {}
    return {name: np.asarray(features[name])[at] for name in ("class", "score") if name in features}


def _axes(attributes: dict[str, Any], lead: int) -> str:
    """Letters of the axes before y and x: those of the layer, else the usual ones."""
    words = [str(word).lower() for word in attributes.get("axis_labels") or ()][:lead]
    letters = "".join(AXIS_WORDS.get(word, word.upper()) for word in words)
    useful = len(letters) == len(set(letters)) == lead and letters.isalpha()
    return letters if useful else "TZ"[-lead:] if 0 < lead <= 2 else "ABCDEFGH"[:lead]
