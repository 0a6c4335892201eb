"""A form from a params class: names, defaults, limits and help are those of its fields.

`napari_medai.core.fields` reads them; magicgui makes the controls.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from magicgui.widgets import create_widget
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QDoubleSpinBox, QFormLayout, QGroupBox, QSlider, QWidget
from superqt import QCollapsible

from napari_medai.core.fields import Field, fields_of

RANGE = {"min": 0, "max": 1_000_000, "step": 1}


class Form(QObject):
    """The controls of some fields of a params class, which the caller lays out.

    ``widgets`` are magicgui's, by name; ``controls`` are the Qt widgets in them.
    """

    changed = Signal(str)

    def __init__(
        self,
        params: type,
        *,
        names: Iterable[str] | None = None,
        sliders: Iterable[str] = (),
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        fields = fields_of(params)
        self.fields = {name: fields[name] for name in fields if names is None or name in set(names)}
        sliders = set(sliders)
        self.widgets = {n: _widget(f, slider=n in sliders) for n, f in self.fields.items()}
        self.controls = {name: widget.native for name, widget in self.widgets.items()}
        for name, widget in self.widgets.items():
            widget.native.setObjectName(name)
            widget.changed.connect(lambda _, name=name: self.changed.emit(name))

    def values(self) -> dict[str, Any]:
        """What the form says, by name: the keyword arguments of the params class."""
        return {name: self.value(name) for name in self.fields}

    def value(self, name: str) -> Any:
        """What one control says, as the field's own type; numbers as they are shown."""
        field, value = self.fields[name], self.widgets[name].value
        return field.kind(round(value, _decimals(field))) if _is_number(field) else value

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Set controls by name, quietly; names or values that do not fit are left out."""
        for name in values.keys() & self.widgets.keys():
            widget, value = self.widgets[name], values[name]
            with widget.changed.blocked(), suppress(TypeError, ValueError):
                if _is_number(self.fields[name]):
                    value = min(max(value, widget.min), widget.max)
                widget.value = value


@dataclass(frozen=True, slots=True)
class Groups:
    """A form laid out in a box of the usual parameters, and the others, which open on a click."""

    box: QGroupBox
    advanced: QCollapsible
    rows: Mapping[str, QFormLayout]

    def show(self, form: Form, names: Collection[str]) -> None:
        """Show the rows of these parameters alone, and the box if it has any of them."""
        for name, rows in self.rows.items():
            rows.setRowVisible(form.controls[name], name in names)
        usual = [name for name, rows in self.rows.items() if rows is self.box.layout()]
        self.box.setVisible(any(name in names for name in usual))


def grouped(
    form: Form, title: str, *, usual: Collection[str], apart: Collection[str] = ()
) -> Groups:
    """Lay a form out; parameters that stand ``apart`` have controls elsewhere."""
    box, more = QGroupBox(title), QWidget()
    inside, others = QFormLayout(box), QFormLayout(more)
    rows = {}
    for name, field in form.fields.items():
        if name not in apart:
            rows[name] = inside if name in usual else others
            rows[name].addRow(field.label, form.controls[name])
    advanced = QCollapsible("Advanced")
    advanced.addWidget(more)
    return Groups(box, advanced, rows)


def _widget(field: Field, *, slider: bool) -> Any:
    options = {
        key: field.limits[key] for key in ("min", "max", "step", "choices") if key in field.limits
    }
    if _is_number(field):
        # Also for integers: the box that magicgui has for them shows no unit.
        options = {**RANGE, **options, "widget_type": "FloatSlider" if slider else "FloatSpinBox"}
    widget: Any = create_widget(
        value=field.default,
        annotation=field.kind,
        name=field.name,
        label=field.label,
        options={**options, "tooltip": field.help},
    )
    if _is_number(field):
        _finish(widget.native, field)
    return widget


def _finish(native: Any, field: Field) -> None:
    """What magicgui has no word for: decimals, unit, a word for 0, and whole steps on a click."""
    box = native if isinstance(native, QDoubleSpinBox) else native.findChild(QDoubleSpinBox)
    if slider := native.findChild(QSlider):
        slider.setPageStep(10 * slider.singleStep())
        # napari's style leaves room for buttons, which this box does not have.
        box.setStyleSheet(f"{box.styleSheet()} padding: 0; min-width: 2em; max-width: 3em;")
    box.setDecimals(_decimals(field))
    box.setKeyboardTracking(False)
    box.setSpecialValueText(str(field.limits.get("zero", "")))
    if unit := field.limits.get("unit"):
        box.setSuffix(f" {unit}")


def _is_number(field: Field) -> bool:
    """Whether it is any number between limits."""
    return field.kind in (int, float) and "choices" not in field.limits


def _decimals(field: Field) -> int:
    """Digits after the point that the steps of a number need: 0.01 -> 2."""
    if field.kind is int:
        return 0
    digits = f"{field.limits.get('step', 1):.6f}".rstrip("0").partition(".")[2]
    return max(1, len(digits))
