"""Pictures of slides, cut into tiles: where each tile lies, and the whole of them, lazily."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.io.dicom.pixels import RECENT, decoded
from napari_medai.io.dicom.source import Source
from napari_medai.io.dicom.tags import first, items, number, whole, word

_CHUNK = 1024
_LONGEST = 2**22


def is_tiled(header: Any) -> bool:
    """Whether frames are tiles of one large picture."""
    return bool(whole(header, "TotalPixelMatrixRows") and whole(header, "TotalPixelMatrixColumns"))


def matrix_shape(header: Any) -> tuple[int, int]:
    """Rows and columns of the whole picture.

    Raises
    ------
    InputError
        If they cannot be.
    """
    rows = whole(header, "TotalPixelMatrixRows") or 0
    columns = whole(header, "TotalPixelMatrixColumns") or 0
    if not (0 < rows <= _LONGEST and 0 < columns <= _LONGEST):
        raise InputError(
            f"the header tells of a slide of {columns} x {rows} pixels, which cannot be; "
            "export the file again"
        )
    return rows, columns


def tile_places(source: Source) -> np.ndarray:
    """(frames, 3): first row and column of each tile, and which of several pictures it is of.

    Tiles that are given without places fill the picture row by row, one picture (focal plane or
    optical path) after the other.
    """
    header = source.header
    rows, columns = matrix_shape(header)
    groups = items(header, "PerFrameFunctionalGroupsSequence")[: source.frames]
    places = [first(group, "PlanePositionSlideSequence") for group in groups]
    if word(header, "DimensionOrganizationType") == "TILED_FULL" or not any(places):
        across = -(-columns // int(header.Columns))
        count = across * -(-rows // int(header.Rows))
        frame = np.arange(source.frames) + (whole(header, "ConcatenationFrameOffsetNumber") or 0)
        at, picture = frame % count, frame // count
        return np.stack([at // across * header.Rows, at % across * header.Columns, picture], axis=1)
    found: list[tuple[int, int, int]] = []
    layers: dict[tuple[str, float | None], int] = {}
    for group, place in zip(groups, places, strict=True):
        path = word(first(group, "OpticalPathIdentificationSequence"), "OpticalPathIdentifier")
        depth = number(place, "ZOffsetInSlideCoordinateSystem")
        layer = layers.setdefault((path, depth), len(layers))
        row = whole(place, "RowPositionInTotalImagePixelMatrix") or 1
        column = whole(place, "ColumnPositionInTotalImagePixelMatrix") or 1
        found.append((row - 1, column - 1, layer))
    return np.array(found, dtype=np.int64).reshape(-1, 3)


class Mosaic:
    """Tiles as one picture (Y, X), with colours last if there are any; read as it is sliced."""

    def __init__(self, sources: Sequence[Source]) -> None:
        header = sources[0].header
        self._sources, self._token = tuple(sources), uuid4().hex
        self._places = np.concatenate(
            [
                np.column_stack([np.full(len(places), n), np.arange(len(places)), places])
                for n, places in enumerate(map(tile_places, sources))
            ]
        )
        self.layers = int(self._places[:, 4].max()) + 1 if len(self._places) else 1
        self._places = self._places[self._places[:, 4] == 0]
        self._tile = (int(header.Rows), int(header.Columns))
        sample = self._picture(int(self._places[0, 0]), int(self._places[0, 1]))
        self.dtype, colours = sample.dtype, sample.shape[2:]
        self.shape = (*matrix_shape(header), *colours)
        self.ndim = len(self.shape)
        # Where a slide has no tile there is glass: white, or dark under fluorescence.
        self._blank = np.iinfo(self.dtype).max if colours and self.dtype.kind == "u" else 0

    @property
    def complete(self) -> bool:
        """Whether there are tiles for all of the picture, counting each place once."""
        areas = len(np.unique(self._places[:, 2:4], axis=0)) * self._tile[0] * self._tile[1]
        return areas >= self.shape[0] * self.shape[1]

    def __getitem__(self, key: Any) -> np.ndarray:
        keys = list(key) if isinstance(key, tuple) else [key]
        keys += [slice(None)] * (self.ndim - len(keys))
        wanted = [
            range(n)[k] if isinstance(k, slice) else range(k, k + 1)
            for k, n in zip(keys[:2], self.shape[:2], strict=True)
        ]
        if not all(map(len, wanted)):
            return np.empty((*map(len, wanted), *self.shape[2:]), self.dtype)
        (top, bottom), (left, right) = ((min(r), max(r) + 1) for r in wanted)
        region = self._region(top, bottom, left, right)
        region = region[np.ix_(np.array(wanted[0]) - top, np.array(wanted[1]) - left)]
        drop = tuple(slice(None) if isinstance(k, slice) else 0 for k in keys[:2])
        return region[(*drop, ..., *keys[2:])] if self.ndim > 2 else region[drop]

    def lazy(self) -> Any:
        """As a dask array in chunks of some whole tiles."""
        import dask.array

        sizes = [edge * max(1, _CHUNK // edge) for edge in self._tile]
        chunks = (*sizes, *self.shape[2:])
        return dask.array.from_array(
            self, chunks=chunks, name=f"dicom-{self._token}", asarray=False, fancy=False
        )

    def _region(self, top: int, bottom: int, left: int, right: int) -> np.ndarray:
        region = np.full((bottom - top, right - left, *self.shape[2:]), self._blank, self.dtype)
        high, wide = self._tile
        rows, columns = self._places[:, 2], self._places[:, 3]
        hit = (rows < bottom) & (rows + high > top) & (columns < right) & (columns + wide > left)
        for source, frame, row, column, _ in self._places[hit].tolist():
            picture = self._picture(source, frame)
            y, x = max(row, top), max(column, left)
            part = picture[y - row : bottom - row, x - column : right - column]
            region[y - top : y - top + part.shape[0], x - left : x - left + part.shape[1]] = part
        return region

    def _picture(self, source: int, frame: int) -> np.ndarray:
        key = (self._token, source, frame)
        found = RECENT.get(key)
        if found is None:
            found = decoded(self._sources[source], frame)
            RECENT.put(key, found)
        return found
