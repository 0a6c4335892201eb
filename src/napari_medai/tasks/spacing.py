"""How far apart pixels are, in units that a model was trained in."""

from __future__ import annotations

from napari_medai.core.axes import AxesArray

MICROMETRES = {
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "inch": 25_400.0,
    "meter": 1e6,
}


def millimetres(image: AxesArray, axes: str) -> tuple[float, ...] | None:
    """The steps along these axes; None where one of them is not known."""
    if any(a not in image.spacing or image.units.get(a) not in MICROMETRES for a in axes):
        return None
    return tuple(image.step(a) * MICROMETRES[image.units[a]] / 1000 for a in axes)
