"""The noise of an image: what was estimated, and what the user says instead."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QGridLayout, QGroupBox, QLabel, QLineEdit, QPushButton, QWidget

from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import MedaiError
from napari_medai.core.fields import Field, fields_of
from napari_medai.core.noise import CameraNoise
from napari_medai.ui import engine
from napari_medai.ui.controls import WrappedLabel
from napari_medai.ui.worker import Latest, Outcome

if TYPE_CHECKING:
    from napari_medai.tasks.channel_noise import ChannelNoise

NAMES = ("gain", "read_noise", "dark")
LISTED = 4
"""Channels whose noise is told, each in a line."""


class NoiseRows(QGroupBox):
    """Gain, read noise and dark level, empty where they are estimated, and the estimate in words.

    `changed` tells of both.
    """

    changed = Signal()

    def __init__(self, params: type, parent: QWidget | None = None) -> None:
        super().__init__("Noise", parent)
        fields = fields_of(params)
        self.fields: dict[str, Field] = {name: fields[name] for name in NAMES}
        self.boxes = {name: _box(field) for name, field in self.fields.items()}
        self.estimate: ChannelNoise | None = None
        self._key: Hashable = None
        self.told = WrappedLabel()
        self.told.setToolTip("What the image itself says of its noise")
        self.told.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.use_button = QPushButton("Use the estimate")
        self.use_button.setToolTip(
            "Fill in what was estimated, so that you can correct it; of several channels, that of "
            "the first with noise"
        )
        self.use_button.setEnabled(False)
        self.use_button.clicked.connect(self.use_estimate)
        grid = QGridLayout(self)
        grid.addWidget(self.told, 0, 0, 1, len(NAMES))
        for column, (name, box) in enumerate(self.boxes.items()):
            grid.addWidget(QLabel(self.fields[name].label), 1, column)
            grid.addWidget(box, 2, column)
            box.textChanged.connect(self._edited)
        grid.addWidget(self.use_button, 3, 0, 1, len(NAMES))
        self._telling = Latest(self._show, title="Estimating the noise", parent=self)
        self._explain()

    def values(self) -> dict[str, float]:
        """What the rows say, 0 where they say nothing: arguments of the params class.

        Raises
        ------
        InputError
            If a row holds no number, or one out of its limits.
        """
        return {
            name: field.checked(self.boxes[name].text().strip() or field.default)
            for name, field in self.fields.items()
        }

    def noises(self, channels: int) -> Mapping[int, CameraNoise | None] | None:
        """The noise of each channel, given or estimated; None if it is not known yet.

        Raises
        ------
        InputError
            As `values`.
        """
        values = self.values()
        if values["gain"] == 0 == values["read_noise"]:
            return None if self.estimate is None else self.estimate.noises
        given = CameraNoise(
            gain=values["gain"], offset=values["dark"], read_noise=values["read_noise"]
        )
        return dict.fromkeys(range(channels), given)

    def look(self, image: AxesArray, key: Hashable) -> None:
        """Estimate the noise of an image in the background, unless it is that of the same key."""
        if key == self._key:
            return
        self._forget(key)
        self.told.setText("Estimating the noise …")
        self._telling.request(partial(_told, image, key))

    def clear(self) -> None:
        """There is no image."""
        self._telling.forget()
        self._forget(None)

    def use_estimate(self) -> None:
        """Fill the rows with what was estimated."""
        known = [] if self.estimate is None else self.estimate.noises.values()
        noise = next((noise for noise in known if noise is not None), None)
        if noise is None:
            return
        found = {"gain": noise.gain, "read_noise": noise.read_noise, "dark": noise.offset}
        for name, value in found.items():
            self.boxes[name].setText(f"{value:.6g}")

    def _forget(self, key: Hashable) -> None:
        self._key, self.estimate = key, None
        self.told.setText("")
        self.use_button.setEnabled(False)

    def _show(self, outcome: Outcome[Any]) -> None:
        if outcome.result is None:
            self.told.setText(outcome.error)
            return
        key, noise, problem = outcome.result
        if key != self._key:
            return
        self.estimate = noise
        self.told.setText(problem if noise is None else _sentences(noise))
        self.use_button.setEnabled(noise is not None and noise.any_noise)
        self.changed.emit()

    def _edited(self) -> None:
        self._explain()
        self.changed.emit()

    def _explain(self) -> None:
        """Say in the empty rows what is taken for them."""
        given = any(self.boxes[name].text().strip() for name in ("gain", "read_noise"))
        for box in self.boxes.values():
            box.setPlaceholderText("0" if given else "estimated")


def _box(field: Field) -> QLineEdit:
    box = QLineEdit()
    box.setObjectName(field.name)
    box.setToolTip(f"{field.help}. Empty: estimated from the image")
    return box


def _told(image: AxesArray, key: Hashable) -> tuple[Hashable, ChannelNoise | None, str]:
    """The noise of an image, or why it cannot be told; called in a thread."""
    try:
        return key, engine.told_noise(image), ""
    except MedaiError as error:
        return key, None, str(error)


def _sentences(noise: ChannelNoise) -> str:
    """What is known of each channel, a line each."""
    lines = [
        estimate.sentence if len(noise.estimates) == 1 else f"{channel}: {estimate.sentence}"
        for channel, estimate in noise.estimates.items()
    ]
    more = len(lines) - LISTED
    return "\n".join([*lines[:LISTED], *([f"… and {more} more channels"] if more > 0 else [])])
