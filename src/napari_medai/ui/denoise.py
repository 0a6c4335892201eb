"""The Denoise widget: collects, starts, shows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QFormLayout, QVBoxLayout, QWidget

from napari_medai.core.axes import CHANNEL
from napari_medai.core.errors import MedaiError
from napari_medai.core.fields import fields_of
from napari_medai.tasks.learning import Learning
from napari_medai.ui import engine
from napari_medai.ui.controls import RunControls, scrolled
from napari_medai.ui.denoise_after import After
from napari_medai.ui.denoise_noise import NAMES, NoiseRows
from napari_medai.ui.denoise_preview import Preview, Restore
from napari_medai.ui.denoise_run import Denoised, denoised_steps
from napari_medai.ui.form import Form, grouped
from napari_medai.ui.inputs import Inputs
from napari_medai.ui.running import CANCELLED, Run
from napari_medai.ui.script import copy_script
from napari_medai.ui.settings import remember, remembered
from napari_medai.ui.source import Source
from napari_medai.ui.watch import Following

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_medai.models.model import Model
    from napari_medai.tasks.denoise_params import DenoiseParams

WIDGET = "denoise"
OWN = "This image (self-supervised)"
OWN_HELP = (
    "No model: a net learns from the noisy layer itself, in about a minute, and then restores it"
)
USUAL = ("strength", "seconds", "across")


class DenoiseWidget(QWidget):
    """Take the noise out of an image layer; the result is one new Image layer a run."""

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._asked: tuple[Any, ...] = ()
        self._learning: Learning | None = None
        self._pixels, self._renewed = Following(("data",), self), 0
        kind = engine.denoise_params_class()
        names = [name for name in fields_of(kind) if name not in NAMES]
        self.params = Form(kind, names=names, sliders=("strength",), parent=self)
        self._lay_out()
        self.params.changed.connect(self._follow_form)
        self.noise.changed.connect(self._look)
        self.preview.aimed.connect(self._look)
        self.preview.enough.connect(self._end_learning)
        self.inputs.picked.connect(self._suit_model)
        self.inputs.changed.connect(self._look)
        self.source.layers.removed.connect(self._let_go)
        self._pixels.changed.connect(self._renew)
        self.run_button.clicked.connect(self.run)
        self.copy_button.clicked.connect(self.copy_script)
        self.work.changed.connect(self._enable)
        self.work.ended.connect(self._show_learned)
        self.after.taken.connect(self._add)
        self.after.kept.connect(self._choose_kept)
        self.after.told.connect(self.status.setText)
        self.after.failed.connect(self.ends.tell)
        self._recall()
        self._suit_model()

    # What the user does

    def run(self) -> None:
        """Start a run with what the form says."""
        if self.work.busy:
            return
        try:
            source, model = self.source.source(), self.models.chosen()
            params = self._params()
            space = engine.seen_axes(model, params)
        except MedaiError as error:
            self.ends.tell(str(error))
            return
        remember(WIDGET, {**self.inputs.stored(), "parameters": self.params.values()})
        self._learning = Learning()
        part = None if model is not None else self.preview.begin_learning(source, space)
        job = partial(denoised_steps, source, model, params, part, self._learning)
        self.work.start(
            job, partial(self._finish, source, self._said()), on_step=self.preview.follow
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
        self, source: Source, asked: tuple[Any, ...], made: Denoised, seconds: float
    ) -> None:
        self._asked = asked
        self._add(made.layer)
        speed = source.pixels / 1e6 / seconds
        self.status.setText(f"{made.result.told} · {seconds:.1f} s · {speed:.2g} Mpx/s")
        notes = list(made.result.notes)
        if source.layer in self._viewer.layers:
            self.after.show_result(made)
        else:
            notes.append(
                f"Layer {source.place.name!r} was removed while it was denoised; "
                "the result lies where it was."
            )
        self.notes.setText("\n".join(notes))

    def _add(self, layer: Any) -> None:
        # The next run is for the same layer, not for what came of it.
        with self.source.layers.staying():
            self._viewer.add_layer(layer)

    def _show_learned(self) -> None:
        """A run ended, however it did: what was learned in it can be kept."""
        learned = None if self._learning is None else self._learning.learned
        self._learning = None
        self.preview.end_learning()
        if learned is not None:
            self.after.show_learned(learned)
            if self.status.text() == CANCELLED:
                self.status.setText(f"{CANCELLED} What was learned can be kept as a model.")
        self._look()

    def _end_learning(self) -> None:
        if self._learning is not None:
            self._learning.enough = True
            self.status.setText("Ending the learning …")

    def _choose_kept(self, name: str) -> None:
        self.models.refresh()
        self.models.choose(name)

    def _let_go(self, layer: Any) -> None:
        """A result without its layer or its source can show no residual: nothing of it is kept."""
        made = self.after.made
        if made is not None and layer in (made.layer, made.source.layer):
            self.after.let_go()

    # The noise and the preview

    def _look(self) -> None:
        """Tell the noise of what is chosen, and show a part of it."""
        self._enable()
        try:
            source = self.source.source()
        except MedaiError as error:
            self._pixels.follow(None)
            self.noise.clear()
            self.preview.clear(*([str(error)] if self.inputs.placed else []))
            return
        self._pixels.follow(source.layer)
        window = tuple(sorted((a, c.start, c.stop) for a, c in source.place.window.items()))
        self.noise.look(source.image, (source.layer, self._renewed, source.axes, window))
        if self.work.busy:
            return
        try:
            self._request_preview(source)
        except MedaiError as error:
            self.preview.clear(str(error))

    def _renew(self) -> None:
        """The layer has other pixels, whose noise is another."""
        self._renewed += 1
        self._look()

    def _request_preview(self, source: Source) -> None:
        model, params = self.models.chosen(), self._params()
        space = engine.seen_axes(model, params)
        noises = self.noise.noises(source.image.sizes.get(CHANNEL, 1))
        self.preview.request(source, space, *self._restore(source, model, params, space, noises))

    def _restore(
        self, source: Source, model: Model | None, params: DenoiseParams, space: str, noises: Any
    ) -> tuple[Restore | None, str]:
        """How the part that is shown is restored, and in words."""
        if model is not None:
            if noises is None:
                return None, ""
            image, name = source.image, model.name
            restore = partial(
                engine.restored_part, image, space=space, model=model, noises=noises, params=params
            )
            return restore, name
        made = self.after.made
        own = made is not None and made.source.layer is source.layer
        if made is not None and own and made.result.learned is not None:
            covered = made.source.place.window == source.place.window
            if covered:
                return partial(made.restored_part, space=space), "the last result"
        return None, "While a net learns, what it makes of this is shown."

    def _follow_form(self, name: str) -> None:
        if name in ("strength", "across"):
            self._look()

    # The form

    def _params(self) -> DenoiseParams:
        values = {**self.params.values(), **self.noise.values(), "device": self.device.value()}
        return engine.denoise_params_class()(**values)

    def _said(self) -> tuple[Any, ...]:
        rows = tuple(box.text() for box in self.noise.boxes.values())
        return *self.inputs.said(), self.params.values(), rows

    def _record(self) -> tuple[dict[str, Any], Any]:
        """How the last result was made, while the form says the same, and its layer.

        Otherwise what the form says now.
        """
        made = self.after.made
        if made is not None and self._asked == self._said():
            return made.record, made.source.layer
        values = {**self.params.values(), **self.noise.values()}
        suited = self._suited()
        return self.inputs.record("denoise", {n: v for n, v in values.items() if n in suited})

    def _recall(self) -> None:
        stored = remembered(WIDGET)
        self.inputs.recall(stored)
        self.params.set_values(stored.get("parameters", {}))

    def _suited(self) -> set[str]:
        """The parameters that change anything for what is chosen."""
        model = self.models.chosen()
        decoder = engine.own_name() if model is None else model.decoder
        fields = {**self.params.fields, **self.noise.fields}
        return {name for name, field in fields.items() if field.suits(decoder)}

    def _suit_model(self) -> None:
        self.groups.show(self.params, self._suited())
        self._look()

    def _enable(self) -> None:
        self.run_button.setEnabled(not self.work.busy and self.inputs.ready)
        self.cancel_button.setEnabled(self.work.busy)
        self.copy_button.setEnabled(self.inputs.placed)
        self.preview.here.setEnabled(self.inputs.placed and not self.work.busy)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        own = (OWN, OWN_HELP)
        self.inputs = Inputs(self._viewer, form, engine.denoising_models, own=own, parent=self)
        self.models, self.source = self.inputs.models, self.inputs.source
        self.device = self.inputs.device
        self.groups = grouped(self.params, "Restoration", usual=USUAL, apart=("device",))
        self.noise = NoiseRows(engine.denoise_params_class())
        self.preview = Preview(self._viewer)
        self.ends = ends = RunControls()
        ends.run.setToolTip("Take the noise out of the layer; the result is a new Image layer")
        ends.cancel.setToolTip("Stop; no layer is added, and what a net learned can be kept")
        self.work = Run(ends, title="Denoising", parent=self)
        self.after = After()
        inside = QWidget()
        rows = QVBoxLayout(inside)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addLayout(form)
        for part in (self.groups.box, self.noise, self.groups.advanced):
            rows.addWidget(part)
        rows.addStretch()
        layout = QVBoxLayout(self)
        layout.addWidget(scrolled(inside), 1)
        layout.addWidget(self.preview)
        layout.addWidget(ends)
        layout.addWidget(self.after)
        self.run_button, self.cancel_button, self.copy_button = ends.run, ends.cancel, ends.copy
        self.progress, self.status, self.notes = ends.progress, ends.status, ends.notes
