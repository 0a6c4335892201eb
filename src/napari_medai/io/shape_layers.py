"""napari's Shapes layers to COCO JSON and CSV and back, as npe2 calls it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.axes import AXIS_WORDS, CHANNEL
from napari_medai.core.boxes import Outline
from napari_medai.io.box_coco import write_boxes_coco
from napari_medai.io.box_csv import FLAT, SOLID
from napari_medai.io.box_plane import class_name, missing
from napari_medai.io.coco import Annotations, write_coco
from napari_medai.io.drawn_boxes import OPEN, DrawnBoxes, check_flat, drawn_boxes, ellipse
from napari_medai.io.layer_errors import told_by_napari
from napari_medai.io.results import write_features_csv


@told_by_napari
def write_shapes_coco(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a Shapes layer as COCO JSON: rectangles as boxes, others as polygons too.

    Rectangles that make boxes of volumes are written as these. Pixels are those of the whole image
    where the layer is the result of a part of it.
    """
    annotations = annotations_of(data, attributes)
    name = str(attributes.get("name", ""))
    # napari's dialog has asked already whether a file may be replaced
    if all(outline.is_box for outline in annotations.outlines):
        drawn = _drawn(data, attributes)
        if drawn.space == "ZYX":
            planes = drawn.planes(name.strip() or Path(path).stem)
            write_boxes_coco(path, planes, overwrite=True)
            return [path]
    write_coco(path, annotations, name=name, overwrite=True)
    return [path]


@told_by_napari
def write_shapes_csv(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write the boxes around the shapes of a layer as CSV, a row each, with their features.

    Columns: index (that of the features, if they have one), the index along other axes than those
    of the boxes, top, left, bottom, right (front, top, left, back, bottom, right of volumes) in
    pixels of the whole image, whole numbers at their centres, class and score where there are any,
    then other features.
    """
    found = _drawn(data, attributes)
    _warn(found.notes)
    names = FLAT if found.space == "YX" else SOLID
    # As float32 these texts are short, and the same number again when read.
    edges = found.boxes.corners.reshape(-1, len(names)).astype(str)
    features: Any = attributes.get("features")
    table = (
        {} if features is None else {str(n): np.asarray(features[n])[found.rows] for n in features}
    )
    columns: dict[str, Any] = {"index": _numbers(table.get("index"), count=len(edges))}
    columns |= {axis.lower(): found.places[:, at] for at, axis in enumerate(found.lead)}
    columns |= dict(zip(names, edges.T, strict=True))
    if "class" in table:
        table["class"] = found.boxes.kinds
    columns |= {name: column for name, column in table.items() if name not in columns}
    write_features_csv(path, columns, overwrite=True)
    return [path]


def annotations_of(data: Sequence[Any], attributes: dict[str, Any]) -> Annotations:
    """The closed shapes of a layer, each in its plane, in pixels of the whole image.

    Lines and paths enclose nothing and are left out with a warning.

    Raises
    ------
    InputError
        If a shape does not lie in a plane of y and x.
    """
    kinds = _types(data, attributes)
    kept = [at for at, kind in enumerate(kinds) if kind not in OPEN]
    if left := len(data) - len(kept):
        _warn((f"{left} lines and paths enclose nothing and were left out",))
    axes = _axes(data, attributes)
    features: Any = attributes.get("features")
    table = {
        name: np.asarray(features[name])
        for name in ("class", "score")
        if features is not None and name in features
    }
    whole = _in_whole(data, attributes, axes)
    outlines = [
        _outline(whole[at], kinds[at], {name: column[at] for name, column in table.items()})
        for at in kept
    ]
    return Annotations(tuple(outlines), axes[:-2])


def _drawn(data: Sequence[Any], attributes: dict[str, Any]) -> DrawnBoxes:
    """The boxes around the closed shapes of a layer, in pixels of the whole image."""
    axes = _axes(data, attributes)
    outlines = _in_whole(data, attributes, axes)
    return drawn_boxes(outlines, _types(data, attributes), attributes.get("features"), axes=axes)


def _outline(points: np.ndarray, kind: str, row: dict[str, Any]) -> Outline:
    lead = points[:, :-2]
    check_flat(lead)
    flat = ellipse(points[:, -2:]) if kind == "ellipse" else points[:, -2:]
    position = tuple(round(float(n)) for n in lead.mean(axis=0)) if lead.size else ()
    score = row.get("score")
    score = None if missing(score) else float(score)  # type: ignore[arg-type]
    sure = score if score is not None and np.isfinite(score) else None
    return Outline(flat, position, class_name(row.get("class")), sure)


def _in_whole(data: Sequence[Any], attributes: dict[str, Any], axes: str) -> list[np.ndarray]:
    """The corners of shapes in pixels of the image that the layer is a result of a part of."""
    window = _source(attributes).get("window")
    cuts = window if isinstance(window, Mapping) else {}
    start = np.array([(cuts.get(axis) or (0,))[0] or 0 for axis in axes], dtype=float)
    return [np.asarray(points, dtype=float) + start for points in data]


def _source(attributes: dict[str, Any]) -> Mapping[str, Any]:
    """What the record of a layer tells of the image that it was made from."""
    record = (attributes.get("metadata") or {}).get("medai")
    source = record.get("source") if isinstance(record, Mapping) else None
    return source if isinstance(source, Mapping) else {}


def _numbers(index: np.ndarray | None, *, count: int) -> np.ndarray:
    """Those of the features, empty where a shape has none; without them, from 1."""
    if index is None:
        return np.arange(1, count + 1)
    return np.array([_number(one) for one in index.tolist()], dtype=object)


def _number(given: Any) -> Any:
    if missing(given):
        return ""
    # NaN in a row makes napari's whole column one of fractions
    return int(given) if isinstance(given, float) and given.is_integer() else given


def _types(data: Sequence[Any], attributes: dict[str, Any]) -> list[str]:
    given = attributes.get("shape_type", "polygon")
    return [given] * len(data) if isinstance(given, str) else [str(kind) for kind in given]


def _axes(data: Sequence[Any], attributes: dict[str, Any]) -> str:
    """Letters of the axes: those of the layer, of the image it was made from, or the usual ones."""
    lead = np.asarray(data[0]).shape[1] - 2 if len(data) else 0
    words = [str(word).lower() for word in attributes.get("axis_labels") or ()][:lead]
    letters = "".join(AXIS_WORDS.get(word, word.upper()) for word in words)
    made = str(_source(attributes).get("axes", "")).replace(CHANNEL, "")
    if len(letters) == len(set(letters)) == lead and letters.isalpha():
        return f"{letters}YX"
    if len(made) == lead + 2 and made.endswith("YX"):
        return made
    return ("TZ"[-lead:] if 0 < lead <= 2 else "ABCDEFGH"[:lead]) + "YX"


def _warn(notes: Sequence[str]) -> None:
    for note in notes:
        warnings.warn(note, stacklevel=3)
