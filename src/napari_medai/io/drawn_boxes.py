"""The boxes around shapes that were drawn in an image, as planes or volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_medai.core.axes import CHANNEL
from napari_medai.core.box_stacks import stacked_boxes
from napari_medai.core.boxes import Boxes
from napari_medai.core.errors import InputError
from napari_medai.io.box_plane import BoxPlane, class_name

OPEN = ("line", "path")
"""Shapes that enclose nothing."""
ELLIPSE_CORNERS = 64


@dataclass(frozen=True, slots=True, eq=False)
class DrawnBoxes:
    """The boxes around shapes of a stack.

    ``boxes`` lie in the axes ``space``; ``places`` int64 (n, len(lead)) are their positions along
    the others, ``lead``. ``rows`` (n,) say which shape each is around, counted from 0; of a volume,
    the first. ``notes`` tell what was left out.
    """

    boxes: Boxes
    places: np.ndarray
    lead: str
    space: str
    rows: np.ndarray
    notes: tuple[str, ...] = ()

    def at(self, index: np.ndarray) -> DrawnBoxes:
        """Those of an index, in its order."""
        return replace(
            self, boxes=self.boxes.at(index), places=self.places[index], rows=self.rows[index]
        )

    def planes(self, name: str) -> list[BoxPlane]:
        """By plane or volume, in rising order, as boxes of the image of this name."""
        positions, which = np.unique(self.places, axis=0, return_inverse=True)
        found = []
        for at, position in enumerate(positions.tolist()):
            own = self.at(np.flatnonzero(which.reshape(-1) == at))
            rows = [f"shape {row + 1}" for row in own.rows.tolist()]
            where = dict(zip(self.lead, position, strict=True))
            found.append(BoxPlane(name, own.boxes, where, rows=rows))
        return found


def drawn_boxes(
    outlines: Sequence[np.ndarray],
    kinds: Sequence[str],
    features: Any,
    *,
    axes: str,
    everywhere: Mapping[str, int] | None = None,
    volumes: bool | None = None,
) -> DrawnBoxes:
    """The boxes around closed shapes; lines and paths are left out with a note.

    ``outlines`` are the corners (k, axes) of each shape in pixels, ``kinds`` napari's types of
    shapes, ``features`` a table with a row each, of which ``class``, ``score`` and ``index`` count.
    Shapes stand for all positions along the axes ``everywhere``, which has their sizes.

    Rectangles with one ``index`` and the same edges on adjacent slices are one box with
    ``volumes``; without, none are, and with None they are where the table does not say that its
    boxes are those of planes, by a column ``z``.

    Raises
    ------
    InputError
        If a shape does not lie in a plane of y and x.
    """
    closed = np.array([at for at, kind in enumerate(kinds) if kind not in OPEN], dtype=np.int64)
    lead = "".join(axis for axis in axes if axis not in ("Y", "X", CHANNEL))
    corners, places = _flat([outlines[at] for at in closed], [kinds[at] for at in closed], axes)
    boxes = Boxes.of(corners, *_told(features, closed))
    left = len(kinds) - len(closed)
    notes = (f"{left} lines and paths enclose nothing and were left out",) if left else ()
    found = DrawnBoxes(boxes, places, lead, "YX", closed, notes)
    given = dict(everywhere or {})
    if volumes and "Z" in given:
        found = _through(found, given.pop("Z"))
    elif volumes is not False and "Z" in lead and "Z" not in given:
        found = _solid(found, features, volumes=volumes)
    for axis, count in given.items():
        if axis in found.lead:
            found = _repeated(found, axis, count)
    return found


def ellipse(corners: np.ndarray) -> np.ndarray:
    """The outline of the ellipse in a box of four corners."""
    middle = corners.mean(axis=0)
    across, along = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    angle = np.linspace(0, 2 * np.pi, ELLIPSE_CORNERS, endpoint=False)[:, None]
    return np.asarray(middle + np.cos(angle) * across + np.sin(angle) * along)


def check_flat(lead: np.ndarray) -> None:
    """Refuse a shape whose positions (k, axes) differ along other axes than y and x."""
    if lead.size and np.ptp(lead, axis=0).max() > 0.5:
        raise InputError(
            "a shape runs through several planes, but each must lie within one; draw it again in "
            "one plane"
        )


def _flat(
    outlines: Sequence[np.ndarray], kinds: Sequence[str], axes: str
) -> tuple[np.ndarray, np.ndarray]:
    """The corners (n, 2, 2) around shapes, and their places along other axes."""
    plane = [axes.index("Y"), axes.index("X")]
    rest = [at for at, axis in enumerate(axes) if axis not in ("Y", "X", CHANNEL)]
    corners = np.zeros((len(outlines), 2, 2))
    places = np.zeros((len(outlines), len(rest)))
    for row, (points, kind) in enumerate(zip(outlines, kinds, strict=True)):
        check_flat(points[:, rest])
        edge = ellipse(points[:, plane]) if kind == "ellipse" else points[:, plane]
        corners[row] = edge.min(axis=0), edge.max(axis=0)
        places[row] = points[:, rest].mean(axis=0)
    return corners, np.rint(places).astype(np.int64)


def _told(features: Any, rows: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The classes and scores of shapes, nothing where the table says nothing."""
    import pandas as pd

    table = pd.DataFrame(features)
    kinds = [class_name(kind) for kind in table["class"].iloc[rows]] if "class" in table else []
    if "score" not in table:
        return kinds, np.full(len(rows), np.nan)
    scores = pd.to_numeric(table["score"], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    return kinds, np.where(np.isfinite(scores), scores, np.nan)[rows]


def _solid(found: DrawnBoxes, features: Any, *, volumes: bool | None) -> DrawnBoxes:
    """With boxes of volumes, where there are any."""
    import pandas as pd

    table = pd.DataFrame(features)
    own = "index" in table
    if not volumes and (not own or "z" in table):
        return found
    groups = np.full(len(found.rows), -1)
    if own:
        groups = pd.factorize(table["index"].iloc[found.rows])[0]
    stacks = stacked_boxes(found.boxes, found.places, groups, depth=found.lead.index("Z"))
    if not volumes and "centroid-z" not in table and not (stacks.counts > 1).any():
        return found
    lead, rows = found.lead.replace("Z", ""), found.rows[stacks.first]
    return DrawnBoxes(stacks.boxes, stacks.places, lead, "ZYX", rows, found.notes)


def _through(found: DrawnBoxes, depth: int) -> DrawnBoxes:
    """Rectangles as boxes through all slices of a volume."""
    corners = np.insert(found.boxes.corners, 0, -0.5, axis=2)
    corners[:, 1, 0] = depth - 0.5
    boxes = Boxes.of(corners, found.boxes.kinds, found.boxes.scores, ndim=3)
    places = np.delete(found.places, found.lead.index("Z"), axis=1)
    return replace(found, boxes=boxes, places=places, lead=found.lead.replace("Z", ""), space="ZYX")


def _repeated(found: DrawnBoxes, axis: str, count: int) -> DrawnBoxes:
    """At all positions along an axis."""
    many = found.at(np.repeat(np.arange(len(found.rows)), count))
    many.places[:, found.lead.index(axis)] = np.tile(np.arange(count), len(found.rows))
    return many
