"""Segment inside boxes: what a detector found, outlined by a model for segmenting.

Boxes near each other share a window, which is segmented with some margin and with the brightness
of its whole plane, so that an object looks as it would in the whole image. Arrays in, a
`Segmentation` out; napari is not needed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.axes import CHANNEL, AxesArray
from napari_medai.core.boxes import Boxes
from napari_medai.core.errors import InputError
from napari_medai.core.objects import object_features
from napari_medai.core.steps import Step, Steps, as_part
from napari_medai.models.settings import CLASSES
from napari_medai.tasks.assembly import Layout
from napari_medai.tasks.finders import ObjectFinder
from napari_medai.tasks.magnification import magnification_of
from napari_medai.tasks.record import run_record
from napari_medai.tasks.segment import SegmentParams, segment_steps
from napari_medai.tasks.segmentation import Segmentation
from napari_medai.tasks.suitable import check_suited, image_range, loaded_net

if TYPE_CHECKING:
    from napari_medai.models.model import Model

TASK = "segment inside boxes"
MARGIN = 2.0
"""Diameters around a box that the model sees, too."""
MOST = 0.5
"""Part of an object that must lie in a box, where a box may hold several."""


@dataclass(frozen=True, slots=True, eq=False)
class PlacedBoxes:
    """Boxes of several planes or volumes of an image.

    ``boxes`` lie in the axes ``space``; ``places`` int64 (n, len(lead)) are their positions along
    the other axes of the image, ``lead``.
    """

    boxes: Boxes
    places: np.ndarray
    lead: str
    space: str


def segment_inside_steps(
    image: AxesArray,
    model: Model,
    params: SegmentParams,
    placed: PlacedBoxes,
    *,
    single: bool = True,
) -> Steps[Segmentation]:
    """Segment what lies in boxes, and nothing else.

    With ``single``, a box holds one object: the one with the most pixels in it, which count less
    towards its edges; with a model of classes, all that is of any class. Otherwise it holds all
    that lie in it by half or more. A diameter of 0 is the edge of a typical box, with ``single``,
    as that object fills its box; otherwise it is estimated from the whole image. Where boxes
    overlap, the surer one comes first. The labels are an array in memory; features have the
    ``class`` and the ``score`` of the box, and ``box``, its place among them from 1.

    Raises
    ------
    InputError
        If there are no boxes, or image, model and boxes do not fit each other.
    """
    began = time.perf_counter()
    check_suited(image, model)
    _check_boxes(model, placed)
    yield Step(0, 0, f"loading {model.name}")
    params = yield from _with_diameter(image, model, params, placed, single=single)
    margin = MARGIN * (params.diameter or float(np.median(placed.boxes.sizes[:, -2:])))
    canvas = _Canvas.of(image, placed, single=single or model.decoder == CLASSES)
    planes = np.unique(placed.places, axis=0)
    for done, plane in enumerate(planes):
        position = dict(zip(placed.lead, plane.tolist(), strict=True))
        own = np.flatnonzero((placed.places == plane).all(axis=1))
        work = _plane(image.at(**position), model, params, canvas, own, round(margin))
        yield from as_part(work, done=done, total=len(planes), text="segmenting inside boxes")
    axes = image.axes.replace(CHANNEL, "")
    labels = np.asarray(AxesArray(canvas.labels, placed.lead + placed.space).moved_to(axes).data)
    record = run_record(
        TASK,
        model,
        {**asdict(params), "single": single},
        image,
        device=params.device,
        seconds=time.perf_counter() - began,
        found={"boxes": len(placed.boxes), "count": len(canvas.owners)},
    )
    features = _features(labels, axes, image, canvas, placed)
    empty = len(placed.boxes) - len(set(canvas.owners))
    notes = (f"Nothing was found in {empty} of {len(placed.boxes)} boxes.",) if empty else ()
    return Segmentation(labels, axes, features, record, notes=notes)


def _check_boxes(model: Model, placed: PlacedBoxes) -> None:
    if not len(placed.boxes):
        raise InputError("there are no boxes in the image; draw some, or detect objects first")
    if len(model.axes) - 1 > len(placed.space):
        raise InputError(
            f"{model.name} sees volumes, but the boxes are rectangles; choose a 2D model, or give "
            "boxes of volumes"
        )


def _with_diameter(
    image: AxesArray, model: Model, params: SegmentParams, placed: PlacedBoxes, *, single: bool
) -> Steps[SegmentParams]:
    """With the diameter of objects: a single one fills its box; others are looked for in the whole
    image, since windows are too small for that.
    """
    if params.diameter or model.decoder == CLASSES:
        return params
    if single:
        edges = placed.boxes.sizes[:, -2:].prod(axis=1) ** 0.5
        return replace(params, diameter=round(float(np.median(edges)), 2))
    net = loaded_net(model, device=params.device)
    try:
        layout = Layout(image, model.axes.replace(CHANNEL, ""))
        seen = yield from magnification_of(layout, model, ObjectFinder(net), diameter=0)
    finally:
        net.close()
    return replace(params, diameter=round(seen.diameter, 2))


@dataclass(slots=True, eq=False)
class _Canvas:
    """Labels (lead + space) that fill up, and the box of each, from label 1."""

    labels: np.ndarray
    placed: PlacedBoxes
    single: bool
    owners: list[int]

    @classmethod
    def of(cls, image: AxesArray, placed: PlacedBoxes, *, single: bool) -> _Canvas:
        shape = [image.sizes[axis] for axis in placed.lead + placed.space]
        return cls(np.zeros(shape, np.int32), placed, single, [])

    def add(self, found: np.ndarray, corner: Sequence[int], boxes: Sequence[int]) -> None:
        """Take objects (labels of a window that begins at a corner) into these boxes."""
        sizes = np.bincount(found.ravel())
        for box in boxes:
            window = _pixels(self.placed.boxes.corners[box], self.labels.shape)
            mine = self.labels[tuple(self.placed.places[box])][window]
            inside = tuple(
                slice(w.start - c, w.stop - c) for w, c in zip(window, corner, strict=True)
            )
            free = np.where(mine == 0, found[inside], 0)
            for chosen in self._chosen(free, sizes):
                self.owners.append(box)
                mine[np.isin(free, chosen)] = len(self.owners)

    def _chosen(self, free: np.ndarray, sizes: np.ndarray) -> Iterator[list[int]]:
        """The labels that make an object each."""
        if not free.any():
            return
        if not self.single:
            within = np.bincount(free.ravel(), minlength=len(sizes))
            kept = np.flatnonzero((within > 0) & (within >= MOST * sizes))
            yield from ([int(label)] for label in kept if label)
            return
        weights = reduce(np.multiply.outer, [_central(n) for n in free.shape])
        share = np.bincount(free.ravel(), weights.ravel())
        share[0] = 0
        yield [int(share.argmax())]


def _plane(
    plane: AxesArray,
    model: Model,
    params: SegmentParams,
    canvas: _Canvas,
    boxes: np.ndarray,
    margin: int,
) -> Steps[None]:
    """Segment the windows of one plane or volume, the surest boxes of each first."""
    space = canvas.placed.space
    layered = plane.moved_to(CHANNEL + space)
    bright = image_range(layered.data, model)
    # What is scaled already must not be scaled again by the window's own brightness.
    config = {**model.config, "intensity": {"window": [0.0, 1.0]}}
    as_seen = replace(model, spec=replace(model.spec, config=config))
    scores = np.nan_to_num(canvas.placed.boxes.scores[boxes], nan=-1.0)
    boxes = boxes[np.argsort(-scores, kind="stable")]
    corners = canvas.placed.boxes.corners[boxes]
    groups = list(_groups(corners, layered.shape[1:], margin))
    for done, (window, members) in enumerate(groups):
        values = bright.scaled(np.asarray(layered.data[(slice(None), *window)]))
        part = AxesArray(values, CHANNEL + space, plane.spacing, plane.units, plane.slant)
        work = segment_steps(part, as_seen, params)
        result = yield from as_part(work, done=done, total=len(groups))
        found = np.asarray(result.labels)
        if model.decoder == CLASSES:
            found = (found > 0).astype(np.int32)
        canvas.add(found, [part.start for part in window], boxes[members].tolist())


def _groups(
    corners: np.ndarray, shape: Sequence[int], margin: int
) -> Iterator[tuple[tuple[slice, ...], np.ndarray]]:
    """Windows around boxes that lie within a margin of each other, and which those are."""
    from scipy import ndimage

    cell = max(8, margin // 2)
    cells = np.zeros([-(-n // cell) for n in shape], bool)
    low = np.floor((corners[:, 0] - margin) / cell).astype(int).clip(0)
    high = np.floor((corners[:, 1] + margin) / cell).astype(int) + 1
    for start, stop in zip(low, high, strict=True):
        cells[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = True
    joined, _ = ndimage.label(cells, np.ones((3,) * cells.ndim))
    at = joined[tuple(low.clip(max=np.array(cells.shape) - 1).T)]
    for number, found in enumerate(ndimage.find_objects(joined), start=1):
        window = tuple(
            slice(cut.start * cell, min(n, cut.stop * cell))
            for cut, n in zip(found, shape, strict=True)
        )
        yield window, np.flatnonzero(at == number)


def _pixels(corners: np.ndarray, shape: Sequence[int]) -> tuple[slice, ...]:
    """The pixels whose centres lie in a box, at least one, within the image."""
    space = shape[-corners.shape[1] :]
    low = np.ceil(corners[0]).astype(int).clip(0, np.array(space) - 1)
    high = np.floor(corners[1]).astype(int).clip(low, np.array(space) - 1)
    return tuple(slice(int(a), int(b) + 1) for a, b in zip(low, high, strict=True))


def _central(count: int) -> np.ndarray:
    """Weights that are 1 in the middle and fall to nearly 0 at the ends."""
    return 1 - np.abs(2 * (np.arange(count) + 0.5) / count - 1)


def _features(
    labels: np.ndarray, axes: str, image: AxesArray, canvas: _Canvas, placed: PlacedBoxes
) -> dict[str, Any]:
    """A row an object, with the class and the score of its box."""
    found = object_features(labels, axes=axes, spacing=image.spacing)
    owners = np.array(canvas.owners, dtype=np.int64)[found["index"] - 1]
    columns: dict[str, Any] = {
        "index": found.pop("index"),
        "class": placed.boxes.kinds[owners],
        "score": placed.boxes.scores[owners],
        "box": owners + 1,
    }
    for size in ("area", "volume"):
        if size in found:
            found[size] = found[size] * image.slant
    return columns | found
