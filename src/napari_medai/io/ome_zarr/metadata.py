"""What the metadata of OME-Zarr say: axes, places, channels and labels.

As in https://ngff.openmicroscopy.org/0.5 and 0.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_medai.core.axes import CHANNEL, SPACE, check_axes
from napari_medai.core.errors import InputError
from napari_medai.core.units import unit_word
from napari_medai.io.ome_zarr.anatomy import orientation_of

LABELS = "labels"
"""The group of an image's labels, and the key of their list."""

RGB_COLORS = ("FF0000", "00FF00", "0000FF")
RGB_NAMES = ("Red", "Green", "Blue")
_TYPES = {"channel": "C", "time": "T"}
_FIRST_AXES = "tczyx"
"""Versions 0.1 and 0.2 name no axes."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the samples of an image lie: as in `ImageData`, axes in the order of the file."""

    axes: str
    spacing: dict[str, float]
    origin: dict[str, float]
    units: dict[str, str]
    notes: tuple[str, ...] = ()
    ways: dict[str, str] = field(default_factory=dict)
    """Along which way of a patient an axis runs, where it says so."""

    @property
    def usual_order(self) -> str:
        """The axes with those of space last, as Z Y X."""
        return "".join(sorted(self.axes, key=lambda axis: (axis in SPACE, SPACE.find(axis))))


def ome_attributes(group: Any) -> Mapping[str, Any]:
    """The metadata of a group: in ``ome`` from 0.5 on."""
    attributes: Any = dict(group.attrs)
    attributes = attributes.get("ome", attributes)
    return attributes if isinstance(attributes, dict) else {}


def placed_axes(scale: Mapping[str, Any]) -> Place:
    """The axes of a multiscale image, and where the samples of its finest level lie.

    Transformations are applied in their order, those of the level first.

    Raises
    ------
    InputError
        If they do not fit the axes, or a step is not a positive number.
    """
    named = [a if isinstance(a, dict) else {"name": a} for a in scale.get("axes") or _FIRST_AXES]
    axes = "".join(_letter(axis) for axis in named)
    check_axes(axes, (1,) * len(named))
    steps, origin = np.ones(len(axes)), np.zeros(len(axes))
    unknown = []
    for change in _changes(scale):
        kind = change.get("type")
        if kind == "scale":
            factors = _vector(change, len(axes))
            steps, origin = steps * factors, origin * factors
        elif kind == "translation":
            origin = origin + _vector(change, len(axes))
        elif kind != "identity":
            unknown.append(str(kind))
    kept = [n for n, axis in enumerate(axes) if axis != CHANNEL]
    if not (np.isfinite(steps[kept]).all() and (steps[kept] > 0).all()):
        raise InputError(
            f"the scale of its axes {axes} is {steps.tolist()}, but steps are positive numbers; "
            "correct its metadata"
        )
    if not np.isfinite(origin[kept]).all():
        raise InputError(
            f"the translation of its axes {axes} is {origin.tolist()}, which is no place; "
            "correct its metadata"
        )
    units = {axis: unit_word(told.get("unit")) for axis, told in zip(axes, named, strict=True)}
    return Place(
        axes,
        {axes[n]: float(steps[n]) for n in kept},
        {axes[n]: float(origin[n]) for n in kept if origin[n]},
        {axis: unit for axis, unit in units.items() if unit is not None and axis != CHANNEL},
        tuple(f"a transformation of type {kind} is not applied" for kind in unknown),
        {axis: orientation_of(told) for axis, told in zip(axes, named, strict=True)},
    )


def _letter(axis: Mapping[str, Any]) -> str:
    return _TYPES.get(str(axis.get("type"))) or str(axis["name"])[:1].upper()


def _changes(scale: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    both = (scale["datasets"][0], scale)
    return [change for one in both for change in one.get("coordinateTransformations") or ()]


def _vector(change: Mapping[str, Any], count: int) -> np.ndarray:
    kind = change["type"]
    values = change.get(kind)
    try:
        vector = np.array(values, dtype=float)
    except (TypeError, ValueError):
        vector = np.array(())
    if vector.shape != (count,):
        raise InputError(
            f"a {kind} needs a number for each of its {count} axes, got {values!r}; "
            "correct its metadata"
        )
    return vector


def tells_rgb(channels: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the channels of an image are called, and coloured, red, green and blue."""
    colors = tuple(str(one.get("color")).upper() for one in channels)
    names = tuple(str(one.get("label")).lower() for one in channels)
    return colors == RGB_COLORS and names == tuple(name.lower() for name in RGB_NAMES)


def shown_between(channel: Mapping[str, Any]) -> tuple[float, float] | None:
    """The values that a channel is shown between, None where it does not say."""
    window = channel.get("window")
    ends = [window.get("start"), window.get("end")] if isinstance(window, dict) else []
    numbers = [float(end) for end in ends if isinstance(end, int | float)]
    if len(numbers) != 2:
        return None
    low, high = numbers
    return (low, high) if np.isfinite([low, high]).all() and low < high else None


def label_features(properties: Any) -> dict[str, list[Any]]:
    """A table of labels, ``index`` and a column for each property."""
    rows = [row for row in _rows(properties) if _is_label(row)]
    names = dict.fromkeys(name for row in rows for name in row if name != "label-value")
    if not names:
        return {}
    columns = {name: [row.get(name) for row in rows] for name in names if name != "index"}
    return {"index": [row["label-value"] for row in rows], **columns}


def label_colors(colors: Any) -> dict[int, tuple[float, ...]]:
    """The colours of labels that have valid ones."""
    found = {}
    for row in _rows(colors):
        rgba = row.get("rgba")
        if not (_is_label(row) and isinstance(rgba, list) and len(rgba) in (3, 4)):
            continue
        if all(isinstance(value, int | float) and 0 <= value <= 255 for value in rgba):
            full = (*rgba, 255)[:4]
            found[int(row["label-value"])] = tuple(value / 255 for value in full)
    return found


def _rows(told: Any) -> list[dict[str, Any]]:
    return [row for row in told if isinstance(row, dict)] if isinstance(told, list) else []


def _is_label(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("label-value"), int)
