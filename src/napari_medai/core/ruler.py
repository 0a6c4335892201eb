"""How long the steps of an array are in the world, and in which unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_medai.core.axes import SPACE, AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.units import in_micrometers

UNITS = {"mm": "mm", "um": "µm", "": ""}
"""Units of length that measures are told in, and their symbols; '' where none is known."""
_ML = 1e-3
"""A cubic millimetre in millilitres."""


@dataclass(frozen=True, slots=True, eq=False)
class Ruler:
    """The steps along the spatial axes of an array, of two or three dimensions.

    ``edges`` (n, n) are the edges of a pixel as vectors in the world, a column an axis; axes
    that lean, as after a gantry tilt, are not at right angles. ``unit`` is one of `UNITS`.

    Raises
    ------
    InputError
        If the edges span no pixel, or the unit is another one.
    """

    edges: np.ndarray
    unit: str = ""

    def __post_init__(self) -> None:
        edges = np.array(self.edges, dtype=float)
        if edges.shape not in ((2, 2), (3, 3)) or not np.isfinite(edges).all():
            raise InputError(
                "a ruler needs the edges of a pixel in two or three dimensions, "
                f"got {edges.tolist()}; correct the scale"
            )
        if not abs(np.linalg.det(edges)) > 0:
            raise InputError(
                f"the edges of a pixel must span it, got {edges.tolist()}; correct the scale"
            )
        if self.unit not in UNITS:
            raise InputError(f"the unit must be one of {', '.join(UNITS)}, got {self.unit!r}")
        edges.flags.writeable = False
        object.__setattr__(self, "edges", edges)

    @property
    def ndim(self) -> int:
        return len(self.edges)

    @property
    def steps(self) -> tuple[float, ...]:
        """The step along each axis."""
        return tuple(float(n) for n in np.linalg.norm(self.edges, axis=0))

    @property
    def pixel(self) -> float:
        """What one pixel holds: its area, its volume, in millilitres where the unit is mm."""
        size = float(abs(np.linalg.det(self.edges)))
        return size * _ML if self.unit == "mm" and self.ndim == 3 else size

    @property
    def size_name(self) -> str:
        """The name of the column for what an object holds: ``volume_ml``, ``area_um2``, ...

        Without a unit it is ``volume`` or ``area``, as in `core.objects`.
        """
        if self.ndim == 2:
            return f"area_{self.unit}2" if self.unit else "area"
        return {"mm": "volume_ml", "um": "volume_um3", "": "volume"}[self.unit]

    @property
    def surface_name(self) -> str:
        """``surface_mm2``, ``surface_um2`` or ``surface``."""
        return f"surface_{self.unit}2" if self.unit else "surface"

    @property
    def diameter_name(self) -> str:
        """``longest_diameter_mm``, ``longest_diameter_um`` or ``longest_diameter``."""
        return f"longest_diameter_{self.unit}" if self.unit else "longest_diameter"


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
