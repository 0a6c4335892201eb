"""Which values are dark and which are bright: the intensity range a net expects as 0 and 1."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from math import ceil, inf, prod
from typing import Any

import numpy as np

from napari_medai.core.axes import ArrayLike, check_dtype
from napari_medai.core.errors import InputError

SAMPLES = 1 << 20
WINDOW = 64
LIMIT = 100.0
"""Scaled values stay within plus and minus this: a hot pixel must not overflow half precision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """The share of pixels (in percent) darker than black and darker than white."""

    low: float = 1.0
    high: float = 99.8

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= 100:
            raise InputError(
                f"percentiles must rise between 0 and 100, got {self.low!r} and {self.high!r}; "
                "use for example 1 and 99.8"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ZScore:
    """The mean becomes 0 and the standard deviation 1; values stay within ``clip`` of them.

    Both are of the values other than 0 (which is what surrounds a masked head), and the highest
    and lowest half percent do not count further than the others.
    """

    clip: float = 5.0

    def __post_init__(self) -> None:
        if not 0 < self.clip <= LIMIT:
            raise InputError(
                f"zscore must be a number of standard deviations from 0 to {LIMIT:g} to clip at, "
                f"got {self.clip!r}; use for example 5"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedWindow:
    """The same two values in every image, for scans in fixed units (CT, in Hounsfield units)."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not -inf < self.low < self.high < inf:
            raise InputError(
                f"a window must be two rising numbers, got {self.low!r} and {self.high!r}; "
                "use for example -160 and 240 (HU)"
            )


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The values themselves: for nets that are given them with their noise known."""


Intensity = Percentiles | ZScore | FixedWindow | Unchanged
"""How a model wants the intensity of images."""


def intensity_of(setting: Mapping[str, Any]) -> Intensity:
    """From the setting ``intensity`` of a model.

    ``{"low": 1, "high": 99.8}`` are percentiles, ``{"zscore": 5}`` the standard deviations to clip
    at, ``{"window": [-160, 240]}`` fixed values, ``{"unchanged": true}`` the values themselves.

    Raises
    ------
    InputError
        If it is none of these.
    """
    try:
        if set(setting) == {"zscore"}:
            return ZScore(clip=setting["zscore"])
        if dict(setting) == {"unchanged": True}:
            return Unchanged()
        if set(setting) == {"window"}:
            low, high = setting["window"]
            return FixedWindow(low=low, high=high)
        if set(setting) <= {"low", "high"}:
            return Percentiles(**setting)
    except InputError:
        raise
    except (TypeError, ValueError):
        pass
    raise InputError(
        'intensity must be percentiles {"low", "high"}, {"zscore": clip}, '
        f'{{"window": [low, high]}} or {{"unchanged": true}}, got {setting!r}'
    )


@dataclass(frozen=True, slots=True)
class Range:
    """The values that become 0 and 1, and how far the others may go."""

    low: float
    high: float
    least: float = -LIMIT
    most: float = LIMIT

    def scaled(self, array: Any) -> np.ndarray:
        """``(array - low) / (high - low)``, float32, always finite.

        NaN becomes 0, values beyond ``least`` and ``most`` and infinities are clamped; an empty
        range (a constant image) gives zeros.
        """
        array = np.asarray(array)
        span = self.high - self.low
        factor = 1.0 / span if span > 1e-300 else 0.0
        if factor == 0.0:
            return np.zeros(array.shape, np.float32)
        # float32 loses the digits of large integers and doubles, so those are shifted first
        fits = array.dtype.kind == "b" or np.can_cast(array.dtype, np.float32)
        precise = not fits or not 1e-30 < factor < 1e30
        with np.errstate(over="ignore", invalid="ignore"):
            values = array.astype(np.float64 if precise else np.float32)
            values -= self.low
            values *= factor
        np.clip(values, self.least, self.most, out=values)
        if array.dtype.kind == "f":
            values[np.isnan(values)] = 0.0
        return values.astype(np.float32, copy=False)


def intensity_range(image: ArrayLike, intensity: Intensity | None = None) -> Range:
    """The range of an image's finite values that a model is to see as 0 and 1.

    Of a large or lazy image about a million values are read, in small windows spread evenly over
    it, so that the answer does not depend on how the image is stored. Where the percentiles
    coincide (a few bright spots on black), the range is that from the lowest to the highest
    value.

    Raises
    ------
    InputError
        If the image is empty or holds no finite value.
    """
    intensity = intensity or Percentiles()
    check_dtype(image.dtype)
    if prod(image.shape) == 0:
        raise InputError(
            f"the image is empty (shape {tuple(image.shape)}); choose one that has pixels"
        )
    if isinstance(intensity, FixedWindow):
        return Range(intensity.low, intensity.high, 0.0, 1.0)
    if isinstance(intensity, Unchanged):
        return Range(0.0, 1.0, -inf, inf)
    values = _finite(np.concatenate(_samples(image)))
    if values.size == 0 and isinstance(image, np.ndarray):
        values = _finite(image.ravel())
    if values.size == 0:
        raise InputError(
            "the image holds no finite value (all NaN or infinite); check how it was made or read"
        )
    if isinstance(intensity, ZScore):
        return _standard(values, intensity.clip)
    low, high = _ranked(values, intensity.low), _ranked(values, intensity.high)
    if low == high:
        return Range(float(values.min()), float(values.max()))
    return Range(low, high)


def sample_windows(shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Windows spread evenly over an image that hold at most ``SAMPLES`` values together.

    The whole image if it is that small.
    """
    if prod(shape) <= SAMPLES:
        yield tuple(slice(0, n) for n in shape)
        return
    longest = sorted(range(len(shape)), key=lambda axis: shape[axis])[-2:]
    # short axes are channels and are taken whole; others, such as z, one position at a time
    window = [
        min(n, WINDOW) if axis in longest else (n if n <= 4 else 1) for axis, n in enumerate(shape)
    ]
    counts = _counts(shape, window)
    starts = [
        [min(max(0, (n * (2 * i + 1) // c - w) // 2), n - w) for i in range(c)]
        for n, w, c in zip(shape, window, counts, strict=True)
    ]
    for corner in product(*starts):
        yield tuple(slice(s, s + w) for s, w in zip(corner, window, strict=True))


def _counts(shape: tuple[int, ...], window: list[int]) -> list[int]:
    """How many windows there are along each axis, their gaps alike, within the budget."""
    budget = max(1, SAMPLES // prod(window))
    most = [ceil(n / w) for n, w in zip(shape, window, strict=True)]
    counts = [1] * len(shape)
    while counts != most:
        # neighbours along z look alike: one slice stands for a few
        gaps = [
            n / (max(w, 8) * c) if c < m else 0
            for n, w, c, m in zip(shape, window, counts, most, strict=True)
        ]
        axis = gaps.index(max(gaps))
        more = counts.copy()
        more[axis] = min(counts[axis] + ceil(counts[axis] / 8), most[axis])
        if prod(more) > budget:
            break
        counts = more
    return counts


def _samples(image: ArrayLike) -> list[np.ndarray]:
    """The values in each of the windows, flat."""
    parts: Iterable[Any] = (image[key] for key in sample_windows(image.shape))
    if hasattr(image, "dask"):
        from dask.base import compute

        # At once: a chunk is then read once, for all the windows in it.
        parts = compute(*parts)
    return [_selectable(np.asarray(part).ravel()) for part in parts]


def _selectable(values: np.ndarray) -> np.ndarray:
    # numpy selects among 16-bit numbers faster than among bytes
    return values.astype(np.int16) if values.dtype.itemsize == 1 else values


def _finite(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind != "f":
        return values
    finite = np.isfinite(values)
    return values if finite.all() else values[finite]


def _standard(values: np.ndarray, clip: float) -> Range:
    """The mean and one standard deviation above it."""
    shown = values[values != 0]
    values = (shown if shown.size else values).astype(np.float64)
    values = np.clip(values, _ranked(values, 0.5), _ranked(values, 99.5))
    mean, deviation = float(values.mean()), float(values.std())
    return Range(mean, mean + deviation, -clip, clip)


def _ranked(values: np.ndarray, percent: float) -> float:
    """The value with this share of the others below it."""
    rank = round(percent / 100 * (values.size - 1))
    return float(np.partition(values, rank)[rank])
