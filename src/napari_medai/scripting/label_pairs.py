"""Images and labels to train on, from folders, layers or arrays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.axes import CHANNEL
from napari_medai.core.errors import InputError
from napari_medai.scripting.sources import array_of, finest, is_layer, listed, source_of
from napari_medai.tasks.pairs import Pair


def label_pairs(
    images: Any, labels: Any, *, axes: str | None = None, classes: bool = False
) -> list[Pair]:
    """Images and labels of objects or classes, as `train` takes them, checked in number."""
    if isinstance(images, str | Path) and isinstance(labels, str | Path):
        from napari_medai.io.pairs import find_pairs, read_pair

        found = find_pairs(Path(images).expanduser(), Path(labels).expanduser())
        read = (Pair(*read_pair(*pair, classes=classes)) for pair in found)
        return [frame for number, pair in enumerate(read, 1) for frame in _frames(pair, number)]
    images, labels = listed(images, "labels"), listed(labels, "labels")
    if len(images) != len(labels):
        raise InputError(
            f"{len(images)} images and {len(labels)} labels were given; give one label image "
            "for each image"
        )
    pairs = [
        _pair(image, drawn, number, axes=axes, classes=classes)
        for number, (image, drawn) in enumerate(zip(images, labels, strict=True), 1)
    ]
    return [frame for number, pair in enumerate(pairs, 1) for frame in _frames(pair, number)]


def _pair(image: Any, drawn: Any, number: int, *, axes: str | None, classes: bool) -> Pair:
    if isinstance(image, str | Path) and isinstance(drawn, str | Path):
        from napari_medai.io.pairs import read_pair

        return Pair(*read_pair(Path(image), Path(drawn), classes=classes))
    axes = axes.upper() if axes else None
    array = array_of(source_of(image, axes=axes), axes)
    name = getattr(image, "name", None) or f"image {number}"
    values = finest(drawn.data if is_layer(drawn) else drawn)
    return Pair(array, np.asarray(values), str(name))


def _frames(pair: Pair, number: int) -> Iterator[Pair]:
    """A pair for every position along time and other series, all of one source."""
    space = pair.image.axes.replace(CHANNEL, "")
    shape = tuple(n for axis, n in pair.image.sizes.items() if axis != CHANNEL)
    if not pair.image.series or pair.labels.shape != shape:
        yield pair
        return
    for position in pair.image.positions(pair.image.series):
        where = ", ".join(f"{axis.lower()} {at}" for axis, at in position.items())
        key = tuple(position.get(axis, slice(None)) for axis in space)
        yield Pair(
            pair.image.at(**position),
            pair.labels[key],
            f"{pair.name}, {where}",
            source=f"{number}: {pair.name}",
        )
