"""The model picker, with each model's card at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QHBoxLayout,
    QTextBrowser,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_medai.core.errors import InputError, MedaiError
from napari_medai.ui.controls import WrappedLabel

if TYPE_CHECKING:
    from napari_medai.models.package import Model


class _FreshCombo(QComboBox):
    """A combo box that tells before it opens, so that a model trained meanwhile is in it."""

    opening = Signal()

    def showPopup(self) -> None:
        self.opening.emit()
        super().showPopup()


class ModelPicker(QWidget):
    """A list of models, and a button that opens the chosen one's card."""

    picked = Signal()

    def __init__(
        self, models: Callable[[], Sequence[Model]], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.problem = ""
        self._find = models
        self._models: list[Model] = []
        self.combo = _FreshCombo()
        self.combo.opening.connect(self.refresh)
        self.card_button = QToolButton()
        self.card_button.setText("Card")
        self.card_button.setToolTip("What the model was trained on, how well it does, its licence")
        self.card_button.clicked.connect(self.show_card)
        self.notice = WrappedLabel()
        self.notice.setTextFormat(Qt.TextFormat.PlainText)
        self.notice.setToolTip("What the makers of the model want everyone to know; see its card")
        row = QHBoxLayout()
        row.addWidget(self.combo, 1)
        row.addWidget(self.card_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        layout.addWidget(self.notice)
        self.refresh()
        self.combo.currentIndexChanged.connect(self._picked)

    def model(self) -> Model:
        """The chosen model.

        Raises
        ------
        InputError
            If there is none.
        """
        index = self.combo.currentIndex()
        if not 0 <= index < len(self._models):
            raise InputError(self.problem or "no model is installed; train one or install one")
        return self._models[index]

    def choose(self, name: str) -> None:
        """Choose a model by name; nothing happens if there is none."""
        if (index := self.combo.findText(name)) >= 0:
            self.combo.setCurrentIndex(index)

    def refresh(self) -> None:
        """Look for models again, for instance after one was trained."""
        before = self.combo.currentText()
        try:
            self._models = list(self._find())
            self.problem = ""
        except MedaiError as error:
            self._models, self.problem = [], str(error)
        blocked = self.combo.blockSignals(True)
        self.combo.clear()
        self.combo.addItems([model.name for model in self._models])
        self.choose(before)
        self.combo.blockSignals(blocked)
        self._describe()
        if self.combo.currentText() != before:
            self.picked.emit()

    def show_card(self) -> QDialog | None:
        """Open the model's card in a window of its own."""
        if not self._models:
            return None
        model = self.model()
        dialog = QDialog(self)
        dialog.setWindowTitle(f"{model.name} {model.version}")
        text = QTextBrowser()
        text.setOpenExternalLinks(True)
        text.setMarkdown(model.card or "This model has no card.")
        layout = QVBoxLayout(dialog)
        layout.addWidget(text)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.resize(560, 620)
        dialog.show()
        return dialog

    def _picked(self) -> None:
        self._describe()
        self.picked.emit()

    def _describe(self) -> None:
        self.card_button.setEnabled(bool(self._models))
        notice = str(self.model().config.get("notice", "")) if self._models else ""
        self.notice.setText(notice)
        self.notice.setVisible(bool(notice))
        if not self._models:
            self.combo.setToolTip(self.problem or "No model is installed")
            return
        model = self.model()
        self.combo.setToolTip(f"{model.name} {model.version}\n{model.summary}")
