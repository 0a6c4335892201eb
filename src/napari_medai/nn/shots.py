"""What a denoiser learns from: a noisy crop, and what it is to become.

Crops are in units of light (`Shot`), so that one net serves every camera: photo-electrons above
the dark level, or, where noise does not grow with the light, multiples of its deviation. What
they are to become is a clean image (simulated exposures and real pairs), or the same scene with
other noise: a second frame, or the other half of the values split in two.

Sources: Lehtinen et al. 2018 (Noise2Noise), Pang et al. 2021 (Recorrupted-to-Recorrupted, here for
noise that grows with the light), Krull et al. 2019 and Höck et al. 2022 (Noise2Void, N2V2),
Broaddus et al. 2020 (masks for noise along lines).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from napari_medai.nn import crops

FAINTEST, BRIGHTEST = 4.0, 3000.0
"""Photo-electrons at the bright end of simulated exposures."""
CELL = 4
"""Edge of the cells of which one pixel each is hidden."""
NEAR = 2
"""How far away pixels are that stand in for hidden ones."""
GEOMETRY = crops.Geometry(zoom=1.0, stretch=1.1, turn=True)


@dataclass(frozen=True, slots=True)
class Shot:
    """A crop: ``noisy``, ``target`` and how much its pixels count, ``weight``, each (1, \\*space).

    Values are light: their noise has the variance ``shot * light + read**2``, where ``shot`` is 1
    or, without shot noise, 0. ``level`` is the deviation of the noise of ``noisy`` to that.
    """

    noisy: Tensor
    target: Tensor
    weight: Tensor
    shot: float
    read: float
    level: float = 1.0


class Source(Protocol):
    """What shots are drawn from, as often as ``weight`` says."""

    @property
    def weight(self) -> float: ...

    def drawn(self, rng: np.random.Generator, size: tuple[int, ...]) -> Shot: ...


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A clean image (\\*space), float, 0 dark and 1 bright, seen through cameras of all kinds.

    ``zooms`` are the least and most pixels of a crop to one of the image: shrinking takes away
    what noise is left in it.
    """

    image: np.ndarray
    weight: float = 1.0
    zooms: tuple[float, float] = (0.4, 1.0)

    def drawn(self, rng: np.random.Generator, size: tuple[int, ...]) -> Shot:
        low, high = self.zooms
        zoom = low * (high / low) ** rng.random()
        shape = self.image.shape
        window = crops.random_window(rng, shape, size=size, zoom=zoom, geometry=GEOMETRY)
        clean = crops.Cut.of(shape, window).smooth(self.image[None])
        if rng.random() < 0.3:
            clean = clean.clamp(min=0).pow(math.exp(rng.uniform(-0.4, 0.7)))
        if rng.random() < 0.05:
            clean = clean.max() - clean
        return exposed(clean, rng)


def exposed(clean: Tensor, rng: np.random.Generator) -> Shot:
    """A crop, 0 dark and 1 bright, as some camera takes it: light, background, gain, read noise.

    The camera's noise is stated about as well as one can estimate it from an image.
    """
    peak = FAINTEST * (BRIGHTEST / FAINTEST) ** rng.random()
    light = clean.clamp(min=0) * peak
    if rng.random() < 0.5:
        light = light + peak * 0.3 * float(rng.random()) ** 2
    shot, read = 1.0, 0.3 * (8 / 0.3) ** float(rng.random())
    values = light.numpy().astype(np.float64)
    if rng.random() < 0.2:
        # Noise that is the same everywhere, in multiples of its deviation.
        shot, read = 0.0, 1.0
        noisy = values / 4 + rng.normal(size=values.shape)
        light = light / 4
    else:
        noisy = rng.poisson(values) + rng.normal(0, read, values.shape)
        if rng.random() < 0.3:
            step = peak / rng.uniform(50, 255)
            noisy = np.round(noisy / step) * step
    level = float(np.exp(rng.normal(0, 0.05)))
    taken = torch.from_numpy(noisy).float()
    return Shot(taken, light, torch.ones_like(taken), shot, read, level)


@dataclass(frozen=True, slots=True, eq=False)
class Own:
    """A noisy image (\\*space) in units of light, to be learned from without a clean one.

    ``usable`` (\\*space) are the pixels that count: not saturated, not dead.
    """

    light: np.ndarray
    usable: np.ndarray
    shot: float
    read: float
    weight: float = 1.0

    def cut(
        self,
        rng: np.random.Generator,
        size: tuple[int, ...],
        *others: np.ndarray,
        crossed: bool = True,
    ) -> list[Tensor]:
        """Crops (1, \\*space) of the light, of what is usable, and of other maps, all alike.

        They are mirrored, and rows become columns where they may be ``crossed``. Pixels are moved,
        never interpolated: their noise stays as it is.
        """
        shape = self.light.shape
        corner = [int(rng.integers(max(0, n - s) + 1)) for n, s in zip(shape, size, strict=True)]
        window = tuple(slice(c, c + s) for c, s in zip(corner, size, strict=True))
        axes = [axis for axis in range(1, len(shape) + 1) if rng.random() < 0.5]
        crossed = crossed and size[-1] == size[-2] and rng.random() < 0.5
        parts = []
        for values in (self.light, self.usable, *others):
            part = torch.from_numpy(np.ascontiguousarray(values[window], np.float32))[None]
            part = part.flip(axes)
            parts.append(part.transpose(-1, -2) if crossed else part)
        return parts


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """An image against itself: its noise is split in two parts that know nothing of each other.

    To the values is added ``share`` of noise as they have it, and taken away by as much divided by
    ``share`` squared: what is left between the two is the image alone.
    """

    own: Own
    shares: tuple[float, float] = (0.5, 1.0)

    @property
    def weight(self) -> float:
        return self.own.weight

    def drawn(self, rng: np.random.Generator, size: tuple[int, ...]) -> Shot:
        light, usable = self.own.cut(rng, size)
        share = float(rng.uniform(*self.shares))
        variance = (self.own.shot * light + self.own.read**2).clamp(min=0)
        draw = torch.from_numpy(rng.standard_normal(light.shape, np.float32))
        more = draw * variance.sqrt()
        return Shot(
            light + share * more,
            light - more / share,
            usable,
            self.own.shot,
            self.own.read,
            math.hypot(1, share),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Masked:
    """An image against itself, some of whose pixels are hidden and are to be told by those around.

    Needs no known noise, but one that is independent of pixel to pixel; or, with ``reach``, of line
    to line: so many pixels along the given axis are hidden together to either side.
    """

    own: Own
    axis: int = -1
    reach: int = 0

    @property
    def weight(self) -> float:
        return self.own.weight

    def drawn(self, rng: np.random.Generator, size: tuple[int, ...]) -> Shot:
        light, usable = self.own.cut(rng, size, crossed=not self.reach)
        centres = _scattered(rng, size)
        hidden, across = centres, None
        if self.reach:
            across = -2 if self.axis == -1 else -1
        for step in range(1, self.reach + 1):
            for way in (-step, step):
                hidden = hidden | torch.roll(centres, way, dims=self.axis)
        return Shot(
            torch.where(hidden, _others(rng, light, across), light),
            light,
            usable * centres,
            self.own.shot,
            self.own.read,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """A scene that stands still: one frame is to become another, whose noise is its own."""

    first: Own
    second: Own

    @property
    def weight(self) -> float:
        return self.first.weight

    def drawn(self, rng: np.random.Generator, size: tuple[int, ...]) -> Shot:
        pair = (self.first, self.second) if rng.random() < 0.5 else (self.second, self.first)
        light, usable, other, also = pair[0].cut(rng, size, pair[1].light, pair[1].usable)
        return Shot(light, other, usable * also, pair[0].shot, pair[0].read)


@dataclass(frozen=True, slots=True, eq=False)
class WithClean:
    """A noisy image and a clean one of the same scene, in the same units of light."""

    own: Own
    clean: np.ndarray

    @classmethod
    def fitted(cls, own: Own, clean: np.ndarray) -> WithClean:
        """With a clean image (\\*space) in any contrast, brought to that of the noisy one.

        Where it is not finite, nothing counts.
        """
        usable = own.usable & np.isfinite(clean)
        if not usable.any():
            return cls(replace(own, usable=usable), np.zeros_like(own.light))
        known, wanted = clean[usable].astype(np.float64), own.light[usable]
        spread = known - known.mean()
        power = float((spread**2).sum())
        slope = float((spread * wanted).sum()) / power if power else 0.0
        fitted = slope * (clean - known.mean()) + float(wanted.mean(dtype=np.float64))
        fitted = np.where(np.isfinite(clean), fitted, 0)
        return cls(replace(own, usable=usable), fitted.astype(np.float32))

    @property
    def weight(self) -> float:
        return self.own.weight

    def drawn(self, rng: np.random.Generator, size: tuple[int, ...]) -> Shot:
        light, usable, clean = self.own.cut(rng, size, self.clean)
        return Shot(light, clean, usable, self.own.shot, self.own.read)


def _scattered(rng: np.random.Generator, size: tuple[int, ...]) -> Tensor:
    """Bool map (1, \\*size) with one pixel in each cell of four a side."""
    cells = [-(-n // CELL) for n in size]
    chosen = np.zeros([c * CELL for c in cells], bool)
    within = [rng.integers(CELL, size=cells) for _ in size]
    starts = np.meshgrid(*(np.arange(c) * CELL for c in cells), indexing="ij")
    chosen[tuple(s + w for s, w in zip(starts, within, strict=True))] = True
    return torch.from_numpy(chosen[tuple(slice(0, n) for n in size)])[None]


def _others(rng: np.random.Generator, light: Tensor, across: int | None) -> Tensor:
    """For each pixel one of those near it in its plane, at random, with the noise that it has.

    A mean of several would tell the net which pixels are hidden, and it would leave the rest as
    they are. With an axis to go ``across``, the other pixel is in another line.
    """
    shape = tuple(light.shape[1:])
    places = list(np.indices(shape))
    steps = [rng.integers(-NEAR, NEAR + 1, shape) for _ in range(2)]
    moved = range(2) if across is None else (across % 2,)
    none = np.all([steps[axis] == 0 for axis in moved], axis=0)
    far = rng.choice([-NEAR, -1, 1, NEAR], shape)
    first = moved[0]
    steps[first] = np.where(none, far, steps[first])
    for axis, step in zip((-2, -1), steps, strict=True):
        n = shape[axis]
        there = places[axis] + step
        # over the edge: as far to the other side
        there = np.where((there < 0) | (there >= n), places[axis] - step, there)
        places[axis] = there.clip(0, n - 1)
    return torch.from_numpy(light.numpy()[(0, *places)])[None]
