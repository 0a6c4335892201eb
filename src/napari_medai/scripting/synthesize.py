"""Images with their truth from nothing: a name goes in, layers come out."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.axes import SPACE, AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.fields import checked_params
from napari_medai.io.calibration import Scale, Units, calibrated
from napari_medai.io.layer_data import LayerData
from napari_medai.scripting.sources import array_of, drained, is_layer, source_of
from napari_medai.tasks.styles import Style, measured_style
from napari_medai.tasks.synthesize_objects import LEAST, checked_labels
from napari_medai.tasks.synthetic import checked_shape, notes_of, shape_wanted

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_medai.models.model import Model
    from napari_medai.tasks.synthesize import Kind


GROUNDS = ("YX", "ZYX")
"""The axes of labels to be painted."""

NO_COUNT = "count must be 1 or more, got 0; leave it out for as many as usual"


def synthesize(
    model: str | Path | Model,
    *,
    shape: Sequence[int] | None = None,
    ndim: int | None = None,
    labels: Any = None,
    style: Any = None,
    scale: Scale | None = None,
    units: Units | None = None,
    **params: Any,
) -> list[Layer]:
    """Make images whose truth is known; new layers: Image, Labels with features, and more.

    Parameters
    ----------
    model
        What is made: ``"vessels"``, trees of vessels, whose centre lines come as a Vectors layer;
        or a model that paints objects, such as ``"nuclei"``.
    shape
        (y, x) or (z, y, x), in pixels.
    ndim
        Without a shape: 2 for (512, 512), 3 for (128, 128, 128). A model has its own.
    labels
        To be painted, by a model: a Labels layer, or an array of whole numbers, which also gives
        the shape. Without it, objects are placed as in the images that the model learned from.
    style
        An Image layer or array whose look is followed, by a model. Where its objects are is told
        by its brightness.
    scale, units
        The size of a pixel; for vessels the same along all axes. Lengths of the features are in it.
        That of a Labels layer is its own.
    **params
        ``images``, how many, which lie along a first axis ``n``; ``seed``, 0 by default, which
        gives the same images again; and the other fields of `napari_medai.VesselParams`
        (``segments``, ``radius``, ``tortuosity``, ``contrast``, ``blur``, ...) or of
        `napari_medai.ObjectParams` (``count``, ``density``, ``size``, ``variation``, ...).

    Raises
    ------
    InputError
        If something does not fit; its text says what to do.
    """
    from napari_medai.tasks.synthesize import synthesize_steps
    from napari_medai.ui.synthetic_layers import synthetic_layers

    order = order_of(
        model, shape=shape, ndim=ndim, labels=labels, style=style, scale=scale, units=units
    )
    chosen = checked_params(order.kind.params, params)
    if "count" in params and not params["count"]:
        raise InputError(NO_COUNT)
    ground = order.ground
    steps = synthesize_steps(
        order.kind, ground.shape, chosen, spacing=ground.spacing, units=ground.units
    )
    made = drained(steps)
    for note in notes_of(made):
        warnings.warn(note, stacklevel=2)
    return synthetic_layers(
        made,
        on=labels if is_layer(labels) else None,
        style=style.name if is_layer(style) else "",
    )


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """What was asked for: the kind of images, and their ground."""

    kind: Kind
    ground: AxesArray


def order_of(
    model: Any,
    *,
    shape: Any,
    ndim: Any,
    labels: Any = None,
    style: Any = None,
    scale: Scale | None = None,
    units: Units | None = None,
) -> Order:
    """From the arguments of a script.

    Raises
    ------
    InputError
        If they do not fit together.
    """
    from napari_medai.models.model import Model
    from napari_medai.tasks.synthesize import kind_of

    name = model.path if isinstance(model, Model) else model
    if labels is None:
        kind = kind_of(name, style=style_of(style))
        if shape is None and ndim is None and kind.model is not None:
            ndim = len(kind.model.axes) - 1
        edges = checked_shape(shape_wanted(shape, ndim), least=kind.least)
        return Order(kind, placed_ground(edges, scale=scale, units=units))
    ground = labelled_ground(labels, scale=scale, units=units)
    _check_ground(ground, shape=shape, ndim=ndim)
    ground = ground.with_data(checked_labels(ground.data))
    return Order(kind_of(name, labels=np.asarray(ground.data), style=style_of(style)), ground)


def _check_ground(labels: AxesArray, *, shape: Any, ndim: Any) -> None:
    """Refuse labels that are not as was asked for, before they are read."""
    asked = tuple(shape) if isinstance(shape, Iterable) else shape
    if asked not in (None, labels.shape):
        raise InputError(
            f"the labels have the shape {labels.shape}, but {asked!r} was asked for; leave the "
            "shape out"
        )
    if ndim is not None and ndim != len(labels.axes):
        raise InputError(
            f"the labels have {len(labels.axes)} axes, but an ndim of {ndim!r} was asked for; "
            "leave ndim out"
        )
    if min(labels.shape) < LEAST:
        raise InputError(
            f"labels to be painted have {LEAST} pixels or more along each axis, got the shape "
            f"{labels.shape}; give larger ones"
        )
    checked_shape(labels.shape, least=LEAST)


def style_of(style: Any) -> Style | None:
    """The look of a layer or array.

    Raises
    ------
    InputError
        If it is no image of one channel, or nothing stands out in it.
    """
    if style is None:
        return None
    return measured_style(array_of(source_of(style, axes=None), None))


def labelled_ground(labels: Any, *, scale: Scale | None, units: Units | None) -> AxesArray:
    """Labels that are to be painted, of a layer or an array.

    Raises
    ------
    InputError
        If they lie neither in a plane nor in a volume.
    """
    source = source_of(labels, axes=None, scale=scale, units=units, kind="Labels")
    ground = array_of(source, None)
    if isinstance(source, AxesArray):
        ground = _named(ground)
    if ground.axes not in GROUNDS:
        raise InputError(
            f"labels to be painted lie in a plane or a volume, got axes {' '.join(ground.axes)}; "
            "choose one point in time, or name the axes of the layer"
        )
    return ground


def _named(ground: AxesArray) -> AxesArray:
    """Pages of a file that does not say what they are, as slices."""
    if ground.axes not in ("QYX", "IYX"):
        return ground
    page = ground.axes[0]

    def slices(told: Mapping[str, Any]) -> dict[str, Any]:
        return {"Z" if axis == page else axis: value for axis, value in told.items()}

    return AxesArray(ground.data, "ZYX", slices(ground.spacing), slices(ground.units))


def placed_ground(shape: tuple[int, ...], *, scale: Scale | None, units: Units | None) -> AxesArray:
    """An empty image of a shape, with the spacing and units of what is to be made on it."""
    empty = AxesArray(np.broadcast_to(np.float32(0), shape), SPACE[-len(shape) :])
    return calibrated(empty, scale=scale, units=units)


def sample_nuclei() -> list[LayerData]:
    """Nuclei, 512 x 512, with their labels; painted, not read."""
    return [layer.as_layer_data_tuple() for layer in synthesize("nuclei", seed=1)]


def sample_vessels() -> list[LayerData]:
    """A tree of vessels, 96 x 96 x 96, with its labels and centre lines; grown, not read."""
    layers = synthesize(
        "vessels", shape=(96, 96, 96), seed=1, segments=400, tortuosity=0.3, numbering="branches"
    )
    image, labels, (lines, options, kind) = (layer.as_layer_data_tuple() for layer in layers)
    # by name, so that the colours can be changed in napari's controls
    return [image, labels, (lines, {**options, "edge_color": "radius"}, kind)]
