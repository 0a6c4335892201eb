"""DICOM segmentations as labels: binary, fractional and label maps, on their own grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.core.space import Grid
from napari_medai.io.dicom.facts import facts, series_name
from napari_medai.io.dicom.geometry import SAME_PLACE, heights, normal_of
from napari_medai.io.dicom.pixels import decoded
from napari_medai.io.dicom.planes import Plane, planes_of
from napari_medai.io.dicom.source import Source
from napari_medai.io.dicom.tags import first, items, whole, word
from napari_medai.io.dicom.tiles import is_tiled, matrix_shape, tile_places
from napari_medai.io.dicom.volume import laid_upright
from napari_medai.io.dicom.wsi import slide_spacing
from napari_medai.io.image_data import ImageData

SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_LARGEST = 2**31
_MOST_SLICES = 8192


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """Where frames are drawn: the shape of the whole, and the window of each frame in it."""

    shape: tuple[int, ...]
    axes: str
    windows: tuple[tuple[Any, ...], ...]
    grid: Grid | None = None
    notes: tuple[str, ...] = ()


def read_segmentation(source: Source) -> list[ImageData]:
    """The segments as labels by their numbers; several layers where segments overlap.

    Fractions of one half and more count. Slices without a frame are empty.

    Raises
    ------
    InputError
        If frames cannot be decoded or placed, or the whole would be absurdly large.
    """
    header = source.header
    planes = planes_of(source)
    canvas = _canvas(source, planes)
    numbers = _segment_numbers(source)
    highest = max([*numbers, *(_number(item) for item in items(header, "SegmentSequence")), 1])
    dtype = np.dtype(np.uint8 if highest < 256 else np.int32)
    if np.prod(canvas.shape, dtype=float) * dtype.itemsize > _LARGEST:
        raise InputError(
            f"{source.path} tells of a segmentation of {canvas.shape} voxels, which is too large; "
            "export it again"
        )
    kind = word(header, "SegmentationType")
    notes = [*canvas.notes, *source.notes]
    if kind == "LABELMAP":
        groups = [(_drawn_map(source, canvas, dtype), set[int]())]
    else:
        groups = _drawn(source, canvas, numbers, dtype)
    if kind == "FRACTIONAL":
        notes.append("the segmentation is fractional; fractions of 0.5 and more count")
    if len(groups) > 1:
        notes.append(f"segments overlap; they are shown in {len(groups)} layers")
    images = [_labels(source, canvas, data, members) for data, members in groups]
    return [replace(images[0], notes=tuple(notes)), *images[1:]]


def _labels(source: Source, canvas: Canvas, data: np.ndarray, members: set[int]) -> ImageData:
    header = source.header
    slide = is_tiled(header)
    steps = slide_spacing(header) if slide else planes_of(source)[0].spacing
    flat = canvas.grid is None and steps is not None
    image = ImageData(
        (data,),
        canvas.axes,
        dict(zip("YX", steps or (), strict=False)) if flat else {},
        dict.fromkeys("YX", "micrometer" if slide else "millimeter") if flat else {},
        name=series_name(header, data.shape),
        labels=True,
        features=_features(header, members),
        metadata=facts([Plane(source)]),
    )
    return image if canvas.grid is None else laid_upright(image, canvas.grid)


def _features(header: Any, members: set[int]) -> dict[str, list[Any]]:
    rows = [
        (
            _number(item),
            word(item, "SegmentLabel"),
            word(first(item, "SegmentedPropertyCategoryCodeSequence"), "CodeMeaning"),
            word(first(item, "SegmentedPropertyTypeCodeSequence"), "CodeMeaning"),
        )
        for item in items(header, "SegmentSequence")
    ]
    rows = [row for row in rows if row[0] > 0 and (not members or row[0] in members)]
    names = ("index", "class", "category", "type")
    columns = zip(*rows, strict=True)
    return {name: list(column) for name, column in zip(names, columns, strict=False)}


def _number(item: Any) -> int:
    return whole(item, "SegmentNumber") or 0


def _segment_numbers(source: Source) -> list[int]:
    """The segment that each frame is of; that of the only segment where it is not said."""
    header = source.header
    if word(header, "DimensionOrganizationType") == "TILED_FULL" and is_tiled(header):
        order = [_number(item) for item in items(header, "SegmentSequence")] or [1]
        layers = tile_places(source)[:, 2].tolist()
        return [order[min(layer, len(order) - 1)] for layer in layers]
    frames = items(header, "PerFrameFunctionalGroupsSequence")
    shared = first(header, "SharedFunctionalGroupsSequence")
    common = first(shared, "SegmentIdentificationSequence")
    result = []
    for index in range(source.frames):
        own = frames[index] if index < len(frames) else None
        found = first(own, "SegmentIdentificationSequence") or common
        result.append(whole(found, "ReferencedSegmentNumber") or 1)
    return [min(max(number, 1), 2**16 - 1) for number in result]


def _drawn_map(source: Source, canvas: Canvas, dtype: np.dtype[Any]) -> np.ndarray:
    data = np.zeros(canvas.shape, np.uint8)
    for index, window in enumerate(canvas.windows):
        frame = decoded(source, index)
        if frame.dtype.itemsize > data.dtype.itemsize:
            data = data.astype(np.int32)
        target = data[window]
        target[...] = frame[: target.shape[-2], : target.shape[-1]]
    return data if data.dtype.itemsize > dtype.itemsize else data.astype(dtype)


def _drawn(
    source: Source, canvas: Canvas, numbers: Sequence[int], dtype: np.dtype[Any]
) -> list[tuple[np.ndarray, set[int]]]:
    """Labels and the segments in them; a segment goes to the first that it does not overlap."""
    half = 1.0
    if word(source.header, "SegmentationType") == "FRACTIONAL":
        half = (whole(source.header, "MaximumFractionalValue") or 255) / 2
    groups: list[tuple[np.ndarray, set[int]]] = []
    for number in sorted(set(numbers)):
        frames = [
            (canvas.windows[index], decoded(source, index) >= half)
            for index, one in enumerate(numbers)
            if one == number
        ]
        free = (group for group in groups if _is_free(group[0], frames))
        data, members = next(free, (None, set[int]()))
        if data is None:
            data = np.zeros(canvas.shape, dtype)
            if len(groups) * data.nbytes > _LARGEST:
                raise InputError(
                    f"the segments of {source.path} overlap too much to be shown; "
                    "export fewer of them"
                )
            groups.append((data, members))
        members.add(number)
        for at, mask in frames:
            data[at][_cut(mask, data[at])] = number
    return groups


def _is_free(data: np.ndarray, frames: Sequence[tuple[Any, np.ndarray]]) -> bool:
    return not any((_cut(mask, data[at]) & (data[at] > 0)).any() for at, mask in frames)


def _cut(mask: np.ndarray, target: np.ndarray) -> np.ndarray:
    """A tile's part within the picture: the last ones stand out."""
    return mask[: target.shape[-2], : target.shape[-1]]


def _canvas(source: Source, planes: Sequence[Plane]) -> Canvas:
    header = source.header
    rows, columns = int(header.Rows), int(header.Columns)
    if is_tiled(header):
        places = tile_places(source).tolist()
        if len(places) < source.frames:
            raise InputError(
                f"{source.path} says of {len(places)} of its {source.frames} tiles where they "
                "lie; export it again"
            )
        windows = [
            (slice(max(row, 0), max(row, 0) + rows), slice(max(col, 0), max(col, 0) + columns))
            for row, col, _ in places
        ]
        return Canvas(matrix_shape(header), "YX", tuple(windows))
    if all(plane.placed and plane.spacing for plane in planes):
        return _volume_canvas(planes, (rows, columns))
    if len(planes) == 1:
        return Canvas((rows, columns), "YX", ((slice(None), slice(None)),))
    return _unplaced_canvas(_segment_numbers(source), (rows, columns))


def _unplaced_canvas(numbers: Sequence[int], size: tuple[int, int]) -> Canvas:
    """Frames without a place: those of each segment one after the other."""
    counts: dict[int, int] = {}
    places = []
    for number in numbers:
        places.append((counts.get(number, 0),))
        counts[number] = counts.get(number, 0) + 1
    return Canvas((max(counts.values()), *size), "TYX", tuple(places))


def _volume_canvas(planes: Sequence[Plane], size: tuple[int, int]) -> Canvas:
    """Slices at even steps from the lowest frame to the highest, also where there is no frame."""
    along = heights(planes)
    places = np.unique(np.round((along - along.min()) / SAME_PLACE)) * SAME_PLACE
    step, notes = _step(places, planes[0].thickness)
    index = np.rint((along - along.min()) / step).astype(int)
    if len(np.unique(index)) < len(places) or index.max() >= _MOST_SLICES:
        index = np.searchsorted(places, along - along.min() - 2 * SAME_PLACE)
        notes = ("frames lie at uneven steps; they are shown evenly, not interpolated",)
    lowest = planes[int(along.argmin())]
    assert lowest.orientation is not None, "only placed planes come here"
    assert lowest.position is not None, "only placed planes come here"
    assert lowest.spacing is not None, "only planes of known size come here"
    row, down = np.array(lowest.orientation[:3]), np.array(lowest.orientation[3:])
    grid = Grid.from_lps(
        lowest.position,
        (lowest.spacing[1], lowest.spacing[0], step),
        np.stack([row, down, normal_of(lowest)], axis=1),
    )
    windows = tuple((int(n),) for n in index)
    return Canvas((int(index.max()) + 1, *size), "ZYX", windows, grid, notes)


def _step(places: np.ndarray, told: float | None) -> tuple[float, tuple[str, ...]]:
    """The step between slices: what the header says if frames lie at multiples of it."""
    told = told if told and told > 0 else None
    if len(places) < 2:
        return told or 1.0, ()
    least = float(np.diff(places).min())
    for step in (told, least):
        if step is not None and np.abs(places / step - np.rint(places / step)).max() < 0.1:
            # Rounded positions: over the whole way the step is known better.
            return float(places[-1] / np.rint(places[-1] / step)), ()
    off = float(np.abs(places - np.rint(places / least) * least).max())
    return least, (f"frames lie up to {off:.3g} mm beside even steps of {least:.4g} mm",)
