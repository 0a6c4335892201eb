"""The Window widget and menu: how bright a scan is shown, by the presets of radiology."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Image
from napari.utils.notifications import show_info
from napari.viewer import Viewer
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QFormLayout, QWidget

from napari_medai.core.windows import CT_WINDOWS, Window, window_named
from napari_medai.ui.source import LayerPicker

if TYPE_CHECKING:
    from napari.components import Dims, ViewerModel

OWN = "As opened"
BY_VALUES = "By the image"
CUSTOM = "Custom"
PERCENTILES = (1.0, 99.5)
"""What becomes black and white where no unit says what is what, as in MR."""
SAMPLE = 256
"""Pixels along an axis that are enough to tell how bright an image is."""
FURTHEST = 1e6


class WindowWidget(QWidget):
    """Level and width of an image layer, by preset or by number; only its display changes."""

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self._layer: Any = None
        self._viewer = napari_viewer
        self._own: WeakKeyDictionary[Any, tuple[float, float]] = WeakKeyDictionary()
        self._showing = False
        self.layers = LayerPicker(napari_viewer, Image, empty="no image is open")
        self.layers.setToolTip("The image whose display changes; its values never do")
        self.presets = QComboBox()
        self.presets.addItems([OWN, BY_VALUES, *(w.name for w in CT_WINDOWS), CUSTOM])
        self.presets.setToolTip(
            "Windows of computed tomography are in Hounsfield units; By the image takes "
            f"percentiles {PERCENTILES[0]:g} and {PERCENTILES[1]:g} of what is shown, as MR needs"
        )
        self.level_box = _number(-FURTHEST, "The value shown as middle gray")
        self.width_box = _number(0.0, "From black to white")
        form = QFormLayout(self)
        form.addRow("Layer", self.layers)
        form.addRow("Preset", self.presets)
        form.addRow("Level", self.level_box)
        form.addRow("Width", self.width_box)
        self.layers.picked.connect(self._take_layer)
        self.presets.textActivated.connect(self.choose)
        self.level_box.valueChanged.connect(self._by_number)
        self.width_box.valueChanged.connect(self._by_number)
        self._take_layer()

    def choose(self, preset: str) -> None:
        """Show the layer by a preset."""
        if self._layer is None or preset == CUSTOM:
            return
        if preset == OWN:
            show_between(self._layer, self._own[self._layer])
        elif preset == BY_VALUES:
            show_between(self._layer, limits_of(self._layer, self._viewer.dims))
        else:
            show_between(self._layer, window_named(preset).limits)

    def _take_layer(self) -> None:
        if self._layer is not None:
            self._layer.events.contrast_limits.disconnect(self._tell)
        self._layer = self.layers.layer()
        for control in (self.presets, self.level_box, self.width_box):
            control.setEnabled(self._layer is not None)
        if self._layer is not None:
            self._own.setdefault(self._layer, tuple(self._layer.contrast_limits))
            self._layer.events.contrast_limits.connect(self._tell)
            self._tell()

    def _tell(self, event: Any = None) -> None:
        """Say what the layer shows, whoever changed it."""
        low, high = self._layer.contrast_limits
        self._showing = True
        self.level_box.setValue((low + high) / 2)
        self.width_box.setValue(high - low)
        self.presets.setCurrentText(self._preset(low, high))
        self._showing = False

    def _preset(self, low: float, high: float) -> str:
        known = {OWN: self._own[self._layer]} | {w.name: w.limits for w in CT_WINDOWS}
        return next((n for n, limits in known.items() if np.allclose(limits, (low, high))), CUSTOM)

    def _by_number(self) -> None:
        if self._showing or self._layer is None or self.width_box.value() <= 0:
            return
        show_between(self._layer, Window("", self.level_box.value(), self.width_box.value()).limits)


def show_between(layer: Image, limits: tuple[float, float]) -> None:
    """Show values from black to white; the range of the layer's slider grows where it must."""
    low, high = layer.contrast_limits_range
    layer.contrast_limits_range = (min(low, limits[0]), max(high, limits[1]))
    layer.contrast_limits = limits


def limits_of(layer: Image, dims: Dims) -> tuple[float, float]:
    """Black and white by the values of the plane on show, a sample of it where it is large."""
    data = layer.data[-1] if layer.multiscale else layer.data
    full = np.array((layer.data[0] if layer.multiscale else layer.data).shape[: layer.ndim])
    at = np.array(layer.world_to_data(dims.point[-layer.ndim :])) * data.shape[: layer.ndim] / full
    index = np.clip(np.round(at), 0, np.array(data.shape[: layer.ndim]) - 1).astype(int)
    plane = data[tuple(int(n) for n in index[:-2])]
    steps = (slice(None, None, max(1, n // SAMPLE)) for n in plane.shape[:2])
    sample = np.asarray(plane[tuple(steps)])[..., : 3 if layer.rgb else None]
    finite = sample[np.isfinite(sample)]
    if not finite.size:
        return 0.0, 1.0
    low, high = (float(n) for n in np.percentile(finite, PERCENTILES))
    return (low, high) if high > low else (low, low + 1)


def _number(least: float, help: str) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(least, FURTHEST)
    box.setDecimals(1)
    box.setKeyboardTracking(False)
    box.setToolTip(help)
    return box


def _command(name: str) -> Callable[[Viewer], None]:
    """What a menu calls: a preset for the chosen image layers."""

    def show(viewer: Viewer) -> None:
        chosen = [layer for layer in viewer.layers.selection if isinstance(layer, Image)]
        if not chosen:
            show_info(f"Choose an image layer to show it by the window {name!r}.")
        for layer in chosen:
            limits = (
                limits_of(layer, viewer.dims) if name == BY_VALUES else window_named(name).limits
            )
            show_between(layer, limits)

    return show


by_values = _command(BY_VALUES)
soft_tissue = _command("Soft tissue")
lung = _command("Lung")
bone = _command("Bone")
brain = _command("Brain")
stroke = _command("Stroke")
subdural = _command("Subdural")
mediastinum = _command("Mediastinum")
liver = _command("Liver")
spine = _command("Spine")
vessels = _command("Vessels")
temporal_bone = _command("Temporal bone")
