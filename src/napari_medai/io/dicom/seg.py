"""DICOM segmentations as labels: binary, fractional and label maps, on their own grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.io.dicom.facts import facts, series_name
from napari_medai.io.dicom.pixels import decoded
from napari_medai.io.dicom.planes import Plane, planes_of
from napari_medai.io.dicom.seg_canvas import Canvas, canvas_of, segment_numbers
from napari_medai.io.dicom.segments import colours_of, labels_of, number_of
from napari_medai.io.dicom.source import Source
from napari_medai.io.dicom.tags import first, items, whole, word
from napari_medai.io.dicom.tiles import is_tiled
from napari_medai.io.dicom.volume import laid_upright
from napari_medai.io.dicom.wsi import slide_spacing
from napari_medai.io.image_data import ImageData

SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_LARGEST = 2**31
_NUMBERS = 2**16


def read_segmentation(source: Source) -> list[ImageData]:
    """The segments as labels; several layers where segments overlap.

    Labels are the segments' numbers, or those that they had before they were written. Fractions
    of one half and more count. Slices without a frame are empty.

    Raises
    ------
    InputError
        If frames cannot be decoded or placed, or the whole would be absurdly large.
    """
    header = source.header
    planes = planes_of(source)
    canvas = canvas_of(source, planes)
    numbers = segment_numbers(source)
    known = labels_of(header)
    highest = max([*numbers, *known.values(), 1])
    dtype = np.dtype(np.uint8 if highest < 256 else np.int32)
    if np.prod(canvas.shape, dtype=float) * dtype.itemsize > _LARGEST:
        raise InputError(
            f"{source.path} tells of a segmentation of {canvas.shape} voxels, which is too large; "
            "export it again"
        )
    kind = word(header, "SegmentationType")
    notes = [*canvas.notes, *source.notes]
    if kind == "LABELMAP":
        groups = [(_drawn_map(source, canvas, known, dtype), set[int]())]
    else:
        groups = _drawn(source, canvas, [known.get(n, n) for n in numbers], dtype)
    if kind == "FRACTIONAL":
        notes.append("the segmentation is fractional; fractions of 0.5 and more count")
    if len(groups) > 1:
        notes.append(f"segments overlap; they are shown in {len(groups)} layers")
    else:
        groups = [(data, set[int]()) for data, _ in groups]  # also segments without a voxel
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
        colours=colours_of(header),
        metadata=facts([Plane(source)]),
    )
    return image if canvas.grid is None else laid_upright(image, canvas.grid)


def _features(header: Any, members: set[int]) -> dict[str, list[Any]]:
    known = labels_of(header)
    rows = [
        (
            known[number_of(item)],
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


def _drawn_map(
    source: Source, canvas: Canvas, known: Mapping[int, int], dtype: np.dtype[Any]
) -> np.ndarray:
    """A map of segment numbers as labels."""
    data: np.ndarray = np.zeros(canvas.shape, np.uint8)
    for index, window in enumerate(canvas.windows):
        frame = decoded(source, index)
        if frame.dtype.itemsize > data.dtype.itemsize:
            data = data.astype(np.int32)
        target = data[window]
        target[...] = frame[: target.shape[-2], : target.shape[-1]]
    others = {number: label for number, label in known.items() if number != label}
    if others and data.min() >= 0 and data.max() < _NUMBERS:
        label_at = np.arange(_NUMBERS, dtype=np.int32)
        for number, label in others.items():
            if 0 < number < _NUMBERS:
                label_at[number] = label
        data = label_at[data]
    return data if data.dtype.itemsize > dtype.itemsize else data.astype(dtype)


def _drawn(
    source: Source, canvas: Canvas, labels: Sequence[int], dtype: np.dtype[Any]
) -> list[tuple[np.ndarray, set[int]]]:
    """Pictures and the labels in them, given each frame's; one goes to the first it fits into."""
    half = 1.0
    if word(source.header, "SegmentationType") == "FRACTIONAL":
        half = (whole(source.header, "MaximumFractionalValue") or 255) / 2
    groups: list[tuple[np.ndarray, set[int]]] = []
    for label in sorted(set(labels)):
        frames = [
            (canvas.windows[index], decoded(source, index) >= half)
            for index, one in enumerate(labels)
            if one == label
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
        members.add(label)
        for at, mask in frames:
            data[at][_cut(mask, data[at])] = label
    return groups


def _is_free(data: np.ndarray, frames: Sequence[tuple[Any, np.ndarray]]) -> bool:
    return not any((_cut(mask, data[at]) & (data[at] > 0)).any() for at, mask in frames)


def _cut(mask: np.ndarray, target: np.ndarray) -> np.ndarray:
    """A tile's part within the picture: the last ones stand out."""
    return mask[: target.shape[-2], : target.shape[-1]]
