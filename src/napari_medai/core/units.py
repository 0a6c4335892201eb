"""Units of length and time: from what files say to words that pint knows, and back."""

from __future__ import annotations

_SPELLINGS = {
    "micrometer": "µm μm um micron microns micrometre micrometers micrometres \\u00b5m \\xb5m",
    "nanometer": "nm nanometre nanometers nanometres",
    "picometer": "pm",
    "millimeter": "mm millimetre millimeters millimetres",
    "centimeter": "cm centimetre centimeters centimetres",
    "decimeter": "dm",
    "meter": "m metre meters metres",
    "angstrom": "å Å ångström",
    "inch": "in inches",
    "second": "s sec seconds",
    "millisecond": "ms msec milliseconds",
    "microsecond": "µs μs us usec",
    "nanosecond": "ns",
    "minute": "min minutes",
    "hour": "h hr hours",
    "day": "d days",
}
_WORDS = {spelling: word for word, text in _SPELLINGS.items() for spelling in text.split()}
_SYMBOLS = {word: text.split()[0] for word, text in _SPELLINGS.items()} | {"angstrom": "Å"}
_MICROMETERS = {
    "angstrom": 1e-4,
    "picometer": 1e-6,
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "decimeter": 1e5,
    "meter": 1e6,
    "inch": 25400.0,
}
_SECONDS = {
    "nanosecond": 1e-9,
    "microsecond": 1e-6,
    "millisecond": 1e-3,
    "second": 1.0,
    "minute": 60.0,
    "hour": 3600.0,
    "day": 86400.0,
}


def unit_word(text: object) -> str | None:
    """The pint name of a unit as a file spells it (``"µm"`` -> ``"micrometer"``).

    None for anything that is no unit of length or time (``"pixel"``, ``""``).
    """
    spelling = str(text or "").strip().strip("\0").lower()
    return spelling if spelling in _SPELLINGS else _WORDS.get(spelling)


def unit_symbol(text: object) -> str | None:
    """The symbol OME uses for a unit (``"micrometer"`` -> ``"µm"``), None where it has none."""
    word = unit_word(text)
    return None if word is None else _SYMBOLS[word]


def in_micrometers(step: float, unit: object) -> float | None:
    """A length in micrometers, None if the unit is not one of length."""
    factor = _MICROMETERS.get(unit_word(unit) or "")
    return None if factor is None else step * factor


def is_time(unit: object) -> bool:
    """Whether a unit is one of time."""
    word = unit_word(unit)
    return word is not None and word not in _MICROMETERS


def in_seconds(step: float, unit: object) -> float | None:
    """A time in seconds, None if the unit is not one of time."""
    factor = _SECONDS.get(unit_word(unit) or "")
    return None if factor is None else step * factor
