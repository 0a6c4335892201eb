"""From stored numbers to what they measure: Hounsfield units, SUV, dose, brightness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.io.dicom.planes import Plane
from napari_medai.io.dicom.source import first_line
from napari_medai.io.dicom.suv import suv_factor
from napari_medai.io.dicom.tags import first, number, numbers, whole, word, words

if TYPE_CHECKING:
    from pydicom import Dataset


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """How the stored numbers of a stack become values of ``dtype``.

    ``factor`` multiplies what slope and intercept give; ``mirror`` is the sum of a value and the
    one that it becomes where black and white are exchanged, None where they are not. ``lut`` is
    a table of values from the number ``lut_first`` on.
    """

    dtype: np.dtype[Any]
    unit: str = ""
    factor: float = 1.0
    mirror: int | None = None
    lut: np.ndarray | None = None
    lut_first: int = 0
    notes: tuple[str, ...] = ()

    def applied(self, stored: np.ndarray, plane: Plane) -> np.ndarray:
        """The values of one picture."""
        if self.mirror is not None:
            stored = (self.mirror - stored.astype(np.int64)).astype(stored.dtype)
        if self.lut is not None:
            index = np.clip(stored.astype(np.int64) - self.lut_first, 0, len(self.lut) - 1)
            return self.lut[index].astype(self.dtype, copy=False)
        slope, intercept = plane.slope * self.factor, plane.intercept * self.factor
        if slope == 1 and intercept == 0:
            return stored.astype(self.dtype, copy=False)
        if self.dtype.kind in "iu":
            return (stored.astype(np.int64) * int(slope) + int(intercept)).astype(self.dtype)
        return (stored * np.float64(slope) + intercept).astype(self.dtype)

    def window(self, plane: Plane) -> tuple[float, float] | None:
        """The file's own window, as values of the layer."""
        limits = plane.window or _voi_limits(plane.source.header)
        if limits is None:
            return None
        low, high = limits[0] * self.factor, limits[1] * self.factor
        if self.mirror is not None and self.lut is None:
            total = (self.mirror * plane.slope + 2 * plane.intercept) * self.factor
            low, high = total - high, total - low
        return (low, high) if np.isfinite([low, high]).all() and high > low else None


def scaling(planes: Sequence[Plane]) -> Scaling:
    """The scaling that serves all planes of a stack."""
    header = planes[0].source.header
    low, high, stored = _stored_range(header, planes[0].source.keyword)
    mirror = None
    if word(header, "PhotometricInterpretation") == "MONOCHROME1" and stored.kind in "iu":
        mirror = low + high
    table = _modality_lut(planes[0])
    if table is not None:
        unit = "HU" if word(first(header, "ModalityLUTSequence"), "ModalityLUTType") == "HU" else ""
        return Scaling(table[0].dtype, unit, 1.0, mirror, *table)
    factor, unit = 1.0, _unit(header)
    notes: tuple[str, ...] = ()
    if word(header, "Modality") == "RTDOSE":
        factor = number(header, "DoseGridScaling") or 1.0
        unit = "Gy" if word(header, "DoseUnits") == "GY" else ""
    elif word(header, "Modality") == "PT":
        found = suv_factor(header)
        factor, unit, notes = found.factor, found.unit, found.notes
    dtype = _dtype(planes, factor, (low, high, stored))
    return Scaling(dtype, unit, factor, mirror, notes=notes)


def _dtype(
    planes: Sequence[Plane], factor: float, stored: tuple[int, int, np.dtype[Any]]
) -> np.dtype[Any]:
    """As stored where nothing changes; whole numbers stay whole, if 32 bits hold them."""
    low, high, kept = stored
    scales = {(plane.slope * factor, plane.intercept * factor) for plane in planes}
    if scales == {(1.0, 0.0)}:
        return kept
    ends = [end * slope + intercept for slope, intercept in scales for end in (low, high)]
    exact = kept.kind in "iu" and all(n == int(n) for scale in scales for n in scale)
    if exact:
        for name in ("int16", "int32"):
            limits = np.iinfo(name)
            if limits.min <= min(ends) and max(ends) <= limits.max:
                return np.dtype(name)
    return np.dtype("float32" if kept.itemsize <= 2 or kept == np.float32 else "float64")


def _stored_range(header: Dataset, keyword: str) -> tuple[int, int, np.dtype[Any]]:
    """The least and greatest number that can be stored, and the type that holds them."""
    if keyword != "PixelData":
        return 0, 0, np.dtype("float64" if keyword == "DoubleFloatPixelData" else "float32")
    allocated = max(8, whole(header, "BitsAllocated") or 16)
    bits = whole(header, "BitsStored") or allocated
    bits = bits if 0 < bits <= allocated else allocated
    if whole(header, "PixelRepresentation") == 1:
        return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1, np.dtype(f"int{allocated}")
    return 0, 2**bits - 1, np.dtype(f"uint{allocated}")


def _modality_lut(plane: Plane) -> tuple[np.ndarray, int] | None:
    """The values of the modality LUT, made by pydicom from every number that it names."""
    from pydicom.pixels.processing import apply_modality_lut

    header = plane.source.header
    item = first(header, "ModalityLUTSequence")
    descriptor = numbers(item, "LUTDescriptor", 3)
    if descriptor is None:
        return None
    start, count = int(descriptor[1]), int(descriptor[0]) or 2**16
    try:
        index = np.arange(start, start + count, dtype=np.int32)
        return np.asarray(apply_modality_lut(index, header)), start
    except Exception as error:  # pydicom raises whatever a broken table provokes
        raise InputError(
            f"the table of values (modality LUT) cannot be used ({first_line(error)}); "
            "export the file again"
        ) from error


def _voi_limits(header: Dataset) -> tuple[float, float] | None:
    """The numbers that the first VOI LUT spreads."""
    item = first(header, "VOILUTSequence")
    descriptor = numbers(item, "LUTDescriptor", 3)
    if descriptor is None or int(descriptor[0] or 2**16) < 2:
        return None
    return float(descriptor[1]), float(int(descriptor[1]) + int(descriptor[0] or 2**16) - 1)


def _unit(header: Dataset) -> str:
    """What the values measure: HU of a CT, unless it says otherwise."""
    told = word(header, "RescaleType")
    if word(header, "Modality") == "CT":
        picture = "LOCALIZER" in " ".join(words(header, "ImageType"))
        return "HU" if told in ("", "HU") and not picture else ""
    return "HU" if told == "HU" else ""
