"""What detecting gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_medai.core.axes import AxesArray
from napari_medai.core.boxes import Boxes
from napari_medai.core.words import digits

EDGES = {"Z": "depth", "Y": "height", "X": "width"}
"""What the length of a box along each axis is called."""


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """The boxes found in an image.

    ``boxes`` lie in the axes of `space`, plane after plane, falling scores within one; ``places``
    int64 (n, len(lead)) are the positions of their planes along the other axes, `lead`.
    ``features`` are columns of one value a box: see `Grid.features`. ``classes`` are all that the
    model knows, with their colours (``"#rrggbb"``, or nothing), ``wanted`` those looked for.
    ``record`` says how the result was made. ``candidates`` allow `rethresholded`; ``which`` (n,)
    are the places of the boxes among them, rising.
    """

    boxes: Boxes
    places: np.ndarray
    features: dict[str, np.ndarray]
    record: dict[str, Any]
    candidates: Candidates
    notes: tuple[str, ...] = ()
    classes: Mapping[str, str] = field(default_factory=dict)
    wanted: tuple[str, ...] = ()
    which: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    @property
    def lead(self) -> str:
        return self.candidates.grid.lead

    @property
    def space(self) -> str:
        return self.candidates.grid.space

    @property
    def count(self) -> int:
        return len(self.boxes)

    @property
    def counts(self) -> dict[str, int]:
        """How many there are of each class that was looked for."""
        return {name: int(np.count_nonzero(self.boxes.kinds == name)) for name in self.wanted}

    @property
    def all_counts(self) -> dict[str, int]:
        """How many there are, or would be, of each class that the model knows."""
        parameters = self.record["parameters"]
        kept = self.candidates.kept(
            threshold=parameters["threshold"],
            overlap=parameters["overlap"],
            classes=tuple(self.classes),
        )
        kinds = self.candidates.boxes.kinds[kept]
        return {name: int(np.count_nonzero(kinds == name)) for name in self.classes}

    @property
    def told(self) -> str:
        """What was found: ``no objects``, or ``1 302 objects: 1 280 RBC, 22 WBC``."""
        if not self.count:
            return "no objects"
        total = f"{digits(self.count)} object" + "s" * (self.count != 1)
        parts = [f"{digits(count)} {name}" for name, count in self.counts.items() if count]
        return f"{total}: {', '.join(parts)}"


def count_table(result: Detection) -> dict[str, np.ndarray]:
    """How many there are of each class looked for, a row for each plane or volume, also for empty
    ones.

    Columns: the position along each axis that has several, such as ``t``, then the classes, then
    ``all`` where there are several. A class of the name of an axis gets ``class `` before it.
    """
    grid = result.candidates.grid
    sizes = grid.shape[: len(grid.lead)]
    plane = np.ravel_multi_index(tuple(result.places.T), sizes) if sizes else 0
    planes = int(np.prod(sizes, dtype=np.int64))
    where = np.broadcast_to(plane, result.count)
    along = np.unravel_index(np.arange(planes), sizes) if sizes else ()
    table = {
        axis.lower(): place
        for axis, size, place in zip(grid.lead, sizes, along, strict=True)
        if size > 1
    }
    counts = {
        name: np.bincount(where[result.boxes.kinds == name], minlength=planes)
        for name in result.wanted
    }
    if len(counts) > 1:
        counts["all"] = np.bincount(where, minlength=planes)
    return table | {f"class {name}" if name in table else name: n for name, n in counts.items()}


@dataclass(frozen=True, slots=True)
class Grid:
    """The pixels that boxes lie in: ``space`` are the axes that a box spans, ``lead`` the others,
    ``shape`` the image's along ``lead + space``; ``slant`` is that of `AxesArray`.
    """

    lead: str
    space: str
    shape: tuple[int, ...]
    spacing: Mapping[str, float]
    slant: float = 1.0

    @classmethod
    def of(cls, image: AxesArray, *, lead: str, space: str) -> Grid:
        shape = tuple(image.sizes[axis] for axis in lead + space)
        return cls(lead, space, shape, dict(image.spacing), image.slant)

    def features(self, boxes: Boxes, places: np.ndarray) -> dict[str, np.ndarray]:
        """Columns of one value a box.

        ``index`` from 1, ``class``, ``score`` (0 to 1), the position along each other axis, such
        as ``t``, ``centroid-y``, ... in pixels, the edges (``height``, ``width``, ``depth``) in
        units of the spacing, and the ``area`` (``volume`` in 3D) of the box in squared (cubed)
        ones.
        """
        edges = boxes.sizes * [self.spacing.get(axis, 1.0) for axis in self.space]
        centres = boxes.centres
        columns: dict[str, np.ndarray] = {
            "index": np.arange(1, len(boxes) + 1),
            "class": boxes.kinds,
            "score": boxes.scores,
        }
        columns |= {axis.lower(): places[:, at] for at, axis in enumerate(self.lead)}
        columns |= {f"centroid-{a.lower()}": centres[:, at] for at, a in enumerate(self.space)}
        columns |= {EDGES[axis]: edges[:, at] for at, axis in enumerate(self.space)}
        name = "volume" if len(self.space) == 3 else "area"
        columns[name] = edges.prod(axis=1) * self.slant
        return columns


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """All boxes that may be objects, ``boxes`` and ``places`` as in `Detection`.

    ``overlaps`` (`napari_medai.nn.suppress.Overlaps`) tell which of them cannot be objects both.
    """

    boxes: Boxes
    places: np.ndarray
    overlaps: Any
    grid: Grid

    def kept(self, *, threshold: float, overlap: float, classes: Sequence[str]) -> np.ndarray:
        """Mask (n,) of the boxes of these classes that stay."""
        kept = self.overlaps.kept(threshold=threshold, overlap=overlap)
        return np.asarray(kept.cpu().numpy()) & np.isin(self.boxes.kinds, list(classes))
