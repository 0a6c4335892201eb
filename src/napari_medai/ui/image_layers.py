"""Restored images as layers in the place, and with the looks, of their source."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_medai.core.axes import CHANNEL, AxesArray
from napari_medai.io.layer_grid import SOURCE
from napari_medai.ui.layers import Place, Window, model_name, place_of, placed_record

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
    """
    from napari.layers import Image

    place = source if isinstance(source, Place) else place_of(source, axes=axes, window=window)
    shown = looks if looks is not None else source
    rgb = place.image_axes[-1:] == CHANNEL and CHANNEL not in place.axes
    own = result.axes.replace(CHANNEL, "") if rgb else result.axes
    all_channels = CHANNEL in own and result.image.shape[own.index(CHANNEL)] > 1
    if all_channels:
        place = replace(place, channels=1)
    return Image(
        result.image,
        rgb=rgb,
        name=f"{place.name} {model_name(result.record)}".strip(),
        metadata={
            "medai": placed_record(result.record, place),
            **({SOURCE: place.path} if place.path else {}),
        },
        **({} if isinstance(shown, AxesArray | Place) or rgb else _looks(shown)),
        **place.arguments(own),
    )


def _looks(layer: Layer) -> dict[str, Any]:
    """How an image layer is shown."""
    return {"colormap": layer.colormap.name, **{name: getattr(layer, name) for name in LOOKS}}
