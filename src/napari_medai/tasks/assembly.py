"""Score maps of planes in, one label image and its table of objects out."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import product
from math import prod
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.axes import CHANNEL, AxesArray
from napari_medai.core.label_store import new_label_store, write_labels
from napari_medai.core.link import SliceLinker
from napari_medai.core.objects import ObjectTable, Sums
from napari_medai.core.stitch import LabelCanvas
from napari_medai.core.tiling import Block
from napari_medai.tasks.planes import Position

LARGEST_IN_MEMORY = 1 << 31
"""Bytes of labels beyond which a result is written to disk."""

CHUNK = 512
"""Edge of the pieces that labels are stored in."""
BAND = 1 << 22
"""Pixels measured at a time."""

Decode = Callable[[Any], tuple[np.ndarray, np.ndarray, np.ndarray]]


@dataclass(frozen=True, slots=True)
class Layout:
    """How an image is worked through by a model that sees the axes ``space`` at once."""

    image: AxesArray
    space: str

    @property
    def axes(self) -> str:
        """Axes of the result: those of the image, without channels."""
        return self.image.axes.replace(CHANNEL, "")

    @property
    def measured_axes(self) -> str:
        """Those of the result, with the spatial ones in the order of ``space``."""
        space = iter(self.space)
        return "".join(next(space) if axis in self.space else axis for axis in self.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.image.sizes[axis] for axis in self.axes)

    @property
    def series(self) -> str:
        """Axes worked through one by one, each position on its own."""
        return "".join(axis for axis in self.image.series)

    @property
    def lead(self) -> str:
        """Axes of the result that the model does not see."""
        return "".join(axis for axis in self.axes if axis not in self.space)

    @property
    def linked(self) -> bool:
        """Whether slices along Z are seen one by one and linked afterwards."""
        return "Z" in self.image.axes and "Z" not in self.space

    @property
    def plane_shape(self) -> tuple[int, ...]:
        return tuple(self.image.sizes[axis] for axis in self.space)

    @property
    def count(self) -> int:
        """How many planes (volumes, for a 3D model) there are."""
        return prod(self.shape) // prod(self.plane_shape)

    def stacks(self) -> Iterator[Iterator[Position]]:
        """The planes, stack by stack."""
        for position in self.image.positions(self.series):
            depth = range(self.image.sizes["Z"]) if self.linked else None
            yield ({**position, "Z": z} for z in depth) if depth else iter([position])

    def plane(self, position: Position) -> AxesArray:
        """One plane (channels, \\*space), lazy."""
        return self.image.at(**position).moved_to(CHANNEL + self.space)

    def key(self, position: Position) -> tuple[Any, ...]:
        """Where a plane lies in the result."""
        return tuple(position.get(axis, slice(None)) for axis in self.axes)


class Assembly:
    """Collects decoded blocks, plane by plane, and closes with labels and features.

    ``decode`` turns the scores of a block into labels 1 to n (\\*space), centres (n, ndim) and
    scores (n,). ``out`` is a zarr folder to be made; results too large for memory get a temporary
    one.
    """

    def __init__(self, layout: Layout, decode: Decode, *, out: Path | None = None) -> None:
        self.layout = layout
        self.decode = decode
        self.table = ObjectTable()
        self.oversized = 0
        self._last = 0
        if out is None and 4 * prod(layout.shape) > LARGEST_IN_MEMORY:
            out = temporary_store()
        self._out = out
        self._array: Any = None
        self._canvas: LabelCanvas | None = None
        self._linker: SliceLinker | None = None
        self._pending: list[tuple[np.ndarray, Sums]] = []
        if out is not None:
            self._array = new_label_store(out, layout.shape, chunks_of(layout), axes=layout.axes)
        elif layout.count > 1:
            self._array = np.zeros(layout.shape, np.int32)

    def begin_stack(self) -> None:
        """What follows is linked with nothing before it."""
        several = self.layout.linked and self.layout.image.sizes["Z"] > 1
        self._linker = SliceLinker() if several else None

    def add(self, position: Position, block: Block, scores: Any, image: np.ndarray) -> None:
        """Decode one block of a plane; ``image`` (channels, \\*space) are its pixels."""
        if self._canvas is None:
            into = None if self._array is None else PlaneView(self._array, self.layout, position)
            self._canvas = LabelCanvas(self.layout.plane_shape, into=into)
        labels, centres, sure = self.decode(scores)
        table = self._canvas.add(block, labels, centres)
        corner = [window.start for window in block.read]
        sums = Sums.of(labels, sure, image=image, corner=corner, within=self._within(position))
        self._pending.append((table, sums))

    def end_plane(self, position: Position) -> None:
        """All blocks of the plane are there."""
        canvas = self._canvas
        assert canvas is not None, "a plane has at least one block"
        self.oversized += canvas.oversized
        final = canvas.final_labels()
        plane = canvas.result()
        if canvas.oversized:
            self._recount(position, plane, final, canvas.oversized_labels())
        if self.layout.count == 1 and self._array is None:
            self._flush(final)
            return
        table = np.arange(canvas.count + 1)
        if self._linker is not None:
            # A copy: the linker keeps it for the next slice, while the plane is renumbered.
            linked = self._linker.add(np.array(plane[...]))
            table = np.pad(linked, (0, len(table) - len(linked))).astype(np.int64)
        table = np.where(table > 0, table + self._last, 0)
        if table[-1] != canvas.count:
            for window in bands(plane.shape):
                write_labels(plane, window, table[np.asarray(plane[window])])
        if self._linker is None:
            self._last += canvas.count
        self._flush(table[final])
        self._canvas = None

    def end_stack(self) -> None:
        """The next stack's labels begin above this one's."""
        if self._linker is not None:
            self._last += self._linker.count

    def labels(self) -> Any:
        """The label image: an array, or zarr where it was too large."""
        if self._array is not None:
            return self._array
        assert self._canvas is not None, "an image has at least one plane"
        order = [self.layout.space.index(a) for a in self.layout.axes if a in self.layout.space]
        plane = self._canvas.result()
        return plane.transpose(order).reshape(self.layout.shape)

    def discard(self) -> None:
        """Remove what was written to disk by a run that did not end."""
        if self._out is not None:
            shutil.rmtree(self._out, ignore_errors=True)

    def _within(self, position: Position) -> dict[int, int]:
        return {self.layout.measured_axes.index(axis): at for axis, at in position.items()}

    def _recount(
        self, position: Position, plane: Any, final: np.ndarray, joined: np.ndarray
    ) -> None:
        """Measure objects joined from pieces again, as they lie in the result.

        Pieces overlap, so what their blocks added up counts pixels twice; only their score, the
        mean over the pieces, is taken from there.
        """
        sizes, scores = np.zeros(len(final)), np.zeros(len(final))
        for table, sums in self._pending:
            sizes += np.bincount(final[table[1:]], sums.size, minlength=len(final))
            scores += np.bincount(final[table[1:]], sums.score, minlength=len(final))
            table[np.isin(final[table], joined)] = 0
        place = np.zeros(len(final), np.int32)
        place[joined] = np.arange(1, len(joined) + 1)
        image = self.layout.plane(position).data
        scored = (scores / np.maximum(sizes, 1))[joined]
        parts = (
            Sums.of(
                place[np.asarray(plane[window])],
                scored,
                image=np.asarray(image[(slice(None), *window)]),
                corner=[part.start for part in window],
                within=self._within(position),
            )
            for window in bands(plane.shape)
        )
        self._pending.append((np.append(0, self._first(final, joined)), reduce(add, parts)))

    @staticmethod
    def _first(final: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """For each label of the result, a label of the canvas that became it."""
        back = np.zeros(len(final), np.int64)
        back[final] = np.arange(len(final))
        return np.asarray(back[labels])

    def _flush(self, final: np.ndarray) -> None:
        for table, sums in self._pending:
            self.table.add(final[table][1:], sums)
        self._pending.clear()


class PlaneView:
    """One plane of a label array, with its axes in the model's order; read and written in place."""

    def __init__(self, array: Any, layout: Layout, position: Position) -> None:
        self._array = array
        self._axes = [axis for axis in layout.axes if axis in layout.space]
        self._space = layout.space
        self._key = {axis: position.get(axis, slice(None)) for axis in layout.axes}
        self.shape = layout.plane_shape

    def __getitem__(self, window: Any) -> np.ndarray:
        part = np.asarray(self._array[self._at(window)])
        return part.transpose([self._axes.index(axis) for axis in self._space])

    def __setitem__(self, window: Any, labels: np.ndarray) -> None:
        order = [self._space.index(axis) for axis in self._axes]
        self._array[self._at(window)] = labels.transpose(order)

    def _at(self, window: Any) -> tuple[Any, ...]:
        given = window if isinstance(window, tuple) else (window,)
        parts = [slice(None) if part is Ellipsis else part for part in given]
        parts += [slice(None)] * (len(self._space) - len(parts))
        key = {**self._key, **dict(zip(self._space, parts, strict=True))}
        return tuple(key.values())


def bands(shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Windows that cover an array, of about `BAND` pixels each, along the stored pieces."""
    rows = max(1, min(shape[0], CHUNK, BAND // prod(shape[2:])))
    columns = max(1, BAND // (rows * prod(shape[2:])))
    columns = columns // CHUNK * CHUNK or columns
    rest = tuple(slice(0, n) for n in shape[2:])
    for top, left in product(range(0, shape[0], rows), range(0, shape[1], columns)):
        bottom, right = min(shape[0], top + rows), min(shape[1], left + columns)
        yield slice(top, bottom), slice(left, right), *rest


def chunks_of(layout: Layout) -> list[int]:
    """Chunks of a label store: never across planes, which are written one by one."""
    edge = CHUNK if len(layout.space) == 2 else CHUNK // 4
    sizes = layout.image.sizes
    return [min(sizes[a], edge) if a in layout.space else 1 for a in layout.axes]


def temporary_store(name: str = "labels") -> Path:
    """Where a zarr array may be made that goes with the process."""
    folder = Path(tempfile.mkdtemp(prefix="napari-medai-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder / f"{name}.zarr"
