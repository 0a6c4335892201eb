"""What stands over the columns of a table, with their units, and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from napari_medai.core.ruler import UNITS, Ruler
from napari_medai.core.units import unit_symbol

_INTENSITY = {
    "mean_intensity": ("Mean", "Mean of the image's values in the label"),
    "sd_intensity": ("SD", "Standard deviation of these values (all of them, divided by n)"),
    "min_intensity": ("Min", "The least of these values"),
    "max_intensity": ("Max", "The greatest of these values"),
}


@dataclass(frozen=True, slots=True)
class Heading:
    """How a column is shown: what stands over it, and what that means."""

    name: str
    title: str
    help: str


def headings_of(table: Mapping[str, Any], ruler: Ruler, *, image_unit: str) -> list[Heading]:
    """The columns of a measurement that are shown: all but the centres."""
    symbol = UNITS[ruler.unit]
    found = {"index": ("Label", "The label's number"), "class": ("Class", "What the label is")}
    found[ruler.size_name] = (
        _titled("Volume", {"mm": "ml", "um": "µm³"}.get(ruler.unit, ""))
        if ruler.ndim == 3
        else _titled("Area", symbol and f"{symbol}²"),
        "The pixels of the label, times the size of one",
    )
    found[ruler.surface_name] = (
        _titled("Surface", symbol and f"{symbol}²"),
        "Area of the surface, also where the image ends: the sides of voxels, each by the angle "
        "it makes with the surface there. Round objects come out 2 to 4 % too large, boxes too "
        "small: by 2 % with 40 voxels on each side, by up to 21 % with 3 or fewer on one",
    )
    found[ruler.diameter_name] = (
        _titled("Diameter", symbol),
        "The longest distance between the outer sides of two pixels of one connected part in one "
        "plane along Y and X, the axial one of a scan, as RECIST takes it",
    )
    found["diameter-z"] = ("Plane", "The position along Z of the longest diameter, from 0")
    for name, (title, help) in _INTENSITY.items():
        found[name] = (_titled(title, image_unit), help)
    hidden = {name for name in table if name.startswith("centroid-")}
    others = {name: _position(name) for name in table}
    return [Heading(name, *(others | found)[name]) for name in table if name not in hidden]


def box_headings(table: Mapping[str, Any], *, unit: object = "") -> list[Heading]:
    """The columns of found boxes that are shown: all but the centres; ``unit`` is of lengths."""
    symbol = unit_symbol(unit) or ""
    found = {
        "index": ("Box", "The number of the box, plane by plane, the surest first"),
        "class": ("Class", "What the model takes the object for"),
        "score": ("Score", "How sure the model is, 0 to 1"),
        "area": (_titled("Area", symbol and f"{symbol}²"), "The area of the box"),
        "volume": (_titled("Volume", symbol and f"{symbol}³"), "The volume of the box"),
    }
    for name, axis in (("depth", "Z"), ("height", "Y"), ("width", "X")):
        found[name] = (_titled(name.capitalize(), symbol), f"The box's edge along {axis}")
    return [
        Heading(name, *(found.get(name) or _position(name)))
        for name in table
        if not name.startswith("centroid-")
    ]


def count_headings(table: Mapping[str, Any], *, along: str) -> list[Heading]:
    """The columns of a table of counts by plane: positions ``along`` some axes, then classes."""
    positions = [axis.lower() for axis in along if axis.lower() in table]
    headings = [Heading(axis, *_position(axis)) for axis in positions]
    classes = [name for name in table if name not in positions]
    headings += [Heading(name, name, f"How many there are of {name}") for name in classes]
    return headings


def _position(axis: str) -> tuple[str, str]:
    return axis.upper(), f"The position along {axis.upper()}, from 0"


def _titled(title: str, unit: str) -> str:
    return f"{title} ({unit})" if unit else title


def spacing_text(ruler: Ruler) -> str:
    """How large a pixel is, for people."""
    steps = " × ".join(f"{step:.4g}" for step in ruler.steps)
    return f"{steps} {UNITS[ruler.unit]}" if ruler.unit else f"{steps}, without a unit"
