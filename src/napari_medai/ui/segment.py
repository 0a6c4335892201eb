"""The Segment widget: collects, starts, shows."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info
from qtpy.QtWidgets import QApplication, QFormLayout, QGroupBox, QVBoxLayout, QWidget
from superqt import QCollapsible

from napari_medai.core.errors import MedaiError
from napari_medai.ui import engine
from napari_medai.ui.controls import RunControls
from napari_medai.ui.device import DevicePicker
from napari_medai.ui.form import Form
from napari_medai.ui.layers import placed_record
from napari_medai.ui.live import LiveResult, counted, decoded_again, live_steps
from napari_medai.ui.models import ModelPicker
from napari_medai.ui.region import Region
from napari_medai.ui.script import parameters, script
from napari_medai.ui.settings import remember, remembered
from napari_medai.ui.source import Source, SourceRows
from napari_medai.ui.worker import Latest, Outcome, start_steps

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_medai.tasks.segment import SegmentParams

WIDGET = "segment"
LIVE = ("threshold", "min_score", "min_size")


class SegmentWidget(QWidget):
    """Segment an image layer; the result is one new Labels layer a run."""

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._worker: Any = None
        self._live: LiveResult | None = None
        self._started = 0.0
        self._asked: tuple[Any, ...] = ()
        self.models = ModelPicker(engine.segmentation_models)
        self.params = Form(engine.params_class(), sliders=LIVE, parent=self)
        self.device = DevicePicker()
        self._lay_out()
        self._decoding = Latest(self._show_decoded, title="Decoding", parent=self)
        self.params.changed.connect(self._follow_slider)
        self.models.picked.connect(self._suit_model)
        self.source.changed.connect(self._enable)
        self.source.layers.removed.connect(self._let_go)
        self.run_button.clicked.connect(self.run)
        self.cancel_button.clicked.connect(self.cancel)
        self.copy_button.clicked.connect(self.copy_script)
        self._recall()
        self._suit_model()
        self._enable()

    # What the user does

    def run(self) -> None:
        """Start a run with what the form says."""
        if self._worker is not None:
            return
        try:
            source, model = self.source.source(), self.models.model()
            params = self._params()
        except MedaiError as error:
            self.ends.tell(str(error))
            return
        self._remember()
        self._decoding.forget()
        self._started = time.perf_counter()
        self.ends.begin()
        self._worker = start_steps(
            partial(live_steps, source, model, params),
            title="Segmentation",
            on_step=self.ends.step,
            on_result=partial(self._finish, source, self._said()),
            on_error=self._fail,
            on_cancelled=self._show_cancelled,
            parent=self,
        )
        self._enable()

    def cancel(self) -> None:
        """Stop the run at its next step."""
        if self._worker is not None:
            self._worker.quit()
            self.status.setText("Cancelling …")

    def copy_script(self) -> None:
        """Put the Python that makes the result on show, or what the form says, on the clipboard."""
        try:
            record, layer = self._record()
        except MedaiError as error:
            self.ends.tell(str(error))
            return
        text = script(record, path=layer.source.path)
        if (clipboard := QApplication.clipboard()) is not None:
            clipboard.setText(text)
        show_info("The script is on the clipboard.")

    # What a run reports

    def _finish(self, source: Source, asked: tuple[Any, ...], live: LiveResult) -> None:
        seconds = time.perf_counter() - self._started
        if self._live is not None:
            self._live.release()
        self._live, self._asked, result = live, asked, live.result
        self._viewer.add_layer(live.layer)
        self._idle()
        speed = source.pixels / 1e6 / seconds
        self.status.setText(f"{counted(live)} · {seconds:.1f} s · {speed:.2g} Mpx/s")
        notes = list(result.notes)
        if source.layer not in self._viewer.layers:
            notes.append(
                f"Layer {source.place.name!r} was removed while it was segmented; "
                "the result lies where it was."
            )
        self.notes.setText("\n".join(notes))
        if source.layer not in self._viewer.layers:
            self._let_go(source.layer)
        elif any(self.params.value(key) != getattr(live.params, key) for key in LIVE):
            self._follow_slider(LIVE[0])  # moved meanwhile

    def _fail(self, sentence: str) -> None:
        self._idle()
        self.ends.tell(sentence)

    def _show_cancelled(self) -> None:
        self._idle()
        self.status.setText("Cancelled; nothing was changed.")

    # Sliders

    def _follow_slider(self, name: str) -> None:
        live = self._live
        if name not in LIVE or live is None or self._worker is not None:
            return
        other = live.source_layer is not self.source.layers.layer()
        if other or live.model != self.models.combo.currentText():
            return
        if live.problem:
            self.status.setText(live.problem)
            return
        params = replace(live.params, **{key: self.params.value(key) for key in LIVE})
        self._decoding.request(partial(decoded_again, live, live.result, params))

    def _show_decoded(self, outcome: Outcome[Any]) -> None:
        if outcome.result is None:
            self.status.setText(outcome.error)
            return
        live: LiveResult = outcome.result[0]
        result, seconds = outcome.result[1:]
        if live is not self._live:
            return
        if live.problem:
            self.status.setText(live.problem)
            return
        live.show(result)
        if self._worker is None:
            self.status.setText(f"{counted(live)} · decoded again in {1000 * seconds:.0f} ms")

    def _let_go(self, layer: Any) -> None:
        """A result without its layer or its source follows no slider: nothing of it is kept."""
        live = self._live
        if live is None or layer not in (live.layer, live.source_layer):
            return
        if layer is live.layer and self._worker is None:
            self.status.setText("The last result was removed. Run again.")
        live.release()
        self._decoding.forget()
        self._live, self._asked = None, ()

    # The form

    def _params(self) -> SegmentParams:
        return engine.params_class()(**self.params.values() | {"device": self.device.value()})

    def _said(self) -> tuple[Any, ...]:
        """What the form says, without the sliders that a result follows."""
        values = {key: v for key, v in self.params.values().items() if key not in LIVE}
        return self.source.said(), self.models.combo.currentText(), self.device.value(), values

    def _record(self) -> tuple[dict[str, Any], Any]:
        """How the last result was made, while the form says the same, and its layer.

        Otherwise what the form says now. The two may differ although nothing in the form was
        touched: the region can be what the canvas shows.
        """
        live, values = self._live, self.params.values()
        if live is not None and self._asked == self._said():
            made = parameters(live.record)
            if all(made.get(key, values[key]) == values[key] for key in LIVE):
                return live.record, live.source_layer
        source = self.source.source()
        model, fields = self.models.model(), self.params.fields
        said = {name: value for name, value in values.items() if fields[name].suits(model.decoder)}
        record = {
            "task": "segment",
            "model": model.name,
            "parameters": said | {"device": self.device.value()},
        }
        return placed_record(record, source.place), source.layer

    def _recall(self) -> None:
        stored = remembered(WIDGET)
        self.models.choose(str(stored.get("model", "")))
        if not self.models.combo.count():
            self.status.setText(self.models.problem or "No model is installed.")
        self.params.set_values(stored.get("parameters", {}))
        self.device.set_value(str(stored.get("device", self.device.value())))
        # A rectangle of another session is not there any more.
        names = [region.value for region in Region if region is not Region.SHAPES]
        if stored.get("region") in names:
            self.source.region.setCurrentIndex(names.index(stored["region"]))

    def _remember(self) -> None:
        remember(
            WIDGET,
            {
                "model": self.models.combo.currentText(),
                "parameters": self.params.values(),
                "device": self.device.value(),
                "region": self.source.region.currentText(),
            },
        )

    def _suit_model(self) -> None:
        """Show the parameters that change anything for the model."""
        decoder = self.models.model().decoder if self.models.combo.count() else ""
        shown = {name for name, field in self.params.fields.items() if field.suits(decoder)}
        self.objects.setVisible(bool(shown & {*LIVE, "diameter"}))
        for rows, name in self._rows:
            rows.setRowVisible(self.params.controls[name], name in shown)
        self._enable()

    def _enable(self) -> None:
        running = self._worker is not None
        ready = self.source.layers.layer() is not None and not self.source.problem()
        self.run_button.setEnabled(not running and ready and self.models.combo.count() > 0)
        self.cancel_button.setEnabled(running)
        self.copy_button.setEnabled(ready)

    def _idle(self) -> None:
        self._worker = None
        self.progress.hide()
        self._enable()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Model", self.models)
        self.source = SourceRows(self._viewer, form, parent=self)
        form.addRow("Device", self.device)
        self.objects = objects = QGroupBox("Objects")
        objects.setToolTip("After a run, threshold and minimum size act at once, without the net")
        rows = QFormLayout(objects)
        self._rows: list[tuple[QFormLayout, str]] = []
        more, others = QWidget(), QFormLayout()
        more.setLayout(others)
        for name, field in self.params.fields.items():
            if name == "device":
                continue
            place = rows if name in (*LIVE, "diameter") else others
            place.addRow(field.label, self.params.controls[name])
            self._rows.append((place, name))
        advanced = QCollapsible("Advanced")
        advanced.addWidget(more)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(objects)
        layout.addWidget(advanced)
        self.ends = ends = RunControls()
        layout.addWidget(ends)
        layout.addStretch()
        self.run_button, self.cancel_button, self.copy_button = ends.run, ends.cancel, ends.copy
        self.progress, self.status, self.notes = ends.progress, ends.status, ends.notes
