"""A run of denoising: what it gives, and how it is told while it goes on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.steps import Steps
from napari_medai.ui import engine
from napari_medai.ui.image_layers import image_layer
from napari_medai.ui.layers import placed_record
from napari_medai.ui.source import Source

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_medai.models.model import Model
    from napari_medai.tasks.denoise_params import DenoiseParams
    from napari_medai.tasks.denoising import Restoration
    from napari_medai.tasks.learning import Learning
    from napari_medai.tasks.previewing import Part

LIVE = ("preview", "score")
PLACE = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
SPREAD = 4.0
"""Standard deviations to each side of 0 that the layer of a residual shows."""


@dataclass(frozen=True, slots=True, eq=False)
class Denoised:
    """A result, its layer, and what it was made from."""

    result: Restoration
    layer: Image
    source: Source

    @property
    def record(self) -> dict[str, Any]:
        """How the result was made."""
        return placed_record(self.result.record, self.source.place)

    def restored_part(self, part: Part, space: str) -> np.ndarray:
        """A part (\\*space) of the result; called in a thread."""
        return engine.part_values(AxesArray(self.result.image, self.result.axes), part, space)


def denoised_steps(
    source: Source,
    model: Model | None,
    params: DenoiseParams,
    part: Part | None,
    learning: Learning,
) -> Steps[Denoised]:
    """Denoise a source; called in a thread.

    Each step tells the newest preview and score again: not every step is shown.
    """
    steps = engine.denoise_steps(source.image, model, params, preview=part, learning=learning)
    result = yield from _told_again(steps)
    return Denoised(result, image_layer(result, source.place, looks=source.layer), source)


def residual_layer(made: Denoised) -> Image:
    """What was taken away as a layer of its own; called in a thread.

    Raises
    ------
    InputError
        If colours would have to show values below 0.
    """
    from napari.layers import Image

    source, result, layer = made.source, made.result, made.layer
    if layer.rgb:
        raise InputError(
            "a residual has values below 0, which the colours of an RGB layer cannot show; "
            "choose one channel"
        )
    taken: Any = result.residual(source.image)
    middle = _middle_plane(taken, result.axes)
    known = middle[np.isfinite(middle)]
    spread = (SPREAD * float(known.std()) if known.size else 0.0) or 1.0
    if len(taken.shape) > layer.ndim:
        taken = taken[..., 0]  # one of the colours of an RGB layer
    return Image(
        taken,
        name=f"{layer.name} residual",
        contrast_limits=(-spread, spread),
        metadata={"medai": {**made.record, "task": "residual"}},
        **{name: getattr(layer, name) for name in PLACE},
    )


def _told_again(steps: Steps[Restoration]) -> Steps[Restoration]:
    """The same job; while it learns, each step has the newest of `LIVE`."""
    newest: dict[str, Any] = {}
    try:
        while True:
            try:
                step = next(steps)
            except StopIteration as stop:
                return cast("Restoration", stop.value)
            newest |= {name: step.values[name] for name in LIVE if name in step.values}
            learns = "step" in step.values
            yield replace(step, values={**newest, **step.values}) if learns else step
    finally:
        steps.close()


def _middle_plane(data: Any, axes: str) -> np.ndarray:
    at = tuple(slice(None) if a in "YX" else n // 2 for a, n in zip(axes, data.shape, strict=True))
    return np.asarray(data[at])
