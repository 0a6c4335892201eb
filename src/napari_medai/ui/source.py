"""What is worked on: the layer, its axes, the channel, the region."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import prod
from types import UnionType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari.layers import Image, Shapes
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel, QLineEdit, QWidget

from napari_medai.core.axes import CHANNEL, AxesArray
from napari_medai.core.errors import InputError
from napari_medai.ui.layers import Place, array_from_layer, layer_axes, place_of
from napari_medai.ui.region import Region, region_window

if TYPE_CHECKING:
    from napari.components import ViewerModel

ALL_CHANNELS = -1
COLOURS = (1, 3)


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What a run works on: the image, where it lies, and the layer it came from."""

    layer: Image
    image: AxesArray
    place: Place
    axes: str

    @property
    def pixels(self) -> int:
        """How many there are, with all channels of one counted once."""
        return prod(n for axis, n in self.image.sizes.items() if axis != CHANNEL)


class LayerPicker(QComboBox):
    """The layers of some kind in a viewer, the last on top; keeps its choice by identity.

    ``empty`` is what it shows where there are none, ``none`` a first entry that stands for no
    layer. It follows the viewer's active layer unless that is turned off. `listed` tells that there
    are others to choose from, `removed` of layers of any kind.
    """

    picked = Signal()
    listed = Signal()
    removed = Signal(object)

    def __init__(
        self,
        viewer: ViewerModel,
        kind: type | UnionType,
        *,
        empty: str = "",
        none: str = "",
        follows: bool = True,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._kind, self._none = viewer, kind, none
        self._layers: list[Any] = []
        self.setPlaceholderText(empty)
        events = viewer.layers.events
        watched: list[tuple[Any, Callable[..., Any]]] = [
            (events.inserted, self._refresh),
            (events.removed, self._refresh),
            (events.removed, self._tell),
            (events.reordered, self._refresh),
        ]
        if follows:
            watched.append((viewer.layers.selection.events.active, self._follow))
        for emitter, slot in watched:
            emitter.connect(slot)
        self._watched = watched
        # Not a method of the widget: it is half gone when Qt calls this.
        self.destroyed.connect(partial(_disconnect, watched))
        self.currentIndexChanged.connect(lambda _: self.picked.emit())
        self._refresh()
        if follows:
            self._follow()

    def layers(self) -> list[Any]:
        """Those that can be chosen, in the order shown."""
        return [layer for layer in self._layers if layer is not None]

    def layer(self) -> Any:
        """The chosen layer, None if there is none."""
        index = self.currentIndex()
        return self._layers[index] if 0 <= index < len(self._layers) else None

    def choose(self, layer: Any) -> None:
        """Choose a layer, or None; nothing happens if it is not among them."""
        if layer in self._layers:
            self.setCurrentIndex(self._layers.index(layer))

    @contextmanager
    def staying(self) -> Iterator[None]:
        """In here, a new layer is not chosen although it becomes the active one."""
        before, blocked = self.layer(), self.blockSignals(True)
        try:
            yield
        finally:
            self.choose(before)
            self.blockSignals(blocked)

    def _refresh(self, event: Any = None) -> None:
        before = self.layer()
        names = [(layer.events.name, self._rename) for layer in self.layers()]
        _disconnect(names)
        self._watched[:] = [pair for pair in self._watched if pair not in names]
        found: list[Any] = [x for x in reversed(self._viewer.layers) if isinstance(x, self._kind)]
        self._layers = [None, *found] if self._none else found
        for layer in found:
            layer.events.name.connect(self._rename)
            self._watched.append((layer.events.name, self._rename))
        blocked = self.blockSignals(True)
        self.clear()
        self.addItems([self._none if x is None else x.name for x in self._layers])
        # With a placeholder, Qt chooses none by itself.
        chosen = self._layers.index(before) if before in self._layers else 0
        self.setCurrentIndex(chosen if self._layers else -1)
        self.blockSignals(blocked)
        if self.layer() is not before:
            self.picked.emit()
        self.listed.emit()

    def _tell(self, event: Any) -> None:
        self.removed.emit(event.value)

    def _rename(self, event: Any = None) -> None:
        for layer in self.layers():
            self.setItemText(self._layers.index(layer), layer.name)

    def _follow(self, event: Any = None) -> None:
        self.choose(self._viewer.layers.selection.active)


class SourceRows(QObject):
    """The rows *Layer*, *Axes*, *Channel*, *Region* of a form; says at once what does not fit."""

    changed = Signal()

    def __init__(self, viewer: ViewerModel, form: QFormLayout, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer, self._form = viewer, form
        self._corrected: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        self.layers = LayerPicker(viewer, Image, empty="no image is open")
        self.layers.setToolTip("The image layer to work on; it is never changed")
        self.axes = QLineEdit()
        self.axes.setMaxLength(8)
        self.axes.setToolTip(
            "One letter a dimension: T time, C channel, Z Y X space; correct it if it is wrong"
        )
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.channel = QComboBox()
        self.channel.setToolTip("The channel that shows the objects")
        self.region = QComboBox()
        for region in Region:
            self.region.addItem(region.value, region)
        self.region.setToolTip(
            "Whole layer · what the canvas shows now · the T and Z position of the sliders · "
            "the box around the rectangles of a Shapes layer, through all slices"
        )
        self.shapes = LayerPicker(viewer, Shapes, empty="no Shapes layer")
        self.shapes.setToolTip("The Shapes layer whose rectangles bound the region")
        self._lay_out()
        self.layers.picked.connect(self._show_layer)
        self.axes.textEdited.connect(self._correct)
        self.channel.currentIndexChanged.connect(lambda _: self.changed.emit())
        self.region.currentIndexChanged.connect(self._show_region)
        self._show_layer()
        self._show_region()

    def source(self) -> Source:
        """What the rows say.

        Raises
        ------
        InputError
            If there is no layer, the axes do not fit it, or the region is empty.
        """
        layer = self.layers.layer()
        if layer is None:
            raise InputError("there is no image layer; open an image first")
        axes = self._axes()
        array_from_layer(layer, axes=axes)
        window = region_window(
            self.region.currentData(), layer, axes, viewer=self._viewer, shapes=self.shapes.layer()
        )
        channel = self.channel.currentData()
        if CHANNEL in axes and channel is not None and channel != ALL_CHANNELS:
            window[CHANNEL] = slice(channel, channel + 1)
        image = array_from_layer(layer, axes=axes, window=window)
        return Source(layer, image, place_of(layer, axes=axes, window=window), axes)

    def said(self) -> tuple[Any, ...]:
        """What was chosen in the rows, to compare with later."""
        layer = self.layers.layer()
        name = None if layer is None else layer.name
        region = self.region.currentData()
        return layer, name, self._axes(), self.channel.currentData(), region

    def problem(self) -> str:
        """Why the axes do not fit the layer; nothing if they do."""
        layer = self.layers.layer()
        if layer is None:
            return ""
        try:
            array_from_layer(layer, axes=self._axes())
        except InputError as error:
            return str(error)
        return ""

    def _axes(self) -> str:
        return self.axes.text().strip().upper()

    def _lay_out(self) -> None:
        self._form.addRow("Layer", self.layers)
        self._form.addRow("Axes", self.axes)
        self._form.addRow("", self.message)
        self._form.addRow("Channel", self.channel)
        self._form.addRow("Region", self.region)
        self._form.addRow("Shapes", self.shapes)

    def _show_layer(self) -> None:
        layer = self.layers.layer()
        self.axes.setEnabled(layer is not None)
        if layer is None:
            self.axes.setText("")
        elif layer in self._corrected:
            self.axes.setText(self._corrected[layer])
        else:
            try:
                self.axes.setText(layer_axes(layer))
            except InputError:
                self.axes.setText("")
        self._check()

    def _correct(self, text: str) -> None:
        layer = self.layers.layer()
        if layer is not None:
            self._corrected[layer] = self._axes()
        self._check()

    def _check(self) -> None:
        problem = self.problem()
        self.message.setText(problem)
        self._form.setRowVisible(self.message, bool(problem))
        self._show_channels("" if problem else self._axes())
        self.changed.emit()

    def _show_channels(self, axes: str) -> None:
        layer = self.layers.layer()
        several = layer is not None and CHANNEL in axes
        self._form.setRowVisible(self.channel, several)
        if not several:
            self.channel.clear()
            return
        count = array_from_layer(layer, axes=axes).sizes[CHANNEL]
        if self.channel.count() - 1 == count:
            return
        self.channel.clear()
        self.channel.addItem("all", ALL_CHANNELS)
        for index in range(count):
            self.channel.addItem(str(index), index)
        self.channel.setCurrentIndex(0 if count in COLOURS else 1)

    def _show_region(self) -> None:
        drawn = self.region.currentData() is Region.SHAPES
        self._form.setRowVisible(self.shapes, drawn)
        self.changed.emit()


def _disconnect(watched: list[tuple[Any, Callable[..., Any]]], *_: Any) -> None:
    for emitter, slot in watched:
        emitter.disconnect(slot)
