"""The settings of a model (``config: medai:`` in its package) and the rules they keep."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from napari_medai.core.axes import SPACE
from napari_medai.core.errors import InputError
from napari_medai.core.intensity import intensity_of

VOTES, CLASSES, BOXES, LIGHT = "centre votes", "classes", "boxes", "light"
PAINTING = "painting"
DECODERS = {
    "segment": (VOTES, CLASSES),
    "detect": (BOXES,),
    "denoise": (LIGHT,),
    "synthesize": (PAINTING,),
}
"""What turns a net's maps into the results of a task."""
NEEDED = dict.fromkeys(DECODERS, ("decoder",))
"""What the settings of a task's model must hold, and besides, by its decoder:"""
NEEDED_BY = {
    VOTES: ("diameter",),
    CLASSES: ("classes",),
    BOXES: ("classes", "diameter"),
    PAINTING: ("learned",),
}

_TERMS = ("code", "category")
_CODE = {"scheme": 16, "value": 16, "meaning": 64}
"""The parts of a coded term, and how long DICOM lets them be."""
_COLOUR = re.compile(r"#[0-9a-f]{6}", re.IGNORECASE)


def number(value: Any) -> bool:
    """Whether this is an int or float (a bool is not)."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def class_names(config: Mapping[str, Any]) -> list[str]:
    """The names of a model's classes, without the background."""
    return [str(c["name"] if isinstance(c, Mapping) else c) for c in config.get("classes") or []]


def is_class_name(name: str) -> bool:
    """Whether a class of boxes may be named so: names are given with commas between."""
    return "," not in name and name == name.strip() != ""


def check_settings(task: str, settings: Mapping[str, Any], *, space: int) -> None:
    """Refuse settings that a model for a task cannot work with; ``space`` is its spatial axes.

    Keys that no rule names may hold anything.
    """
    decoder = settings.get("decoder", VOTES)
    own = NEEDED_BY.get(decoder, ()) if task in DECODERS and isinstance(decoder, str) else ()
    missing = [key for key in (*NEEDED.get(task, ()), *own) if key not in settings]
    if missing:
        raise InputError(f"the settings of the model (config: medai:) lack {', '.join(missing)}")
    rules = _rules(task, space)
    if decoder in (CLASSES, BOXES) and task in DECODERS:
        rules["classes"] = (
            _are_classes,
            'a list of {"name": text, "colour": "#rrggbb"}, which may have a "code" and a '
            '"category": {"scheme": text, "value": text, "meaning": text}',
        )
    if decoder == BOXES and not all(map(is_class_name, class_names(settings))):
        raise InputError(
            f"names of classes have no comma and no blanks at their ends, got "
            f"{', '.join(map(repr, class_names(settings)))}"
        )
    for key, (holds, wanted) in rules.items():
        if key in settings and not holds(settings[key]):
            raise InputError(f"{key} must be {wanted}, got {settings[key]!r}")


def _rules(task: str, space: int) -> dict[str, tuple[Callable[[Any], bool], str]]:
    decoders = DECODERS.get(task, ())
    part = (lambda v: number(v) and 0 <= v <= 1, "between 0 and 1")
    text = (lambda v: isinstance(v, str), "a text")
    mapping = (lambda v: isinstance(v, Mapping), "a mapping")
    return {
        "intensity": (
            _is_intensity,
            'percentiles low < high, {"zscore": clip}, {"window": [low, high]} or '
            '{"unchanged": true}',
        ),
        "decoder": (
            lambda v: isinstance(v, str) and (not decoders or v in decoders),
            " or ".join(map(repr, decoders)) or "a name",
        ),
        "diameter": (_is_positive, "a positive number of pixels"),
        "seen": (
            lambda v: v == "TYX" and space == 3,
            "'TYX', for a net that sees frames as slices",
        ),
        "zoom": (_is_positive, "a positive factor"),
        "zoom_range": (lambda v: number(v) and 1 <= v < 1e6, "a factor of 1 or more"),
        "anisotropy": (_is_positive, "a positive number"),
        "pixel_size": (lambda v: _is_size(v, space), f"1 or {space} positive micrometers"),
        "spacing": (
            lambda v: isinstance(v, list) and len(v) == space and all(map(_is_positive, v)),
            f"{space} positive numbers of millimetres",
        ),
        "mirror": (
            lambda v: isinstance(v, str) and set(v) <= set(SPACE[-space:]),
            f"some of the axes {SPACE[-space:]}",
        ),
        "mirrored": (lambda v: isinstance(v, bool), "true or false"),
        "threshold": (lambda v: number(v) and 0 < v < 1, "above 0 and below 1"),
        "min_size": part,
        "min_score": part,
        "classes": (lambda v: isinstance(v, list), "a list"),
        "learned": text,
        "recipe": mapping,
        "scores": mapping,
        "alias": text,
        "notice": text,
        "training_data": text,
        "limits": text,
    }


def _is_positive(value: Any) -> bool:
    return number(value) and 0 < value < 1e6


def _is_size(value: Any, space: int) -> bool:
    sizes = value if isinstance(value, Sequence) and len(value) == space else [value]
    return all(_is_positive(size) for size in sizes)


def _is_intensity(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    if dict(value) == {"unchanged": True}:
        return True
    values = [n for v in value.values() for n in (v if isinstance(v, list) else [v])]
    if not all(map(number, values)) or len(values) != (1 if "zscore" in value else 2):
        return False
    try:
        intensity_of(value)
    except InputError:
        return False
    return True


def _are_classes(value: Any) -> bool:
    if not isinstance(value, list) or not value:
        return False
    if not all(isinstance(entry, Mapping) and entry.get("name") for entry in value):
        return False
    names = [entry["name"] for entry in value]
    colours = [entry.get("colour", "#000000") for entry in value]
    return (
        all(isinstance(name, str) for name in names)
        and len(set(names)) == len(names)
        and all(isinstance(c, str) and _COLOUR.fullmatch(c) is not None for c in colours)
        and all(_is_code(entry[key]) for entry in value for key in _TERMS if key in entry)
    )


def _is_code(value: Any) -> bool:
    """Whether this is a coded term that fits into DICOM's code sequence (PS3.3, 8.8)."""
    if not isinstance(value, Mapping) or set(value) != set(_CODE):
        return False
    return all(isinstance(value[k], str) and 0 < len(value[k]) <= n for k, n in _CODE.items())
