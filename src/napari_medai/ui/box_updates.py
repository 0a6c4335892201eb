"""Layers of boxes brought from one result to another, a part at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_medai.ui import box_layers
from napari_medai.ui.live_boxes import Kind, LiveBoxes, View, boxes_in, keys_of

if TYPE_CHECKING:
    from napari.components import ViewerModel

PART = 100
"""Rectangles added at a time: napari takes about half a millisecond for each."""


class BoxUpdates(QObject):
    """Shows the latest view of some boxes in their layers; `shown` tells that it is there, `told`
    has a sentence for the user where it never will be.

    Rectangles that stay are left as they are. Those that go are taken out at once, new ones come
    in parts, between which the event loop runs. Features and the record of a layer are always
    those of what is in it, so that an update can end between two parts.
    """

    shown = Signal(object)
    told = Signal(str)

    def __init__(self, viewer: ViewerModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._target: tuple[LiveBoxes, View] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._go_on)

    @property
    def busy(self) -> bool:
        return self._target is not None

    def show(self, live: LiveBoxes, view: View) -> None:
        """Show a view, in place of one that is not there yet."""
        live.result, live.show, self._target = view.result, view.show, (live, view)
        added = not live.layers
        with live.own_write():
            for kind in [kind for kind in live.layers if kind not in view.drawn]:
                layer = live.drop(kind)
                if layer in self._viewer.layers:
                    self._viewer.layers.remove(layer)
            for kind, layer in view.fresh.items():
                if kind not in live.layers:
                    self._viewer.add_layer(layer)
                    live.take(kind, layer, keys_of(view.result, view.drawn[kind]))
        if added:
            self.forget()
            self.shown.emit(view)
        else:
            self._timer.start(0)

    def forget(self) -> None:
        """Stop where it is."""
        if self._target is not None and Kind.SHAPES in (live := self._target[0]).layers:
            with live.own_write():
                _show_texts(live, len(live.keys))
        self._target = None
        self._timer.stop()

    def _go_on(self) -> None:
        if self._target is None:
            return
        live, view = self._target
        if live.edited:
            self.forget()
            self.told.emit(live.problem)
            return
        with live.own_write():
            if Kind.SHAPES in live.layers:
                whole = self._changed(live, view)
                _describe(live, view)
                if not whole:
                    self._timer.start(0)
                    return
                _show_texts(live, len(live.keys))
            if Kind.POINTS in live.layers:
                _show_points(live, view)
        self._target = None
        self.shown.emit(view)

    def _changed(self, live: LiveBoxes, view: View) -> bool:
        """Take rectangles out, or a part of the new ones in; whether all is as it should be."""
        layer: Any = live.layers[Kind.SHAPES]
        drawn = view.drawn[Kind.SHAPES]
        wanted = keys_of(view.result, drawn)
        if max(len(live.keys), len(wanted)) > box_layers.MOST_TEXTS and layer.text.visible:
            # napari would lay all of them out for each change.
            layer.text.visible, live.texts = False, True
        gone = np.flatnonzero(~np.isin(live.keys, wanted))
        if len(gone):
            with layer.block_thumbnail_update():
                layer.remove(gone.tolist())
            live.keys = np.delete(live.keys, gone)
        new = np.flatnonzero(~np.isin(wanted, live.keys))
        part = new[:PART]
        if len(part):
            with layer.block_thumbnail_update():
                layer.add_rectangles(
                    list(drawn.data[part]),
                    edge_width=box_layers.edge_width(view.result),
                    edge_color=drawn.colours[part],
                    face_color="transparent",
                )
            live.keys = np.concatenate([live.keys, wanted[part]])
        return len(part) == len(new)


def _describe(live: LiveBoxes, view: View) -> None:
    """Features and the record of the rectangles that are there, in their order."""
    shapes: Any = live.layers[Kind.SHAPES]
    drawn = view.drawn[Kind.SHAPES]
    wanted = keys_of(view.result, drawn)
    shapes.features = drawn.features.iloc[places_of(live.keys, wanted)]
    record = live.record_of(Kind.SHAPES)
    if missing := len(boxes_in(wanted)) - len(there := boxes_in(live.keys)):
        found = {**record.get("found", {}), "count": len(there), "not_shown": missing}
        record = {**record, "found": found}
    shapes.metadata = {**shapes.metadata, "medai": record}


def _show_texts(live: LiveBoxes, count: int) -> None:
    """Texts of a few rectangles; within the limit, or beyond it, as the user likes."""
    shapes: Any = live.layers[Kind.SHAPES]
    few = count <= box_layers.MOST_TEXTS
    texts = few if few != live.few else live.texts or shapes.text.visible
    live.few, live.texts = few, False
    if texts != shapes.text.visible:
        shapes.text.visible = texts


def _show_points(live: LiveBoxes, view: View) -> None:
    points: Any = live.layers[Kind.POINTS]
    drawn = view.drawn[Kind.POINTS]
    points.data = drawn.data
    points.features = drawn.features
    if len(drawn.data):
        points.face_color = drawn.colours
    points.metadata = {**points.metadata, "medai": live.record_of(Kind.POINTS)}


def places_of(keys: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Where each key is among others, which hold them all."""
    order = np.argsort(among)
    return np.asarray(order[np.searchsorted(among, keys, sorter=order)])
