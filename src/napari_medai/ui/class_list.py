"""Classes to be turned on and off, with their colours and counts."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QWidget

from napari_medai.core.words import digits
from napari_medai.ui.box_layers import NO_COLOUR

MOST_ROWS = 6
"""Classes that are seen without scrolling."""
_NAME = Qt.ItemDataRole.UserRole


class ClassList(QListWidget):
    """A check box a class; at least one stays on. `changed` tells that the user changed them."""

    changed = Signal()
    refused = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSelectionMode(QListWidget.SelectionMode.NoSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setToolTip(
            "The classes to look for, and how many boxes there are of each; after a run, they "
            "are shown and hidden at once"
        )
        self.itemChanged.connect(self._take)
        self._fit()

    def show_classes(self, colours: Mapping[str, str]) -> None:
        """Show these classes, by name, with colours (``"#rrggbb"`` or nothing), all on."""
        blocked = self.blockSignals(True)
        self.clear()
        for name, colour in colours.items():
            item = QListWidgetItem(_swatch(colour or NO_COLOUR), name)
            item.setData(_NAME, name)
            item.setFlags(Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEnabled)
            item.setCheckState(Qt.CheckState.Checked)
            self.addItem(item)
        self.blockSignals(blocked)
        self._fit()

    def show_counts(self, counts: Mapping[str, int]) -> None:
        """Show how many there are of each; nothing where there is no count."""
        blocked = self.blockSignals(True)
        for item in self._items():
            name = str(item.data(_NAME))
            item.setText(f"{name}   {digits(counts[name])}" if name in counts else name)
        self.blockSignals(blocked)

    @property
    def names(self) -> list[str]:
        return [str(item.data(_NAME)) for item in self._items()]

    def value(self) -> str:
        """The classes that are on, as `DetectParams` takes them: nothing for all."""
        on = [str(item.data(_NAME)) for item in self._items() if _is_on(item)]
        return "" if len(on) == self.count() else ", ".join(on)

    def set_value(self, value: str) -> None:
        """Turn these on and the others off, quietly; all where none of them is known."""
        names = {name.strip() for name in value.split(",")} & set(self.names) or set(self.names)
        blocked = self.blockSignals(True)
        for item in self._items():
            item.setCheckState(_state(str(item.data(_NAME)) in names))
        self.blockSignals(blocked)

    def _items(self) -> list[QListWidgetItem]:
        found = (self.item(row) for row in range(self.count()))
        return [item for item in found if item is not None]

    def _take(self, item: QListWidgetItem) -> None:
        if not any(_is_on(other) for other in self._items()):
            blocked = self.blockSignals(True)
            item.setCheckState(Qt.CheckState.Checked)
            self.blockSignals(blocked)
            self.refused.emit()
            return
        self.changed.emit()

    def _fit(self) -> None:
        rows = max(1, min(MOST_ROWS, self.count()))
        height = self.sizeHintForRow(0) if self.count() else self.fontMetrics().height() + 4
        self.setFixedHeight(rows * height + 2 * self.frameWidth() + 2)

    def sizeHint(self) -> QSize:
        return QSize(super().sizeHint().width(), self.minimumHeight())


def _is_on(item: QListWidgetItem) -> bool:
    return bool(item.checkState() == Qt.CheckState.Checked)


def _state(on: bool) -> Qt.CheckState:
    return Qt.CheckState.Checked if on else Qt.CheckState.Unchecked


def _swatch(colour: str) -> QIcon:
    square = QPixmap(12, 12)
    square.fill(QColor(colour))
    return QIcon(square)
