"""The boxes that sliders still move: their candidates, and the layers that show them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.steps import Steps
from napari_medai.core.words import digits
from napari_medai.ui import box_layers, engine
from napari_medai.ui.box_layers import Drawn
from napari_medai.ui.source import Source

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_medai.models.model import Model
    from napari_medai.tasks.detect import DetectParams
    from napari_medai.tasks.detection import Detection

DEEP = 16
"""Bits that count the rectangles of one box."""


class Show(str, Enum):
    """What boxes are shown as; the value is what the form shows."""

    AUTO = "auto"
    BOXES = "boxes"
    POINTS = "points"


class Kind(str, Enum):
    """The layers that boxes can have."""

    SHAPES = "Shapes"
    POINTS = "Points"


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A result, ready to be shown in layers of some kinds.

    ``drawn`` is what each shows, ``fresh`` are those that have to be made anew; ``counts`` are how
    many boxes there are, or would be, of each class. ``show`` is what was asked for, ``asked`` when
    (of `time.perf_counter`; 0 if by a run). ``told`` says what was found, ``note`` what else the
    user should know.
    """

    result: Detection
    show: Show
    drawn: Mapping[Kind, Drawn]
    fresh: Mapping[Kind, Layer]
    counts: Mapping[str, int]
    told: str
    note: str
    asked: float = 0.0


class LiveBoxes:
    """A run's boxes and their layers, until the user takes those over.

    ``keys`` say, for each rectangle of a Shapes layer, which it is; ``show`` is what the layers
    were asked to show boxes as; ``few`` is whether there were
    so few of them that texts are shown, ``texts`` whether the layer is to show them again.
    """

    def __init__(
        self, result: Detection, params: DetectParams, source: Source, *, model: str
    ) -> None:
        self.result = result
        self.params, self.model, self.source_layer = params, model, source.layer
        self.place, self.edited, self.layers = source.place, False, dict[Kind, "Layer"]()
        self.keys, self.show = np.zeros(0, dtype=np.int64), Show.AUTO
        self._writing = self.few = self.texts = False

    @property
    def problem(self) -> str:
        """Why the layers cannot follow the sliders; nothing if they can."""
        return (
            "The last result was edited and is left alone. Run again for a new one."
            if self.edited
            else ""
        )

    @property
    def record(self) -> dict[str, Any]:
        """How the result that is shown was made."""
        return self.record_of(Kind.SHAPES if Kind.SHAPES in self.layers else Kind.POINTS)

    def record_of(self, kind: Kind) -> dict[str, Any]:
        """How the result that a layer shows was made."""
        return box_layers.record_of(self.result, self.place, points=kind is Kind.POINTS)

    def shows(self, params: DetectParams, show: Show) -> bool:
        """Whether the layers show, or are about to show, what these would give."""
        made, names = self.result.record["parameters"], engine.detect_live()
        return show is self.show and all(made[name] == getattr(params, name) for name in names)

    @property
    def axes(self) -> str:
        """The axes of the layers."""
        return box_layers.layer_axes_of(self.result, self.place)

    def shapes_of(self, row: int) -> list[int]:
        """The rectangles of a box of the result."""
        own = np.flatnonzero(self.keys >> DEEP == self.result.which[row])
        return [int(at) for at in own]

    def viewed(self, result: Detection, show: Show) -> View:
        """A result as it is to be shown; called in a thread."""
        kinds, note = kinds_of(result, show)
        make = {Kind.SHAPES: box_layers.shapes_layer, Kind.POINTS: box_layers.points_layer}
        draw = {Kind.SHAPES: box_layers.rectangles, Kind.POINTS: box_layers.middles}
        fresh: dict[Kind, Layer] = {
            kind: make[kind](result, self.place) for kind in kinds if kind not in self.layers
        }
        if len(kinds) > 1 and Kind.POINTS in fresh:
            fresh[Kind.POINTS].name += " centres"
        drawn = {kind: draw[kind](result, self.place) for kind in kinds}
        return View(result, show, drawn, fresh, counts_of(result), result.told, note)

    def take(self, kind: Kind, layer: Layer, keys: np.ndarray) -> None:
        """Keep a layer of the boxes, and notice when it is edited."""
        self.layers[kind] = layer
        if kind is Kind.SHAPES:
            self.keys, self.few = keys, len(keys) <= box_layers.MOST_TEXTS
        for event in (layer.events.data, layer.events.features):
            event.connect(self._notice)

    def drop(self, kind: Kind) -> Layer:
        """Let one layer go."""
        layer = self.layers.pop(kind)
        for event in (layer.events.data, layer.events.features):
            event.disconnect(self._notice)
        return layer

    def release(self) -> None:
        """Let all layers go; the candidates go with this object."""
        for kind in list(self.layers):
            self.drop(kind)

    @contextmanager
    def own_write(self) -> Iterator[None]:
        """What is written to the layers in here is no edit."""
        self._writing = True
        try:
            yield
        finally:
            self._writing = False

    def _notice(self, event: Any = None) -> None:
        if not self._writing:
            self.edited = True


def counts_of(result: Detection) -> Mapping[str, int]:
    """How many boxes there are, or would be, of each class that the model knows."""
    if len(result.wanted) < len(result.classes):
        return result.all_counts
    kinds = result.boxes.kinds
    return {name: int(np.count_nonzero(kinds == name)) for name in result.classes}


def keys_of(result: Detection, drawn: Drawn) -> np.ndarray:
    """A number for each rectangle that is the same in all results of the same candidates."""
    first = np.searchsorted(drawn.rows, drawn.rows)
    return (result.which[drawn.rows] << DEEP) | (np.arange(len(drawn.rows)) - first)


def boxes_in(keys: np.ndarray) -> np.ndarray:
    """Which boxes rectangles with such numbers belong to, each once."""
    return np.unique(keys >> DEEP)


def live_boxes_steps(
    source: Source, model: Model, params: DetectParams, show: Show
) -> Steps[tuple[LiveBoxes, View]]:
    """Detect in a source; called in a thread, where many boxes take a while to become layers."""
    result = yield from engine.detect_steps(source.image, model, params)
    live = LiveBoxes(result, params, source, model=model.name)
    return live, live.viewed(result, show)


def viewed_again(
    live: LiveBoxes, params: DetectParams, show: Show, *, asked: float
) -> tuple[LiveBoxes, View]:
    """The candidates of a result with other parameters; called in a thread."""
    view = live.viewed(engine.rethresholded(live.result, params), show)
    return live, replace(view, asked=asked)


def kinds_of(result: Detection, show: Show) -> tuple[tuple[Kind, ...], str]:
    """The layers that a result is shown in, and what there is to say about that."""
    count = box_layers.rectangle_count(result)
    many = count > box_layers.MOST_SHAPES
    words = f"{digits(count)} rectangles" if result.boxes.ndim == 3 else f"{digits(count)} boxes"
    limit = digits(box_layers.MOST_SHAPES)
    if show is Show.POINTS:
        return (Kind.POINTS,), ""
    if show is Show.AUTO and many:
        return (Kind.POINTS,), f"{words} are shown as points; napari is slow beyond {limit}."
    note = ""
    if many:
        note = f"{words} are slow in napari; points are faster beyond {limit}."
    elif count > box_layers.MOST_TEXTS:
        most = digits(box_layers.MOST_TEXTS)
        note = f"Texts are hidden beyond {most} boxes; napari's layer controls show them."
    kinds = (Kind.SHAPES, Kind.POINTS) if result.boxes.ndim == 3 else (Kind.SHAPES,)
    return kinds, note
