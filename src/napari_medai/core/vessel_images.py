"""Pictures of vessels as an angiography shows them: contrast, background, blur, and a camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, pi
from typing import Literal

import numpy as np
from scipy import ndimage

from napari_medai.core.errors import InputError
from napari_medai.core.noise import CameraNoise
from napari_medai.core.seeds import Seed, generator
from napari_medai.core.textures import slow_texture
from napari_medai.core.vessel_masks import around_segments
from napari_medai.core.vessels import VesselTree

Profile = Literal["full", "round"]

_CAMERA = CameraNoise(gain=1.0, offset=100.0, read_noise=3.0)
_GRAIN = 1.0
"""The blur of fine tissue, in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VesselLook:
    """How vessels are shown. Values of the image are light, plus the camera's offset.

    Parameters
    ----------
    contrast
        Light of the widest vessels, above the background; below 0 they are darker than it.
    background
        Mean light of what lies around.
    texture, texture_size
        Standard deviation of its slow changes as a share of it, and how far they reach, in pixels.
    tissue
        Standard deviation of its fine grain, as a share of it.
    profile
        ``"full"`` vessels are as bright at the edge as in the middle, as in a slice; ``"round"``
        ones as bright as they are deep, as in a projection.
    fading
        Brightness goes with the radius to this power: 0 for all alike.
    blur
        Standard deviation of the point spread function in pixels, one for all axes or one each.
    noise
        The camera's, in the image's values; None for none.

    Raises
    ------
    InputError
        If a number is not finite, or is negative and must not be.
    """

    contrast: float = 200.0
    background: float = 60.0
    texture: float = 0.2
    texture_size: float = 24.0
    tissue: float = 0.1
    profile: Profile = "full"
    fading: float = 0.3
    blur: float | tuple[float, ...] = 0.8
    noise: CameraNoise | None = _CAMERA

    def __post_init__(self) -> None:
        blurs = self.blur if isinstance(self.blur, tuple) else (self.blur,)
        positive = {
            "background": (self.background,),
            "texture": (self.texture,),
            "tissue": (self.tissue,),
            "fading": (self.fading,),
            "blur": blurs,
        }
        for name, numbers in positive.items():
            if not all(isfinite(number) and number >= 0 for number in numbers):
                raise InputError(f"{name} must be 0 or more, got {getattr(self, name)}")
        if not isfinite(self.contrast):
            raise InputError(f"contrast must be a number, got {self.contrast}")
        if not (isfinite(self.texture_size) and self.texture_size >= 1):
            raise InputError(f"texture_size must be 1 pixel or more, got {self.texture_size}")
        if self.profile not in ("full", "round"):
            raise InputError(f"profile must be full or round, got {self.profile!r}")


def vessel_image(
    tree: VesselTree,
    *,
    seed: Seed,
    look: VesselLook | None = None,
    shape: Sequence[int] | None = None,
) -> np.ndarray:
    """An image of a tree, float32; ``shape`` is that which the tree grew in by default.

    Parameters
    ----------
    seed
        Of background and noise: the same seed gives the same image.
    look
        By default that of `VesselLook`.

    Raises
    ------
    InputError
        If blur or shape have another number of axes than the tree, or the seed is out of range.
    """
    look, rng = look or VesselLook(), generator(seed)
    if isinstance(look.blur, tuple) and len(look.blur) != tree.ndim:
        raise InputError(
            f"blur has {len(look.blur)} numbers, but the tree {tree.ndim} axes; give one for each"
        )
    vessels = vessel_light(tree, shape, profile=look.profile, fading=look.fading)
    light: np.ndarray = np.full(vessels.shape, look.background, np.float32)
    if look.texture:
        slow = slow_texture(vessels.shape, size=look.texture_size, rng=rng)
        light += look.texture * look.background * slow
    if look.tissue:
        grain = ndimage.gaussian_filter(rng.normal(size=light.shape).astype(np.float32), _GRAIN)
        light += look.tissue * look.background * (grain / grain.std())
    light = np.maximum(light, 0) + look.contrast * vessels
    light = np.maximum(ndimage.gaussian_filter(light, look.blur), 0)
    return light if look.noise is None else look.noise.noisy(light + look.noise.offset, rng)


def vessel_light(
    tree: VesselTree,
    shape: Sequence[int] | None = None,
    *,
    profile: Profile = "full",
    fading: float = 0.0,
) -> np.ndarray:
    """How much light vessels give, float32 0 to 1; edge pixels as much as they are covered.

    The widest vessels give 1. Where vessels overlap the brighter one is seen. See `VesselLook`.
    """
    light = np.zeros(tree.shape if shape is None else tuple(shape), np.float32)
    bright = (tree.radii / tree.radii.max()) ** fading
    for around in around_segments(tree, light.shape, margin=0.5):
        shown = _shown(around.distances, float(tree.radii[around.number]), profile, tree.ndim)
        part = light[around.box]
        np.maximum(part, bright[around.number] * shown, out=part, casting="same_kind")
    return light


def _shown(distances: np.ndarray, radius: float, profile: Profile, ndim: int) -> np.ndarray:
    """The light of a vessel at distances from its axis: 1 in the middle, if it fills a pixel."""
    if profile == "round":
        shown = np.sqrt(np.maximum(1 - (distances / (radius + 0.5)) ** 2, 0))
    else:
        shown = np.clip(radius + 0.5 - distances, 0, 1)
    # a thinner vessel than a pixel fills it in part
    return np.asarray(shown * min(1.0, 2 * radius if ndim == 2 else pi * radius**2))
