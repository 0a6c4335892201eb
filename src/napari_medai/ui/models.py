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
    """A list of models, and a button that opens the chosen one's card.

    ``own`` is a last entry that stands for no model, with its help.
    """

    picked = Signal()

    def __init__(
        self,
        models: Callable[[], Sequence[Model]],
        *,
        own: tuple[str, str] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.problem = ""
        self._own = own
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

    def chosen(self) -> Model | None:
        """The chosen model, None for the entry that stands for no model.

        Raises
        ------
        InputError
            If there is neither.
        """
        return None if self._is_own else self.model()

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
        if self._own is not None:
            self.combo.addItem(self._own[0])
        self.choose(before)
        self.combo.blockSignals(blocked)
        self._describe()
        if self.combo.currentText() != before:
            self.picked.emit()

    def show_card(self) -> QDialog | None:
        """Open the model's card in a window of its own."""
        if not self._models or self._is_own:
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

    @property
    def _is_own(self) -> bool:
        return self._own is not None and self.combo.currentIndex() == len(self._models)

    def _describe(self) -> None:
        known = bool(self._models) and not self._is_own
        self.card_button.setEnabled(known)
        notice = str(self.model().config.get("notice", "")) if known else ""
        self.notice.setText(notice)
        self.notice.setVisible(bool(notice))
        if self._own is not None and self._is_own:
            self.combo.setToolTip(self._own[1])
            return
        if not self._models:
            self.combo.setToolTip(self.problem or "No model is installed")
            return
        model = self.model()
        self.combo.setToolTip(f"{model.name} {model.version}\n{model.summary}")
