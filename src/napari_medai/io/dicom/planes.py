"""The pictures in a file, each with its place and with what tells it from its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.io.dicom.source import Source
from napari_medai.io.dicom.tags import first, items, number, numbers, word, words

if TYPE_CHECKING:
    from pydicom import Dataset

Key = float | str
_MAX_SPACING = 1e4
_KEYS = {
    "time": "TemporalPositionIdentifier",
    "frametime": "FrameReferenceTime",
    "trigger": "TriggerTime",
    "echo": "EchoTime",
    "b": "DiffusionBValue",
    "acquisition": "AcquisitionNumber",
    "energy": "KVP",
    "number": "InstanceNumber",
}


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """One picture: frame ``index`` of a file.

    ``position`` (x, y, z) is the centre of its first pixel in the patient, in mm towards left,
    back and head; ``orientation`` the directions of its rows and of its columns; ``spacing`` the
    distances between rows and between columns, in mm. ``voi`` are the data sets that may tell a
    window, ``keys`` what planes at one place may differ in.
    """

    source: Source
    index: int = 0
    position: tuple[float, ...] | None = None
    orientation: tuple[float, ...] | None = None
    spacing: tuple[float, float] | None = None
    thickness: float | None = None
    slope: float = 1.0
    intercept: float = 0.0
    voi: tuple[Dataset | None, ...] = ()
    keys: Mapping[str, Key] = field(default_factory=dict)

    @property
    def placed(self) -> bool:
        """Whether it is known where in the patient it lies."""
        return self.position is not None and self.orientation is not None

    @property
    def window(self) -> tuple[float, float] | None:
        """The values that are black and white, where the file tells."""
        return next(filter(None, map(window_of, self.voi)), None)


class HeaderKeys(Mapping[str, Key]):
    """The keys of a file with one picture; read when they are asked for, as most never are."""

    def __init__(self, header: Dataset) -> None:
        self._header = header
        self._found: dict[str, Key] | None = None

    def _read(self) -> dict[str, Key]:
        if self._found is None:
            header = self._header
            found: dict[str, Key | None] = {
                "kind": "\\".join(words(header, "ImageType")[2:]),
                **{name: number(header, keyword) for name, keyword in _KEYS.items()},
            }
            self._found = {n: key for n, key in found.items() if key is not None and key != ""}
        return self._found

    def __getitem__(self, name: str) -> Key:
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())


def planes_of(source: Source) -> list[Plane]:
    """The pictures of a file in their order there."""
    header = source.header
    frames = items(header, "PerFrameFunctionalGroupsSequence")
    shared = first(header, "SharedFunctionalGroupsSequence")
    if shared is not None or frames:
        return [
            _grouped(source, index, shared, frames[index] if index < len(frames) else None)
            for index in range(source.frames)
        ]
    plane = _plain(source)
    if source.frames == 1:
        return [plane]
    return _frames(plane, source)


def _plain(source: Source) -> Plane:
    header = source.header
    return Plane(
        source,
        position=numbers(header, "ImagePositionPatient", 3),
        orientation=_directions(header),
        spacing=pixel_spacing(header),
        thickness=number(header, "SpacingBetweenSlices") or number(header, "SliceThickness"),
        slope=_slope(header),
        intercept=number(header, "RescaleIntercept") or 0.0,
        voi=(header,),
        keys=HeaderKeys(header),
    )


def _frames(plane: Plane, source: Source) -> list[Plane]:
    """Frames of a file without functional groups: in a row through the patient, or in time."""
    header = source.header
    offsets = numbers(header, "GridFrameOffsetVector", source.frames)
    orientation, position = plane.orientation, plane.position
    if offsets is None and word(header, "Modality") in ("NM", "PT"):
        detector = first(header, "DetectorInformationSequence")
        orientation = orientation or _directions(detector)
        position = position or numbers(detector, "ImagePositionPatient", 3)
        step = number(header, "SpacingBetweenSlices")
        if step and "TOMO" in " ".join(words(header, "ImageType")):
            offsets = tuple(step * index for index in range(source.frames))
    if offsets is None or orientation is None or position is None:
        return [
            replace(plane, index=index, position=None, keys={"frame": float(index)})
            for index in range(source.frames)
        ]
    start = offsets[0] if abs(offsets[0]) > 0 and word(header, "Modality") == "RTDOSE" else 0.0
    normal = np.cross(orientation[:3], orientation[3:])
    places = [np.array(position) + (offset - start) * normal for offset in offsets]
    return [
        replace(
            plane,
            index=index,
            position=tuple(float(n) for n in place),
            orientation=orientation,
            keys={},
        )
        for index, place in enumerate(places)
    ]


def _grouped(source: Source, index: int, shared: Dataset | None, own: Dataset | None) -> Plane:
    """A frame of an enhanced file: what its own functional groups say, else the shared ones."""

    def group(name: str) -> Dataset | None:
        found = first(own, name)
        return found if found is not None else first(shared, name)

    header = source.header
    measures = group("PixelMeasuresSequence")
    rescale = group("PixelValueTransformationSequence")
    content = group("FrameContentSequence")
    spacing = pixel_spacing(measures) if measures is not None else pixel_spacing(header)
    thickness = number(measures, "SpacingBetweenSlices") or number(measures, "SliceThickness")
    intercept = number(rescale, "RescaleIntercept")
    return Plane(
        source,
        index,
        position=numbers(group("PlanePositionSequence"), "ImagePositionPatient", 3),
        orientation=_directions(group("PlaneOrientationSequence")),
        spacing=spacing,
        thickness=thickness,
        slope=_slope(rescale) if rescale is not None else _slope(header),
        intercept=((number(header, "RescaleIntercept") or 0.0) if intercept is None else intercept),
        voi=(group("FrameVOILUTSequence"), header),
        keys=_frame_keys(header, content, group, index),
    )


def _frame_keys(
    header: Dataset, content: Dataset | None, group: Callable[[str], Any], index: int
) -> dict[str, Key]:
    diffusion = group("MRDiffusionSequence")
    cardiac = group("CardiacSynchronizationSequence")
    found: dict[str, Key | None] = {
        "kind": _frame_kind(group),
        "stack": word(content, "StackID"),
        "time": number(content, "TemporalPositionIndex"),
        "echo": number(group("MREchoSequence"), "EffectiveEchoTime"),
        "b": number(diffusion, "DiffusionBValue"),
        "trigger": number(cardiac, "NominalCardiacTriggerDelayTime"),
        "acquisition": number(content, "FrameAcquisitionNumber"),
        "file": number(header, "InstanceNumber"),
        "frame": float(index),
    }
    gradient = numbers(
        first(diffusion, "DiffusionGradientDirectionSequence"), "DiffusionGradientOrientation", 3
    )
    if gradient is not None:
        found["gradient"] = " ".join(f"{n:.4f}" for n in gradient)
    for place, n in enumerate(numbers(content, "DimensionIndexValues") or ()):
        found[f"index{place}"] = n
    return {name: key for name, key in found.items() if key not in (None, "")}


def _frame_kind(group: Callable[[str], Any]) -> str:
    """What a frame shows: magnitude, phase, water, ..."""
    types = (group("MRImageFrameTypeSequence"), group("CTImageFrameTypeSequence"))
    found = ((word(one, "ComplexImageComponent"), *words(one, "FrameType")[2:]) for one in types)
    return "\\".join(text for texts in found for text in texts if text)


def pixel_spacing(dataset: Any) -> tuple[float, float] | None:
    """Distances between rows and columns in mm, where the file tells them and they can be."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        found = numbers(dataset, keyword, 2)
        if found is not None and all(0 < step < _MAX_SPACING for step in found):
            return found[0], found[1]
    return None


def oddities(plane: Plane) -> tuple[str, ...]:
    """Sentences on a size or place that a file tells of and that cannot be."""
    header = plane.source.header
    found = []
    if plane.spacing is None and (steps := words(header, "PixelSpacing")):
        told = " x ".join(steps)
        found.append(f"pixels are said to be {told} mm large, which cannot be; shown without size")
    if plane.orientation is None and (directions := words(header, "ImageOrientationPatient")):
        told = ", ".join(directions)
        found.append(
            f"rows and columns are said to run along ({told}), which cannot be; not placed"
        )
    return tuple(found)


def window_of(dataset: Any) -> tuple[float, float] | None:
    """The first window as the values that are black and white, by its function."""
    center, width = number(dataset, "WindowCenter"), number(dataset, "WindowWidth")
    if center is None or width is None or width <= 0:
        return None
    if (word(dataset, "VOILUTFunction") or "LINEAR") == "LINEAR" and width > 1:
        return center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
    # A sigmoid has no ends; those of the line that touches it in the centre show most of it.
    return center - width / 2, center + width / 2


def _directions(dataset: Any) -> tuple[float, ...] | None:
    """Directions of rows and columns, if they are two at right angles."""
    found = numbers(dataset, "ImageOrientationPatient", 6)
    return None if found is None else _at_right_angles(found)


@lru_cache(maxsize=256)  # the slices of a series share theirs
def _at_right_angles(found: tuple[float, ...]) -> tuple[float, ...] | None:
    row, column = np.array(found[:3]), np.array(found[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if min(lengths) < 0.5 or abs(row @ column) > 0.02 * lengths[0] * lengths[1]:
        return None
    return tuple(float(n) for n in (*(row / lengths[0]), *(column / lengths[1])))


def _slope(dataset: Any) -> float:
    found = number(dataset, "RescaleSlope")
    return found if found else 1.0
