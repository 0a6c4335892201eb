"""The preview: a small part of the layer, noisy and restored, on the sides of a divider."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGroupBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_medai.core.steps import Step
from napari_medai.ui import engine
from napari_medai.ui.controls import WrappedLabel
from napari_medai.ui.denoise_crop import Crop, centre_of, coloured, crop_of
from napari_medai.ui.denoise_split import SplitView
from napari_medai.ui.source import Source
from napari_medai.ui.watch import LOOKS, Following
from napari_medai.ui.worker import Latest, Outcome

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_medai.tasks.previewing import Part

Restore = Callable[["Part"], np.ndarray]


@dataclass(frozen=True, slots=True, eq=False)
class Glimpse:
    """What a preview shows: two planes (Y, X), and how long restoring took."""

    layer: ref[Any]
    noisy: np.ndarray
    restored: np.ndarray | None = None
    seconds: float = 0.0


class Preview(QGroupBox):
    """Shows a crop of the layer; `aimed` tells that another one is wanted, `enough` that the net
    has learned enough.
    """

    aimed = Signal()
    enough = Signal()

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__("Preview", parent)
        self._viewer = viewer
        self._centre: tuple[ref[Any], np.ndarray] | None = None
        self._crop = Crop({})
        self._glimpse: Glimpse | None = None
        self._followed: np.ndarray | None = None
        self._words = ""
        self.view = SplitView("noisy", "restored")
        self.view.setToolTip("Drag the line to compare")
        self.caption = WrappedLabel()
        self.here = QPushButton("Preview here")
        self.here.setToolTip("Show what is in the middle of the canvas")
        self.enough_button = QPushButton("Enough")
        self.enough_button.setToolTip(
            "End the learning now and restore the layer with the best net so far"
        )
        self.enough_button.hide()
        buttons = QHBoxLayout()
        buttons.addWidget(self.here)
        buttons.addWidget(self.enough_button)
        layout = QVBoxLayout(self)
        layout.addWidget(self.view)
        layout.addWidget(self.caption)
        layout.addLayout(buttons)
        self._looking = Latest(self._show, title="Preview", parent=self)
        self._looks = Following(LOOKS, self)
        self._looks.changed.connect(self._paint)
        self.here.clicked.connect(self._aim_anew)
        self.enough_button.clicked.connect(self.enough)
        self.clear()

    def request(self, source: Source, space: str, restore: Restore | None, words: str) -> None:
        """Show a crop soon, restored if there is a way; ``words`` say how.

        It is where it was, or for another layer in the middle of the canvas. ``space`` is what the
        net sees at once.
        """
        if self._centre is None or self._centre[0]() is not source.layer:
            self._centre = ref(source.layer), centre_of(self._viewer, source.layer)
            self._looks.follow(source.layer)
            self._glimpse = None
        self._crop = crop_of(source, self._centre[1], space)
        self._words = words
        self._looking.request(partial(_glimpse, source, self._crop, space, restore))

    def follow(self, step: Step) -> None:
        """Show what a net that learns makes of the crop."""
        if "step" not in step.values:
            self.enough_button.setEnabled(False)
            return
        self.enough_button.setEnabled(True)
        score, restored = step.values.get("score"), step.values.get("preview")
        gained = "" if score is None else f" · {score:.1f} dB gained"
        self._tell(f"step {step.values['step']}{gained}")
        if restored is None or self._glimpse is None:
            return
        plane = self._crop.shown(restored)
        if restored is not self._followed and plane.shape == self._glimpse.noisy.shape:
            self._followed = restored
            self._glimpse = Glimpse(self._glimpse.layer, self._glimpse.noisy, plane)
            self._paint()

    def begin_learning(self, source: Source, space: str) -> Part:
        """A net is about to learn from a source: returns the part that its steps should show."""
        self.request(source, space, None, "Starting to learn …")
        self.enough_button.setEnabled(False)
        self.enough_button.show()
        return self._crop.part

    def end_learning(self) -> None:
        """No net learns any more."""
        self.enough_button.hide()

    def clear(self, problem: str = "Choose an image to see a part of it here.") -> None:
        """Show nothing."""
        self._looking.forget()
        self._centre = self._glimpse = None
        self._looks.follow(None)
        self.view.empty = problem
        self._tell("")
        self._paint()

    def _aim_anew(self) -> None:
        self._centre = None
        self.aimed.emit()

    def _show(self, outcome: Outcome[Any]) -> None:
        if self._centre is None:
            return
        if outcome.result is None:
            self._tell(outcome.error)
            return
        glimpse: Glimpse = outcome.result
        if glimpse.layer() is not self._centre[0]():
            return
        self._glimpse = glimpse
        took = f" · {glimpse.seconds:.2f} s" if glimpse.seconds else ""
        self._tell(f"{self._words}{took}")
        self._paint()

    def _tell(self, text: str) -> None:
        self.caption.setText(text)
        self.caption.setVisible(bool(text))

    def _paint(self) -> None:
        glimpse = self._glimpse
        layer = None if glimpse is None else glimpse.layer()
        if glimpse is None or layer is None:
            self.view.show_pictures(None, None)
            return
        restored = None if glimpse.restored is None else coloured(glimpse.restored, layer)
        self.view.show_pictures(coloured(glimpse.noisy, layer), restored)


def _glimpse(source: Source, crop: Crop, space: str, restore: Restore | None) -> Glimpse:
    """The crop, noisy and restored; called in a thread."""
    noisy = crop.shown(engine.part_values(source.image, crop.part, space))
    began = time.perf_counter()
    restored = None if restore is None else crop.shown(restore(crop.part))
    seconds = 0.0 if restore is None else time.perf_counter() - began
    return Glimpse(ref(source.layer), noisy, restored, seconds)
