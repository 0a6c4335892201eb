"""Where the axes of an OME-Zarr image run in a patient.

Versions 0.4 and 0.5 have no word for it; programs agree on the ``orientation`` of RFC-4
(https://ngff.openmicroscopy.org/rfc/4/): the way along which the coordinates of an axis grow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from napari_medai.core.axes import SPACE
from napari_medai.core.space import Grid
from napari_medai.core.units import in_micrometers
from napari_medai.io.image_data import ImageData

UPRIGHT = {
    "Z": "inferior-to-superior",
    "Y": "anterior-to-posterior",
    "X": "right-to-left",
}
"""The ways of the world's axes (S, P, L)."""

_BACKWARDS = {
    "Z": "superior-to-inferior",
    "Y": "posterior-to-anterior",
    "X": "left-to-right",
}
_WAYS = {
    way: (SPACE.index(axis), sign)
    for sign, ways in ((1, UPRIGHT), (-1, _BACKWARDS))
    for axis, way in ways.items()
}


def described_orientation(axis: str) -> dict[str, Any]:
    """What is said of an axis of an upright volume of a patient."""
    return {"orientation": {"type": "anatomical", "value": UPRIGHT[axis]}}


def orientation_of(axis: Mapping[str, Any]) -> str:
    """The way along which an axis runs in a patient, empty where it does not say."""
    told = axis.get("orientation")
    value = told.get("value") if isinstance(told, dict) else None
    return value if isinstance(value, str) and value in _WAYS else ""


def laid_in_patient(image: ImageData, ways: Mapping[str, str]) -> ImageData:
    """An image whose last axes are Z Y X, upright on its grid if these run in a patient.

    That is if each tells another of the patient's three ways, in a unit of length.
    """
    found = [_WAYS.get(ways.get(axis, "")) for axis in SPACE]
    lengths = [in_micrometers(1.0, image.units.get(axis)) for axis in SPACE]
    known = [way for way in found if way is not None]
    if len({world for world, _ in known}) < len(SPACE) or None in lengths:
        return image
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for column, (axis, (row, sign)) in enumerate(zip(SPACE, known, strict=True)):
        millimetres = sign * float(lengths[column] or 0) / 1000
        affine[row, column] = millimetres * image.image.step(axis)
        affine[row, 3] = millimetres * image.origin.get(axis, 0.0)
    way = Grid(affine).upright(image.levels[0].shape[-3:])
    return replace(
        image,
        levels=tuple(way.laid(level) for level in image.levels),
        spacing={**image.spacing, **dict(zip(SPACE, way.grid.spacing, strict=True))},
        units={**image.units, **dict.fromkeys(SPACE, "millimeter")},
        origin={axis: start for axis, start in image.origin.items() if axis not in SPACE},
        grid=way.grid,
        stored=way,
    )
