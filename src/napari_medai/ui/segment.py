"""The Segment widget: collects, starts, shows."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QFormLayout, QVBoxLayout, QWidget

from napari_medai.core.errors import MedaiError
from napari_medai.ui import engine
from napari_medai.ui.controls import RunControls
from napari_medai.ui.form import Form, grouped
from napari_medai.ui.inputs import Inputs
from napari_medai.ui.live import LiveResult, counted, decoded_again, live_steps
from napari_medai.ui.running import Run
from napari_medai.ui.script import copy_script, parameters
from napari_medai.ui.settings import remember, remembered
from napari_medai.ui.source import Source
from napari_medai.ui.worker import Latest, Outcome

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
        self._live: LiveResult | None = None
        self._asked: tuple[Any, ...] = ()
        self.params = Form(engine.params_class(), sliders=LIVE, parent=self)
        self._lay_out()
        self._decoding = Latest(self._show_decoded, title="Decoding", parent=self)
        self.params.changed.connect(self._follow_slider)
        self.inputs.picked.connect(self._suit_model)
        self.inputs.changed.connect(self._enable)
        self.source.layers.removed.connect(self._let_go)
        self.run_button.clicked.connect(self.run)
        self.copy_button.clicked.connect(self.copy_script)
        self.work.changed.connect(self._enable)
        self._recall()
        self._suit_model()
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
        remember(WIDGET, {**self.inputs.stored(), "parameters": self.params.values()})
        self._decoding.forget()
        self.work.start(
            partial(live_steps, source, model, params), partial(self._finish, source, self._said())
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
        self, source: Source, asked: tuple[Any, ...], live: LiveResult, seconds: float
    ) -> None:
        if self._live is not None:
            self._live.release()
        self._live, self._asked, result = live, asked, live.result
        self._viewer.add_layer(live.layer)
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

    # Sliders

    def _follow_slider(self, name: str) -> None:
        live = self._live
        if name not in LIVE or live is None or self.work.busy:
            return
        other = live.source_layer is not self.source.layers.layer()
        if other or live.model != self.inputs.model_name:
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
        if not self.work.busy:
            self.status.setText(f"{counted(live)} · decoded again in {1000 * seconds:.0f} ms")

    def _let_go(self, layer: Any) -> None:
        """A result without its layer or its source follows no slider: nothing of it is kept."""
        live = self._live
        if live is None or layer not in (live.layer, live.source_layer):
            return
        if layer is live.layer and not self.work.busy:
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
        return *self.inputs.said(), values

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
        said = {name: value for name, value in values.items() if name in self._suited()}
        return self.inputs.record("segment", said)

    def _recall(self) -> None:
        stored = remembered(WIDGET)
        self.inputs.recall(stored)
        self.params.set_values(stored.get("parameters", {}))
        if self.inputs.lack:
            self.status.setText(self.inputs.lack)

    def _suited(self) -> set[str]:
        """The parameters that change anything for the model."""
        decoder = self.models.model().decoder if self.models.combo.count() else ""
        return {name for name, field in self.params.fields.items() if field.suits(decoder)}

    def _suit_model(self) -> None:
        self.groups.show(self.params, self._suited())
        self._enable()

    def _enable(self) -> None:
        self.run_button.setEnabled(not self.work.busy and self.inputs.ready)
        self.cancel_button.setEnabled(self.work.busy)
        self.copy_button.setEnabled(self.inputs.placed)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.inputs = Inputs(self._viewer, form, engine.segmentation_models, parent=self)
        self.models, self.source = self.inputs.models, self.inputs.source
        self.device = self.inputs.device
        usual = (*LIVE, "diameter")
        self.groups = grouped(self.params, "Objects", usual=usual, apart=("device",))
        self.objects = self.groups.box
        self.objects.setToolTip(
            "After a run, threshold and minimum size act at once, without the net"
        )
        self.ends = ends = RunControls()
        self.work = Run(ends, title="Segmentation", parent=self)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.objects)
        layout.addWidget(self.groups.advanced)
        layout.addWidget(ends)
        layout.addStretch()
        self.run_button, self.cancel_button, self.copy_button = ends.run, ends.cancel, ends.copy
        self.progress, self.status, self.notes = ends.progress, ends.status, ends.notes
