"""The tables of a detection: its objects, and how many there are in each plane."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QTabWidget, QVBoxLayout, QWidget

from napari_medai.core.errors import MedaiError
from napari_medai.tasks.detection import Detection, count_table
from napari_medai.ui.box_layers import features_of, starts_of
from napari_medai.ui.going import go_along, go_to
from napari_medai.ui.headings import box_headings, count_headings
from napari_medai.ui.layers import Place
from napari_medai.ui.live_boxes import Kind, LiveBoxes
from napari_medai.ui.table import FeatureTable

if TYPE_CHECKING:
    from napari.components import ViewerModel


class BoxTables(QWidget):
    """Objects and counts, each in a table of its own; `told` has a sentence for the user.

    A click on an object goes there and selects it; a click on a count goes to its plane.
    """

    told = Signal(str)

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._live: LiveBoxes | None = None
        self._result: Detection | None = None
        self._name = ""
        self.objects, self.counts = FeatureTable(), FeatureTable()
        self.counts.setToolTip("Click a row to go to the slice or frame; click a title to sort")
        self.tabs = QTabWidget()
        self.tabs.addTab(self.objects, "Objects")
        self.tabs.addTab(self.counts, "Counts")
        self.tabs.setTabToolTip(0, "Every box with its class, score and size")
        self.tabs.setTabToolTip(1, "How many there are of each class, by slice or frame")
        self.save_button = QPushButton("Save as CSV …")
        self.save_button.setToolTip("Save the table that is shown, in full precision")
        self.tabs.currentChanged.connect(lambda _: self._enable())
        self._enable()
        self.save_button.clicked.connect(self.save)
        self.objects.went.connect(self.go)
        self.counts.went.connect(self.go_to_plane)
        below = QHBoxLayout()
        below.addStretch()
        below.addWidget(self.save_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.tabs, 1)
        layout.addLayout(below)

    def show_result(self, live: LiveBoxes) -> None:
        """Show the tables of what is shown in the layers now."""
        self._live, self._result, self._name = live, live.result, live.place.name
        self.objects.show_later(partial(self._show_objects, live.result, live.place))
        self.counts.show_later(partial(self._show_counts, live.result, live.place))
        self._enable()

    def add_page(self, page: QWidget, title: str, help: str) -> None:
        """Put something else beside the tables."""
        self.tabs.setTabToolTip(self.tabs.addTab(page, title), help)

    def let_go(self) -> None:
        """Lead nowhere any more; the tables stay and can be saved."""
        self._live = None

    def go(self, row: int) -> None:
        """Show and select an object, by its row in the columns."""
        live = self._live
        if live is None or live.result is not self._result or live.edited:
            return
        points, shapes = live.layers.get(Kind.POINTS), live.layers.get(Kind.SHAPES)
        if points is not None:
            points.selected_data = {row}
            go_to(self._viewer, points, points.data[row])
        if shapes is not None:
            own = live.shapes_of(row)
            shapes.selected_data = set(own)
            if points is None and own:
                go_to(self._viewer, shapes, np.mean([shapes.data[at] for at in own], axis=(0, 1)))

    def go_to_plane(self, row: int) -> None:
        """Show a slice or frame, by its row in the counts."""
        live = self._live
        if live is None or not live.layers:
            return
        layer: Any = next(iter(live.layers.values()))
        axes, starts = live.axes, starts_of(live.result, live.place)
        at = {
            axes.index(axis): float(self.counts.columns[name][row] - starts[name])
            for axis in live.result.lead
            if (name := axis.lower()) in self.counts.columns
        }
        go_along(self._viewer, layer, at)

    def save(self) -> None:
        """Save the table that is shown, where the user says."""
        table: Any = self.tabs.currentWidget()
        what = self.tabs.tabText(self.tabs.currentIndex()).lower()
        try:
            path = table.save(f"{self._name} {what}".strip())
        except MedaiError as error:
            self.told.emit(str(error))
            return
        if path is not None:
            self.told.emit(f"Saved as {path.name}.")

    def _show_objects(self, result: Detection, place: Place) -> None:
        unit = result.record["image"]["units"].get("X", "")
        objects = features_of(result, place)
        self.objects.show_columns(objects, box_headings(objects, unit=unit), fit=False)

    def _show_counts(self, result: Detection, place: Place) -> None:
        counts, starts = count_table(result), starts_of(result, place)
        counts |= {name: counts[name] + starts[name] for name in starts if name in counts}
        self.counts.show_columns(counts, count_headings(counts, along=result.lead))

    def _enable(self) -> None:
        table = self.tabs.currentWidget() in (self.objects, self.counts)
        self.save_button.setEnabled(table and self._result is not None)
