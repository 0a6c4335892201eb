"""Where objects go: as close to each other, and as often touching, as was measured.

Objects come one by one. Between them it is looked at how far nearest neighbours are by now, and the
next ones go near others, or far from all, until that is as wanted: a clustered or a regular point
process by feedback, with rejection where there is no room.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from napari_medai.core.canvas import Canvas, Piece
from napari_medai.core.neighbours import clark_evans

_TRIES = 30
"""Places beside others that are tried."""
_FEW, _FREE_TRIES = 6, 40
"""Places anywhere that are tried, at first and then."""
_CANDIDATES = 60
"""Places of which those farthest from all are tried."""
_LOOKS = 64
"""How often it is looked at how objects lie."""
_ANSWER = 20.0
"""How decidedly is answered to a deviation of the clustering; at 1 / 20 always."""
_EXTENT = 0.3
"""Centres lie up to so many radii outside, so that borders cut objects as they do in images."""
_ASIDE = 0.08
"""How far beside another an object goes, as a share of both radii."""
_HOSTS = 8
"""Objects that it is tried to lean another one on."""
_PRESS = 0.3
"""How far one is pushed into another at most, as a share of its radius."""
_ROUNDS = 4
"""How often what found no room is tried again."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """As of `napari_medai.core.layout_statistics.ImageLayout`; ``count`` is of all objects."""

    count: int
    clustering: float
    touching: float


def placed(
    canvas: Canvas, pieces: Iterable[Piece], wanted: Wanted, rng: np.random.Generator
) -> list[Piece]:
    """Put objects on a canvas in their order, and return those that found no room."""
    left: list[Piece] = []
    every = max(1, wanted.count // _LOOKS)
    mood = _Mood.of(canvas, wanted)
    for number, piece in enumerate(pieces):
        if number % every == 0:
            mood = _Mood.of(canvas, wanted)
        if not (_beside(canvas, piece, wanted, rng) or _apart(canvas, piece, mood, rng)):
            left.append(piece)
    for _ in range(_ROUNDS):
        before = len(left)
        left = _in_gaps(canvas, left, rng)
        if not left or len(left) == before:
            break
    return left


@dataclass(frozen=True, slots=True, eq=False)
class _Mood:
    """How likely the next objects go ``near`` others or ``far`` from all, and where others are."""

    near: float
    far: float
    others: cKDTree | None

    @classmethod
    def of(cls, canvas: Canvas, wanted: Wanted) -> _Mood:
        if canvas.count < 3:
            return cls(0.0, 0.0, cKDTree(canvas.centres) if canvas.count else None)
        off = _ANSWER * (clark_evans(canvas.centres, canvas.labels.shape) - wanted.clustering)
        return cls(max(off, 0.0), max(-off, 0.0), cKDTree(canvas.centres))


def _beside(canvas: Canvas, piece: Piece, wanted: Wanted, rng: np.random.Generator) -> bool:
    """Lean an object on another one, as long as too few touch."""
    missing = wanted.touching * wanted.count - int(canvas.touching.sum())
    if missing < 1 or not canvas.count:
        return False
    # seven of ten begin a pair, the others make a group larger
    free = np.flatnonzero(~canvas.touching)
    rest = np.flatnonzero(canvas.touching)
    pool = free if len(free) and (missing >= 2 and (rng.uniform() < 0.7 or not len(rest))) else rest
    if not len(pool) or rng.uniform() > 2 * missing / max(wanted.count - canvas.count, 1):
        return False
    for host in pool[rng.integers(len(pool), size=_HOSTS)].tolist():
        direction = _direction(rng, canvas.labels.ndim)
        press = rng.uniform(0, _PRESS)
        if canvas.put_against(piece, host, direction=direction, press=press):
            return True
    return False


def _apart(canvas: Canvas, piece: Piece, mood: _Mood, rng: np.random.Generator) -> bool:
    """Put an object where it touches none: near others, far from them, or anywhere."""
    chance = rng.uniform()
    if mood.others is not None and chance < mood.near:
        for centre in _near(canvas, piece, rng):
            if canvas.put_apart(piece, centre):
                return True
    elif mood.others is not None and chance < mood.far:
        spots = _anywhere(canvas, piece, rng, _CANDIDATES)
        for spot in np.argsort(-mood.others.query(spots)[0])[:3]:
            if canvas.put_apart(piece, spots[spot]):
                return True
    # most find room at once, and places cost time
    for count in (_FEW, _FREE_TRIES):
        for centre in _anywhere(canvas, piece, rng, count):
            if canvas.put_apart(piece, centre):
                return True
    return False


def _near(canvas: Canvas, piece: Piece, rng: np.random.Generator) -> np.ndarray:
    """Places just beside some objects, within the image."""
    hosts = rng.integers(0, canvas.count, _TRIES)
    reach = canvas.radii[hosts] + piece.radius
    away = reach * (1 + rng.exponential(_ASIDE, _TRIES)) + 1
    shape = canvas.labels.shape
    turns = rng.normal(size=(_TRIES, len(shape)))
    turns /= np.linalg.norm(turns, axis=1, keepdims=True)
    spots = canvas.centres[hosts] + away[:, None] * turns
    return spots[((spots >= 0) & (spots <= np.array(shape) - 1)).all(axis=1)]


def _anywhere(canvas: Canvas, piece: Piece, rng: np.random.Generator, count: int) -> np.ndarray:
    beyond = _EXTENT * piece.radius
    ends = np.array(canvas.labels.shape) - 1
    spots = rng.uniform(-beyond, ends + beyond, (count, len(ends)))
    there = np.clip(np.rint(spots), 0, ends).astype(int)
    free = canvas.labels[tuple(there.T)] == 0
    return spots[free] if free.any() else spots[:1]


def _in_gaps(canvas: Canvas, pieces: list[Piece], rng: np.random.Generator) -> list[Piece]:
    """Put objects into what gaps are left, the largest first, and return those without one."""
    if not pieces:
        return []
    pieces = sorted(pieces, key=lambda piece: -piece.radius)
    step = max(1, int(pieces[-1].radius / 3))
    every = (slice(None, None, step),) * canvas.labels.ndim
    room = ndimage.distance_transform_edt(np.pad(canvas.labels[every] == 0, 1, mode="edge"))
    room = room[(slice(1, -1),) * room.ndim] * step
    left = []
    for piece in pieces:
        gaps = np.flatnonzero(room > 0.7 * piece.radius)
        tries = rng.choice(gaps, min(_FREE_TRIES, len(gaps)), replace=False) if len(gaps) else gaps
        spots = np.stack(np.unravel_index(tries, room.shape), axis=1) * float(step)
        if not any(canvas.put_apart(piece, spot) for spot in spots):
            left.append(piece)
    return left


def _direction(rng: np.random.Generator, ndim: int) -> np.ndarray:
    turn = rng.normal(size=ndim)
    return np.asarray(turn / np.linalg.norm(turn))
