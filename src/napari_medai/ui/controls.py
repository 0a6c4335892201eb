"""The end of every form: Run, Cancel, Copy as Python, progress, and what there is to say."""

from __future__ import annotations

from napari.utils.notifications import show_error
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_medai.core.steps import Step


class WrappedLabel(QLabel):
    """Text over several lines, all of which keep their room however docks are stacked."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWordWrap(True)

    def setText(self, text: str | None) -> None:
        super().setText(text)
        self._keep_room()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._keep_room()

    def _keep_room(self) -> None:
        # Layouts know the height for a width, but give way below it.
        self.setMinimumHeight(self.heightForWidth(self.width()) if self.text() else 0)


class RunControls(QWidget):
    """The buttons in a row, and below them a bar while something runs, a status line and notes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.run = QPushButton("Run")
        self.run.setToolTip("Segment the layer; the result is a new Labels layer")
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("Stop at the next tile; nothing is changed")
        self.copy = QPushButton("Copy as Python")
        self.copy.setToolTip(
            "Put a script on the clipboard that makes the last result again; "
            "after a change in the form, one that makes what it says"
        )
        buttons = QHBoxLayout()
        for button in (self.run, self.cancel, self.copy):
            buttons.addWidget(button)
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setMaximumHeight(8)
        self.progress.hide()
        self.status, self.notes = QLabel("Not run yet."), QLabel()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(buttons)
        layout.addWidget(self.progress)
        for label in (self.status, self.notes):
            label.setWordWrap(True)
            layout.addWidget(label)

    def begin(self) -> None:
        """A run is about to start."""
        self.status.setText("Starting …")
        self.notes.clear()
        self.progress.setRange(0, 0)
        self.progress.show()
        # napari's activity dock handles events when it gets a bar: no second click in between.
        self.run.setEnabled(False)

    def step(self, step: Step) -> None:
        """Show how far a run has come."""
        self.progress.setRange(0, step.total)
        self.progress.setValue(step.done)
        if step.text:
            self.status.setText(step.text)

    def tell(self, sentence: str) -> None:
        """Say what went wrong, here and as napari says it."""
        self.status.setText(sentence)
        show_error(sentence)


class _Scrolled(QScrollArea):
    """As wide as its widget needs, also when rows are shown or hidden."""

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        # Qt lets a scroll area look at what its widget gets.
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self.keep_width()
        return bool(super().eventFilter(watched, event))

    def keep_width(self) -> None:
        inside, bar = self.widget(), self.verticalScrollBar()
        room = 0 if bar is None else bar.sizeHint().width()
        if inside is not None:
            self.setMinimumWidth(inside.minimumSizeHint().width() + room)


def scrolled(inside: QWidget) -> QScrollArea:
    """A widget that may be higher than its dock."""
    area = _Scrolled()
    area.setWidget(inside)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.keep_width()
    return area
