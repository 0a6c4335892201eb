"""From the spacing and units of an image to the ruler that its labels are measured with."""

from __future__ import annotations

import numpy as np

from napari_medai.core.axes import SPACE, AxesArray
from napari_medai.core.ruler import Ruler
from napari_medai.io.units import in_micrometers


def ruler_of(image: AxesArray, *, direction: np.ndarray | None = None) -> Ruler:
    """The ruler of an image's spatial axes, in the order Z Y X.

    It measures in millimetres where an axis has that unit or a longer one, in micrometers where
    the units are shorter; where an axis has no unit of length, in those of the spacing.

    Parameters
    ----------
    direction
        (n, n): the direction of each of these axes, a column each, as of `core.space.Grid`;
        without it they are at right angles.
    """
    order = "".join(axis for axis in SPACE if axis in image.axes)
    steps = np.array([image.step(axis) for axis in order])
    units = [in_micrometers(1.0, image.units.get(axis)) for axis in order]
    known = [micrometers for micrometers in units if micrometers is not None]
    unit = ""
    if len(known) == len(units):
        steps = steps * known
        unit = "mm" if max(known, default=0.0) >= 1000 else "um"
        steps = steps / 1000 if unit == "mm" else steps
    return Ruler((np.eye(len(order)) if direction is None else direction) * steps, unit)
