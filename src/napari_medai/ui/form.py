"""A form from a params class: names, defaults, limits and help are those of its fields.

A field's limits stand in its annotation: ``threshold: Annotated[float, {"min": 0, "max": 1}]``.
Keys: ``min max step help label choices unit`` and ``zero`` (what the value 0 is shown as).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_origin, get_type_hints

from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QLineEdit, QSpinBox, QWidget
from superqt import QLabeledDoubleSlider

LARGEST = 1_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One parameter as a form shows it."""

    name: str
    kind: type
    default: Any
    limits: Mapping[str, Any]

    @property
    def label(self) -> str:
        return str(self.limits.get("label", self.name.replace("_", " ").capitalize()))

    @property
    def help(self) -> str:
        return str(self.limits.get("help", self.limits.get("tooltip", "")))


def fields_of(params: type) -> dict[str, Field]:
    """The fields of a params class, by name, in its order."""
    hints = get_type_hints(params, include_extras=True)
    found = {}
    for entry in dataclasses.fields(params):
        hint, limits = hints[entry.name], {}
        if hasattr(hint, "__metadata__"):
            hint, *extras = get_args(hint)
            limits = {k: v for e in extras if isinstance(e, Mapping) for k, v in e.items()}
        kind = hint if isinstance(hint, type) and get_origin(hint) is None else str
        found[entry.name] = Field(entry.name, kind, entry.default, limits)
    return found


class Form(QObject):
    """The controls of some fields of a params class; the caller lays them out."""

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
        self.fields = {
            name: field
            for name, field in fields_of(params).items()
            if names is None or name in set(names)
        }
        chosen = set(sliders)
        self.controls: dict[str, Any] = {}  # Qt's value widgets share no class
        for name, field in self.fields.items():
            control = _slider(field) if name in chosen else _control(field)
            control.setToolTip(field.help)
            control.setObjectName(name)
            _changed(control).connect(lambda *_, name=name: self.changed.emit(name))
            self.controls[name] = control

    def values(self) -> dict[str, Any]:
        """What the form says, by name: the keyword arguments of the params class."""
        return {name: self.value(name) for name in self.fields}

    def value(self, name: str) -> Any:
        """What one control says, as the field's own type."""
        control, kind = self.controls[name], self.fields[name].kind
        if isinstance(control, QComboBox):
            return control.currentData()
        if isinstance(control, QCheckBox):
            return control.isChecked()
        if isinstance(control, QLineEdit):
            return control.text()
        # A slider's float has noise in its last digits, which would show in a script.
        return kind(round(control.value(), 6))

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Set controls by name, quietly; names or values that do not fit are left out."""
        for name, value in values.items():
            control = self.controls.get(name)
            if control is None:
                continue
            blocked = control.blockSignals(True)
            try:
                _set(control, value)
            except (TypeError, ValueError):
                pass
            finally:
                control.blockSignals(blocked)


def _control(field: Field) -> QWidget:
    limits = field.limits
    if "choices" in limits:
        combo = QComboBox()
        for choice in limits["choices"]:
            combo.addItem(str(choice), choice)
        combo.setCurrentIndex(max(0, combo.findData(field.default)))
        return combo
    if field.kind is bool:
        check = QCheckBox()
        check.setChecked(bool(field.default))
        return check
    if field.kind not in (int, float):
        return QLineEdit(str(field.default))
    spin: Any = QSpinBox() if field.kind is int else QDoubleSpinBox()
    if field.kind is float:
        spin.setDecimals(int(limits.get("decimals", _decimals(limits.get("step", 1)))))
    spin.setRange(limits.get("min", 0), limits.get("max", LARGEST))
    spin.setSingleStep(limits.get("step", 1))
    spin.setKeyboardTracking(False)
    if limits.get("unit"):
        spin.setSuffix(f" {limits['unit']}")
    if limits.get("zero"):
        spin.setSpecialValueText(str(limits["zero"]))
    spin.setValue(field.default)
    return spin


def _slider(field: Field) -> QWidget:
    slider: Any = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
    step = float(field.limits.get("step", 0.01))
    slider.setRange(field.limits.get("min", 0.0), field.limits.get("max", 1.0))
    slider.setSingleStep(step)
    slider.setDecimals(_decimals(step))
    slider.setValue(field.default)
    return slider


def _decimals(step: float) -> int:
    """Digits after the point that a step needs: 0.01 -> 2."""
    text = f"{step:.6f}".rstrip("0")
    return max(1, len(text.partition(".")[2]))


def _changed(control: QWidget) -> Any:
    for signal in ("valueChanged", "currentIndexChanged", "toggled", "textChanged"):
        if hasattr(control, signal):
            return getattr(control, signal)
    raise TypeError(f"{type(control).__name__} has no signal for a change")


def _set(control: Any, value: Any) -> None:
    if isinstance(control, QComboBox):
        if (index := control.findData(value)) >= 0:
            control.setCurrentIndex(index)
    elif isinstance(control, QCheckBox):
        control.setChecked(bool(value))
    elif isinstance(control, QLineEdit):
        control.setText(str(value))
    else:
        control.setValue(type(control.value())(value))
