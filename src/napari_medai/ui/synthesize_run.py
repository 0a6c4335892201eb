"""A run of synthesis, and a preview of one: what they give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.intensity import intensity_range
from napari_medai.core.steps import Steps
from napari_medai.tasks.synthetic import notes_of
from napari_medai.ui import engine
from napari_medai.ui.synthesize_given import Given
from napari_medai.ui.synthetic_layers import synthetic_layers

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_medai.models.model import Model
    from napari_medai.tasks.synthetic import Synthetic

SHADE = 0.6
"""How much of the image labels cover."""
COLOURS = 49


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """What a run made: layers, and what there is to say of it."""

    layers: list[Layer]
    told: str
    notes: tuple[str, ...]

    @property
    def record(self) -> Mapping[str, Any]:
        """How it was made."""
        record: Mapping[str, Any] = self.layers[0].metadata["medai"]
        return record


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """What a preview shows, (Y, X, 4) uint8: an image, and the same under its labels."""

    image: np.ndarray
    labelled: np.ndarray
    told: str


def made_steps(model: Model | None, given: Given, params: Any) -> Steps[Made]:
    """Make images as layers; called in a thread."""
    labels = given.labels
    if labels is not None:
        # Who draws on while they are painted changes no image halfway.
        labels = labels.with_data(np.array(labels.data))
    steps = engine.synthesize_steps(model, params, **given.arguments(labels=labels))
    made = yield from steps
    told = made[0].told
    if len(made) > 1:
        told = f"{len(made)} images, {told} in the first"
    layers = synthetic_layers(made, on=given.place, style=given.style_name)
    return Made(layers, told, tuple(notes_of(made)))


def preview_steps(model: Model | None, given: Given, params: Any) -> Steps[Picture]:
    """Make the first image, or a part as large as is made at once; called in a thread."""
    kind = engine.synthesis_kind(model)
    trial = engine.trial_of(kind, given.shape, params, given.labels)
    said = given.arguments(shape=trial.shape, labels=trial.labels)
    (one,) = yield from engine.synthesize_steps(model, trial.params, **said)
    told = [one.told]
    if trial.shape != given.shape:
        part, whole = (" × ".join(map(str, edges)) for edges in (trial.shape, given.shape))
        told.append(f"{part} of {whole} pixels")
    if len(trial.shape) == 3:
        told.append("the brightest along z")
    return Picture(*_pictures(one), " · ".join(told))


def _pictures(made: Synthetic) -> tuple[np.ndarray, np.ndarray]:
    from napari.utils.colormaps import label_colormap

    values, labels = np.asarray(made.image.data), made.labels
    if values.ndim == 3:
        highest = values.argmax(axis=0)[None]
        values = np.take_along_axis(values, highest, axis=0)[0]
        labels = np.take_along_axis(labels, highest, axis=0)[0]
    bright = intensity_range(values)
    width = bright.high - bright.low or 1.0
    light = np.clip((values.astype(np.float64) - bright.low) / width, 0, 1)
    image = np.stack([light, light, light, np.ones_like(light)], axis=-1)
    colours = np.asarray(label_colormap(COLOURS).map(labels))
    cover = SHADE * (labels > 0)[..., None]
    labelled = (1 - cover) * image + cover * colours
    labelled[..., 3] = 1
    return _bytes(image), _bytes(labelled)


def _bytes(colours: np.ndarray) -> np.ndarray:
    return np.asarray(np.rint(255 * colours), np.uint8)
