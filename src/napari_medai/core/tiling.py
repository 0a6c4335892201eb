"""Where an image is cut: tiles for the net, blocks for memory.

Cores cover every pixel once; read windows are cores grown by the margin their owner needs (the
net's halo, the objects' overlap), clipped to the image. Read windows start at multiples of the
net's stride, so that pooling sees the same grid in a tile as in the whole image, and end at such
multiples or at the image's end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from napari_medai.core.errors import InputError

Window = tuple[slice, ...]


@dataclass(frozen=True, slots=True)
class Tile:
    """One piece of work for a net.

    ``read`` is its window in the image, ``write`` the part it answers for (in the image), and
    ``keep`` that same part in its own pixels.
    """

    read: Window
    write: Window
    keep: Window

    @classmethod
    def of(cls, *, read: Window, write: Window) -> Tile:
        """A tile with ``keep`` worked out."""
        keep = (
            slice(w.start - r.start, w.stop - r.start) for r, w in zip(read, write, strict=True)
        )
        return cls(read, write, tuple(keep))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what is read."""
        return tuple(r.stop - r.start for r in self.read)


@dataclass(frozen=True, slots=True)
class Block:
    """A region decoded at once: it owns the objects centred in ``core`` and sees ``read``."""

    core: Window
    read: Window

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what is read."""
        return tuple(r.stop - r.start for r in self.read)

    @property
    def inner(self) -> Window:
        """The core, counted from where it is read."""
        return tuple(
            slice(c.start - r.start, c.stop - r.start)
            for c, r in zip(self.core, self.read, strict=True)
        )


def plan_tiles(
    shape: Sequence[int],
    *,
    size: Sequence[int] | int,
    halo: Sequence[int] | int,
    multiple: Sequence[int] | int = 1,
) -> list[Tile]:
    """Tiles of (nearly) equal shape that cover an image, last axis fastest.

    Parameters
    ----------
    size
        Longest core of an inner tile, in pixels, an integer or one per axis; rounded up to
        ``multiple``. A tile at the image's border needs no halo there and keeps that much more,
        so that all tiles read alike: at most ``size`` + 2 ``halo``, both rounded up.
    halo
        Smallest margin around a core, in pixels; rounded up to ``multiple``.
    multiple
        Read windows start at, and cores are cut at, multiples of this many pixels.

    Raises
    ------
    InputError
        If the image is empty, or a number is out of range.
    """
    along = _cuts(shape, size, halo, multiple, alike=True)
    return [
        Tile.of(read=tuple(r for _, r in cut), write=tuple(c for c, _ in cut))
        for cut in product(*along)
    ]


def plan_blocks(
    shape: Sequence[int],
    *,
    size: Sequence[int] | int,
    overlap: Sequence[int] | int,
    multiple: Sequence[int] | int = 1,
) -> list[Block]:
    """Blocks that cover an image, last axis fastest; as `plan_tiles`, with an overlap for a halo.

    Inside the image a read window is its core grown by ``overlap`` (rounded up to ``multiple``)
    on every side.
    """
    along = _cuts(shape, size, overlap, multiple, alike=False)
    return [
        Block(core=tuple(c for c, _ in cut), read=tuple(r for _, r in cut))
        for cut in product(*along)
    ]


def halved(tile: Tile, *, halo: Sequence[int], multiple: Sequence[int]) -> tuple[Tile, Tile] | None:
    """The two halves of a tile, halo kept, or None if that would save less than an eighth.

    It is cut along the axis on which its read windows shrink most.
    """
    best, saved = None, 1 / 8
    for axis, (read, core) in enumerate(zip(tile.read, tile.write, strict=True)):
        step = multiple[axis]
        margin = _up(halo[axis], step)
        first, last = max(read.start, core.start - margin), min(read.stop, core.stop + margin)
        middle = max(core.start + step, (first + last) // 2 // step * step)
        if middle >= core.stop:
            continue
        cores = slice(core.start, middle), slice(middle, core.stop)
        reads = slice(first, min(last, middle + margin)), slice(max(first, middle - margin), last)
        longest = max(r.stop - r.start for r in reads)
        saving = 1 - longest / (read.stop - read.start)
        if saving >= saved:
            best, saved = (axis, reads, cores), saving
    if best is None:
        return None
    axis, reads, cores = best
    one, other = (
        Tile.of(read=_with(tile.read, axis, r), write=_with(tile.write, axis, c))
        for r, c in zip(reads, cores, strict=True)
    )
    return one, other


def _cuts(
    shape: Sequence[int],
    size: Sequence[int] | int,
    margin: Sequence[int] | int,
    multiple: Sequence[int] | int,
    *,
    alike: bool,
) -> list[list[tuple[slice, slice]]]:
    """Cores and read windows along each axis."""
    if not shape or min(shape) < 1:
        raise InputError(
            f"an image of shape {tuple(shape)} has no pixels to cut into tiles; choose another"
        )
    sizes = _each("tile size", size, len(shape), least=1)
    margins = _each("margin", margin, len(shape), least=0)
    multiples = _each("multiple", multiple, len(shape), least=1)
    return [
        _along(n, size=_up(s, m), margin=_up(h, m), multiple=m, alike=alike)
        for n, s, h, m in zip(shape, sizes, margins, multiples, strict=True)
    ]


def _along(
    n: int, *, size: int, margin: int, multiple: int, alike: bool
) -> list[tuple[slice, slice]]:
    """Cores and read windows along one axis; all numbers are multiples, but ``n``.

    The first and the last core hold one margin more than the others, because the image ends
    there. ``alike`` moves the last read window forward until it is as long as the others.
    """
    if n <= size + 2 * margin:
        return [(slice(0, n), slice(0, n))]
    inner = n - 2 * margin
    count = -(-inner // size)
    step = _up(-(-inner // count), multiple)
    cuts = [0, *(margin + i * step for i in range(1, count)), n]
    read = [slice(i * step, min(n, (i + 1) * step + 2 * margin)) for i in range(count)]
    if alike:
        read[-1] = slice(_up(n - step - 2 * margin, multiple), n)
    return [
        (slice(start, stop), window)
        for start, stop, window in zip(cuts[:-1], cuts[1:], read, strict=True)
    ]


def _each(name: str, value: Sequence[int] | int, ndim: int, *, least: int) -> tuple[int, ...]:
    values = (value,) * ndim if isinstance(value, int) else tuple(value)
    if len(values) != ndim or min(values) < least:
        raise InputError(
            f"{name} must be a whole number of at least {least}, or one for each of the {ndim} "
            f"axes, got {value!r}"
        )
    return values


def _up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple


def _with(window: Window, axis: int, value: slice) -> Window:
    return (*window[:axis], value, *window[axis + 1 :])
