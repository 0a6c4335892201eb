"""What a run leaves: a net to keep, and what was taken away, which should look like noise."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QInputDialog, QPushButton, QVBoxLayout, QWidget

from napari_medai.core.errors import MedaiError
from napari_medai.ui import engine
from napari_medai.ui.controls import WrappedLabel
from napari_medai.ui.denoise_run import Denoised, residual_layer
from napari_medai.ui.worker import Latest, Outcome

if TYPE_CHECKING:
    from napari_medai.tasks.self_supervised import Learned


class After(QWidget):
    """The buttons *Keep as model* and *Residual*, and the self-check.

    `kept` tells the name of a new model, `taken` the layer of a residual, `told` what there is to
    say, `failed` what went wrong.
    """

    kept = Signal(str)
    taken = Signal(object)
    told = Signal(str)
    failed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._made: Denoised | None = None
        self._learned: Learned | None = None
        self.keep_button = QPushButton("Keep as model")
        self.keep_button.setToolTip(
            "Make a model, chosen by its name, of the net that learned from the layer; also after "
            "a cancel"
        )
        self.residual_button = QPushButton("Residual")
        self.residual_button.setToolTip(
            "Add what was taken away from the layer, input minus output, as a layer"
        )
        self.check = WrappedLabel()
        self.check.setToolTip("A self-check: what was taken away should look like noise")
        buttons = QHBoxLayout()
        buttons.addWidget(self.keep_button)
        buttons.addWidget(self.residual_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(buttons)
        layout.addWidget(self.check)
        self._keeping = Latest(self._show_kept, title="Keeping the model", parent=self)
        self._checking = Latest(self._show_check, title="Self-check", parent=self)
        self._taking = Latest(self._show_residual, title="Residual", parent=self)
        self.keep_button.clicked.connect(self.ask_name)
        self.residual_button.clicked.connect(self.add_residual)
        self.enable()

    @property
    def made(self) -> Denoised | None:
        """The last result, None if there is none any more."""
        return self._made

    def show_learned(self, learned: Learned | None) -> None:
        """Offer a net that learned to be kept."""
        self._learned = learned
        self.enable()

    def show_result(self, made: Denoised) -> None:
        """Offer what was taken away, and say soon whether it looks like noise."""
        self._made = made
        self.check.setText("Looking at what was taken away …")
        self._checking.request(partial(_checked, made))
        self.enable()

    def let_go(self) -> None:
        """The result or what it was made from is gone: nothing of it is kept but the net."""
        self._made = None
        self._checking.forget()
        self._taking.forget()
        self.check.setText("")
        self.enable()

    def ask_name(self) -> None:
        """Keep the net under a name that the user is asked for."""
        name, agreed = QInputDialog.getText(self, "Keep as model", "Name of the model:")
        if agreed and name.strip():
            self.keep(name.strip())

    def keep(self, name: str) -> None:
        """Keep the net under a name."""
        if self._learned is None:
            return
        self.keep_button.setEnabled(False)
        self.told.emit(f"Keeping the net as {name} …")
        self._keeping.request(partial(_kept, self._learned, name))

    def add_residual(self) -> None:
        """Add what was taken away as a layer."""
        if self._made is not None:
            self._taking.request(partial(_residual, self._made))

    def enable(self) -> None:
        self.keep_button.setEnabled(self._learned is not None)
        self.residual_button.setEnabled(self._made is not None)

    def _show_kept(self, outcome: Outcome[Any]) -> None:
        self.enable()
        if outcome.result is None:
            self.failed.emit(outcome.error)
            return
        self.kept.emit(outcome.result)
        self.told.emit(f"Kept as model {outcome.result}.")

    def _show_check(self, outcome: Outcome[Any]) -> None:
        if outcome.result is None:
            self.check.setText(outcome.error)
            return
        made, sentence = outcome.result
        if made is self._made:
            self.check.setText(sentence)

    def _show_residual(self, outcome: Outcome[Any]) -> None:
        if outcome.result is None:
            self.failed.emit(outcome.error)
            return
        made, layer = outcome.result
        if made is self._made:
            self.taken.emit(layer)


def _kept(learned: Learned, name: str) -> str:
    return engine.keep(learned, name).name


def _checked(made: Denoised) -> tuple[Denoised, str]:
    try:
        return made, engine.self_check(made.result, made.source.image)
    except MedaiError as error:
        return made, str(error)


def _residual(made: Denoised) -> tuple[Denoised, Any]:
    return made, residual_layer(made)
