"""The parameters of how a task is computed, which mean the same in all of them."""

from __future__ import annotations

from typing import Annotated

Device = Annotated[
    str,
    {"choices": ("auto", "cuda", "mps", "cpu"), "help": "Where to compute; auto: the fastest"},
]
Tile = Annotated[
    int,
    {
        "min": 0,
        "max": 65_536,
        "zero": "auto",
        "unit": "px",
        "help": "Edge of the tiles given to the net; smaller ones need less memory",
    },
]
