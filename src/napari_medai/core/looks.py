"""How images of objects look, in a few numbers that can be measured in any image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from napari_medai.core.errors import InputError
from napari_medai.core.neighbours import ball_diameter
from napari_medai.core.quantiles import LEVELS, quantiles_of

LOW, HIGH = 1.0, 99.8
"""Percentiles that are 0 and 1 where values are compared between images."""
TRAITS = ("background", "unevenness", "noise", "sharpness", "glow")
"""What is told of an image as a whole; see `Look`."""
OBJECT_TRAITS = ("brightness", "texture")
"""What is told of each object."""

_NEAR = 3
"""Pixels around an object that its light reaches."""
_FAINT = 0.02
"""Contrast below which texture is not told."""
_TO_SIGMA = 1.4826
_DIGITS = 7
"""Significant ones: a window may be of millionths, or of millions."""


@dataclass(frozen=True, slots=True)
class Look:
    """The look of one image, with values from 0 (the dark) to 1 (the bright end of its window).

    Parameters
    ----------
    window
        The image's values that are 0 and 1.
    background
        Median of what is no object.
    unevenness
        Standard deviation of its slow changes.
    noise
        Standard deviation of what neighbours do not share.
    sharpness
        How steep the edges of objects are: the mean gradient there over the contrast, in 1/pixel.
    glow
        Light just outside of objects, above the background, as a share of the contrast.
    brightness, texture
        Quantiles (`napari_medai.core.quantiles.LEVELS`) of the mean of objects, and of their
        standard deviation over what they are brighter than the background.
    diameter
        Median diameter of the objects in pixels.
    """

    window: tuple[float, float]
    background: float
    unevenness: float
    noise: float
    sharpness: float
    glow: float
    brightness: tuple[float, ...]
    texture: tuple[float, ...]
    diameter: float

    @property
    def traits(self) -> np.ndarray:
        """The numbers of the image as a whole (`TRAITS`), float64 (5,), noise as a logarithm."""
        told = np.array([getattr(self, name) for name in TRAITS], np.float64)
        told[TRAITS.index("noise")] = np.log(max(self.noise, 1e-4))
        return told

    def as_dict(self) -> dict[str, Any]:
        """As plain lists and numbers, for a file."""
        told = {name: _rounded([getattr(self, name)])[0] for name in (*TRAITS, "diameter")}
        return told | {name: _rounded(getattr(self, name)) for name in ("window", *OBJECT_TRAITS)}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Look:
        """The inverse of `as_dict`.

        Raises
        ------
        InputError
            If numbers are missing, are none, or cannot be those of a look.
        """
        try:
            single = {name: float(told[name]) for name in (*TRAITS, "diameter")}
            lists = {
                name: tuple(float(x) for x in told[name]) for name in ("window", *OBJECT_TRAITS)
            }
            low, high = lists.pop("window")
            look = cls(window=(low, high), **single, **lists)  # type: ignore[arg-type]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"what a model says of looks cannot be read ({error}); install the model again"
            ) from error
        look._check()
        return look

    def _check(self) -> None:
        single = [*self.window, *(getattr(self, name) for name in (*TRAITS, "diameter"))]
        lists = [getattr(self, name) for name in OBJECT_TRAITS]
        whole = np.isfinite([*single, *(value for values in lists for value in values)]).all()
        if not whole or any(len(values) != len(LEVELS) for values in lists):
            raise InputError(
                f"a look has finite numbers, and {len(LEVELS)} quantiles of each trait of objects, "
                f"got {self}; install the model again"
            )
        if self.window[0] >= self.window[1] or self.diameter <= 0:
            raise InputError(
                f"a look has a window that rises and a diameter above 0, got {self.window} and "
                f"{self.diameter:g}; install the model again"
            )


@dataclass(frozen=True, slots=True, eq=False)
class TraitScale:
    """Mean and standard deviation of the traits of images and of objects, over a training."""

    mean: np.ndarray
    sd: np.ndarray

    def normal(self, traits: np.ndarray) -> np.ndarray:
        """Traits (..., k) as multiples of the standard deviation, within 3, float32."""
        return np.clip((traits - self.mean) / self.sd, -3, 3).astype(np.float32)

    def as_dict(self) -> dict[str, list[float]]:
        """As plain lists, for a file."""
        return {"mean": _rounded(self.mean), "sd": _rounded(self.sd)}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> TraitScale:
        """The inverse of `as_dict`.

        Raises
        ------
        InputError
            If they are no finite numbers, as many of both, the deviations above 0.
        """
        try:
            mean, sd = (np.array(told[name], np.float64) for name in ("mean", "sd"))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"what a model says of scales cannot be read ({error}); install the model again"
            ) from error
        alike = mean.ndim == 1 and mean.shape == sd.shape
        if not alike or not (np.isfinite(mean).all() and np.isfinite(sd).all() and (sd > 0).all()):
            raise InputError(
                "a scale has a finite mean and a deviation above 0 for each trait, got "
                f"{mean.tolist()} and {sd.tolist()}; install the model again"
            )
        return cls(mean, sd)

    @classmethod
    def of(cls, traits: np.ndarray) -> TraitScale:
        """Of traits (n, k); what does not vary counts as if it did by 1 %."""
        mean, sd = traits.mean(axis=0), traits.std(axis=0)
        return cls(mean, np.maximum(sd, 0.01 * np.maximum(np.abs(mean), 0.1)))


def window_of(image: np.ndarray, inside: np.ndarray | None = None) -> tuple[float, float]:
    """The values of an image that are 0 and 1 of its `Look`; they differ.

    Objects (``inside``, bool) may be too few for percentiles to show: the middle one of their
    values is within as well.
    """
    low, high = (float(value) for value in np.percentile(image, (LOW, HIGH)))
    if inside is not None and inside.any():
        middle = float(np.median(image[inside]))
        low, high = min(low, middle), max(high, middle)
    return low, max(high, low + 1e-6 * max(abs(low), 1.0))


def scaled(image: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Values as parts of a window, float32."""
    low, high = window
    return ((np.asarray(image, np.float64) - low) / (high - low)).astype(np.float32)


def measured_look(image: np.ndarray, labels: np.ndarray) -> tuple[Look, np.ndarray]:
    """The look of an image (\\*space) with labels of the same shape, 1 to n.

    Also the traits of each object, float64 (n + 1, 2), 0 for the background.

    Raises
    ------
    InputError
        If there is no object or no background.
    """
    inside = labels > 0
    outside = ~ndimage.binary_dilation(inside, iterations=_NEAR)
    if not inside.any() or inside.all():
        raise InputError(
            "a look is measured in an image with objects and background, got one with "
            f"{'objects' if inside.any() else 'background'} alone; give another image"
        )
    far = outside if outside.any() else ~inside
    window = window_of(image, inside)
    values = scaled(image, window)
    background = float(np.median(values[far]))
    objects = _objects(values, labels, background)
    known = objects[1:][np.bincount(labels.ravel(), minlength=len(objects))[1:] > 0]
    bright = float(np.median(known[:, 0]))
    contrast = max(bright - background, _FAINT)
    ring = ndimage.binary_dilation(inside) & ~inside
    edge = ring | (inside & ~ndimage.binary_erosion(inside))
    steep = np.sqrt(sum(part**2 for part in np.gradient(ndimage.gaussian_filter(values, 0.7))))
    sizes = np.bincount(labels.ravel())[1:]
    even = np.ones(len(known))
    look = Look(
        window=window,
        background=background,
        unevenness=float(np.std(_slow(values, far)[far])),
        noise=_noise(values),
        sharpness=float(steep[edge].mean() / contrast),
        glow=float((values[ring].mean() - background) / contrast),
        brightness=tuple(quantiles_of(known[:, 0], even)),
        texture=tuple(quantiles_of(known[:, 1], even)),
        diameter=float(ball_diameter(np.median(sizes[sizes > 0]), labels.ndim)),
    )
    return look, objects


def _objects(values: np.ndarray, labels: np.ndarray, background: float) -> np.ndarray:
    flat, weights = labels.ravel(), values.ravel().astype(np.float64)
    count = np.maximum(np.bincount(flat), 1)
    mean = np.bincount(flat, weights) / count
    spread = np.sqrt(np.maximum(np.bincount(flat, weights**2) / count - mean**2, 0))
    texture = spread / np.maximum(np.abs(mean - background), _FAINT)
    told = np.stack([mean, np.minimum(texture, 2)], axis=1)
    told[0] = 0
    return told


def _noise(values: np.ndarray) -> float:
    """From second differences along the last axis, which slow changes hardly move."""
    if values.shape[-1] < 3:
        return 0.0
    second = values[..., 2:] - 2 * values[..., 1:-1] + values[..., :-2]
    return float(_TO_SIGMA * np.median(np.abs(second)) / np.sqrt(6))


def _slow(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Values smoothed over 8 pixels, of known ones alone."""
    shown = ndimage.gaussian_filter(known.astype(np.float32), 8)
    return np.asarray(
        ndimage.gaussian_filter(np.where(known, values, 0), 8) / np.maximum(shown, 1e-3)
    )


def _rounded(values: Iterable[float]) -> list[float]:
    return [float(f"{float(value):.{_DIGITS}g}") for value in values]
