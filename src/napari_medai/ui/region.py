"""Which part of a layer is worked on: a window, a slice for each axis that is cut."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.axes import CHANNEL
from napari_medai.core.errors import InputError

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Shapes


class Region(str, Enum):
    """The parts of a layer that can be chosen; the value is what the form shows."""

    WHOLE = "Whole layer"
    VISIBLE = "Visible in the canvas"
    SLICE = "Current slice"
    SHAPES = "Rectangles of a Shapes layer"


def region_window(
    region: Region,
    layer: Image,
    axes: str,
    *,
    viewer: ViewerModel,
    shapes: Shapes | None = None,
) -> dict[str, slice]:
    """The window of a region: a slice for each axis it cuts, none for the whole layer.

    ``axes`` are the layer's, one letter a dimension. Channels are never cut.

    Raises
    ------
    InputError
        If the region is empty, lies outside of the image, or there is nothing drawn.
    """
    axes = axes[: layer.ndim]
    if region is Region.VISIBLE:
        return _current(layer, axes, viewer) | _visible(layer, axes, viewer)
    if region is Region.SLICE:
        return _current(layer, axes, viewer)
    if region is Region.SHAPES:
        return _drawn(layer, axes, shapes)
    return {}


def _current(layer: Image, axes: str, viewer: ViewerModel) -> dict[str, slice]:
    """The position of the sliders, along every axis that has one (and is not the channel)."""
    point = in_layer([viewer.dims.point], layer, viewer.dims.units)[0]
    displayed = _displayed(layer, viewer)
    window = {}
    for i, axis in enumerate(axes):
        if i in displayed or axis == CHANNEL:
            continue
        if axis in "YX":
            shown = "".join(axes[d] for d in sorted(displayed))
            raise InputError(
                f"the canvas shows {shown} of layer {layer.name!r}, but slices are along YX; "
                "roll the axes back or choose the whole layer"
            )
        at, size = int(np.round(point[i])), _shape(layer)[i]
        if not 0 <= at < size:
            raise InputError(
                f"the sliders stand outside of layer {layer.name!r} along {axis} "
                f"(at {at}, it has 0 to {size - 1}); move the slider onto the layer"
            )
        window[axis] = slice(at, at + 1)
    return window


def _visible(layer: Image, axes: str, viewer: ViewerModel) -> dict[str, slice]:
    """What the canvas shows of the displayed axes; all of them in 3D."""
    if viewer.dims.ndisplay == 3:
        return {}
    displayed = _displayed(layer, viewer)
    low, high = (np.array(corner, dtype=float) for corner in layer.corner_pixels)
    if layer.multiscale:
        factors = np.asarray(layer.downsample_factors)[layer.data_level]
        low, high = low * factors, (high + 1) * factors - 1
        if not viewer.canvas.grid.enabled:
            # napari keeps the corners of a pyramid while one zooms in on a part of them.
            corners = _canvas_corners(layer, viewer)
            low, high = np.maximum(low, corners.min(axis=0)), np.minimum(high, corners.max(axis=0))
    window = {}
    for i in displayed:
        start = max(0, int(np.floor(low[i])))
        stop = min(_shape(layer)[i], int(np.ceil(high[i])) + 1)
        if stop - start <= 1 < _shape(layer)[i]:
            raise InputError(
                f"nothing of layer {layer.name!r} is visible in the canvas; "
                "move it into view or choose another region"
            )
        if axes[i] != CHANNEL and (start, stop) != (0, _shape(layer)[i]):
            window[axes[i]] = slice(start, stop)
    return window


def _canvas_corners(layer: Image, viewer: ViewerModel) -> np.ndarray:
    """The corners of the canvas in 2D, as data coordinates of a layer."""
    half = np.asarray(viewer.canvas.size) / viewer.scene.camera.zoom / 2
    corners = []
    for side in product((-1, 1), repeat=2):
        corner = np.array(viewer.dims.point, dtype=float)
        corner[list(viewer.dims.displayed)] = viewer.scene.camera.center[-2:] + half * side
        corners.append(corner)
    return in_layer(corners, layer, viewer.dims.units)


def _drawn(layer: Image, axes: str, shapes: Shapes | None) -> dict[str, slice]:
    """The bounding box of the shapes (the selected ones, if any are).

    An axis along which they have no extent is not cut: a rectangle drawn on one slice stands
    for the whole stack below it.
    """
    if shapes is None:
        raise InputError("there is no Shapes layer; add one and draw a rectangle around the region")
    chosen = sorted(shapes.selected_data) or range(len(shapes.data))
    if not chosen:
        raise InputError(f"layer {shapes.name!r} has no shapes; draw a rectangle around the region")
    corners = np.concatenate([np.asarray(shapes.data[i]) for i in chosen])
    world = [shapes.data_to_world(corner) for corner in _box(corners)]
    points = in_layer(world, layer, shapes.units)
    seen = min(shapes.ndim, layer.ndim)
    window = {}
    for i, axis in list(enumerate(axes))[-seen:]:
        low, high = points[:, i].min(), points[:, i].max()
        if axis != CHANNEL and high - low > 1e-6:
            window[axis] = _cut(low, high, _shape(layer)[i], axis=axis, name=layer.name)
    if not window:
        raise InputError(
            f"the shapes of {shapes.name!r} have no extent along the axes of {layer.name!r}; "
            "draw a rectangle around the region"
        )
    return window


def _cut(low: float, high: float, size: int, *, axis: str, name: str) -> slice:
    """The pixels whose centres lie between two data coordinates."""
    start, stop = max(0, int(np.ceil(low))), min(size, int(np.floor(high)) + 1)
    if stop <= 0 or start >= size:
        raise InputError(
            f"the shapes lie outside of layer {name!r} along {axis} ({low:.0f} to {high:.0f}, it "
            f"has 0 to {size - 1}); draw the rectangle on the image"
        )
    if stop <= start:
        raise InputError(f"the region is empty along {axis}; draw a larger rectangle")
    return slice(start, stop)


def _box(corners: np.ndarray) -> np.ndarray:
    """All corners of the bounding box, so that a rotated layer is covered too."""
    low, high = corners.min(axis=0), corners.max(axis=0)
    grid = np.meshgrid(*zip(low, high, strict=True), indexing="ij")
    return np.stack([axis.ravel() for axis in grid], axis=-1)


def in_layer(world: Sequence[Any], layer: Image, units: Sequence[Any] | None) -> np.ndarray:
    """World positions (in units of their own) as data coordinates of a layer."""
    points = []
    for position in world:
        place = np.zeros(layer.ndim)
        known = min(len(position), layer.ndim)
        place[layer.ndim - known :] = np.asarray(position, dtype=float)[-known:]
        if units is not None:
            pairs = zip(units[-known:], layer.units[-known:], strict=True)
            place[layer.ndim - known :] *= [unit_factor(unit, own) for unit, own in pairs]
        points.append(layer.world_to_data(place))
    return np.array(points)


def unit_factor(unit: Any, other: Any) -> float:
    """How many of the other unit one unit is; 1 where they cannot be compared (pixels)."""
    from pint import DimensionalityError, get_application_registry

    if unit == other:
        return 1.0
    try:
        return float(get_application_registry().Quantity(1.0, unit).to(other).magnitude)
    except DimensionalityError:
        return 1.0


def _displayed(layer: Image, viewer: ViewerModel) -> list[int]:
    """The layer's dimensions that the canvas shows."""
    extra = viewer.dims.ndim - layer.ndim
    return [i - extra for i in viewer.dims.displayed if i >= extra]


def _shape(layer: Image) -> tuple[int, ...]:
    data = layer.data[0] if layer.multiscale else layer.data
    return tuple(int(n) for n in data.shape[: layer.ndim])
