"""From boxes to more: labels become boxes, and what lies in boxes becomes labels."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Labels, Shapes
from qtpy.QtWidgets import QCheckBox, QFormLayout, QPushButton, QWidget

from napari_medai.core.errors import MedaiError
from napari_medai.core.steps import Step, Steps
from napari_medai.core.words import digits
from napari_medai.io.box_plane import label_classes
from napari_medai.tasks.detection import Detection
from napari_medai.tasks.segmentation import Segmentation
from napari_medai.ui import engine
from napari_medai.ui.box_layers import points_layer, shapes_layer
from napari_medai.ui.controls import RunControls
from napari_medai.ui.inputs import Inputs
from napari_medai.ui.layers import array_from_layer, labels_layer, place_of
from napari_medai.ui.live_boxes import Kind, Show, kinds_of
from napari_medai.ui.models import ModelPicker
from napari_medai.ui.running import Run
from napari_medai.ui.shape_boxes import boxes_of_layer
from napari_medai.ui.source import LayerPicker

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer


class BoxTools(QWidget):
    """Two buttons with the layers that they work on; they share the run of their widget."""

    def __init__(self, viewer: ViewerModel, inputs: Inputs, work: Run, ends: RunControls) -> None:
        super().__init__()
        self._viewer, self._inputs, self._work, self._ends = viewer, inputs, work, ends
        self.labels = LayerPicker(viewer, Labels, empty="no labels are open", follows=False)
        self.labels.setToolTip("The labels to draw boxes around; they are never changed")
        self.labels_button = QPushButton("Labels to boxes")
        self.labels_button.setToolTip(
            "Draw the box around each label, in a new Shapes layer, or points where there are too "
            "many for napari; classes come along"
        )
        self.boxes = LayerPicker(viewer, Shapes, empty="no Shapes layer", follows=False)
        self.boxes.setToolTip("The boxes within which the layer chosen above is segmented")
        self.models = ModelPicker(engine.segmentation_models)
        self.models.choose("nuclei")
        self.single = QCheckBox("One object a box")
        self.single.setChecked(True)
        self.single.setToolTip(
            "Keep the largest, most central object of each box; otherwise all that lie in it by "
            "half or more"
        )
        self.inside_button = QPushButton("Segment inside the boxes")
        self.inside_button.setToolTip(
            "Outline what lies in the boxes, in a new Labels layer; labels carry the class of "
            "their box"
        )
        form = QFormLayout(self)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Labels", self.labels)
        form.addRow("", self.labels_button)
        form.addRow("Boxes", self.boxes)
        form.addRow("Model", self.models)
        form.addRow("", self.single)
        form.addRow("", self.inside_button)
        self.labels_button.clicked.connect(self.draw_boxes)
        self.inside_button.clicked.connect(self.segment)
        for picker in (self.labels, self.boxes):
            picker.listed.connect(self.enable)
        self.enable()

    def draw_boxes(self) -> None:
        """Labels to boxes."""
        layer = self.labels.layer()
        if layer is None:
            return
        try:
            labels, place = array_from_layer(layer), place_of(layer)
        except MedaiError as error:
            self._ends.tell(str(error))
            return
        names = label_classes(layer.features)

        def steps() -> Steps[tuple[Detection, Layer, str]]:
            from napari_medai.tasks.label_boxes import boxes_of_labels

            yield Step(0, 0, "drawing boxes")
            result = boxes_of_labels(labels, names)
            kinds, note = kinds_of(result, Show.AUTO)
            make = shapes_layer if Kind.SHAPES in kinds else points_layer
            boxes = make(result, place)
            boxes.name = f"{place.name} boxes"
            return result, boxes, note

        self._work.start(steps, self._show_boxes, title="Drawing boxes")

    def segment(self) -> None:
        """Segment inside the boxes."""
        shapes = self.boxes.layer()
        if shapes is None:
            return
        try:
            source, model = self._inputs.source.source(), self.models.model()
            whole = array_from_layer(source.layer, axes=source.axes)
            placed = boxes_of_layer(shapes, source.layer, source.axes)
        except MedaiError as error:
            self._ends.tell(str(error))
            return
        channel = {"C": cut} if (cut := source.place.window.get("C")) else {}
        place = place_of(source.layer, axes=source.axes, window=channel)
        params = engine.params_class()(device=self._inputs.device.value())
        steps = partial(
            engine.segment_inside_steps,
            whole.cropped(**channel),
            model,
            params,
            placed,
            single=self.single.isChecked(),
        )
        self._work.start(
            steps, partial(self._show_labels, place), title="Segmentation inside boxes"
        )

    def enable(self) -> None:
        """The buttons that can be used now."""
        idle = not self._work.busy
        self.labels_button.setEnabled(idle and self.labels.layer() is not None)
        ready = self._inputs.placed and self.models.combo.count() > 0
        self.inside_button.setEnabled(idle and ready and self.boxes.layer() is not None)

    def _show_boxes(self, found: tuple[Detection, Layer, str], seconds: float) -> None:
        result, boxes, note = found
        self._viewer.add_layer(boxes)
        self._ends.status.setText(f"{digits(result.count)} boxes were drawn · {seconds:.1f} s")
        self._ends.notes.setText(note)

    def _show_labels(self, place: Any, result: Segmentation, seconds: float) -> None:
        self._viewer.add_layer(labels_layer(result, place))
        self._ends.status.setText(f"{result.told} in boxes · {seconds:.1f} s")
        self._ends.notes.setText("\n".join(result.notes))
