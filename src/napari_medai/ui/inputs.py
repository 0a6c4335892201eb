"""What every task asks first: with which model, on what, on which device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFormLayout

from napari_medai.ui import engine
from napari_medai.ui.device import DevicePicker
from napari_medai.ui.layers import placed_record
from napari_medai.ui.models import ModelPicker
from napari_medai.ui.region import Region
from napari_medai.ui.source import SourceRows

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_medai.models.package import Model


class Inputs(QObject):
    """The rows from *Model* to *Device* of a form; `changed` tells that another source, or none,
    is chosen, `picked` another model.

    ``own`` is an entry, with its help, for a net that learns from the image itself.
    """

    changed = Signal()
    picked = Signal()

    def __init__(
        self,
        viewer: ViewerModel,
        form: QFormLayout,
        models: Callable[[], Sequence[Model]],
        *,
        own: tuple[str, str] | None = None,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self.models = ModelPicker(models, own=own)
        form.addRow("Model", self.models)
        self.source = SourceRows(viewer, form, parent=self)
        self.device = DevicePicker()
        form.addRow("Device", self.device)
        self.models.picked.connect(self.picked)
        self.source.changed.connect(self.changed)

    @property
    def model_name(self) -> str:
        """The chosen model, nothing if there is none."""
        return self.models.combo.currentText()

    @property
    def placed(self) -> bool:
        """Whether there is a layer that its axes fit."""
        return self.source.layers.layer() is not None and not self.source.problem()

    @property
    def ready(self) -> bool:
        """Whether there is a model, too."""
        return self.placed and self.models.combo.count() > 0

    @property
    def lack(self) -> str:
        """Why there is no model to choose; nothing if there is one."""
        if self.models.combo.count():
            return ""
        return self.models.problem or "No model is installed."

    def said(self) -> tuple[Any, ...]:
        """What was chosen, to compare with later."""
        return self.source.said(), self.model_name, self.device.value()

    def record(self, task: str, parameters: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
        """How the result of a run would be made now, and the layer it would be made from.

        Raises
        ------
        InputError
            If there is no layer or no model, or the region is empty.
        """
        source, model = self.source.source(), self.models.chosen()
        said = {
            "task": task,
            "model": engine.own_name() if model is None else model.name,
            "parameters": {**parameters, "device": self.device.value()},
        }
        return placed_record(said, source.place), source.layer

    def stored(self) -> dict[str, Any]:
        """What `recall` brings back."""
        return {
            "model": self.model_name,
            "device": self.device.value(),
            "region": self.source.region.currentText(),
        }

    def recall(self, stored: Mapping[str, Any]) -> None:
        """Choose what was stored, as far as it is still there."""
        self.models.choose(str(stored.get("model", "")))
        self.device.set_value(str(stored.get("device", self.device.value())))
        # A rectangle of another session is not there any more.
        names = [region.value for region in Region if region is not Region.SHAPES]
        if stored.get("region") in names:
            self.source.region.setCurrentIndex(names.index(str(stored["region"])))
