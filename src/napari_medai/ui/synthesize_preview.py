"""The preview: one image before many are made, without and with its labels."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGroupBox, QPushButton, QVBoxLayout, QWidget

from napari_medai.ui.controls import WrappedLabel
from napari_medai.ui.denoise_split import SplitView
from napari_medai.ui.synthesize_run import Picture

CHANGED = "The form says something else now."


class SynthesisPreview(QGroupBox):
    """Shows a picture on the sides of a divider; `wanted` tells that another one is asked for."""

    wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Preview", parent)
        self._said: tuple[Any, ...] | None = None
        self._told = ""
        self.view = SplitView("image", "labels")
        self.view.empty = "Press Preview to see the first image."
        self.view.setToolTip("Drag the line to see the image or its labels")
        self.caption = WrappedLabel()
        self.caption.hide()
        self.button = QPushButton("Preview")
        self.button.setToolTip(
            "Make the first image, or a part of it where it is large, and show it here; no layer "
            "is added"
        )
        layout = QVBoxLayout(self)
        layout.addWidget(self.view)
        layout.addWidget(self.caption)
        layout.addWidget(self.button)
        self.button.clicked.connect(self.wanted)

    def show_picture(self, said: tuple[Any, ...], picture: Picture, seconds: float) -> None:
        """Show what was made of what the form said."""
        self._said, self._told = said, f"{picture.told} · {seconds:.1f} s"
        self.view.show_pictures(picture.image, picture.labelled)
        self.follow(said)

    def follow(self, said: tuple[Any, ...]) -> None:
        """Tell whether what is shown is what the form says."""
        if self._said is None:
            return
        stale = said != self._said
        self.caption.setText(f"{self._told}\n{CHANGED}" if stale else self._told)
        self.caption.show()
