"""The Measure widget: labels to a table of volumes, surfaces, diameters and intensities."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from napari.utils.notifications import show_info
from qtpy.QtWidgets import (
    QApplication,
    QCheckBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_medai.core.errors import MedaiError
from napari_medai.core.measures import Measurements, measure_steps
from napari_medai.ui.controls import RunControls
from napari_medai.ui.going import go_to
from napari_medai.ui.headings import headings_of, spacing_text
from napari_medai.ui.layers import Place
from napari_medai.ui.measured import (
    MOST_LINES,
    Subject,
    diameters_layer,
    merged_features,
    problem_of,
    replace_layer,
    subject_of,
    table_of,
)
from napari_medai.ui.settings import remember, remembered
from napari_medai.ui.source import LayerPicker
from napari_medai.ui.table import FeatureTable
from napari_medai.ui.watch import Watch
from napari_medai.ui.worker import start_steps

if TYPE_CHECKING:
    from napari.components import ViewerModel

WIDGET = "measure"
OUT_OF_DATE = "Out of date: a layer changed after it was measured. Measure again."


class MeasureWidget(QWidget):
    """Measure every label of a layer; the columns also go into the layer's features."""

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._worker: Any = None
        self._layer: Any = None
        self._found: tuple[Measurements, Place] | None = None
        self._watch: Watch | None = None
        self._next_watch: Watch | None = None
        self._lines: Any = None
        self._by_hand = False
        self._started = 0.0
        self._lay_out()
        self.labels.picked.connect(self._take_labels)
        self.image.picked.connect(self._check)
        self.image.listed.connect(self._propose_image)
        self.image.activated.connect(self._choose_image)
        self.labels.removed.connect(self._let_go)
        self.measure_button.clicked.connect(self.measure)
        self.cancel_button.clicked.connect(self.cancel)
        self.table.went.connect(self.go)
        self.lines.setChecked(bool(remembered(WIDGET).get("lines", False)))
        self.lines.toggled.connect(self._toggle_lines)
        self.copy_button.clicked.connect(self.copy)
        self.save_button.clicked.connect(self.save)
        self._propose_image()

    # What the user does

    def measure(self) -> None:
        """Measure the chosen labels."""
        layer, image = self.labels.layer(), self.image.layer()
        if self._worker is not None or layer is None:
            return
        try:
            subject = subject_of(layer, image)
        except MedaiError as error:
            self.ends.tell(str(error))
            return
        self._started = time.perf_counter()
        self._next_watch = Watch([layer] if image is None else [layer, image], parent=self)
        self.ends.begin()
        self._worker = start_steps(
            partial(measure_steps, subject.labels, subject.ruler, image=subject.image),
            title="Measuring",
            on_step=self.ends.step,
            on_result=partial(self._finish, layer, subject),
            on_error=self._fail,
            on_cancelled=self._show_cancelled,
            parent=self,
        )
        self._enable()

    def cancel(self) -> None:
        """Stop at the next step."""
        if self._worker is not None:
            self._worker.quit()
            self.status.setText("Cancelling …")

    def go(self, row: int) -> None:
        """Show an object where it is longest, by its row in the columns, and choose its label."""
        if self._found is None or self._layer is None:
            return
        found, _ = self._found
        go_to(self._viewer, self._layer, found.diameters[row].mean(axis=0))
        self._layer.selected_label = int(found.features["index"][row])

    def copy(self) -> None:
        """Put the table on the clipboard, as spreadsheets take it."""
        if (clipboard := QApplication.clipboard()) is not None:
            clipboard.setText(self.table.text())
        show_info("The table is on the clipboard.")

    def save(self) -> None:
        """Save the table as CSV, where the user says."""
        if self._found is None:
            return
        try:
            path = self.table.save(f"{self._found[1].name} measures")
        except MedaiError as error:
            self.ends.tell(str(error))
            return
        if path is not None:
            self.status.setText(f"Saved as {path.name}.")

    # What a run reports

    def _finish(self, layer: Labels, subject: Subject, found: Measurements) -> None:
        seconds = time.perf_counter() - self._started
        here = layer in self._viewer.layers
        self._layer, self._found = layer if here else None, (found, subject.place)
        table = table_of(found, layer.features)
        merged = merged_features(layer.features, table)
        if merged is not None:
            layer.features = merged
        headings = headings_of(table, found.ruler, image_unit=subject.image_unit)
        self.table.show_columns(table, headings)
        count, name = len(found.diameters), subject.place.name
        told = {
            subject.note: bool(subject.note),
            "Some labels have several rows; the layer's features were left alone.": merged is None,
            f"Layer {name!r} was removed while it was measured.": not here,
            f"Lines are drawn for the {MOST_LINES} longest diameters.": count > MOST_LINES,
        }
        self.status.setText(f"{count} {'label' if count == 1 else 'labels'} · {seconds:.1f} s")
        self.notes.setText("\n".join(sentence for sentence, holds in told.items() if holds))
        self._idle()
        self._draw()
        self._follow(self._next_watch)

    def _follow(self, watch: Watch | None) -> None:
        """From now on say when what was measured changes; it may have meanwhile."""
        if self._watch is not None:
            self._watch.end()
        self._watch, self._next_watch = watch, None
        if watch is not None:
            watch.noticed.connect(self._show_stale)
            if watch.changed:
                self._show_stale()

    def _show_stale(self) -> None:
        if self._worker is None:
            self.status.setText(OUT_OF_DATE)

    def _fail(self, sentence: str) -> None:
        self._stop()
        self.ends.tell(sentence)

    def _show_cancelled(self) -> None:
        self._stop()
        self.status.setText("Cancelled; nothing was changed.")

    def _stop(self) -> None:
        if self._next_watch is not None:
            self._next_watch.end()
            self._next_watch = None
        self._idle()

    # Lines

    def _toggle_lines(self, shown: bool) -> None:
        remember(WIDGET, {"lines": shown})
        self._draw()

    def _draw(self) -> None:
        """Show the longest diameters as the box says, in place of those of the last run."""
        new = None
        if self._found is not None and self._layer is not None and self.lines.isChecked():
            new = diameters_layer(*self._found)
        replace_layer(self._viewer, self._lines, new)
        self._lines = new

    # The form

    def _take_labels(self) -> None:
        self._by_hand = False
        self._propose_image()

    def _propose_image(self) -> None:
        """The image that the labels lie on, unless the user has chosen one."""
        layer = self.labels.layer()
        if not self._by_hand and layer is not None:
            fitting = (image for image in self.image.layers() if not problem_of(layer, image))
            self.image.choose(next(fitting, None))
        self._check()

    def _choose_image(self) -> None:
        self._by_hand = True

    def _check(self) -> None:
        layer = self.labels.layer()
        problem = "" if layer is None else problem_of(layer, self.image.layer())
        self.message.setText(problem)
        self.message.setVisible(bool(problem))
        sized = layer is not None and not problem_of(layer, None)
        self.spacing.setText(spacing_text(subject_of(layer).ruler) if sized else "")
        self._enable()

    def _let_go(self, layer: Any) -> None:
        """Without its layer a table leads nowhere, but it can still be saved."""
        if layer is self._layer:
            self._follow(None)
            self._layer = None
            self.status.setText("The measured layer was removed.")

    def _enable(self) -> None:
        running = self._worker is not None
        ready = self.labels.layer() is not None and not self.message.text()
        self.measure_button.setEnabled(ready and not running)
        self.cancel_button.setEnabled(running)
        for button in (self.copy_button, self.save_button):
            button.setEnabled(self._found is not None)

    def _idle(self) -> None:
        self._worker = None
        self.progress.hide()
        self._enable()

    def _lay_out(self) -> None:
        self.labels = LayerPicker(self._viewer, Labels, empty="no labels are open")
        self.labels.setToolTip("The labels to measure; they are never changed, but for features")
        self.image = LayerPicker(self._viewer, Image, none="none", follows=False)
        self.image.setToolTip("The image whose values are measured within the labels, if any")
        self.spacing, self.message = QLabel(), QLabel()
        self.spacing.setToolTip("The size of a pixel, by the layer's scale and units")
        self.message.setWordWrap(True)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for title, row in (("Labels", self.labels), ("Image", self.image), ("Pixel", self.spacing)):
            form.addRow(title, row)
        self.ends = ends = RunControls()
        ends.run.setText("Measure")
        ends.run.setToolTip("Measure every label; the columns also go into the layer's features")
        ends.cancel.setToolTip("Stop soon; nothing is changed")
        ends.copy.setText("Copy table")
        ends.copy.setToolTip("Put the table on the clipboard, to be pasted into a spreadsheet")
        ends.status.setText("Not measured yet.")
        self.lines = QCheckBox("Draw the longest diameters")
        self.lines.setToolTip("As lines with their lengths, in a Shapes layer of their own")
        self.table = FeatureTable()
        self.save_button = QPushButton("Save as CSV …")
        self.save_button.setToolTip("Save the table with all its columns, in full precision")
        below = QHBoxLayout()
        below.addWidget(self.lines, 1)
        below.addWidget(self.save_button)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.message)
        layout.addWidget(ends)
        layout.addWidget(self.table, 1)
        layout.addLayout(below)
        self.measure_button, self.cancel_button, self.copy_button = ends.run, ends.cancel, ends.copy
        self.progress, self.status, self.notes = ends.progress, ends.status, ends.notes
