"""What is synthesized: the parameters of objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from napari_medai.core.fields import settle
from napari_medai.core.seeds import LARGEST_SEED
from napari_medai.tasks.computing import Device, Tile

LAYOUT = ("count", "density", "size")
"""Parameters that place objects: they mean nothing where labels are given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectParams:
    """How many objects there are, and how they are painted."""

    images: Annotated[int, {"min": 1, "max": 100_000, "help": "Number of images"}] = 1
    seed: Annotated[
        int,
        {"min": 0, "max": LARGEST_SEED, "help": "The same seed gives the same images"},
    ] = 0
    count: Annotated[
        int,
        {
            "min": 0,
            "max": 1_000_000,
            "zero": "as learned",
            "help": "Objects in an image; fewer are placed where there is no room",
        },
    ] = 0
    density: Annotated[
        float,
        {
            "min": 0.0,
            "max": 100_000.0,
            "step": 0.1,
            "zero": "as learned",
            "help": "Objects to 10 000 pixels, in place of their number",
        },
    ] = 0.0
    size: Annotated[
        float,
        {
            "min": 0.0,
            "max": 10_000.0,
            "step": 1.0,
            "unit": "px",
            "zero": "as learned",
            "help": "Median diameter of the objects",
        },
    ] = 0.0
    variation: Annotated[
        float,
        {
            "min": 0.0,
            "max": 3.0,
            "step": 0.05,
            "help": "How far looks may lie from those learned (or from the style): 0 takes them as "
            "they are",
        },
    ] = 0.25
    device: Device = "auto"
    tile: Tile = 0

    def __post_init__(self) -> None:
        settle(self)
