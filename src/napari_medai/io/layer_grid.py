"""Where a layer lies, in the world or the patient, from what napari gives to writers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.core.space import Grid
from napari_medai.core.units import in_micrometers

SOURCE = "medai source"
"""Under this key of a layer's metadata is the path of the file or series that its labels lie on."""


def grid_of_layer(attributes: Mapping[str, Any]) -> Grid:
    """The grid of a layer's last three axes, in mm.

    Units of length are converted; a layer that counts pixels is taken to count millimetres.

    Raises
    ------
    InputError
        If the layer has fewer axes, or its transforms are singular.
    """
    whole = affine_of_layer(attributes)
    ndim = len(whole) - 1
    if ndim < 3:
        raise InputError(f"a volume has three axes or more, but the layer has {ndim}; choose one")
    kept = [*range(ndim - 3, ndim), ndim]
    affine = whole[np.ix_(kept, kept)]
    affine[:3] *= np.array(_millimetres(attributes, ndim))[:, None]
    return Grid(affine)


def affine_of_layer(attributes: Mapping[str, Any]) -> np.ndarray:
    """The way (ndim + 1, ndim + 1) from an index to the world, in the layer's units."""
    scale = np.asarray(attributes.get("scale", ()), dtype=float)
    ndim = len(scale)
    linear = _matrix(attributes.get("rotate"), ndim) @ shear_matrix(
        attributes.get("shear"), ndim=ndim
    )
    own = np.eye(ndim + 1)
    own[:ndim, :ndim] = linear @ np.diag(scale)
    own[:ndim, ndim] = np.asarray(attributes.get("translate", np.zeros(ndim)), dtype=float)
    extra = attributes.get("affine")
    return own if extra is None else np.asarray(extra, dtype=float) @ own


def _matrix(given: Any, ndim: int) -> np.ndarray:
    matrix = np.eye(ndim) if given is None else np.asarray(given, dtype=float)
    return matrix if matrix.shape == (ndim, ndim) else np.eye(ndim)


def shear_matrix(shear: Any, *, ndim: int) -> np.ndarray:
    """napari gives an upper triangular shear as a vector, another one as a matrix."""
    values = np.zeros(ndim * (ndim - 1) // 2) if shear is None else np.asarray(shear, dtype=float)
    if values.ndim == 2:
        return values
    matrix = np.eye(ndim)
    matrix[np.triu_indices(ndim, k=1)] = values
    return matrix


def _millimetres(attributes: Mapping[str, Any], ndim: int) -> list[float]:
    """What one unit of the world is along each of the last three axes."""
    units = tuple(attributes.get("units") or ())
    known = [in_micrometers(1.0, str(unit)) for unit in units[-3:]] if len(units) == ndim else []
    return [
        1.0 if micrometers is None else micrometers / 1000 for micrometers in known or [None] * 3
    ]
