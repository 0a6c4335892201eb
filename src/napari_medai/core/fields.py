"""The fields of a params class: the one home of each parameter's name, default, limits and help.

A field's limits stand in its annotation: ``threshold: Annotated[float, {"min": 0, "max": 1}]``.
Keys: ``min max step help label choices unit``, ``zero`` (what the value 0 is shown as) and
``applies`` (the decoder of the only models that a parameter is for).
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from napari_medai.core.errors import InputError

Params = TypeVar("Params")

SWITCHES = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
"""What a parameter of the kind bool may be given as."""


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One parameter of a task."""

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

    def suits(self, decoder: str) -> bool:
        """Whether it changes anything for models of this decoder."""
        return self.limits.get("applies", decoder) == decoder

    @property
    def range(self) -> str:
        """The limits in words, ``"0.05 to 0.95"``; empty without."""
        low, high = self.limits.get("min"), self.limits.get("max")
        if low is None:
            return "" if high is None else f"{_digits(high)} or less"
        return f"{_digits(low)} or more" if high is None else f"{_digits(low)} to {_digits(high)}"

    def checked(self, value: Any) -> Any:
        """The value as the field's kind; `InputError` if it is of another kind or out of range."""
        choices = self.limits.get("choices")
        if choices and value not in choices:
            raise InputError(f"{self.name} must be one of {', '.join(choices)}, got {value!r}")
        if self.kind is bool:
            return self._switch(value)
        if self.kind not in (int, float):
            return value
        number = _number(value, self.kind)
        if number is None:
            wanted = "a whole number" if self.kind is int else "a number"
            raise InputError(f"{self.name} must be {wanted}, got {value!r}")
        if not self.limits.get("min", -math.inf) <= number <= self.limits.get("max", math.inf):
            raise InputError(f"{self.name} must be {self.range}, got {_digits(number)}")
        return number

    def _switch(self, value: Any) -> bool:
        """A switch, which may be given in words."""
        word = str(value).strip().lower()
        if word not in SWITCHES:
            raise InputError(f"{self.name} must be yes or no, got {value!r}")
        return SWITCHES[word]


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


def checked_params(params: type[Params], values: Mapping[str, Any]) -> Params:
    """A params object of the given values, the others at their defaults.

    Raises
    ------
    InputError
        If a name is unknown (the message names the nearest) or a value is out of its limits.
    """
    fields = fields_of(params)
    for name in values:
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=2)
            hint = f"did you mean {' or '.join(near)}?" if near else f"use {', '.join(fields)}"
            raise InputError(f"there is no parameter {name!r}; {hint}")
    return params(**{name: fields[name].checked(value) for name, value in values.items()})


def suited(params: Any, decoder: str) -> dict[str, Any]:
    """The values of a params object that change anything for models of a decoder, by name."""
    fields = fields_of(type(params))
    return {name: getattr(params, name) for name in fields if fields[name].suits(decoder)}


def left_out(params: Any, decoder: str, *, model: str) -> str:
    """Which values other than the defaults change nothing for a model, in words; else nothing."""
    fields = fields_of(type(params)).values()
    idle = [field for field in fields if not field.suits(decoder)]
    names = [field.name for field in idle if getattr(params, field.name) != field.default]
    if not names:
        return ""
    *others, last = names
    if not others:
        return f"{last} means nothing to {model} and is left out"
    return f"{', '.join(others)} and {last} mean nothing to {model} and are left out"


def settle(params: Any) -> None:
    """Bring the values of a params object to their fields' kinds, for its ``__post_init__``.

    Raises
    ------
    InputError
        If a value is of another kind, or out of its limits.
    """
    for name, field in fields_of(type(params)).items():
        object.__setattr__(params, name, field.checked(getattr(params, name)))


def _digits(number: float) -> str:
    """Whole numbers in full: one may be beyond a limit by its last digit."""
    return str(number) if isinstance(number, int) else f"{number:g}"


def _number(value: Any, kind: type) -> Any:
    """A finite number of the kind (text is read as one), else None."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
        return kind(value) if math.isfinite(number) and kind(number) == number else None
    except (TypeError, ValueError, OverflowError):
        return None
