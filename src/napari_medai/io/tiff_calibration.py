"""What the metadata of a TIFF says about pixel size, units and names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from napari_medai.core.units import in_micrometers, unit_word

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPageSeries

_PRINT_DPI = (72, 75, 90, 96, 100, 120, 150, 180, 200, 240, 300, 350, 400, 600, 1200)
LABELS_MARK = "labels"
"""The description of a label image's OME ``Image`` element begins with this word."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Pixel size by axis, its units, channel names, the image's own name; empty: not known."""

    spacing: dict[str, float] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    name: str = ""
    labels: bool = False

    def set(self, axis: str, step: Any, unit: str | None) -> None:
        """Note one axis, unless its step is no positive number or says nothing (1 pixel)."""
        try:
            number = float(step)
        except (TypeError, ValueError):
            return
        if math.isfinite(number) and number > 0 and (unit is not None or number != 1):
            self.spacing[axis] = number
            if unit is not None:
                self.units[axis] = unit


def calibration(tif: TiffFile, index: int) -> Calibration:
    """What is known of one series, from OME-XML, ImageJ, LSM, Aperio or the resolution tags."""
    series = tif.series[index]
    if tif.is_ome and tif.ome_metadata:
        found = _from_ome(tif.ome_metadata, index, series.name, len(tif.series))
        if found is not None:
            return found
    if tif.is_imagej:
        return _from_imagej(tif.imagej_metadata or {}, series)
    result = Calibration()
    if tif.is_lsm:
        for axis in "XYZ":
            meters = (tif.lsm_metadata or {}).get(f"VoxelSize{axis}")
            result.set(axis, meters and meters * 1e6, "micrometer")
    elif tif.is_svs:
        for axis in "XY":
            result.set(axis, _aperio_pixel_size(series.keyframe.description), "micrometer")
    else:
        for axis, step in _resolution(series).items():
            result.set(axis, step, "micrometer")
    return result


def _from_ome(xml: str, index: int, name: str, count: int) -> Calibration | None:
    try:
        images = ElementTree.fromstring(xml).findall("{*}Image")
    except ElementTree.ParseError:
        return None
    if len(images) != count:
        images = [image for image in images if image.get("Name") == name]
        index = 0
    pixels = images[index].find("{*}Pixels") if images else None
    if pixels is None:
        return None
    image = images[index]
    names = tuple(c.get("Name") or "" for c in pixels.findall("{*}Channel"))
    description = (image.findtext("{*}Description") or "").strip().lower()
    result = Calibration(
        names=names if any(names) else (),
        name=image.get("Name") or "",
        labels=description.startswith(LABELS_MARK),
    )
    for axis in "XYZ":
        unit = pixels.get(f"PhysicalSize{axis}Unit", "µm")
        result.set(axis, pixels.get(f"PhysicalSize{axis}"), unit_word(unit))
    unit = pixels.get("TimeIncrementUnit", "s")
    result.set("T", pixels.get("TimeIncrement"), unit_word(unit))
    return result


def _from_imagej(metadata: Mapping[str, Any], series: TiffPageSeries) -> Calibration:
    labels = metadata.get("Labels") or ()
    channels = dict(zip(series.axes, series.shape, strict=True)).get("C", 1)
    names = len(labels) == channels > 1
    result = Calibration(names=tuple(str(label) for label in labels) if names else ())
    unit = unit_word(metadata.get("unit"))
    if unit == "inch" and _is_print(in_micrometers(_tag_step(series, "X") or 0.0, unit) or 0.0):
        unit = None
    for axis in "XY":
        axis_unit = unit_word(metadata.get(f"{axis.lower()}unit")) or unit
        if axis_unit is not None:
            result.set(axis, _tag_step(series, axis), axis_unit)
    if unit is not None:
        unit = unit_word(metadata.get("zunit")) or unit
        result.set("Z", metadata.get("spacing"), unit)
    if metadata.get("finterval"):
        result.set("T", metadata["finterval"], unit_word(metadata.get("tunit")) or "second")
    return result


def _tag_step(series: TiffPageSeries, axis: str) -> float | None:
    """The length of a pixel in the unit of the resolution, None where it is not said."""
    tag: Any = series.keyframe.tags.get(f"{axis}Resolution")
    try:
        count, length = tag.value
        return float(length / count)
    except (AttributeError, TypeError, ValueError, ZeroDivisionError):
        return None


def _resolution(series: TiffPageSeries) -> dict[str, float]:
    """Micrometers a pixel from plain TIFF tags.

    Resolutions that are settings of a printer or a screen (72, 300, ... dots an inch) say nothing
    about the specimen and are left out.
    """
    unit = {2: "inch", 3: "centimeter"}.get(int(series.keyframe.resolutionunit or 0))
    steps = {axis: _tag_step(series, axis) for axis in "YX"}
    if unit is None or not all(steps.values()):
        return {}
    lengths = {axis: in_micrometers(step or 0.0, unit) or 0.0 for axis, step in steps.items()}
    return {} if any(_is_print(length) for length in lengths.values()) else lengths


def _is_print(micrometers: float) -> bool:
    return micrometers <= 0 or any(
        math.isclose(25400.0 / micrometers, dpi, rel_tol=1e-3) for dpi in _PRINT_DPI
    )


def _aperio_pixel_size(description: str) -> str | None:
    for part in description.split("|"):
        key, _, value = part.partition("=")
        if key.strip() == "MPP":
            return value.strip()
    return None
