"""How far apart pixels are, in the unit that models are trained in."""

from __future__ import annotations

from napari_medai.core.axes import AxesArray
from napari_medai.core.units import in_micrometers


def millimetres(image: AxesArray, axes: str) -> tuple[float, ...] | None:
    """The steps along these axes; None where one of them is not known."""
    steps = [in_micrometers(image.step(a), image.units.get(a)) for a in axes if a in image.spacing]
    known = [step / 1000 for step in steps if step is not None]
    return tuple(known) if len(known) == len(axes) else None
