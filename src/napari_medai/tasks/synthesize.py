"""Images with their truth from nothing, by the name of what they are to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from napari_medai.core.errors import InputError
from napari_medai.core.steps import Steps, as_part
from napari_medai.core.vessel_domain import SHORTEST
from napari_medai.tasks.synthesize_vessels import VESSELS, vessels_steps
from napari_medai.tasks.synthetic import Synthetic, check_held, checked_shape
from napari_medai.tasks.vessel_params import VesselParams


class Maker(Protocol):
    """Make one image of a shape: that of its seed, in ``params``, and its number."""

    def __call__(
        self,
        shape: Sequence[int],
        params: Any,
        number: int,
        *,
        spacing: Mapping[str, float] | None,
        units: Mapping[str, str] | None,
    ) -> Steps[Synthetic]: ...


@dataclass(frozen=True, slots=True)
class Kind:
    """What can be made under a name, and how.

    ``about`` says it in words, ``least`` are the pixels that each edge has at least. The class
    ``params`` has ``images``, how many, and ``seed``.
    """

    about: str
    params: type[Any]
    least: int
    steps: Maker


KINDS: Mapping[str, Kind] = {
    VESSELS: Kind(
        about="trees of vessels with exact centre lines and radii",
        params=VesselParams,
        least=SHORTEST,
        steps=vessels_steps,
    )
}
"""All that can be synthesized: scripts, layers and the command line know of it from here."""


def kind_of(model: Any) -> Kind:
    """What is made under a name.

    Raises
    ------
    InputError
        If it is none; the message lists those there are.
    """
    if not isinstance(model, str) or model not in KINDS:
        raise InputError(f"there is no model {model!r} to synthesize with; use {', '.join(KINDS)}")
    return KINDS[model]


def synthesize_steps(
    model: str,
    shape: Sequence[int],
    params: Any,
    *,
    spacing: Mapping[str, float] | None = None,
    units: Mapping[str, str] | None = None,
) -> Steps[list[Synthetic]]:
    """Make ``params.images`` images and their truth, one after another, and hold them all.

    Parameters
    ----------
    model
        One of `KINDS`.
    shape
        (y, x) or (z, y, x), in pixels.
    params
        Of the kind's class.
    spacing, units
        As of `AxesArray`.

    Raises
    ------
    InputError
        If something does not suit, or the images are too many to be held.
    """
    kind, images = kind_of(model), params.images
    edges = checked_shape(shape, least=kind.least)
    check_held(edges, images)
    made = []
    for number in range(1, images + 1):
        steps = kind.steps(edges, params, number, spacing=spacing, units=units)
        text = f"{model} {number} of {images}" if images > 1 else model
        one = yield from as_part(steps, done=number - 1, total=images, text=text)
        made.append(one)
    return made
