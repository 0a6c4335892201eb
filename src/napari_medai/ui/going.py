"""Taking the viewer to a place in a layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from napari_medai.ui.region import unit_factor

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer


def go_to(viewer: ViewerModel, layer: Layer, point: Sequence[float] | np.ndarray) -> None:
    """Move the sliders and the middle of the canvas to a point of a layer, in its pixels.

    The zoom stays, and what a layer with fewer axes than the viewer does not have.
    """
    dims, camera = viewer.dims, viewer.scene.camera
    extra = dims.ndim - layer.ndim
    world = _world(viewer, layer, point)
    dims.set_point(range(extra, dims.ndim), world)
    center = np.array(camera.center, dtype=float)
    shown = list(dims.displayed)
    for place, axis in enumerate(shown, start=len(center) - len(shown)):
        if axis >= extra:
            center[place] = world[axis - extra]
    camera.center = tuple(center)


def go_along(viewer: ViewerModel, layer: Layer, positions: Mapping[int, float]) -> None:
    """Move the sliders of some of a layer's dimensions to positions, in its pixels."""
    extra = viewer.dims.ndim - layer.ndim
    point = np.zeros(layer.ndim)
    point[list(positions)] = list(positions.values())
    world = _world(viewer, layer, point)
    for axis in positions:
        viewer.dims.set_point(extra + axis, world[axis])


def _world(viewer: ViewerModel, layer: Layer, point: Sequence[float] | np.ndarray) -> np.ndarray:
    """A point of a layer in the units of the viewer."""
    world = np.asarray(layer.data_to_world(np.asarray(point, dtype=float)), dtype=float)
    units = viewer.dims.units
    if units is None:
        return world
    pairs = zip(layer.units, units[viewer.dims.ndim - layer.ndim :], strict=True)
    return np.asarray(world * [unit_factor(own, unit) for own, unit in pairs])
