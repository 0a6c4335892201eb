"""Noticing that layers are not those any more that something was made from, or look otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from weakref import ref

from qtpy.QtCore import QObject, Signal

EDITS = ("paint", "data")
SIZES = ("scale", "rotate", "shear", "affine", "units")
"""Events of a layer after which its pixels have other sizes in the world."""
LOOKS = ("contrast_limits", "colormap", "gamma")
"""Events of an image layer after which its values have other colours."""

_Connections = list[tuple[Any, Callable[..., Any]]]


class Watch(QObject):
    """Tells once when a layer is edited (also undone and done again), or its scale changes."""

    noticed = Signal()

    def __init__(self, layers: Sequence[Any], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.changed = False
        # A layer that is removed must not be held by what only looks at it.
        self._histories = [(ref(layer), _history(layer)) for layer in layers]
        self._connections: _Connections = []
        for layer in layers:
            for name in (*EDITS, *SIZES):
                if name in layer.events.emitters:
                    self._connect(getattr(layer.events, name), self._notice)
            # napari tells of undo and redo only by drawing the layer again
            self._connect(layer.events.set_data, self._compare)
        # Not a method: this object is half gone when Qt calls it.
        self.destroyed.connect(partial(_disconnect, self._connections))

    def end(self) -> None:
        """Look no more."""
        _disconnect(self._connections)
        self.deleteLater()

    def _connect(self, event: Any, slot: Callable[..., Any]) -> None:
        event.connect(slot)
        self._connections.append((event, slot))

    def _notice(self, event: Any = None) -> None:
        if not self.changed:
            self.changed = True
            self.noticed.emit()

    def _compare(self, event: Any = None) -> None:
        layers = ((found(), before) for found, before in self._histories)
        if any(layer is not None and _history(layer) != before for layer, before in layers):
            self._notice()


class Following(QObject):
    """Tells whenever one of these events happens to the layer it follows."""

    changed = Signal()

    def __init__(self, names: Sequence[str], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._names = tuple(names)
        self._connections: _Connections = []
        # Not a method: this object is half gone when Qt calls it.
        self.destroyed.connect(partial(_disconnect, self._connections))

    def follow(self, layer: Any | None) -> None:
        """Follow another layer, or none."""
        _disconnect(self._connections)
        if layer is None:
            return
        for name in self._names:
            event = getattr(layer.events, name)
            event.connect(self._tell)
            self._connections.append((event, self._tell))

    def _tell(self, event: Any = None) -> None:
        self.changed.emit()


def _history(layer: Any) -> tuple[int, int]:
    """How many edits can be undone and done again."""
    undone, again = (getattr(layer, f"_{kind}_history", ()) for kind in ("undo", "redo"))
    return len(undone), len(again)


def _disconnect(connections: _Connections, *_: Any) -> None:
    while connections:
        event, slot = connections.pop()
        event.disconnect(slot)
