"""The device picker: what this machine has, found in the background."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from napari_medai.ui.controls import WrappedLabel
from napari_medai.ui.preload import smooth_imports
from napari_medai.ui.worker import Latest, Outcome

AUTO = "auto"


def found_devices() -> dict[str, str]:
    """The devices of this machine with a few words about each, the best first; imports torch."""
    with smooth_imports():
        from napari_medai.nn.device import devices

    return {device.name: device.reason for device in devices()}


class DevicePicker(QWidget):
    """*auto*, *cuda*, *mps* or *cpu*, and which one *auto* takes, and why."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.combo = QComboBox()
        self.combo.addItem(AUTO, AUTO)
        self.combo.setToolTip("Where the net is computed; auto takes the fastest there is")
        self.reason = WrappedLabel()
        self.reason.setText("looking for devices …")
        self.reason.setEnabled(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.combo)
        layout.addWidget(self.reason)
        self._wish = AUTO
        self._reasons: dict[str, str] = {}
        self._search = Latest(self._show, title="Looking for devices", parent=self)
        self.combo.currentIndexChanged.connect(self._explain)
        # Once the widget is on the screen: looking needs torch, and torch takes a second.
        QTimer.singleShot(200, self._look)

    def value(self) -> str:
        """The wish: ``auto`` or a device's name."""
        return str(self.combo.currentData() or AUTO)

    def set_value(self, device: str) -> None:
        """Wish for a device; one that this machine lacks is left out."""
        self._wish = device
        if (index := self.combo.findData(device)) >= 0:
            self.combo.setCurrentIndex(index)

    def _look(self) -> None:
        self._search.request(found_devices)

    def _show(self, outcome: Outcome[Any]) -> None:
        if outcome.result is None:
            self.reason.setText(outcome.error)
            return
        self._reasons = outcome.result
        for name in self._reasons:
            if self.combo.findData(name) < 0:
                self.combo.addItem(name, name)
        self.set_value(self._wish)
        self._explain()

    def _explain(self) -> None:
        if not self._reasons:
            return
        name = self.value()
        taken = next(iter(self._reasons)) if name == AUTO else name
        self._wish = name
        text = f"{taken}: {self._reasons.get(taken, '')}"
        self.reason.setText(text)
        self.combo.setToolTip(f"Where the net is computed. {text}")
