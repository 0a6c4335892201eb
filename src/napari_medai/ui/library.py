"""The Models widget: what is installed, each model's card, and where one's own go."""

from __future__ import annotations

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QTextBrowser, QVBoxLayout, QWidget

from napari_medai.models.registry import broken_models, list_models, user_models_dir
from napari_medai.ui.models import ModelPicker


class ModelLibrary(QWidget):
    """Every model that can be chosen by name, with its card."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.picker = ModelPicker(list_models)
        self.picker.card_button.hide()
        self.card = QTextBrowser()
        self.card.setOpenExternalLinks(True)
        self.broken = QLabel()
        self.broken.setWordWrap(True)
        self.folder = QLabel(f"Your models: {user_models_dir()}")
        self.folder.setWordWrap(True)
        refresh, show = QPushButton("Look again"), QPushButton("Open folder")
        refresh.clicked.connect(self._refresh)
        show.clicked.connect(_open_folder)
        self.picker.picked.connect(self._show)
        buttons = QHBoxLayout()
        buttons.addWidget(refresh)
        buttons.addWidget(show)
        layout = QVBoxLayout(self)
        layout.addWidget(self.picker)
        layout.addWidget(self.card, 1)
        layout.addWidget(self.broken)
        layout.addWidget(self.folder)
        layout.addLayout(buttons)
        self._refresh()

    def _refresh(self) -> None:
        self.picker.refresh()
        broken = broken_models()
        self.broken.setText("\n".join(f"{found.name}: {found.problem}" for found in broken))
        self.broken.setVisible(bool(broken))
        self._show()

    def _show(self) -> None:
        if not self.picker.combo.count():
            self.card.setPlainText(self.picker.problem or "No model is installed.")
            return
        model = self.picker.model()
        self.card.setMarkdown(model.card or f"# {model.name}\n\nThis model has no card.")


def _open_folder() -> None:
    folder = user_models_dir()
    folder.mkdir(parents=True, exist_ok=True)
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))
