"""Where the frames of a segmentation are drawn: in a volume, a slide, or one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.core.space import Grid
from napari_medai.io.dicom.geometry import SAME_PLACE, heights, normal_of, placing
from napari_medai.io.dicom.planes import Plane
from napari_medai.io.dicom.segments import number_of
from napari_medai.io.dicom.source import Source
from napari_medai.io.dicom.tags import first, items, whole, word
from napari_medai.io.dicom.tiles import is_tiled, matrix_shape, tile_places

EVERY_SLICE = "a frame for every slice of the series, which lie unevenly"
"""What a segmentation that we write says of itself where its frames are not to be spread out."""
_MOST_SLICES = 8192


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """Where frames are drawn: the shape of the whole, and the window of each frame in it."""

    shape: tuple[int, ...]
    axes: str
    windows: tuple[tuple[Any, ...], ...]
    grid: Grid | None = None
    notes: tuple[str, ...] = ()


def canvas_of(source: Source, planes: Sequence[Plane]) -> Canvas:
    """Where each frame is drawn; `InputError` if it cannot be known."""
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
        return _volume_canvas(source, planes, (rows, columns))
    if len(planes) == 1:
        return Canvas((rows, columns), "YX", ((slice(None), slice(None)),))
    return _unplaced_canvas(segment_numbers(source), (rows, columns))


def _unplaced_canvas(numbers: Sequence[int], size: tuple[int, int]) -> Canvas:
    """Frames without a place: those of each segment one after the other."""
    counts: dict[int, int] = {}
    places = []
    for number in numbers:
        places.append((counts.get(number, 0),))
        counts[number] = counts.get(number, 0) + 1
    return Canvas((max(counts.values()), *size), "TYX", tuple(places))


def _volume_canvas(source: Source, planes: Sequence[Plane], size: tuple[int, int]) -> Canvas:
    """Slices at even steps from the lowest frame to the highest, also where there is no frame.

    Those of `EVERY_SLICE` lie as their series does, which is never given slices that it lacks.
    """
    along = heights(planes)
    order = np.argsort(along, kind="stable")
    begins = np.append(True, np.diff(along[order]) > SAME_PLACE)
    rank = np.empty(len(planes), int)
    rank[order] = np.cumsum(begins) - 1
    slices = [planes[index] for index in order[begins]]
    where = placing(slices) if word(source.header, "ContentDescription") == EVERY_SLICE else None
    if where is not None:
        windows = tuple((int(n),) for n in rank)
        return Canvas((len(slices), *size), "ZYX", windows, where.grid, where.notes)
    places = heights(slices) - along.min()
    step, notes = _step(places, slices[0].thickness)
    index = np.rint(places / step).astype(int)
    if len(np.unique(index)) < len(places) or index.max() >= _MOST_SLICES:
        index = np.arange(len(places))
        notes = ("frames lie at uneven steps; they are shown evenly, not interpolated",)
    windows = tuple((int(n),) for n in index[rank])
    return Canvas((int(index.max()) + 1, *size), "ZYX", windows, _grid(slices, step), notes)


def _grid(slices: Sequence[Plane], step: float) -> Grid:
    """Steps along the normal, or where the stack leans, along the way from first to last."""
    lowest, highest = slices[0], slices[-1]
    assert lowest.orientation is not None, "only placed planes come here"
    assert lowest.position is not None, "only placed planes come here"
    assert lowest.spacing is not None, "only planes of known size come here"
    normal = normal_of(lowest)
    way = np.array(highest.position) - np.array(lowest.position) if len(slices) > 1 else normal
    way = way / (way @ normal)
    row, down = np.array(lowest.orientation[:3]), np.array(lowest.orientation[3:])
    length = float(np.linalg.norm(way))
    return Grid.from_lps(
        lowest.position,
        (lowest.spacing[1], lowest.spacing[0], step * length),
        np.stack([row, down, way / length], axis=1),
    )


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


def segment_numbers(source: Source) -> list[int]:
    """The segment that each frame is of; that of the only segment where it is not said."""
    header = source.header
    if word(header, "DimensionOrganizationType") == "TILED_FULL" and is_tiled(header):
        order = [number_of(item) for item in items(header, "SegmentSequence")] or [1]
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
