"""The parameters of what is synthesized: a form for each params class, one of them shown."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_medai.ui.form import Form, Groups, grouped

USUAL = (
    "images",
    "seed",
    "count",
    "density",
    "size",
    "segments",
    "radius",
    "tortuosity",
    "contrast",
    "numbering",
)
APART = ("device",)


class ParamForms(QWidget):
    """Forms that are made when their class is needed, one of them at first."""

    changed = Signal()

    def __init__(self, first: type, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._forms: dict[type, tuple[Form, Groups]] = {}
        self._stored: dict[str, Any] = {}
        self._rows = QVBoxLayout(self)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self.show_form(first)

    @property
    def form(self) -> Form:
        """The one that is shown."""
        return self._forms[self._shown][0]

    @property
    def has_device(self) -> bool:
        """Whether the parameters say where to compute."""
        return "device" in self.form.fields

    def show_form(self, params: type, *, without: Collection[str] = ()) -> None:
        """Show the form of a params class, without the rows of parameters that mean nothing."""
        if params not in self._forms:
            self._add(params)
        for _, groups in self._forms.values():
            groups.box.hide()
            groups.advanced.hide()
        form, groups = self._forms[params]
        self._shown, self._names = params, set(form.fields) - {*without, *APART}
        groups.show(form, self._names)
        groups.advanced.show()

    def named(self) -> list[str]:
        """The parameters that mean something, also those whose controls are elsewhere."""
        return [name for name in self.form.fields if name in self._names or name in APART]

    def values(self) -> dict[str, Any]:
        """What the shown rows say, by name."""
        return {name: value for name, value in self.form.values().items() if name in self._names}

    def stored(self) -> dict[str, Any]:
        """What `recall` brings back: the values of each class, by its name."""
        now = {kind.__name__: form.values() for kind, (form, _) in self._forms.items()}
        return {**self._stored, **now}

    def recall(self, stored: Any) -> None:
        """Set what was stored, now or when the form is made."""
        self._stored = dict(stored) if isinstance(stored, Mapping) else {}
        for kind, (form, _) in self._forms.items():
            self._set(kind, form)

    def _add(self, params: type) -> None:
        form = Form(params, parent=self)
        groups = grouped(form, "Synthesis", usual=USUAL, apart=APART)
        self._rows.addWidget(groups.box)
        self._rows.addWidget(groups.advanced)
        self._forms[params] = form, groups
        self._set(params, form)
        form.changed.connect(lambda _: self.changed.emit())

    def _set(self, kind: type, form: Form) -> None:
        values = self._stored.get(kind.__name__)
        if isinstance(values, Mapping):
            form.set_values(values)
