"""The settings of a model (``config: medai:`` in its package) and the rules they keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from napari_medai.core.errors import InputError

NEEDED = {"segment": ("decoder", "diameter")}
"""What the settings of a task's model must hold."""
DECODERS = {"segment": "centre votes"}
"""What turns a net's maps into the results of a task."""


def number(value: Any) -> bool:
    """Whether this is an int or float (a bool is not)."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_settings(task: str, settings: Mapping[str, Any], *, space: int) -> None:
    """Refuse settings that a model for a task cannot work with; ``space`` is its spatial axes.

    Keys that no rule names may hold anything.
    """
    missing = [key for key in NEEDED.get(task, ()) if key not in settings]
    if missing:
        raise InputError(f"the settings of the model (config: medai:) lack {', '.join(missing)}")
    for key, (holds, wanted) in _rules(task, space).items():
        if key in settings and not holds(settings[key]):
            raise InputError(f"{key} must be {wanted}, got {settings[key]!r}")


def _rules(task: str, space: int) -> dict[str, tuple[Callable[[Any], bool], str]]:
    decoder = DECODERS.get(task)
    part = (lambda v: number(v) and 0 <= v <= 1, "between 0 and 1")
    text = (lambda v: isinstance(v, str), "a text")
    mapping = (lambda v: isinstance(v, Mapping), "a mapping")
    return {
        "intensity": (_is_intensity, "percentiles low < high"),
        "decoder": (
            lambda v: isinstance(v, str) and v == (decoder or v),
            repr(decoder) if decoder else "a name",
        ),
        "diameter": (_is_positive, "a positive number of pixels"),
        "zoom_range": (lambda v: number(v) and 1 <= v < 1e6, "a factor of 1 or more"),
        "anisotropy": (_is_positive, "a positive number"),
        "pixel_size": (lambda v: _is_size(v, space), f"1 or {space} positive micrometers"),
        "threshold": (lambda v: number(v) and 0 < v < 1, "above 0 and below 1"),
        "min_size": part,
        "min_score": part,
        "classes": (lambda v: isinstance(v, list), "a list"),
        "recipe": mapping,
        "scores": mapping,
        "training_data": text,
        "limits": text,
    }


def _is_positive(value: Any) -> bool:
    return number(value) and 0 < value < 1e6


def _is_size(value: Any, space: int) -> bool:
    sizes = value if isinstance(value, Sequence) and len(value) == space else [value]
    return all(_is_positive(size) for size in sizes)


def _is_intensity(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and set(value) == {"low", "high"}
        and all(map(number, value.values()))
        and 0 <= value["low"] < value["high"] <= 100
    )
