"""The edges of an image in pixels, and the size of a pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QHBoxLayout, QLabel, QSpinBox, QWidget

from napari_medai.core.axes import SPACE
from napari_medai.ui import engine
from napari_medai.ui.layers import PIXEL

LARGEST = 65_536
UNITS = {PIXEL: PIXEL, "nm": "nanometer", "µm": "micrometer", "mm": "millimeter"}
"""By what is shown."""


class EdgeRow(QWidget):
    """A box for each edge, z y x; remembers those of planes and of volumes apart."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._own = {ndim: tuple(engine.usual_shape(ndim)) for ndim in (2, 3)}
        self._fixed: tuple[int, ...] | None = None
        self._least = 1
        self._ndim = 2
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self.boxes, self._words = {}, {}
        for axis in SPACE:
            self._words[axis], self.boxes[axis] = QLabel(axis.lower()), QSpinBox()
            self.boxes[axis].setToolTip(f"Pixels along {axis.lower()}")
            self.boxes[axis].setKeyboardTracking(False)
            # Three fit beside each other without buttons, and the room that napari's style leaves.
            self.boxes[axis].setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
            self.boxes[axis].setStyleSheet("padding: 0 2px; min-width: 3em;")
            row.addWidget(self._words[axis])
            row.addWidget(self.boxes[axis], 1)
            self.boxes[axis].valueChanged.connect(self._keep)
        self._show()

    def edges(self) -> tuple[int, ...]:
        """What the user said, in pixels, whatever is shown of a layer."""
        return self._own[self._ndim]

    def show_axes(self, ndim: int, *, least: int, fixed: tuple[int, ...] | None = None) -> None:
        """Show two or three boxes, of ``least`` pixels or more.

        ``fixed`` are the edges of a layer, which are shown and cannot be changed here.
        """
        self._ndim, self._least, self._fixed = ndim, least, fixed
        self._show()

    def stored(self) -> dict[str, list[int]]:
        """What `recall` brings back."""
        return {str(ndim): list(edges) for ndim, edges in self._own.items()}

    def recall(self, stored: Any) -> None:
        """Take the edges that were stored, if they are such."""
        for ndim in self._own:
            edges: Any = stored.get(str(ndim)) if isinstance(stored, Mapping) else None
            if _is_edges(edges, ndim):
                self._own[ndim] = tuple(edges)
        self._show()

    def _keep(self) -> None:
        axes = SPACE[-self._ndim :]
        self._own[self._ndim] = tuple(self.boxes[axis].value() for axis in axes)
        self.changed.emit()

    def _show(self) -> None:
        fixed = self._fixed is not None
        edges = self._fixed or self._own[self._ndim]
        for axis, box in self.boxes.items():
            shown = axis in SPACE[-self._ndim :]
            for part in (box, self._words[axis]):
                part.setVisible(shown)
            blocked = box.blockSignals(True)
            box.setEnabled(not fixed)
            box.setRange(1 if fixed else self._least, LARGEST)
            if shown:
                box.setValue(edges[SPACE[-self._ndim :].index(axis)])
            box.blockSignals(blocked)
        if not fixed:
            # what was too small for this kind is not any more
            own = tuple(self.boxes[axis].value() for axis in SPACE[-self._ndim :])
            self._own[self._ndim] = own


class _ShortBox(QDoubleSpinBox):
    """Shows no digits that say nothing."""

    def textFromValue(self, value: float) -> str:
        return f"{value:.10g}"


class PixelRow(QWidget):
    """The size of a pixel along all axes, and its unit."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.box, self.unit = _ShortBox(), QComboBox()
        self.box.setDecimals(4)
        self.box.setRange(0.0001, 1e6)
        self.box.setValue(1.0)
        self.box.setKeyboardTracking(False)
        self.box.setToolTip("The size of a pixel; lengths and areas in the tables are in its unit")
        self.unit.addItems(UNITS)
        self.unit.setToolTip(self.box.toolTip())
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.box, 1)
        row.addWidget(self.unit, 1)
        self.box.valueChanged.connect(lambda _: self.changed.emit())
        self.unit.currentIndexChanged.connect(lambda _: self.changed.emit())

    def by_axis(self, ndim: int) -> tuple[dict[str, float], dict[str, str]]:
        """Scale and units of each axis; nothing where pixels are just pixels."""
        axes = SPACE[-ndim:]
        size, unit = round(self.box.value(), 4), UNITS[self.unit.currentText()]
        scale = {} if size == 1 and unit == PIXEL else dict.fromkeys(axes, size)
        return scale, {} if unit == PIXEL else dict.fromkeys(axes, unit)

    def stored(self) -> list[Any]:
        """What `recall` brings back."""
        return [round(self.box.value(), 4), self.unit.currentText()]

    def recall(self, stored: Any) -> None:
        """Take what was stored, if it is a size and a unit."""
        if not isinstance(stored, Sequence) or len(stored) != 2 or stored[1] not in UNITS:
            return
        if isinstance(stored[0], int | float):
            self.box.setValue(float(stored[0]))
            self.unit.setCurrentText(str(stored[1]))


def _is_edges(edges: Any, ndim: int) -> bool:
    listed = isinstance(edges, list) and len(edges) == ndim
    return listed and all(isinstance(n, int) and 1 <= n <= LARGEST for n in edges)
