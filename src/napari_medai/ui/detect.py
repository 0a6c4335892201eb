"""The Detect widget: collects, starts, shows."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QComboBox, QFormLayout, QVBoxLayout, QWidget

from napari_medai.core.errors import MedaiError
from napari_medai.ui import engine
from napari_medai.ui.box_tables import BoxTables
from napari_medai.ui.box_tools import BoxTools
from napari_medai.ui.box_updates import BoxUpdates
from napari_medai.ui.class_list import ClassList
from napari_medai.ui.controls import RunControls
from napari_medai.ui.form import Form, grouped
from napari_medai.ui.inputs import Inputs
from napari_medai.ui.live_boxes import LiveBoxes, Show, View, live_boxes_steps, viewed_again
from napari_medai.ui.running import Run
from napari_medai.ui.script import copy_script, parameters
from napari_medai.ui.settings import remember, remembered
from napari_medai.ui.source import Source
from napari_medai.ui.worker import Latest, Outcome

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_medai.tasks.detect import DetectParams

WIDGET = "detect"
SLIDERS = ("threshold", "overlap")
SOON = 10
"""Milliseconds in which changes are gathered before boxes are chosen anew."""


class DetectWidget(QWidget):
    """Find objects in an image layer as boxes; a run gives one new Shapes or Points layer, or both
    for the boxes of volumes.
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._live: LiveBoxes | None = None
        self._asked: tuple[Any, ...] = ()
        self.params = Form(engine.detect_params_class(), sliders=SLIDERS, parent=self)
        self._lay_out()
        self._choosing = Latest(
            self._show_chosen, title="Choosing boxes", milliseconds=SOON, parent=self
        )
        self.updates = BoxUpdates(napari_viewer, parent=self)
        self.updates.shown.connect(self._show_tables)
        self.updates.told.connect(self.status.setText)
        self.params.changed.connect(self._follow_slider)
        self.classes.changed.connect(self._follow)
        self.classes.refused.connect(
            lambda: self.status.setText("At least one class must stay on.")
        )
        self.show_as.currentIndexChanged.connect(lambda _: self._follow())
        self.inputs.picked.connect(self._suit_model)
        self.inputs.changed.connect(self._enable)
        self.source.layers.removed.connect(self._let_go)
        self.run_button.clicked.connect(self.run)
        self.copy_button.clicked.connect(self.copy_script)
        self.tables.told.connect(self.status.setText)
        self.work.changed.connect(self._enable)
        self.work.ended.connect(self._catch_up)
        self._recall()
        self._enable()

    # What the user does

    def run(self) -> None:
        """Start a run with what the form says."""
        if self.work.busy:
            return
        try:
            source, model = self.source.source(), self.models.model()
            params = self._params()
        except MedaiError as error:
            self.ends.tell(str(error))
            return
        remember(WIDGET, {**self.inputs.stored(), **self._chosen()})
        self._choosing.forget()
        self.work.start(
            partial(live_boxes_steps, source, model, params, self._show()),
            partial(self._finish, source, self._said()),
        )

    def copy_script(self) -> None:
        """Put the Python that makes the result on show, or what the form says, on the clipboard."""
        try:
            record, layer = self._record()
        except MedaiError as error:
            self.ends.tell(str(error))
            return
        copy_script(record, path=layer.source.path)

    # What a run reports

    def _finish(
        self,
        source: Source,
        asked: tuple[Any, ...],
        found: tuple[LiveBoxes, View],
        seconds: float,
    ) -> None:
        live, view = found
        self.updates.forget()
        if self._live is not None:
            self._live.release()
        self._live, self._asked = live, asked
        self.updates.show(live, view)
        self.status.setText(f"{view.told} · {seconds:.1f} s")
        notes = [*live.result.notes, *filter(None, [view.note])]
        if not live.result.count:
            notes.append("Nothing is this sure; a lower threshold finds more.")
        if source.layer not in self._viewer.layers:
            notes.append(
                f"Layer {source.place.name!r} was removed while it was worked on; "
                "the result lies where it was."
            )
            self._let_go(source.layer)
        self.notes.setText("\n".join(notes))

    # Sliders, classes, layers

    def _catch_up(self) -> None:
        """Follow what was moved while something ran."""
        live = self._live
        if live is not None and not live.edited and not live.shows(self._params(), self._show()):
            self._follow()

    def _follow_slider(self, name: str) -> None:
        if name in SLIDERS:
            self._follow()

    def _follow(self) -> None:
        """Show what the sliders, the classes and *Show as* say of the last result."""
        live = self._live
        if live is None or self.work.busy:
            return
        other = live.source_layer is not self.source.layers.layer()
        if other or live.model != self.inputs.model_name:
            return
        if live.problem:
            self.status.setText(live.problem)
            return
        now = self._params()
        params = replace(live.params, **{key: getattr(now, key) for key in engine.detect_live()})
        asked = time.perf_counter()
        self._choosing.request(partial(viewed_again, live, params, self._show(), asked=asked))

    def _show_chosen(self, outcome: Outcome[Any]) -> None:
        if outcome.result is None:
            self.status.setText(outcome.error)
            return
        live: LiveBoxes = outcome.result[0]
        view: View = outcome.result[1]
        if live is not self._live:
            return
        if live.problem:
            self.status.setText(live.problem)
            return
        self.updates.show(live, view)
        self.classes.show_counts(view.counts)
        self.notes.setText(view.note)
        if self.updates.busy and not self.work.busy:
            self.status.setText(f"{view.told} · drawing …")

    def _show_tables(self, view: View) -> None:
        """The layers show a view: the tables can follow."""
        live = self._live
        if live is None or live.result is not view.result:
            return
        self.classes.show_counts(view.counts)
        self.tables.show_result(live)
        if view.asked and not self.work.busy:
            took = 1000 * (time.perf_counter() - view.asked)
            self.status.setText(f"{view.told} · shown within {took:.0f} ms")

    def _let_go(self, layer: Any) -> None:
        """A result without its layers or its source follows no slider: nothing of it is kept."""
        live = self._live
        if live is None or layer not in (*live.layers.values(), live.source_layer):
            return
        if layer is not live.source_layer and not self.work.busy:
            self.status.setText("The last result was removed. Run again.")
        elif self.updates.busy and not self.work.busy:
            self.status.setText("The image was removed before all boxes were drawn. Run again.")
        live.release()
        self._choosing.forget()
        self.updates.forget()
        self.tables.let_go()
        self._live, self._asked = None, ()

    # The form

    def _show(self) -> Show:
        return Show(self.show_as.currentText())

    def _params(self) -> DetectParams:
        chosen = {"classes": self.classes.value(), "device": self.device.value()}
        return engine.detect_params_class()(**self.params.values() | chosen)

    def _chosen(self) -> dict[str, Any]:
        values = {**self.params.values(), "classes": self.classes.value()}
        return {"parameters": values, "show": self._show().value}

    def _said(self) -> tuple[Any, ...]:
        """What the form says, without what a result follows."""
        live = engine.detect_live()
        values = {key: v for key, v in self.params.values().items() if key not in live}
        return *self.inputs.said(), values

    def _record(self) -> tuple[dict[str, Any], Any]:
        """How the last result was made, while the form says the same, and its layer.

        Otherwise what the form says now.
        """
        live = self._live
        values = {**self.params.values(), "classes": self.classes.value()}
        if live is not None and self._asked == self._said():
            made = parameters(live.record)
            if all(made.get(key) == values[key] for key in engine.detect_live()):
                return live.record, live.source_layer
        record, layer = self.inputs.record("detect", values)
        return record | ({"points": True} if self._show() is Show.POINTS else {}), layer

    def _recall(self) -> None:
        stored = remembered(WIDGET)
        self.inputs.recall(stored)
        values = dict(stored.get("parameters", {}))
        self.params.set_values(values)
        self._suit_model()
        self.classes.set_value(str(values.get("classes", "")))
        self.show_as.setCurrentIndex(max(0, self.show_as.findText(str(stored.get("show", "")))))
        if self.inputs.lack:
            self.status.setText(self.inputs.lack)

    def _suit_model(self) -> None:
        """Show the classes of the model, with the counts of a result of it."""
        known = engine.model_classes(self.models.model()) if not self.inputs.lack else {}
        if list(known) != self.classes.names:
            self.classes.show_classes(known)
        live = self._live
        same = live is not None and live.model == self.inputs.model_name
        self.classes.show_counts(live.result.all_counts if live is not None and same else {})
        self._enable()

    def _enable(self) -> None:
        self.run_button.setEnabled(not self.work.busy and self.inputs.ready)
        self.cancel_button.setEnabled(self.work.busy)
        self.copy_button.setEnabled(self.inputs.placed and not self.inputs.lack)
        self.tools.enable()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.inputs = Inputs(self._viewer, form, engine.detection_models, parent=self)
        self.models, self.source = self.inputs.models, self.inputs.source
        self.device = self.inputs.device
        self.ends = ends = RunControls()
        ends.run.setToolTip("Find objects in the layer; the result is a new layer of boxes")
        self.work = Run(ends, title="Detection", parent=self)
        usual, apart = (*SLIDERS, "diameter"), ("device", "classes")
        self.groups = grouped(self.params, "Objects", usual=usual, apart=apart)
        self.groups.box.setToolTip(
            "After a run, threshold, overlap and classes act at once, without the net"
        )
        self.classes, self.show_as = ClassList(), QComboBox()
        self.show_as.addItems([show.value for show in Show])
        self.show_as.setToolTip(
            "Boxes: rectangles in a Shapes layer · points: their middles in a Points layer, fast "
            "for any number · auto: points where napari's Shapes would become slow"
        )
        rows: Any = self.groups.box.layout()
        rows.addRow("Classes", self.classes)
        rows.addRow("Show as", self.show_as)
        self.tables = BoxTables(self._viewer)
        self.tools = BoxTools(self._viewer, self.inputs, self.work, ends)
        self.tables.add_page(
            self.tools, "More", "From labels to boxes, and from boxes to labels of what is in them"
        )
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        for part in (self.groups.box, self.groups.advanced, ends):
            layout.addWidget(part)
        layout.addWidget(self.tables, 1)
        self.run_button, self.cancel_button, self.copy_button = ends.run, ends.cancel, ends.copy
        self.progress, self.status, self.notes = ends.progress, ends.status, ends.notes
