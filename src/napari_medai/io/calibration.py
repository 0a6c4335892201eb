"""Axes, spacing and units as a person gives them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from napari_medai.core.axes import CHANNEL, SPACE, AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.units import unit_word

Scale = float | Sequence[float] | Mapping[str, float]
Units = str | Sequence[str] | Mapping[str, str]


def calibrated(
    image: AxesArray,
    *,
    axes: str | None = None,
    scale: Scale | None = None,
    units: Units | None = None,
) -> AxesArray:
    """The image with other axes, spacing or units; what is not given stays.

    ``scale`` and ``units`` are one value for every spatial axis, one for each (spatial ones, or
    all but channels, in order), or a mapping of axes. Spacing follows its letter when ``axes``
    change. Units may be written as files do (``"µm"``); ``"pixel"`` is none.

    Raises
    ------
    InputError
        If they do not fit the image.
    """
    axes = image.axes if axes is None else axes.upper()
    moved = AxesArray(image.data, axes)
    spacing = {a: s for a, s in image.spacing.items() if a in axes}
    words = {a: u for a, u in image.units.items() if a in axes}
    if scale is not None:
        spacing |= {a: _step(s) for a, s in _by_axis(moved, scale, "scale").items()}
    if units is not None:
        given = {a: _word(u) for a, u in _by_axis(moved, units, "units").items()}
        words = {a: u for a, u in {**words, **given}.items() if u}
    return AxesArray(image.data, axes, spacing, words)


def _by_axis(image: AxesArray, given: Any, what: str) -> dict[str, Any]:
    placed = image.axes.replace(CHANNEL, "")
    space = "".join(axis for axis in placed if axis in SPACE)
    if isinstance(given, Mapping):
        found = {str(axis).upper(): value for axis, value in given.items()}
        unknown = "".join(axis for axis in found if axis not in placed)
        if unknown:
            raise InputError(f"{what} names axis {unknown}, but the image has {image.axes}")
        return found
    if isinstance(given, str) or not hasattr(given, "__len__"):
        return dict.fromkeys(space, given)
    values = list(given)
    for letters in (placed, space):
        if len(values) == len(letters):
            return dict(zip(letters, values, strict=True))
    if len(values) == 1:
        return dict.fromkeys(space, values[0])
    raise InputError(
        f"{what} has {len(values)} values, but the image has the axes {' '.join(placed)}; "
        "give one value, or one an axis"
    )


def _step(value: Any) -> float:
    try:
        step = float(value)
    except (TypeError, ValueError):
        step = math.nan
    if not (math.isfinite(step) and step > 0):
        raise InputError(f"scale must be positive numbers, got {value!r}; for example 0.5")
    return step


def _word(value: Any) -> str | None:
    text = str(value)
    if text.strip().lower() in ("pixel", "pixels", "px", ""):
        return None
    word = unit_word(text)
    if word is None:
        raise InputError(
            f"{text!r} is not a unit that is known; use for example micrometer, nanometer or pixel"
        )
    return word
