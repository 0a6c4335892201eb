"""What stands over the columns of a table, with their units, and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from napari_medai.core.ruler import UNITS, Ruler

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
    others = {name: (name.upper(), f"The position along {name.upper()}, from 0") for name in table}
    return [Heading(name, *(others | found)[name]) for name in table if name not in hidden]


def _titled(title: str, unit: str) -> str:
    return f"{title} ({unit})" if unit else title


def spacing_text(ruler: Ruler) -> str:
    """How large a pixel is, for people."""
    steps = " × ".join(f"{step:.4g}" for step in ruler.steps)
    return f"{steps} {UNITS[ruler.unit]}" if ruler.unit else f"{steps}, without a unit"
