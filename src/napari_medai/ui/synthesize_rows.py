"""The rows of a form that say on what synthetic images are made, and in which style."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any
from weakref import ref

from napari.layers import Image, Labels
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QComboBox, QFormLayout

from napari_medai.core.errors import InputError
from napari_medai.ui import engine
from napari_medai.ui.controls import WrappedLabel
from napari_medai.ui.source import LayerPicker
from napari_medai.ui.synthesize_given import Given, Painted, Sized, Styled
from napari_medai.ui.synthesize_size import EdgeRow, PixelRow

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_medai.tasks.synthesize import Kind


class Start(Enum):
    """What an image begins with."""

    SCRATCH = "from scratch"
    LABELS = "from a Labels layer"


class GivenRows(QObject):
    """The rows *Make*, *Labels*, *Dimensions*, *Shape*, *Edges*, *Pixel* and *Style*.

    Those that mean nothing are hidden. `changed` tells that something else was chosen.
    """

    changed = Signal()

    def __init__(self, viewer: ViewerModel, form: QFormLayout, parent: QObject) -> None:
        super().__init__(parent)
        self._form = form
        self._kind: Kind = engine.grown_kind()
        self.start = QComboBox()
        for start in Start:
            self.start.addItem(start.value, start)
        self.start.setToolTip(
            "From scratch: objects are placed as in the images that the model learned from · "
            "from a Labels layer: the image is painted onto its labels"
        )
        self.labels = LayerPicker(viewer, Labels, empty="no labels are open")
        self.labels.setToolTip("The labels to be painted, drawn or found; they are never changed")
        self.ndim = QComboBox()
        for count, word in ((2, "2D: planes"), (3, "3D: volumes")):
            self.ndim.addItem(word, count)
        self.ndim.setToolTip("Whether vessels grow in planes or in volumes")
        self.like = LayerPicker(viewer, Image | Labels, none="edges as below", follows=False)
        self.like.setToolTip(
            "Images as large as those of a layer, with its scale and units, or of the edges below"
        )
        self.edges, self.pixel = EdgeRow(), PixelRow()
        self.style = LayerPicker(viewer, Image, none="as learned", follows=False)
        self.style.setToolTip(
            "An image whose look is followed: its brightness, background, noise and sharpness; "
            "what is bright in it counts as objects"
        )
        self.message = WrappedLabel()
        self._lay_out()
        for picker in (self.labels, self.like, self.style):
            picker.picked.connect(self._follow)
        for combo in (self.start, self.ndim):
            combo.currentIndexChanged.connect(self._follow)
        for row in (self.edges, self.pixel):
            row.changed.connect(self.changed)
        self._follow()

    @property
    def paints(self) -> bool:
        """Whether labels of a layer are painted."""
        return self._kind.model is not None and self.start.currentData() is Start.LABELS

    @property
    def ready(self) -> bool:
        """Whether there is all that is needed, and it fits."""
        return not self.problem() and not (self.paints and self.labels.layer() is None)

    def given(self) -> Given:
        """What the rows say.

        Raises
        ------
        InputError
            If a layer is missing, or its axes do not fit.
        """
        style = self.style.layer() if self._kind.model is not None else None
        return Given(self._on(), None if style is None else Styled.of(style))

    def problem(self) -> str:
        """Why a chosen layer does not fit; nothing if all do."""
        if self.paints and self.labels.layer() is None:
            return ""
        try:
            self.given()
        except InputError as error:
            return str(error)
        return ""

    def said(self) -> tuple[Any, ...]:
        """What was chosen, to compare with later."""
        pickers = [self.labels] if self.paints else [self.like]
        if self._kind.model is not None:
            pickers.append(self.style)
        layers = [picker.layer() for picker in pickers]
        # By weak references: what is compared later keeps no layer that was removed.
        named = tuple(None if layer is None else (ref(layer), layer.name) for layer in layers)
        size = () if self.paints else (self._count, self.edges.edges(), self.pixel.stored())
        return self.paints, named, size

    def suit(self, kind: Kind) -> None:
        """Show the rows that mean something for what is made."""
        self._kind = kind
        self._follow()

    def stored(self) -> dict[str, Any]:
        """What `recall` brings back."""
        return {
            "start": self.start.currentText(),
            "ndim": self.ndim.currentData(),
            "edges": self.edges.stored(),
            "pixel": self.pixel.stored(),
        }

    def recall(self, stored: Mapping[str, Any]) -> None:
        """Choose what was stored, as far as it makes sense."""
        for combo, index in (
            (self.start, self.start.findText(str(stored.get("start", "")))),
            (self.ndim, self.ndim.findData(stored.get("ndim"))),
        ):
            combo.setCurrentIndex(max(0, index))
        self.edges.recall(stored.get("edges"))
        self.pixel.recall(stored.get("pixel"))

    def _on(self) -> Sized | Painted:
        if self.paints:
            layer = self.labels.layer()
            if layer is None:
                raise InputError("there is no Labels layer; draw one first, or make from scratch")
            return Painted.of(layer)
        layer = self.like.layer()
        if layer is not None:
            return Sized.of(layer, self._count)
        edges = self.edges.edges()
        scale, units = self.pixel.by_axis(len(edges))
        return Sized(edges, scale, units)

    @property
    def _count(self) -> int:
        """How many axes there are."""
        model = self._kind.model
        return int(self.ndim.currentData()) if model is None else len(model.axes.replace("C", ""))

    def _follow(self, *_: Any) -> None:
        painter, paints = self._kind.model is not None, self.paints
        like = None if paints else self.like.layer()
        shown: dict[Any, bool] = {
            self.start: painter,
            self.labels: paints,
            self.ndim: not painter,
            self.like: not paints,
            self.edges: not paints,
            self.pixel: not paints and like is None,
            self.style: painter,
        }
        for row, visible in shown.items():
            self._form.setRowVisible(row, visible)
        problem = self.problem()
        fixed = None if like is None or problem else Sized.of(like, self._count).shape
        self.edges.show_axes(self._count, least=self._kind.least, fixed=fixed)
        self.message.setText(problem)
        self._form.setRowVisible(self.message, bool(problem))
        self.changed.emit()

    def _lay_out(self) -> None:
        self._form.addRow("Make", self.start)
        self._form.addRow("Labels", self.labels)
        self._form.addRow("Dimensions", self.ndim)
        self._form.addRow("Shape", self.like)
        self._form.addRow("Edges", self.edges)
        self._form.addRow("Pixel", self.pixel)
        self._form.addRow("Style", self.style)
        self._form.addRow("", self.message)
