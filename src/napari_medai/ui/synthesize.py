"""The Synthesize widget: collects, starts, shows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QFormLayout, QVBoxLayout, QWidget

from napari_medai.core.errors import MedaiError
from napari_medai.ui import engine
from napari_medai.ui.controls import RunControls, scrolled
from napari_medai.ui.device import DevicePicker
from napari_medai.ui.models import ModelPicker
from napari_medai.ui.running import Run
from napari_medai.ui.script import copy_script
from napari_medai.ui.settings import remember, remembered
from napari_medai.ui.synthesize_forms import ParamForms
from napari_medai.ui.synthesize_given import Given, Painted
from napari_medai.ui.synthesize_preview import SynthesisPreview
from napari_medai.ui.synthesize_rows import GivenRows
from napari_medai.ui.synthesize_run import Made, Picture, made_steps, preview_steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari.components import ViewerModel

    from napari_medai.models.model import Model

WIDGET = "synthesize"


class SynthesizeWidget(QWidget):
    """Make images whose truth is known; a run gives an Image and a Labels layer, for vessels also
    their centre lines.
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._last: tuple[tuple[Any, ...], Mapping[str, Any]] | None = None
        self._lay_out()
        self._recall()
        self.models.picked.connect(self._suit)
        self.rows.changed.connect(self._suit)
        self.params.changed.connect(self._follow)
        self.device.combo.currentIndexChanged.connect(lambda _: self._follow())
        self.run_button.clicked.connect(self.run)
        self.preview.wanted.connect(self.look)
        self.copy_button.clicked.connect(self.copy_script)
        self.work.changed.connect(self._enable)
        self._suit()

    # What the user does

    def run(self) -> None:
        """Make what the form says."""
        if self.work.busy:
            return
        try:
            model, given, params = self._asked()
        except MedaiError as error:
            self.ends.tell(str(error))
            return
        remember(WIDGET, self._stored())
        self.work.start(
            partial(made_steps, model, given, params), partial(self._finish, given, self._said())
        )

    def look(self) -> None:
        """Show one image of what the form says, without a layer."""
        if self.work.busy:
            return
        try:
            model, given, params = self._asked()
        except MedaiError as error:
            self.ends.tell(str(error))
            return
        self.work.start(
            partial(preview_steps, model, given, params),
            partial(self._show_preview, self._said()),
            title="Preview",
        )

    def copy_script(self) -> None:
        """Put the Python that makes the last result, or what the form says, on the clipboard."""
        try:
            _, given, params = self._asked()
        except MedaiError as error:
            self.ends.tell(str(error))
            return
        if self._last is not None and self._last[0] == self._said():
            record = self._last[1]
        else:
            values = {name: getattr(params, name) for name in self.params.named()}
            record = given.record(self.models.combo.currentText(), values)
        path = given.on.layer.source.path if isinstance(given.on, Painted) else None
        copy_script(record, path=path)

    # What a run reports

    def _finish(self, given: Given, said: tuple[Any, ...], made: Made, seconds: float) -> None:
        self._last = said, made.record
        # The next run is for the same labels, not for those that were made.
        with self.rows.labels.staying():
            for layer in made.layers:
                self._viewer.add_layer(layer)
        self.status.setText(f"{made.told} · {seconds:.1f} s")
        notes = list(made.notes)
        if isinstance(given.on, Painted) and given.on.layer not in self._viewer.layers:
            notes.append(
                f"Layer {given.on.place.name!r} was removed while it was painted; "
                "the result lies where it was."
            )
        self.notes.setText("\n".join(notes))

    def _show_preview(self, said: tuple[Any, ...], picture: Picture, seconds: float) -> None:
        self.preview.show_picture(said, picture, seconds)
        self.status.setText("This is what the first image is like; Run makes layers.")
        self._follow()

    # The form

    def _asked(self) -> tuple[Model | None, Given, Any]:
        """What is to be made, of what, and how.

        Raises
        ------
        InputError
            If something is missing or does not fit.
        """
        model = self.models.chosen()
        kind = engine.synthesis_kind(model)
        device = {"device": self.device.value()} if self.params.has_device else {}
        return model, self.rows.given(), kind.params(**self.params.values(), **device)

    def _said(self) -> tuple[Any, ...]:
        """What the form says, to compare with later."""
        device = self.device.value() if self.params.has_device else ""
        model = self.models.combo.currentText()
        return model, self.rows.said(), self.params.values(), device

    def _stored(self) -> dict[str, Any]:
        return {
            **self.rows.stored(),
            "model": self.models.combo.currentText(),
            "device": self.device.value(),
            "parameters": self.params.stored(),
        }

    def _recall(self) -> None:
        stored = remembered(WIDGET)
        self.models.choose(str(stored.get("model", "")))
        self.device.set_value(str(stored.get("device", self.device.value())))
        self.rows.recall(stored)
        self.params.recall(stored.get("parameters"))

    def _suit(self) -> None:
        """Show what means something for the model and for what is painted."""
        kind = engine.synthesis_kind(self.models.chosen())
        blocked = self.rows.blockSignals(True)
        self.rows.suit(kind)
        self.rows.blockSignals(blocked)
        without = engine.layout_params() if self.rows.paints else ()
        self.params.show_form(kind.params, without=without)
        self._form.setRowVisible(self.device, self.params.has_device)
        self._follow()

    def _follow(self) -> None:
        self.preview.follow(self._said())
        self._enable()

    def _enable(self) -> None:
        ready = not self.work.busy and self.rows.ready
        self.run_button.setEnabled(ready)
        self.preview.button.setEnabled(ready)
        self.cancel_button.setEnabled(self.work.busy)
        self.copy_button.setEnabled(self.rows.ready)

    def _lay_out(self) -> None:
        self._form = form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        grown = engine.grown_kind()
        own = (grown.name, f"No model: {grown.about}")
        self.models = ModelPicker(engine.synthesis_models, own=own)
        form.addRow("Model", self.models)
        self.rows = GivenRows(self._viewer, form, parent=self)
        self.device = DevicePicker()
        form.addRow("Device", self.device)
        self.params = ParamForms(grown.params)
        self.preview = SynthesisPreview()
        self.ends = ends = RunControls()
        ends.run.setToolTip("Make images and their labels; the results are new layers")
        ends.cancel.setToolTip("Stop at the next step; no layer is added")
        self.work = Run(ends, title="Synthesis", parent=self)
        inside = QWidget()
        rows = QVBoxLayout(inside)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addLayout(form)
        rows.addWidget(self.params)
        rows.addStretch()
        layout = QVBoxLayout(self)
        layout.addWidget(scrolled(inside), 1)
        layout.addWidget(self.preview)
        layout.addWidget(ends)
        self.run_button, self.cancel_button, self.copy_button = ends.run, ends.cancel, ends.copy
        self.progress, self.status, self.notes = ends.progress, ends.status, ends.notes
