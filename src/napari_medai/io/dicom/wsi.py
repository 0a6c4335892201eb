"""Whole-slide microscopy: the instances of a series as the levels of one picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.io.dicom.facts import facts, series_name
from napari_medai.io.dicom.planes import Plane, pixel_spacing
from napari_medai.io.dicom.source import Source
from napari_medai.io.dicom.tags import first, number, value, words
from napari_medai.io.dicom.tiles import Mosaic, is_tiled, matrix_shape
from napari_medai.io.image_data import ImageData

_SAME_SHAPE = 0.05


def read_slide(sources: Sequence[Source]) -> list[ImageData]:
    """A slide as one image of several levels, in micrometers.

    Pictures of the label are never shown: it tells of whom the slide is.

    Raises
    ------
    InputError
        If there is nothing else, or a tile cannot be decoded.
    """
    shown = [source for source in sources if not {"LABEL", "OVERVIEW"} & _kinds(source)]
    aside = len(sources) - len(shown)
    if not shown:
        raise InputError(
            "the file is a picture of a slide's label or of the whole slide with it, which may "
            "tell of whom it is; open the slide's other files"
        )
    note = f"{aside} pictures of the slide's label or the whole glass are left out"
    levels, notes = _levels([source for source in shown if is_tiled(source.header)])
    mosaics = [Mosaic(level) for level in levels]
    finest = mosaics[0]
    same = [m for m in mosaics if m.dtype == finest.dtype and m.shape[2:] == finest.shape[2:]]
    if finest.layers > 1:
        notes.append(f"the slide has {finest.layers} focal planes or colours; the first is shown")
    if not finest.complete:
        notes.append("parts of the slide have no tiles; they are blank")
    rgb = finest.ndim == 3
    header = levels[0][0].header
    steps = slide_spacing(header)
    image = ImageData(
        tuple(mosaic.lazy() for mosaic in same),
        "YXC" if rgb else "YX",
        dict(zip("YX", steps, strict=True)) if steps else {},
        dict.fromkeys("YX", "micrometer") if steps else {},
        name=series_name(header, finest.shape[:2]),
        rgb=rgb and finest.dtype == np.uint8,
        metadata=facts([Plane(levels[0][0])]),
        notes=tuple(notes),
    )
    told = tuple(dict.fromkeys(note for level in levels for s in level for note in s.notes))
    more = (note,) if aside else ()
    return [replace(image, notes=(*image.notes, *told, *more))]


def slide_spacing(header: Any) -> tuple[float, float] | None:
    """The size of a pixel in micrometers, down and across."""
    measures = first(first(header, "SharedFunctionalGroupsSequence"), "PixelMeasuresSequence")
    found = pixel_spacing(measures)
    if found is not None:
        return found[0] * 1000, found[1] * 1000
    high, wide = number(header, "ImagedVolumeHeight"), number(header, "ImagedVolumeWidth")
    if not high or not wide or high <= 0 or wide <= 0:
        return None
    rows, columns = matrix_shape(header)
    return high * 1000 / rows, wide * 1000 / columns


def _kinds(source: Source) -> set[str]:
    return set(words(source.header, "ImageType"))


def _levels(sources: Sequence[Source]) -> tuple[list[list[Source]], list[str]]:
    """Instances of one size together if they are parts of one; the finest level first."""
    if not sources:
        raise InputError("the slide does not say how large it is; export it again")
    sizes: dict[tuple[int, int], list[Source]] = defaultdict(list)
    for source in sources:
        sizes[matrix_shape(source.header)].append(source)
    ordered = sorted(sizes, reverse=True)
    rows, columns = ordered[0]
    levels, left = [], 0
    for size in ordered:
        if abs(size[0] / rows / (size[1] / columns) - 1) > _SAME_SHAPE + 1 / min(size):
            left += len(sizes[size])
            continue
        parts = _parts(sizes[size])
        left += len(sizes[size]) - len(parts)
        levels.append(parts)
    notes = [f"{left} pictures of the slide are of another part, and are left out"] if left else []
    return levels, notes


def _parts(sources: Sequence[Source]) -> list[Source]:
    """The instances that one picture was divided into, or the first of several pictures."""
    parts = str(value(sources[0].header, "ConcatenationUID") or "")
    if not parts:
        return [sources[0]]
    return [s for s in sources if str(value(s.header, "ConcatenationUID") or "") == parts]
