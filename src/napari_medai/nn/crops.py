"""Random training crops: one affine resampling from the source, then changes of intensity.

Every crop is cut from its image in one interpolation (zoom, rotation, flip, stretch, shift), so
nothing is blurred twice. Works in 2D and 3D; in 3D the plane turns and z only flips, because
slices are rarely as fine as pixels, unless a `Geometry` tilts volumes instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_medai.core.scale import THICK


class Weighted(Protocol):
    """What crops are drawn from, as often as its weight says, relative to others."""

    @property
    def weight(self) -> float: ...


Drawn = TypeVar("Drawn", bound=Weighted)


def batch(
    examples: Sequence[Drawn],
    crop: Callable[[Drawn, np.random.Generator], tuple[Tensor, dict[str, Tensor]]],
    rng: np.random.Generator,
    size: int,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Inputs (size, channels, \\*space) and targets by name, of crops of random examples."""
    weights = np.array([example.weight for example in examples])
    chosen = rng.choice(len(examples), size, p=weights / weights.sum())
    drawn = [crop(examples[i], rng) for i in chosen]
    inputs = torch.stack([image for image, _ in drawn])
    return inputs, {name: torch.stack([t[name] for _, t in drawn]) for name in drawn[0][1]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """How far a crop may differ from its image in place and shape."""

    zoom: float = 1.6
    stretch: float = 1.12
    turn: bool = True
    quarter: bool = False
    """Whether the plane may turn by right angles, which keep boxes along the axes."""
    flip: bool | tuple[int, ...] = True
    """Whether axes may be reversed; or which of them, where the others know up from down."""
    tilt: float = 0.0
    """The largest angle (radians) about each axis, for what always lies much the same way."""
    spacing: tuple[float, ...] = ()
    """Steps along the axes, in any unit, where they differ: turns keep lengths in the world."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appearance:
    """How far a crop may differ from its image in brightness, sharpness and noise.

    Each is the chance that the change is made; their strengths are fixed.
    """

    gain: float = 0.8
    gamma: float = 0.4
    blur: float = 0.25
    noise: float = 0.35
    invert: float = 0.06
    gray: float = 0.2
    colour: float = 0.5
    shade: float = 0.3
    coarse: float = 0.0
    tint: float = 0.0
    """As under another lamp or in another stain: strong changes of balance and saturation."""


@dataclass(frozen=True, slots=True)
class Window:
    """One crop's place: ``source = centre + matrix @ (target - middle)``, in pixels."""

    centre: np.ndarray
    matrix: np.ndarray
    size: tuple[int, ...]


def random_window(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    *,
    size: tuple[int, ...],
    zoom: float | Sequence[float],
    geometry: Geometry,
    focus: np.ndarray | None = None,
) -> Window:
    """A window of ``size`` target pixels, ``zoom`` target pixels to a source pixel (of each axis).

    The zoom is varied within a factor of ``geometry.zoom``; the window lies around ``focus``
    (source pixels) or anywhere in the image.
    """
    ndim = len(shape)
    own = np.ones(ndim) * np.asarray(zoom, dtype=float)
    change = np.full(ndim, math.exp(rng.uniform(-1, 1) * math.log(geometry.zoom)))
    change *= np.exp(rng.uniform(-1, 1, ndim) * math.log(geometry.stretch))
    if geometry.flip:
        signs = rng.choice([-1.0, 1.0], ndim)
        if not isinstance(geometry.flip, bool):
            signs[[axis for axis in range(ndim) if axis not in geometry.flip]] = 1.0
        change *= signs
    # Turned between the two, at the spacing of the target.
    matrix = np.diag(1 / own) @ _rotation(rng, ndim, geometry) @ np.diag(1 / change)
    zooms = own * change
    reach = np.minimum(np.abs(matrix) @ (np.array(size) / 2) * 0.8, np.array(shape) / 2)
    if focus is None:
        centre = rng.uniform(reach, np.array(shape) - reach)
    else:
        jitter = rng.uniform(-0.4, 0.4, ndim) * np.array(size) / np.abs(zooms)
        centre = np.clip(focus + jitter, reach, np.array(shape) - reach)
    return Window(centre, matrix, size)


def _rotation(rng: np.random.Generator, ndim: int, geometry: Geometry) -> np.ndarray:
    """A turn of the plane by any angle, then tilts about each axis, in target pixels.

    Slices much thicker than pixels are not tilted into each other.
    """
    steps = np.array(geometry.spacing or (1.0,) * ndim)
    rotation = np.eye(ndim)
    if geometry.turn:
        rotation = _turned(ndim, (ndim - 2, ndim - 1), rng.uniform(0, 2 * math.pi))
    elif geometry.quarter:
        rotation = _turned(ndim, (ndim - 2, ndim - 1), rng.integers(4) * math.pi / 2).round()
    if geometry.tilt:
        for plane in combinations(range(ndim), 2):
            angle = rng.uniform(-geometry.tilt, geometry.tilt)
            if steps[list(plane)].max() <= THICK * steps[list(plane)].min():
                rotation = rotation @ _turned(ndim, plane, angle)
    return np.asarray(rotation * steps / steps[:, None])


def _turned(ndim: int, plane: tuple[int, int], angle: float) -> np.ndarray:
    turn = np.eye(ndim)
    turn[np.ix_(plane, plane)] = [
        [math.cos(angle), -math.sin(angle)],
        [math.sin(angle), math.cos(angle)],
    ]
    return turn


@dataclass(frozen=True, slots=True)
class Cut:
    """A window's pixels, traced back to the part of the source they come from."""

    window: Window
    shape: tuple[int, ...]
    slab: tuple[slice, ...]
    positions: Tensor

    @classmethod
    def of(cls, shape: tuple[int, ...], window: Window) -> Cut:
        """For a source of this shape (\\*space)."""
        reach = np.abs(window.matrix) @ (np.array(window.size) / 2) + 2
        low = np.clip(np.floor(window.centre - reach), 0, np.array(shape) - 1).astype(int)
        high = np.clip(np.ceil(window.centre + reach), low + 1, shape).astype(int)
        slab = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        return cls(window, shape, slab, _source_positions(window))

    def smooth(self, maps: np.ndarray) -> Tensor:
        """Maps (channels, \\*space), interpolated, float32; outside, the edge is repeated."""
        cut = np.ascontiguousarray(maps[(slice(None), *self.slab)])
        source = torch.from_numpy(cut).to(torch.float32)[None]
        shrink = round(float(min(np.linalg.norm(self.window.matrix, axis=0))))
        if shrink >= 2:
            # Pixels between those that interpolation looks at count too.
            pool = functional.avg_pool2d if source.ndim == 4 else functional.avg_pool3d
            factors = [shrink if n >= 2 * shrink else 1 for n in source.shape[2:]]
            trimmed = [n // f * f for n, f in zip(source.shape[2:], factors, strict=True)]
            size = trimmed
            for axis, n in enumerate(trimmed, start=2):
                source = source.narrow(axis, 0, n)
            source = pool(source, factors)
        else:
            size = list(source.shape[2:])
        corner = torch.tensor([float(part.start) for part in self.slab])
        grid = (self.positions - corner + 0.5) * torch.tensor([2.0 / n for n in size]) - 1
        return functional.grid_sample(
            source, grid.flip(-1)[None], padding_mode="border", align_corners=False
        )[0]

    def nearest(self, labels: np.ndarray) -> Tensor:
        """Labels (\\*space), each pixel from the nearest one of the source, 0 outside; int64."""
        place = self.positions.round().long()
        flat = torch.zeros(place.shape[:-1], dtype=torch.long)
        for axis, n in enumerate(self.shape):
            flat = flat * n + place[..., axis].clamp(0, n - 1)
        return torch.from_numpy(labels).reshape(-1)[flat].long() * self.inside()

    def inside(self) -> Tensor:
        """Bool map of the window: which pixels lie within the source."""
        limit = torch.tensor(self.shape, dtype=torch.float32)
        return ((self.positions > -0.5) & (self.positions < limit - 0.5)).all(-1)


def target_positions(points: np.ndarray, window: Window) -> np.ndarray:
    """Where source points (n, ndim) lie in the window, in target pixels."""
    middle = (np.array(window.size) - 1) / 2
    inverse = np.linalg.inv(window.matrix)
    return np.asarray((points - window.centre + 0.5) @ inverse.T + middle, dtype=np.float32)


def _source_positions(window: Window) -> Tensor:
    """Source position of every target pixel, (*size, ndim) in pixels (centres at integers)."""
    axes = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in window.size]
    offsets = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    matrix = torch.from_numpy(window.matrix).to(torch.float32)
    return offsets @ matrix.T + torch.from_numpy(window.centre - 0.5).to(torch.float32)


def varied(image: Tensor, rng: np.random.Generator, appearance: Appearance) -> Tensor:
    """A crop (channels, *space), about 0 to 1, as another microscope might have taken it."""

    def happens(chance: float) -> bool:
        return bool(rng.random() < chance)

    colour = image.shape[0] == 3 and bool((image[0] != image[1]).any())
    if colour and happens(appearance.gray):
        image = image.mean(0, keepdim=True).expand_as(image)
    elif colour and happens(appearance.colour):
        mix = torch.eye(3) + torch.from_numpy(rng.normal(0, 0.08, (3, 3))).to(torch.float32)
        image = torch.einsum("ij,j...->i...", mix, image)
    if colour and appearance.tint and happens(appearance.tint):
        image = _tinted(image, rng)
    if happens(appearance.invert):
        image = 1 - image
    if happens(appearance.gamma):
        power = math.exp(rng.uniform(-0.5, 0.5))
        image = image.clamp(0, 4).pow(power)
    if happens(appearance.blur):
        image = _blurred(image, sigma=float(rng.uniform(0.5, 1.6)))
    if appearance.coarse and happens(appearance.coarse):
        image = _coarse(image, factor=float(rng.uniform(1.2, 2.0)))
    if happens(appearance.shade):
        image = image * _shade(rng, image.shape[1:])
    if happens(appearance.gain):
        image = image * float(math.exp(rng.uniform(-0.45, 0.45))) + float(rng.normal(0, 0.06))
    if happens(appearance.noise):
        seed = torch.Generator().manual_seed(int(rng.integers(2**31)))
        noise = torch.randn(image.shape[1:] if not colour else image.shape, generator=seed)
        image = image + noise * float(rng.uniform(0.01, 0.10))
    return image


def _tinted(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Each colour with a curve of its own, then all nearer to gray or further from it."""
    shape = (3,) + (1,) * (image.ndim - 1)
    power, gain = (
        torch.from_numpy(np.exp(rng.uniform(-most, most, shape))).to(torch.float32)
        for most in (0.6, 0.25)
    )
    curved = image.clamp(0, 4).pow(power) * gain
    gray = curved.mean(0, keepdim=True)
    return gray + (curved - gray) * float(rng.uniform(0.4, 1.7))


def _blurred(image: Tensor, *, sigma: float) -> Tensor:
    """Gaussian blur of the last two axes."""
    radius = max(1, int(3 * sigma + 0.5))
    line = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2)
    line = line / line.sum()
    flat = image.reshape(-1, 1, *image.shape[-2:])
    flat = functional.pad(flat, (radius,) * 4, mode="replicate")
    flat = functional.conv2d(flat, line.reshape(1, 1, -1, 1))
    flat = functional.conv2d(flat, line.reshape(1, 1, 1, -1))
    return flat.reshape(image.shape)


def _coarse(image: Tensor, *, factor: float) -> Tensor:
    """As if taken with pixels so many times as long, then interpolated."""
    size = [max(2, round(n / factor)) for n in image.shape[1:]]
    mode = "bilinear" if image.ndim == 3 else "trilinear"
    low = functional.interpolate(image[None], size=size, mode=mode, align_corners=False)
    back = functional.interpolate(low, size=image.shape[1:], mode=mode, align_corners=False)
    return back[0]


def _shade(rng: np.random.Generator, shape: Sequence[int]) -> Tensor:
    """A smooth change of illumination over the last two axes, at most to a fifth.

    Objects out of focus or at the edge of the field are dim beside bright ones.
    """
    cells = int(rng.integers(3, 7))
    darkest = rng.uniform(0.2, 0.9)
    seed = torch.from_numpy(rng.uniform(darkest, 1, (1, 1, cells, cells))).to(torch.float32)
    size = [int(n) for n in shape[-2:]]
    shade = functional.interpolate(seed, size=size, mode="bicubic", align_corners=True)[0, 0]
    return shade.clamp(min=0)
