"""Layers become arrays, and results become layers in the right place.

napari puts a layer into the world as ``affine @ (rotate @ shear @ scale * x + translate)``, one
row and column an axis, without the last axis of an RGB image. `Place` is that, with the axes'
letters, so that a result takes the rows and columns of the axes it kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.axes import (
    AXIS_WORDS,
    CHANNEL,
    SPACE,
    ArrayLike,
    AxesArray,
    check_axes,
    guessed_axes,
)
from napari_medai.core.errors import InputError
from napari_medai.io.layer_grid import SOURCE, shear_matrix

if TYPE_CHECKING:
    from napari.layers import Image, Labels, Layer

    from napari_medai.tasks.segmentation import Segmentation

Window = Mapping[str, slice]
"""A part of an image: a slice for each axis that is cut."""

PIXEL = "pixel"


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where a layer lies in the world, axis by axis; later changes of the layer leave it alone.

    ``axes`` are those of the transforms: a letter each, without the ``C`` of RGB, which
    ``image_axes`` have.
    """

    name: str
    axes: str
    image_axes: str
    scale: np.ndarray
    translate: np.ndarray
    rotate: np.ndarray
    shear: np.ndarray
    affine: np.ndarray
    units: tuple[Any, ...]
    axis_labels: tuple[str, ...] | None
    channels: int = 1
    window: Window = field(default_factory=dict)
    path: str = ""

    def beside(self, axes: str) -> str:
        """The axes that a result with these ones needs to lie on its source in the viewer.

        napari matches the last axes of layers, so of TCYX a result TYX would lie along C: it gets
        a channel axis of one element, as thick as all channels.
        """
        return self.axes[min(self.axes.index(axis) for axis in axes) :]

    def laid(self, data: ArrayLike, axes: str) -> ArrayLike:
        """Data with these axes, with those of `beside`."""
        new = tuple(i for i, axis in enumerate(self.beside(axes)) if axis not in axes)
        if not new:
            return data
        if isinstance(data, np.ndarray):
            return np.expand_dims(data, new)
        import dask.array as da

        return da.expand_dims(da.asarray(data), new)

    def arguments(self, axes: str) -> dict[str, Any]:
        """Keyword arguments of a napari layer that has only these axes of the place."""
        kept = [self.axes.index(axis) for axis in axes]
        linear = [*kept, len(self.axes)]
        labels = self.axis_labels
        thick = np.array([self.channels if axis == CHANNEL else 1 for axis in self.axes])
        middle = self.rotate @ self.shear @ (self.scale * (thick - 1) / 2)
        translate = self.translate + middle if CHANNEL in axes else self.translate
        return {
            "scale": (self.scale * thick)[kept],
            "translate": translate[kept],
            "rotate": self.rotate[np.ix_(kept, kept)],
            "shear": self.shear[np.ix_(kept, kept)],
            "affine": self.affine[np.ix_(linear, linear)],
            "units": tuple(self.units[i] for i in kept),
            "axis_labels": None if labels is None else tuple(labels[i] for i in kept),
        }


def layer_axes(layer: Layer) -> str:
    """The letters of an image layer's axes, from its axis labels or else by its shape.

    Raises
    ------
    InputError
        If the labels say nothing and the shape is none that can be guessed.
    """
    rgb = bool(getattr(layer, "rgb", False))
    named = [_letter(label) for label in layer.axis_labels]
    letters = "".join(letter for letter in named if letter)
    whole = len(letters) == len(named) == len(set(letters))
    if whole and {"Y", "X"} <= set(letters) and not (rgb and CHANNEL in letters):
        return letters + (CHANNEL if rgb else "")
    return guessed_axes(_full_resolution(layer).shape, rgb=rgb)


def array_from_layer(
    layer: Image, *, axes: str | None = None, window: Window | None = None
) -> AxesArray:
    """An image layer's data with its axes, spacing and units; nothing is copied or read.

    Of a multiscale layer the full resolution is taken, of RGBA the colours without opacity.
    ``axes`` corrects the letters (with ``C`` last for RGB); ``window`` cuts some of the axes.

    Raises
    ------
    InputError
        If the axes do not fit the layer, or its values are not real numbers.
    """
    data = _full_resolution(layer)
    axes = layer_axes(layer) if axes is None else axes
    check_axes(axes, data.shape)
    if getattr(layer, "rgb", False):
        if axes[-1] != CHANNEL:
            raise InputError(
                f"layer {layer.name!r} is RGB, so its last axis is C, but the axes are {axes!r}; "
                f"set them to {guessed_axes(data.shape, rgb=True)!r}"
            )
        data = data[..., :3] if data.shape[-1] == 4 else data
    own = axes[: layer.ndim]
    spacing = dict(zip(own, _spacing(layer), strict=True))
    units = {a: str(u) for a, u in zip(own, layer.units, strict=True) if str(u) != PIXEL}
    steps = {axis: step for axis, step in spacing.items() if axis != CHANNEL}
    leaning = direction_of(layer, own, SPACE) if set(SPACE) <= set(own) else np.eye(3)
    slant = round(abs(float(np.linalg.det(leaning))), 6)
    image = AxesArray(data, axes, steps, units, slant)
    return image.cropped(**window) if window else image


def place_of(
    source: Layer | AxesArray, *, axes: str | None = None, window: Window | None = None
) -> Place:
    """Where a window of a layer (or of an array with axes) lies in the world."""
    if isinstance(source, AxesArray):
        return _place_of_array(source, window or {})
    image_axes = layer_axes(source) if axes is None else axes
    axes = image_axes[: source.ndim]
    corner = np.zeros(source.ndim)
    for axis, cut in (window or {}).items():
        if axis in axes and axis != CHANNEL:
            corner[axes.index(axis)] = cut.start or 0
    # What the layer's own transform maps the corner to, before the extra affine.
    translate = source.affine.inverse(source.data_to_world(corner))
    default = tuple(source.axis_labels) == tuple(str(i) for i in range(-source.ndim, 0))
    return Place(
        name=source.name,
        axes=axes,
        image_axes=image_axes,
        scale=np.array(source.scale),
        translate=np.array(translate) if corner.any() else np.array(source.translate),
        rotate=np.array(source.rotate),
        shear=shear_matrix(source.shear, ndim=source.ndim),
        affine=np.array(source.affine),
        units=tuple(source.units),
        axis_labels=None if default else tuple(source.axis_labels),
        channels=int(_full_resolution(source).shape[axes.index(CHANNEL)]) if CHANNEL in axes else 1,
        window=dict(window or {}),
        path=source.source.path or "",
    )


def labels_layer(
    result: Segmentation,
    source: Layer | AxesArray | Place,
    *,
    axes: str | None = None,
    window: Window | None = None,
) -> Labels:
    """The objects found, as a new Labels layer that lies on its source.

    Scale, translate, rotate, shear, affine, units and axis labels are the source's, axis by axis;
    ``window`` says which part of the source the result covers. The features table and the record
    (``metadata["medai"]``) come along.
    """
    import pandas as pd
    from napari.layers import Labels

    place = source if isinstance(source, Place) else place_of(source, axes=axes, window=window)
    colours = {"colormap": _colormap(result.colours)} if result.colours else {}
    return Labels(
        place.laid(result.labels, result.axes),
        name=f"{place.name} {model_name(result.record)}".strip(),
        features=pd.DataFrame(dict(result.features)),
        metadata={
            "medai": placed_record(result.record, place),
            # In the viewer alone: a record is written to files, where paths do not belong.
            **({SOURCE: place.path} if place.path else {}),
        },
        **colours,
        **place.arguments(place.beside(result.axes)),
    )


def _colormap(colours: Mapping[int, str]) -> Any:
    """The colours of classes; what else is drawn into the layer is white."""
    from napari.utils.colormaps import DirectLabelColormap

    others: dict[int | None, str] = {None: "white", 0: "transparent"}
    return DirectLabelColormap(color_dict=others | dict(colours))


def placed_record(record: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """The record of a result, with the layer, its axes and the window it was made from."""
    window = {axis: [cut.start, cut.stop] for axis, cut in place.window.items()}
    origin = {"layer": place.name, "axes": place.image_axes, "window": window}
    return {**record, "source": {**_part(record, "source"), **origin}}


def model_name(record: Mapping[str, Any]) -> str:
    """The name of the model in a record."""
    model = record.get("model", "nuclei")
    return str(model.get("name", "nuclei") if isinstance(model, Mapping) else model)


def _part(record: Mapping[str, Any], key: str) -> dict[str, Any]:
    part = record.get(key)
    return dict(part) if isinstance(part, Mapping) else {}


def _full_resolution(layer: Layer) -> ArrayLike:
    data: Any = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    return data


def _letter(label: str) -> str:
    word = label.strip().lower()
    if len(word) == 1 and "a" <= word <= "z":
        return word.upper()
    return AXIS_WORDS.get(word, "")


def _spacing(layer: Layer) -> list[float]:
    """Distance in the world between neighbours along each axis; also through an affine."""
    shear = shear_matrix(layer.shear, ndim=layer.ndim)
    eye = np.eye(layer.ndim)
    if np.array_equal(shear, eye) and np.array_equal(layer.affine.linear_matrix, eye):
        return [abs(float(step)) for step in layer.scale]
    own = np.asarray(layer.rotate) @ shear @ np.diag(layer.scale)
    return [float(n) for n in np.linalg.norm(layer.affine.linear_matrix @ own, axis=0)]


def direction_of(layer: Layer, axes: str, order: str) -> np.ndarray:
    """(n, n): the direction in the world of each axis in ``order``, a column each."""
    linear = np.asarray(layer.affine.linear_matrix) @ np.asarray(layer.rotate)
    linear = linear @ shear_matrix(layer.shear, ndim=layer.ndim) @ np.diag(layer.scale)
    kept = [axes.index(axis) for axis in order]
    columns = linear[np.ix_(kept, kept)]
    return np.asarray(columns / np.linalg.norm(columns, axis=0))


def _place_of_array(image: AxesArray, window: Window) -> Place:
    axes = "".join(axis for axis in image.axes if axis != CHANNEL)
    scale = np.array([image.step(axis) for axis in axes])
    start = np.array([window[axis].start or 0 if axis in window else 0 for axis in axes])
    return Place(
        name="",
        axes=axes,
        image_axes=image.axes,
        scale=scale,
        translate=start * scale,
        rotate=np.eye(len(axes)),
        shear=np.eye(len(axes)),
        affine=np.eye(len(axes) + 1),
        units=tuple(image.units.get(axis, PIXEL) for axis in axes),
        axis_labels=tuple(axes.lower()),
        window=dict(window),
    )
