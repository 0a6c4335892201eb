"""The parts of an image, lazy or not, that its noise is told from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil, prod, sqrt
from typing import Any

import numpy as np
from scipy import ndimage

from napari_medai.core.axes import ArrayLike
from napari_medai.core.defects import defects, floor, saturation
from napari_medai.core.errors import InputError
from napari_medai.core.intensity import SAMPLES
from napari_medai.core.noise import CameraNoise
from napari_medai.core.noise_blocks import Blocks, blocks_of_frames, blocks_of_plane
from napari_medai.core.noise_line import Floor

PLANES = 16
"""Of a stack no more planes (or pairs of frames) are read."""
WINDOW = 128

_FAR = 1e6
_FEWEST = 16
_SOME = 7
_FEW = 2e-4


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A part of a plane, or of two neighbouring frames: ``values`` float64 (1 or 2, Y, X).

    ``usable`` and ``floored`` (which pixels are at the value where the dark was cut off) are
    bool (Y, X).
    """

    values: np.ndarray
    usable: np.ndarray
    floored: np.ndarray

    def blocks(self) -> Blocks:
        """Its blocks that hold usable pixels alone."""
        if len(self.values) == 1:
            return blocks_of_plane(self.values[0], self.usable, self.floored)
        first, second = self.values
        return blocks_of_frames(first, second, self.usable, self.floored)

    def without_defects(self, noise: CameraNoise) -> Window:
        """With hot and dead pixels not usable; of two frames, those that differ."""
        plane = self.values[0]
        if len(self.values) == 2:
            mean = ndimage.median_filter(self.values.mean(axis=0), 3, mode="mirror")
            deviation = np.sqrt(2 * np.maximum(noise.variance(mean), 1e-30))
            plane = (self.values[0] - self.values[1]) / deviation
            noise = CameraNoise(gain=0, offset=0, read_noise=1)
        return replace(self, usable=self.usable & ~defects(plane, noise, saturated=np.inf))


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Windows of an image; their values times ``unit`` plus ``origin`` are the image's.

    ``floor`` is where the dark ends, as the windows have it.
    """

    windows: tuple[Window, ...]
    unit: float
    origin: float
    floor: Floor | None

    @property
    def unusable(self) -> float:
        """Share of the pixels that are not usable."""
        return 1 - float(np.concatenate([w.usable.ravel() for w in self.windows]).mean())

    @property
    def constant(self) -> bool:
        """Whether hardly a pixel differs from the others: of so few nothing is told."""
        values = np.concatenate([w.values[:, w.usable].ravel() for w in self.windows])
        # if all but a few are alike, so is the middle one of some of them
        differing = np.count_nonzero(values != np.median(values[::_SOME])) if values.size else 0
        return bool(differing < max(_FEWEST, _FEW * values.size))

    def blocks(self) -> Blocks:
        """Of all windows."""
        return Blocks.joined([window.blocks() for window in self.windows])

    def without_defects(self, noise: CameraNoise) -> Sample:
        """With the hot and dead pixels not usable; the noise is that of the windows."""
        windows = tuple(window.without_defects(noise) for window in self.windows)
        return replace(self, windows=windows)

    def in_values(self, noise: CameraNoise) -> CameraNoise:
        """The noise of the image, of that of the windows."""
        return CameraNoise(
            gain=noise.gain * self.unit,
            offset=noise.offset * self.unit + self.origin,
            read_noise=noise.read_noise * self.unit,
        )

    def in_windows(self, noise: CameraNoise) -> CameraNoise:
        """The noise of the windows, of that of the image."""
        return CameraNoise(
            gain=noise.gain / self.unit,
            offset=(noise.offset - self.origin) / self.unit,
            read_noise=noise.read_noise / self.unit,
        )


def sample_of(image: ArrayLike, *, frames: bool, saturated: float | None) -> Sample:
    """Windows of an image (..., Y, X), or of pairs of frames along its first axis.

    Values are shifted and scaled to be about 0 to 1, so that none is too large to be squared.

    Raises
    ------
    InputError
        If none of the values is finite.
    """
    raw = _read(image, frames=frames)
    flat = np.concatenate([part.ravel() for part in raw])
    finite = flat[np.isfinite(flat)]
    if not finite.size:
        raise InputError(
            "the image holds no finite value (all NaN or infinite); check how it was made or read"
        )
    ceiling = saturation(finite) if saturated is None else saturated
    lowest = floor(finite)
    finite = finite.astype(np.float64)
    low, high = (float(value) for value in np.percentile(finite, (0.1, 99.9)))
    low, high = (low, high) if high > low else (float(finite.min()), float(finite.max()))
    unit = high - low if 0 < high - low < np.inf else 1.0
    windows = []
    for part in raw:
        usable = np.isfinite(part).all(axis=0)
        if ceiling is not None:
            usable &= (part < ceiling).all(axis=0)
        floored = (part <= (-np.inf if lowest is None else lowest)).any(axis=0)
        values = np.nan_to_num((part.astype(np.float64) - low) / unit, posinf=_FAR, neginf=-_FAR)
        windows.append(Window(np.clip(values, -_FAR, _FAR), usable, np.asarray(floored)))
    return Sample(tuple(windows), unit, low, _floor(flat, lowest, low, unit))


def _floor(values: np.ndarray, lowest: float | None, origin: float, unit: float) -> Floor | None:
    """The floor as the windows have it."""
    if lowest is None:
        return None
    value, whole = (lowest - origin) / unit, values.dtype.kind in "iu"
    step = float(np.diff(np.unique(values).astype(np.float64)).min()) if whole else 0.0
    # whole numbers were rounded to it from half above
    return Floor(value, value + 0.5 * whole / unit, step / unit)


def _read(image: ArrayLike, *, frames: bool) -> list[np.ndarray]:
    """Arrays (1 or 2, Y, X)."""
    shape = tuple(int(n) for n in image.shape)
    if not frames:
        return [part[None] for part in read_windows(image, list(plane_windows(shape)))]
    keys = list(plane_windows((shape[0] - 1, *shape[1:])))
    later = [(int(key[0]) + 1, *key[1:]) for key in keys]  # type: ignore[arg-type]
    parts = read_windows(image, keys + later)
    return [np.stack(pair) for pair in zip(parts[: len(keys)], parts[len(keys) :], strict=True)]


def plane_windows(shape: tuple[int, ...]) -> Iterator[tuple[int | slice, ...]]:
    """Windows in planes (the last two axes) spread evenly, with about ``SAMPLES`` pixels in all.

    Of up to ``PLANES`` planes; whole planes where they are that small.
    """
    lead, (height, width) = shape[:-2], shape[-2:]
    planes = prod(lead)
    read = min(planes, PLANES)
    share = sqrt(SAMPLES / read / (height * width))
    for plane in range(read):
        index = np.unravel_index((2 * plane + 1) * planes // (2 * read), lead) if lead else ()
        for rows in _spread(height, share):
            for columns in _spread(width, share):
                yield (*(int(i) for i in index), rows, columns)


def _spread(length: int, share: float) -> list[slice]:
    """Windows along one axis that hold about this share of it."""
    if share >= 1 or length <= WINDOW:
        return [slice(0, length)]
    count = min(max(1, round(length * share / WINDOW)), ceil(length / WINDOW))
    gap = (length - WINDOW) / count
    return [slice(s, s + WINDOW) for s in (round(gap * (i + 0.5)) for i in range(count))]


def read_windows(image: ArrayLike, keys: Sequence[tuple[int | slice, ...]]) -> list[np.ndarray]:
    """Parts of an image, lazy or not."""
    parts: list[Any] = [image[key] for key in keys]
    if hasattr(image, "dask"):
        from dask.base import compute

        # At once: a chunk is then read once, for all the windows in it.
        parts = list(compute(*parts))
    return [np.asarray(part) for part in parts]
