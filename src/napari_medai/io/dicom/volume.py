"""Arrangements of planes as images: lazy pixels, laid upright, with their contrast."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from napari_medai.core.space import Grid
from napari_medai.io.dicom.facts import facts, modality, series_name
from napari_medai.io.dicom.pixels import Stack
from napari_medai.io.dicom.planes import Plane, oddities
from napari_medai.io.dicom.series import Arrangement
from napari_medai.io.dicom.source import NATIVE
from napari_medai.io.dicom.tags import items, number, word
from napari_medai.io.dicom.values import Scaling, scaling
from napari_medai.io.image_data import ImageData

SOFT_TISSUE = (-160.0, 240.0)
_PERCENTILES = (1.0, 99.5)
_CENTIMETERS = 3.0


def image_of(arrangement: Arrangement) -> ImageData:
    """The image of an arrangement; at most one picture, the middle one, is decoded.

    Raises
    ------
    InputError
        If that picture cannot be decoded.
    """
    planes, header = arrangement.planes, arrangement.planes[0].source.header
    known = scaling(planes)
    depth = (arrangement.depth,) if arrangement.depth is not None else ()
    lead = tuple(one.size for one in arrangement.lead)
    stack = Stack(planes, (*lead, *depth), known)
    middle = _middle(arrangement)
    contrast = None if stack.colour else _contrast(stack, known, middle)
    if planes[middle].source.syntax not in NATIVE:
        stack.picture(middle)  # what cannot be decoded is found now
    letters = "".join(one.axis for one in arrangement.lead)
    spacing = {one.axis: one.step for one in arrangement.lead if one.unit}
    units = {one.axis: one.unit for one in arrangement.lead if one.unit}
    rgb = stack.colour and stack.dtype.kind == "u" and stack.dtype.itemsize < 4
    image = ImageData(
        (stack.lazy(),),
        letters + ("Z" if depth else "") + "YX" + ("C" if stack.colour else ""),
        spacing,
        units,
        name=series_name(header, stack.shape[:-1] if stack.colour else stack.shape),
        rgb=rgb,
        contrast=contrast,
        metadata=facts(
            planes,
            values="" if stack.colour else known.unit,
            inverted=known.mirror is not None and not stack.colour,
            **{f"axis {one.axis}": list(one.values) for one in arrangement.lead if one.values},
        ),
        notes=_notes(arrangement, known, stack),
    )
    return _placed(image, arrangement)


def _notes(arrangement: Arrangement, known: Scaling, stack: Stack) -> tuple[str, ...]:
    told = (note for plane in arrangement.planes for note in plane.source.notes)
    burnt = any(word(p.source.header, "BurnedInAnnotation") == "YES" for p in arrangement.planes)
    warning = "the pictures have text burnt in, which may tell of whom they are"
    values = () if stack.colour else known.notes
    odd = oddities(arrangement.planes[0])
    return (*arrangement.notes, *odd, *values, *dict.fromkeys(told), *((warning,) if burnt else ()))


def _middle(arrangement: Arrangement) -> int:
    """The plane in the middle of the stack, of the first of what comes before space."""
    return (arrangement.depth or 1) // 2 if arrangement.depth else len(arrangement.planes) // 2


def _contrast(stack: Stack, known: Scaling, middle: int) -> tuple[float, float] | None:
    plane: Plane = stack.planes[middle]
    header = plane.source.header
    limits = known.window(plane)
    if limits is not None:
        return limits
    if modality(header) == "CT" and known.unit == "HU":
        return SOFT_TISSUE
    if known.unit == "SUV":
        return 0.0, 10.0
    if stack.dtype == np.uint8:
        return 0.0, 255.0
    picture = stack.picture(middle)
    picture = picture[np.isfinite(picture)]
    if not picture.size:
        return None
    low, high = (float(n) for n in np.percentile(picture, _PERCENTILES))
    return (low, high) if high > low else None


def _placed(image: ImageData, arrangement: Arrangement) -> ImageData:
    """Upright in the patient, or flat with the size of its pixels."""
    planes = arrangement.planes
    flat = arrangement.placing is None or _is_lone_side_view(arrangement)
    if flat:
        data = image.levels[0]
        axes = image.axes
        if arrangement.depth == 1:
            data, axes = data[(slice(None),) * axes.index("Z") + (0,)], axes.replace("Z", "")
        steps = _flat_spacing(planes[0])
        sizes = {"Y": steps[0], "X": steps[1]} if steps else {}
        if "Z" in axes and steps and planes[0].thickness:
            sizes["Z"] = abs(planes[0].thickness)
        units = dict.fromkeys(sizes, "millimeter")
        return replace(
            image,
            levels=(data,),
            axes=axes,
            spacing={**image.spacing, **sizes},
            units={**image.units, **units},
        )
    grid: Grid = arrangement.placing.grid  # type: ignore[union-attr]
    return laid_upright(image, grid)


def laid_upright(image: ImageData, grid: Grid) -> ImageData:
    """An image with axes ...ZYX (and C) as stored, on this grid, along the axes of the world."""
    data: Any = image.levels[0]
    shape = image.image.sizes
    up = grid.upright([shape[axis] for axis in "ZYX"])
    if image.axes.endswith("C"):
        lead = data.ndim - 4
        data = np.moveaxis(data, -1, lead) if isinstance(data, np.ndarray) else _front(data, lead)
        data = _back(up.laid(data), lead)
    else:
        data = up.laid(data)
    steps = dict(zip("ZYX", up.grid.spacing, strict=True))
    return replace(
        image,
        levels=(data,),
        spacing={**image.spacing, **steps},
        units={**image.units, **dict.fromkeys("ZYX", "millimeter")},
        grid=up.grid,
        stored=up,
    )


def _front(data: Any, lead: int) -> Any:
    order = (*range(lead), data.ndim - 1, *range(lead, data.ndim - 1))
    return data.transpose(order)


def _back(data: Any, lead: int) -> Any:
    order = (*range(lead), *range(lead + 1, data.ndim), lead)
    return data.transpose(order)


def _is_lone_side_view(arrangement: Arrangement) -> bool:
    """One slice that is not axial: upright, it would be seen from its edge."""
    if arrangement.depth != 1 or arrangement.placing is None:
        return False
    grid = arrangement.placing.grid
    return grid.upright((1, 1, 1)).order[0] != 0


def _flat_spacing(plane: Plane) -> tuple[float, float] | None:
    """The size of pixels outside the patient's space: also that of an ultrasound's region."""
    if plane.spacing is not None:
        return plane.spacing
    regions = items(plane.source.header, "SequenceOfUltrasoundRegions")
    found: set[tuple[float, float]] = set()
    for region in regions:
        x, y = number(region, "PhysicalDeltaX"), number(region, "PhysicalDeltaY")
        units = number(region, "PhysicalUnitsXDirection"), number(region, "PhysicalUnitsYDirection")
        if x and y and units == (_CENTIMETERS, _CENTIMETERS):
            found.add((abs(y) * 10, abs(x) * 10))
    return found.pop() if len(found) == 1 else None
