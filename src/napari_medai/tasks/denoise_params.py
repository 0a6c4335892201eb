"""How noise is taken away: the parameters of denoising."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from napari_medai.core.fields import settle
from napari_medai.core.noise import CameraNoise
from napari_medai.tasks.computing import Device, Tile

SELF = "self"
"""What is said in place of a model's name to learn from the image itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DenoiseParams:
    """How noise is taken away."""

    strength: Annotated[
        float,
        {
            "min": 0.0,
            "max": 3.0,
            "step": 0.05,
            "help": "How much of the noise is taken away: 1 all of what was estimated, less keeps "
            "some, more smooths further",
        },
    ] = 1.0
    gain: Annotated[
        float,
        {
            "min": 0.0,
            "max": 1e9,
            "step": 0.01,
            "zero": "estimated",
            "help": "Values of the image to one photo-electron; 0 with a read noise of 0 estimates "
            "gain, read noise and dark level from the image",
        },
    ] = 0.0
    read_noise: Annotated[
        float,
        {
            "min": 0.0,
            "max": 1e9,
            "step": 0.01,
            "zero": "estimated",
            "help": "Standard deviation of the values where there is no light",
        },
    ] = 0.0
    dark: Annotated[
        float,
        {
            "min": -1e9,
            "max": 1e9,
            "step": 1.0,
            "label": "Dark level",
            "help": "The value where there is no light; estimated if gain and read noise are",
        },
    ] = 0.0
    seconds: Annotated[
        float,
        {
            "min": 1.0,
            "max": 86_400.0,
            "step": 5.0,
            "unit": "s",
            "help": "How long a net learns from the image, at most",
            "applies": SELF,
        },
    ] = 60.0
    steps: Annotated[
        int,
        {
            "min": 0,
            "max": 1_000_000,
            "zero": "by time",
            "help": "How many steps it learns; 0: as many as the seconds allow. The same number "
            "and seed give the same result again on the same machine",
            "applies": SELF,
        },
    ] = 0
    across: Annotated[
        str,
        {
            "choices": ("plane", "Z", "T"),
            "help": "What the net sees at once: each plane by itself, or neighbours along Z or T "
            "as well, which is slower",
            "applies": SELF,
        },
    ] = "plane"
    scheme: Annotated[
        str,
        {
            "choices": ("auto", "split", "masked", "frames"),
            "help": "What it learns from: the noise split in two (split), pixels hidden from it "
            "(masked, needs no known noise), or the next frame of a scene that stands still "
            "(frames); auto takes frames where the scene stands still, else split",
            "applies": SELF,
        },
    ] = "auto"
    lines: Annotated[
        str,
        {
            "choices": ("none", "rows", "columns"),
            "label": "Noise along",
            "help": "Whether noise runs along rows or columns, as of some cameras and scanners; "
            "pixels are then hidden along these lines",
            "applies": SELF,
        },
    ] = "none"
    dtype: Annotated[
        str,
        {
            "choices": ("float32", "same"),
            "label": "Values",
            "help": "float32 keeps fractions and whatever lies beyond the image's kind of numbers; "
            "same rounds and clips to that kind",
        },
    ] = "float32"
    seed: Annotated[
        int, {"min": 0, "max": 2**31 - 1, "help": "Makes learning repeatable", "applies": SELF}
    ] = 0
    device: Device = "auto"
    tile: Tile = 0
    block: Annotated[
        int,
        {
            "min": 0,
            "max": 65_536,
            "zero": "auto",
            "unit": "px",
            "help": "Edge of the blocks that are held at once",
        },
    ] = 0

    def __post_init__(self) -> None:
        settle(self)

    @property
    def space(self) -> str:
        """The axes that a net that learns from the image sees at once."""
        return "YX" if self.across == "plane" else self.across + "YX"

    @property
    def noise(self) -> CameraNoise | None:
        """The noise that was given; None if it is to be estimated."""
        if self.gain == 0 == self.read_noise:
            return None
        return CameraNoise(gain=self.gain, offset=self.dark, read_noise=self.read_noise)
