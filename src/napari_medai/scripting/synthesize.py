"""Images with their truth from nothing: a name goes in, layers come out."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.axes import SPACE, AxesArray
from napari_medai.core.fields import checked_params
from napari_medai.io.calibration import Scale, Units, calibrated
from napari_medai.io.layer_data import LayerData
from napari_medai.scripting.sources import drained

if TYPE_CHECKING:
    from napari.layers import Layer


def synthesize(
    model: str,
    *,
    shape: Sequence[int] | None = None,
    ndim: int | None = None,
    scale: Scale | None = None,
    units: Units | None = None,
    **params: Any,
) -> list[Layer]:
    """Make images whose truth is known; new layers: Image, Labels with features, and more.

    Parameters
    ----------
    model
        What is made: ``"vessels"``, trees of vessels, whose centre lines come as a Vectors layer.
    shape
        (y, x) or (z, y, x), in pixels.
    ndim
        Without a shape: 2 for (512, 512), 3 for (128, 128, 128).
    scale, units
        The size of a pixel; for vessels the same along all axes. Lengths of the features are in it.
    **params
        ``images``, how many, which lie along a first axis ``n``; ``seed``, 0 by default, which
        gives the same images again; and the other fields of `napari_medai.VesselParams`:
        ``segments``, ``radius``, ``tortuosity``, ``contrast``, ``blur``, ...

    Raises
    ------
    InputError
        If something does not fit; its text says what to do.
    """
    from napari_medai.tasks.synthesize import kind_of, synthesize_steps
    from napari_medai.tasks.synthetic import checked_shape, shape_wanted
    from napari_medai.ui.synthetic_layers import synthetic_layers

    kind = kind_of(model)
    chosen = checked_params(kind.params, params)
    edges = checked_shape(shape_wanted(shape, ndim), least=kind.least)
    ground = placed_ground(edges, scale=scale, units=units)
    steps = synthesize_steps(model, edges, chosen, spacing=ground.spacing, units=ground.units)
    made = drained(steps)
    for number, one in enumerate(made):
        for note in one.notes:
            warnings.warn(f"image {number}: {note}" if len(made) > 1 else note, stacklevel=2)
    return synthetic_layers(made)


def placed_ground(shape: tuple[int, ...], *, scale: Scale | None, units: Units | None) -> AxesArray:
    """An empty image of a shape, with the spacing and units of what is to be made on it."""
    empty = AxesArray(np.broadcast_to(np.float32(0), shape), SPACE[-len(shape) :])
    return calibrated(empty, scale=scale, units=units)


def sample_vessels() -> list[LayerData]:
    """A tree of vessels, 96 x 96 x 96, with its labels and centre lines; grown, not read."""
    layers = synthesize(
        "vessels", shape=(96, 96, 96), seed=1, segments=400, tortuosity=0.3, numbering="branches"
    )
    image, labels, (lines, options, kind) = (layer.as_layer_data_tuple() for layer in layers)
    # by name, so that the colours can be changed in napari's controls
    return [image, labels, (lines, {**options, "edge_color": "radius"}, kind)]
