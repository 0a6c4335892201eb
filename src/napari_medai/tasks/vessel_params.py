"""How vessels grow, and how they are shown: the parameters of synthetic ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, cast

from napari_medai.core.fields import settle
from napari_medai.core.noise import CameraNoise
from napari_medai.core.seeds import LARGEST_SEED
from napari_medai.core.vessel_images import Profile, VesselLook
from napari_medai.core.vessel_trees import MOST

GROWTH = ("segments", "radius", "exponent", "variation", "tortuosity", "crossing")
"""Parameters that change the tree; all others but the seed change how it is shown."""
DARK = 100.0
"""The camera's value without light, where there is a camera."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VesselParams:
    """How vessels grow, and how they are shown."""

    images: Annotated[int, {"min": 1, "max": 100_000, "help": "How many images"}] = 1
    seed: Annotated[
        int,
        {"min": 0, "max": LARGEST_SEED, "help": "The same seed gives the same images"},
    ] = 0
    segments: Annotated[
        int,
        {
            "min": 1,
            "max": MOST,
            "help": "Straight pieces of a tree; fewer grow where there is no room",
        },
    ] = 200
    radius: Annotated[
        float,
        {
            "min": 0.1,
            "max": 1000.0,
            "step": 0.1,
            "unit": "px",
            "help": "Radius of the thinnest vessels, the median of them",
        },
    ] = 1.0
    exponent: Annotated[
        float,
        {
            "min": 1.0,
            "max": 10.0,
            "step": 0.1,
            "help": "Where a vessel branches, its radius to this power is the sum of those of the "
            "branches; 3 is Murray's law",
        },
    ] = 3.0
    variation: Annotated[
        float,
        {
            "min": 0.0,
            "max": 1.0,
            "step": 0.05,
            "help": "How much the thinnest vessels differ: the standard deviation of the "
            "logarithm of their radii",
        },
    ] = 0.2
    tortuosity: Annotated[
        float,
        {
            "min": 0.0,
            "max": 1.0,
            "step": 0.05,
            "help": "How far branches bend off the straight line, in four segments each; 0: one "
            "straight segment a branch",
        },
    ] = 0.0
    crossing: Annotated[
        bool,
        {"help": "Whether vessels may run through each other, as they seem to in projections"},
    ] = False
    numbering: Annotated[
        str,
        {
            "choices": ("segments", "branches", "tree"),
            "help": "What has a number of its own in the labels, and a row in their table; tree: "
            "1 in all vessels",
        },
    ] = "segments"
    contrast: Annotated[
        float,
        {
            "min": -1e6,
            "max": 1e6,
            "step": 10.0,
            "help": "Light of the widest vessels above the background; below 0 they are dark",
        },
    ] = 200.0
    background: Annotated[
        float, {"min": 0.0, "max": 1e6, "step": 10.0, "help": "Mean light of what lies around"}
    ] = 60.0
    texture: Annotated[
        float,
        {
            "min": 0.0,
            "max": 10.0,
            "step": 0.05,
            "help": "Standard deviation of the background's slow changes, as a share of it",
        },
    ] = 0.2
    tissue: Annotated[
        float,
        {
            "min": 0.0,
            "max": 10.0,
            "step": 0.05,
            "help": "Standard deviation of the background's fine grain, as a share of it",
        },
    ] = 0.1
    profile: Annotated[
        str,
        {
            "choices": ("full", "round"),
            "help": "Vessels as bright at the edge as in the middle, as in a slice (full), or as "
            "bright as they are deep, as in a projection (round)",
        },
    ] = "full"
    fading: Annotated[
        float,
        {
            "min": 0.0,
            "max": 3.0,
            "step": 0.1,
            "help": "Brightness goes with the radius to this power; 0: all are alike",
        },
    ] = 0.3
    blur: Annotated[
        float,
        {
            "min": 0.0,
            "max": 100.0,
            "step": 0.1,
            "unit": "px",
            "help": "Standard deviation of the point spread function",
        },
    ] = 0.8
    photons: Annotated[
        float,
        {
            "min": 0.0,
            "max": 1e9,
            "step": 10.0,
            "zero": "no noise",
            "help": "Photo-electrons that the brightest vessel gives in a pixel: the more, the "
            "less noise; 0: no noise, and no dark level",
        },
    ] = 260.0
    read_noise: Annotated[
        float,
        {
            "min": 0.0,
            "max": 1e6,
            "step": 0.5,
            "help": "Standard deviation of the values where there is no light",
        },
    ] = 3.0

    def __post_init__(self) -> None:
        settle(self)

    @property
    def growth(self) -> dict[str, Any]:
        """What `grown_vessels_steps` takes."""
        return {name: getattr(self, name) for name in GROWTH}

    @property
    def look(self) -> VesselLook:
        return VesselLook(
            contrast=self.contrast,
            background=self.background,
            texture=self.texture,
            tissue=self.tissue,
            profile=cast(Profile, self.profile),
            fading=self.fading,
            blur=self.blur,
            noise=self._noise,
        )

    @property
    def _noise(self) -> CameraNoise | None:
        if not self.photons:
            return None
        gain = (self.background + max(self.contrast, 0.0)) / self.photons
        if gain == 0 == self.read_noise:
            return None
        return CameraNoise(gain=gain, offset=DARK, read_noise=self.read_noise)
