"""A table of objects: sorted by a click, copied, saved, and a way to each object.

The rows are those of a features table. A number is shown with as many digits as its column needs
to tell its values apart; its tooltip has them all.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSize, Qt, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QFileDialog,
    QMessageBox,
    QTableView,
    QWidget,
)

from napari_medai.io.results import write_features_csv
from napari_medai.ui.headings import Heading

DIGITS = 3
"""Digits that the middle one of a column's numbers is shown with."""
LOOKED_AT = 100
"""Rows whose widths columns are fitted to; Qt takes half a millisecond for each."""
LEAST_ROWS = 5
"""Rows for which there is room, however many docks are stacked."""
_MOST_DECIMALS = 6
MISSING = "–"
_ARROWS = (
    "QHeaderView::up-arrow, QHeaderView::down-arrow "
    "{subcontrol-position: top center; width: 8px; height: 8px}"
)
"""Above the titles: napari's style draws them over the units."""


class FeatureTable(QTableView):
    """Columns of equal length, a row an object; `went` tells the row of the one to go to."""

    went = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows = _Rows(self)
        self._later: Callable[[], None] | None = None
        self._fitted: tuple[Any, ...] = ()
        self.setModel(self._rows)
        self.setSortingEnabled(True)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setWordWrap(False)
        if (numbers := self.verticalHeader()) is not None:
            numbers.hide()
        if (titles := self.horizontalHeader()) is not None:
            titles.setResizeContentsPrecision(LOOKED_AT)
        self.setStyleSheet(_ARROWS)
        self.setToolTip("Click a row to go to the object; click a title to sort")
        self.clicked.connect(self._go)

    @property
    def columns(self) -> Mapping[str, np.ndarray]:
        """All columns, the hidden ones too, in their first order."""
        self._catch_up()
        return self._rows.columns

    def show_columns(
        self,
        columns: Mapping[str, Sequence[Any] | np.ndarray],
        headings: Sequence[Heading],
        *,
        fit: bool = True,
    ) -> None:
        """Show the columns that have a heading, by rising values of the first.

        Without ``fit`` their widths stay where the titles and the digits of the numbers do.
        """
        self._later = None
        self._rows.fill({name: np.asarray(values) for name, values in columns.items()}, headings)
        self.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        before, self._fitted = self._fitted, self._rows.look()
        if fit or self._fitted != before:
            self.resizeColumnsToContents()
            self.updateGeometry()  # titles of two lines need more room

    def show_later(self, show: Callable[[], None]) -> None:
        """Have ``show`` call `show_columns`: now, or when the table is next looked at."""
        self._later = show
        if self.isVisible():
            self._catch_up()

    def _catch_up(self) -> None:
        show, self._later = self._later, None
        if show is not None:
            show()

    def showEvent(self, event: QShowEvent | None) -> None:
        self._catch_up()
        super().showEvent(event)

    def minimumSizeHint(self) -> QSize:
        """Room for the titles, some rows, and the bar below that scrolls sideways."""
        rows, least = self.verticalHeader(), super().minimumSizeHint()
        parts = [part for part in (self.horizontalHeader(), self.horizontalScrollBar()) if part]
        room = sum(part.sizeHint().height() for part in parts) + 2 * self.frameWidth()
        if rows is not None:
            room += LEAST_ROWS * rows.defaultSectionSize()
        return QSize(least.width(), max(least.height(), room))

    def row(self, place: int) -> int:
        """The row of the columns that is shown at a place, counted from the top."""
        self._catch_up()
        return int(self._rows.order[place])

    def text(self) -> str:
        """What is shown, in its order, as a spreadsheet takes it: tabs between, full precision."""
        self._catch_up()
        shown = io.StringIO()
        writer = csv.writer(shown, delimiter="\t", lineterminator="\n")
        writer.writerow(heading.title for heading in self._rows.headings)
        values = [self.columns[heading.name].tolist() for heading in self._rows.headings]
        writer.writerows([column[row] for column in values] for row in self._rows.order)
        return shown.getvalue()

    def save(self, name: str) -> Path | None:
        """Ask where to save all columns as CSV, and do so; None where the user thought better.

        Raises
        ------
        RunError
            If the file cannot be written.
        """
        told, _ = QFileDialog.getSaveFileName(self, "Save the table", f"{name}.csv", "CSV (*.csv)")
        if not told:
            return None
        path = Path(told)
        if not path.suffix:
            path = path.with_suffix(".csv")  # the dialog did not ask about this name
            if path.exists() and not self._may_replace(path):
                return None
        return write_features_csv(path, self.columns, overwrite=True)

    def currentChanged(self, current: QModelIndex, previous: QModelIndex) -> None:
        """Arrow keys go from object to object, too."""
        super().currentChanged(current, previous)
        pressed = QApplication.mouseButtons() != Qt.MouseButton.NoButton
        if current.isValid() and self.hasFocus() and not pressed:
            self._go(current)

    def _may_replace(self, path: Path) -> bool:
        answer = QMessageBox.question(self, "Save the table", f"{path.name} exists. Replace it?")
        return bool(answer == QMessageBox.StandardButton.Yes)

    def _go(self, index: QModelIndex) -> None:
        self.went.emit(self.row(index.row()))


class _Rows(QAbstractTableModel):
    """Columns as Qt asks for them, in the order that they are sorted in."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.columns: dict[str, np.ndarray] = {}
        self.headings: list[Heading] = []
        self.order = np.zeros(0, dtype=np.intp)
        self._decimals: dict[str, int] = {}

    def fill(self, columns: dict[str, np.ndarray], headings: Sequence[Heading]) -> None:
        self.beginResetModel()
        self.columns = columns
        self.headings = [heading for heading in headings if heading.name in columns]
        self._decimals = {
            heading.name: decimals_of(columns[heading.name])
            for heading in self.headings
            if columns[heading.name].dtype.kind == "f"
        }
        self.order = np.arange(len(next(iter(columns.values()), ())))
        self.endResetModel()

    def look(self) -> tuple[Any, ...]:
        """The titles, and the digits of the numbers below them and of that of the rows."""
        return self.headings, self._decimals, len(str(len(self.order)))

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.order)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.headings)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        name = self.headings[index.column()].name
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return self._side(name)
        value = self.columns[name][self.order[index.row()]]
        if role == Qt.ItemDataRole.ToolTipRole:
            return str(value)
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        if name not in self._decimals:
            return str(value)
        return f"{value:.{self._decimals[name]}f}" if np.isfinite(value) else MISSING

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation != Qt.Orientation.Horizontal or section >= len(self.headings):
            return None
        heading = self.headings[section]
        told = {
            Qt.ItemDataRole.DisplayRole: heading.title.replace(" (", "\n("),
            Qt.ItemDataRole.ToolTipRole: heading.help,
            Qt.ItemDataRole.TextAlignmentRole: self._side(heading.name),
        }
        return told.get(Qt.ItemDataRole(role))

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """By the values themselves; what is missing comes last, equal ones keep their order."""
        if not 0 <= column < len(self.headings):
            return
        values = self.columns[self.headings[column].name]
        places = np.argsort(
            _ranks(values, falling=order == Qt.SortOrder.DescendingOrder), kind="stable"
        )
        self.layoutAboutToBeChanged.emit()
        before, kept = self.order, self.persistentIndexList()
        self.order = places
        where = np.argsort(places)
        moved = [self.index(int(where[before[i.row()]]), i.column()) for i in kept]
        self.changePersistentIndexList(kept, moved)
        self.layoutChanged.emit()

    def _side(self, name: str) -> Qt.AlignmentFlag:
        number = self.columns[name].dtype.kind in "iuf"
        side = Qt.AlignmentFlag.AlignRight if number else Qt.AlignmentFlag.AlignLeft
        return side | Qt.AlignmentFlag.AlignVCenter


def _ranks(values: np.ndarray, *, falling: bool) -> np.ndarray:
    """Numbers that sort as the values do, with what is missing at the end either way."""
    _, ranks = np.unique(
        values.astype(str) if values.dtype.kind == "O" else values, return_inverse=True
    )
    ranks = -ranks if falling else ranks
    if values.dtype.kind == "f":
        ranks = np.where(np.isnan(values), len(values), ranks)
    return ranks


def decimals_of(values: np.ndarray) -> int:
    """How many decimals the numbers of a column are shown with."""
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    if not sizes.size or np.array_equal(sizes, np.round(sizes)):
        return 0
    return int(np.clip(DIGITS - 1 - np.floor(np.log10(np.median(sizes))), 0, _MOST_DECIMALS))
