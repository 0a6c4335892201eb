"""Restored images as layers in the place, and with the looks, of their source."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.axes import CHANNEL, ArrayLike, AxesArray, looks_rgb
from napari_medai.io.layer_grid import SOURCE
from napari_medai.tasks.denoise_params import SELF
from napari_medai.ui.layers import PIXEL, Place, Window, model_name, place_of, placed_record

if TYPE_CHECKING:
    from napari.layers import Image, Layer

    from napari_medai.tasks.denoising import Restoration

LOOKS = ("contrast_limits", "gamma", "interpolation2d", "interpolation3d", "rendering", "blending")


def image_layer(
    result: Restoration,
    source: Layer | AxesArray | Place,
    *,
    axes: str | None = None,
    window: Window | None = None,
    looks: Layer | None = None,
) -> Image:
    """A restored image, as a new Image layer that lies on its source.

    Scale, translate, rotate, shear, affine, units and axis labels are the source's, axis by axis;
    ``window`` says which part of the source the result covers. Colours and contrast are those of
    ``looks``, or of the source if it is a layer. The record (``metadata["medai"]``) comes along.

    napari shows fractions as colours only between 0 and 1. So a result in colour (C last, red,
    green and blue) has the whole numbers of its source, if that has such, rounded and clipped.
    """
    from napari.layers import Image

    place = source if isinstance(source, Place) else place_of(source, axes=axes, window=window)
    shown = looks if looks is not None else source
    data, own, rgb = _laid(result, place)
    if CHANNEL in own and CHANNEL not in place.axes:
        place = _with_channels(place, own)
    if CHANNEL in own and data.shape[own.index(CHANNEL)] > 1:
        place = replace(place, channels=1)
    return Image(
        data,
        rgb=rgb,
        name=f"{place.name} {_made(result)}".strip(),
        metadata={
            "medai": placed_record(result.record, place),
            **({SOURCE: place.path} if place.path else {}),
        },
        **({} if isinstance(shown, AxesArray | Place) or rgb else _looks(shown)),
        **place.arguments(own),
    )


def _laid(result: Restoration, place: Place) -> tuple[ArrayLike, str, bool]:
    """The data as napari takes them, the axes of their transforms, and whether they are colours.

    One channel of an image in colours is an image without channels.
    """
    axes, data = result.axes, result.image
    if axes[-1:] != CHANNEL or CHANNEL in place.axes:
        return data, axes, False
    space = axes.removesuffix(CHANNEL)
    if data.shape[-1] == 1:
        return _lazily(data)[..., 0], space, False
    if not looks_rgb((*data.shape[:-3], 5, 5, data.shape[-1])):
        return data, axes, False
    return _coloured(data, np.dtype(result.record["image"]["dtype"])), space, True


def _coloured(data: ArrayLike, dtype: np.dtype[Any]) -> ArrayLike:
    """Colours in the whole numbers of their source."""
    if dtype.kind not in "iu" or np.dtype(data.dtype).kind != "f":
        return data
    limits = np.iinfo(dtype)
    values = _lazily(data).round().clip(limits.min, limits.max)
    return values.astype(dtype)


def _lazily(data: ArrayLike) -> Any:
    """What may be cut and computed with, without being read."""
    if isinstance(data, np.ndarray):
        return data
    import dask.array

    return dask.array.asarray(data)


def _with_channels(place: Place, axes: str) -> Place:
    """The place of an array, whose channels have none, with an axis for them."""
    at = axes.index(CHANNEL)

    def wider(matrix: np.ndarray) -> np.ndarray:
        whole = np.insert(np.insert(matrix, at, 0, axis=0), at, 0, axis=1)
        whole[at, at] = 1
        return whole

    labels = place.axis_labels
    return replace(
        place,
        axes=place.axes[:at] + CHANNEL + place.axes[at:],
        scale=np.insert(place.scale, at, 1),
        translate=np.insert(place.translate, at, 0),
        rotate=wider(place.rotate),
        shear=wider(place.shear),
        affine=wider(place.affine),
        units=(*place.units[:at], PIXEL, *place.units[at:]),
        axis_labels=None if labels is None else (*labels[:at], CHANNEL.lower(), *labels[at:]),
    )


def _made(result: Restoration) -> str:
    """What the name of the layer ends with."""
    name = model_name(result.record)
    return "denoised" if name == SELF else name


def _looks(layer: Layer) -> dict[str, Any]:
    """How an image layer is shown."""
    return {"colormap": layer.colormap, **{name: getattr(layer, name) for name in LOOKS}}
