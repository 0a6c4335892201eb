"""Images with their truth from nothing, by the name of what they are to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.core.steps import Steps, as_part
from napari_medai.core.vessel_domain import SHORTEST
from napari_medai.models.registry import find_model, list_models
from napari_medai.tasks.object_params import ObjectParams
from napari_medai.tasks.styles import Style
from napari_medai.tasks.synthesize_objects import LEAST, objects_steps
from napari_medai.tasks.synthesize_vessels import VESSELS, vessels_steps
from napari_medai.tasks.synthetic import Synthetic, check_held, checked_shape
from napari_medai.tasks.vessel_params import VesselParams

if TYPE_CHECKING:
    from napari_medai.models.model import Model


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
    ``params`` has ``images``, how many, and ``seed``. ``model`` is the net that paints, None where
    none does.
    """

    name: str
    about: str
    params: type[Any]
    least: int
    steps: Maker
    model: Model | None = None


GROWN = Kind(
    name=VESSELS,
    about="trees of vessels with exact centre lines and radii",
    params=VesselParams,
    least=SHORTEST,
    steps=vessels_steps,
)
"""What needs no net."""


def kinds() -> Mapping[str, Kind]:
    """All that can be synthesized, by name: scripts, layers and commands know of it from here.

    What goes by an alias has its model's own name where another thing has that one.
    """
    models = list_models("synthesize")
    own = {model.name for model in models}
    found = {GROWN.name: GROWN}
    for model in models:
        kind = painted_by(model)
        taken = kind.name in own or kind.name in found
        name = model.name if taken else kind.name
        found.setdefault(name, replace(kind, name=name))
    return found


def painted_by(
    model: Model, *, labels: np.ndarray | None = None, style: Style | None = None
) -> Kind:
    """What a model of task synthesize makes, onto these labels and in this style."""
    return Kind(
        name=str(model.config.get("alias", model.name)),
        about=model.spec.description[:1].lower() + model.spec.description[1:].rstrip("."),
        params=ObjectParams,
        least=LEAST,
        steps=partial(objects_steps, model=model, labels=labels, style=style),
        model=model,
    )


def kind_of(model: Any, *, labels: np.ndarray | None = None, style: Style | None = None) -> Kind:
    """What is made under a name, or by the model in a folder or file.

    Raises
    ------
    InputError
        If it is none, or has no use for labels or a style.
    """
    if not isinstance(model, str | Path):
        raise InputError(f"the model is a name or a path, got {model!r}; use {', '.join(kinds())}")
    if model == VESSELS:
        if labels is not None or style is not None:
            raise InputError(
                f"{VESSELS} are grown, not painted: leave out labels and style, or choose a model"
            )
        return GROWN
    try:
        found = find_model(model, "synthesize")
    except InputError as error:
        raise InputError(f"{error}; to synthesize there are {', '.join(kinds())}") from None
    return painted_by(found, labels=labels, style=style)


def synthesize_steps(
    kind: Kind,
    shape: Sequence[int],
    params: Any,
    *,
    spacing: Mapping[str, float] | None = None,
    units: Mapping[str, str] | None = None,
) -> Steps[list[Synthetic]]:
    """Make ``params.images`` images and their truth, one after another, and hold them all.

    Parameters
    ----------
    kind
        Of `kind_of`.
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
    images = params.images
    edges = checked_shape(shape, least=kind.least)
    check_held(edges, images)
    made = []
    for number in range(1, images + 1):
        steps = kind.steps(edges, params, number, spacing=spacing, units=units)
        text = f"{kind.name} {number} of {images}" if images > 1 else kind.name
        one = yield from as_part(steps, done=number - 1, total=images, text=text)
        made.append(one)
    return made
