"""A label image on which objects are put down one by one, free, or leaning on one another."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from napari_medai.core.blobs import Blob

VISIBLE = 0.2
"""An object that a border cuts shows at least this share."""
PRESSED = 0.12
"""Where two objects press on each other, each loses at most this share of what it shows."""


@dataclass(slots=True, eq=False)
class _Placed:
    """What is needed of an object when another one leans on it."""

    level: np.ndarray
    corner: np.ndarray
    size: int


@dataclass(slots=True, eq=False)
class Canvas:
    """``labels`` int32, 0 where free; objects are numbered from 1 as they come."""

    labels: np.ndarray
    _places: np.ndarray
    _touches: np.ndarray
    _placed: list[_Placed] = field(default_factory=list)

    @classmethod
    def empty(cls, shape: tuple[int, ...], *, most: int) -> Canvas:
        """A canvas for at most so many objects."""
        places = np.zeros((most, len(shape) + 1))
        return cls(np.zeros(shape, np.int32), places, np.zeros(most, bool))

    @property
    def count(self) -> int:
        return len(self._placed)

    @property
    def centres(self) -> np.ndarray:
        """Of the objects so far, (n, ndim)."""
        return self._places[: self.count, 1:]

    @property
    def radii(self) -> np.ndarray:
        return self._places[: self.count, 0]

    @property
    def touching(self) -> np.ndarray:
        """Which objects touch another one."""
        return self._touches[: self.count]

    def put_apart(self, piece: Piece, centre: np.ndarray) -> bool:
        """Put an object where it touches no other; False if there is no room."""
        corner = _corner(piece.blob, centre)
        window, part = self._window(corner, piece.mask.shape)
        if window is None or self.labels[window][piece.halo[part]].any():
            return False
        own = piece.mask[part]
        if own.sum() < max(1, VISIBLE * piece.size):
            return False
        self.labels[window][own] = self.count + 1
        self._keep(piece, corner, touches=False)
        return True

    def put_against(self, piece: Piece, host: int, *, direction: np.ndarray, press: float) -> bool:
        """Put an object beside another, so that they touch; False if there is no room.

        ``press`` is how far it is pushed in, as a share of its radius. What both want then goes
        to the one whose outline is farther.
        """
        centre, reach = self.centres[host], self.radii[host] + piece.radius
        for away in np.arange(0.6 * reach, 1.5 * reach + 2, max(1.0, 0.04 * reach)):
            if self._is_free(piece, centre + away * direction):
                pressed = centre + (away - press * piece.radius) * direction
                return self._press(piece, pressed) or self._press(piece, centre + away * direction)
        return False

    def _is_free(self, piece: Piece, centre: np.ndarray) -> bool:
        window, part = self._window(_corner(piece.blob, centre), piece.mask.shape)
        return window is not None and not self.labels[window][piece.mask[part]].any()

    def _press(self, piece: Piece, centre: np.ndarray) -> bool:
        corner = _corner(piece.blob, centre)
        window, part = self._window(corner, piece.mask.shape)
        if window is None:
            return False
        before = self.labels[window]
        around = np.unique(before[piece.halo[part]])
        hosts = [int(label) for label in around if label]
        level = piece.blob.level[part]
        mine = piece.mask[part]
        if not hosts or mine.sum() < max(1, VISIBLE * piece.size):
            return False
        after = np.where(mine & (before == 0), self.count + 1, before)
        for host in hosts:
            contested = mine & (before == host)
            other = self._level_of(host, corner + [s.start for s in part], before.shape)
            after[contested & (level < other)] = self.count + 1
        if not self._is_sound(before, after, mine, hosts):
            return False
        own = after == self.count + 1
        beside = after[ndimage.binary_dilation(own, np.ones([3] * own.ndim)) & ~own]
        if not beside.any():
            return False
        self.labels[window] = after
        for label in np.unique(beside[beside > 0]).tolist():
            self._touches[label - 1] = True
        self._keep(piece, corner, touches=True)
        return True

    def _is_sound(
        self, before: np.ndarray, after: np.ndarray, mine: np.ndarray, hosts: list[int]
    ) -> bool:
        """Whether nobody lost much, and all stay in one piece."""
        own = after == self.count + 1
        if own.sum() < (1 - PRESSED) * mine.sum() or not _is_whole(own):
            return False
        for host in hosts:
            kept = after == host
            lost = int((before == host).sum() - kept.sum())
            if lost and not (lost <= PRESSED * self._placed[host - 1].size and _is_whole(kept)):
                return False
        return True

    def _level_of(self, host: int, corner: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The level of an object in a window; beyond its pixels more than 1."""
        placed = self._placed[host - 1]
        level = np.full(shape, np.float32(np.inf))
        own = placed.level
        shift = corner - placed.corner
        here = tuple(
            slice(max(0, -s), max(0, min(n, m - s)))
            for s, n, m in zip(shift, shape, own.shape, strict=True)
        )
        there = tuple(slice(h.start + s, h.stop + s) for s, h in zip(shift, here, strict=True))
        if all(h.stop > h.start for h in here):
            level[here] = own[there]
        return level

    def _keep(self, piece: Piece, corner: np.ndarray, *, touches: bool) -> None:
        self._places[self.count, 0] = piece.radius
        self._places[self.count, 1:] = corner + piece.blob.centre
        self._touches[self.count] = touches
        self._placed.append(_Placed(piece.blob.level.astype(np.float16), corner, piece.size))

    def _window(
        self, corner: np.ndarray, shape: tuple[int, ...]
    ) -> tuple[tuple[slice, ...] | None, tuple[slice, ...]]:
        """Where a small array lies in the image, and which part of it; None if it lies outside."""
        window, part = [], []
        for start, edge, size in zip(corner.tolist(), shape, self.labels.shape, strict=True):
            first, last = max(0, start), min(size, start + edge)
            if last <= first:
                return None, ()
            window.append(slice(first, last))
            part.append(slice(first - start, last - start))
        return tuple(window), tuple(part)


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """An object before it has a place: its pixels, and its pixels with those around them."""

    blob: Blob
    mask: np.ndarray
    halo: np.ndarray
    radius: float
    size: int

    @classmethod
    def of(cls, blob: Blob, diameter: float) -> Piece:
        mask = blob.mask
        halo = mask.copy()
        for axis in range(mask.ndim):
            before, after = [slice(None)] * mask.ndim, [slice(None)] * mask.ndim
            before[axis], after[axis] = slice(-1), slice(1, None)
            source = halo.copy()
            halo[tuple(after)] |= source[tuple(before)]
            halo[tuple(before)] |= source[tuple(after)]
        return cls(blob, mask, halo, diameter / 2, int(mask.sum()))


def _corner(blob: Blob, centre: np.ndarray) -> np.ndarray:
    return np.rint(centre - blob.centre).astype(int)


def _is_whole(mask: np.ndarray) -> bool:
    return int(ndimage.label(mask)[1]) == 1
