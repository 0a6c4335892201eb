"""Objects and patches as vectors, from a script."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.fields import checked_params
from napari_medai.io.calibration import Scale, Units
from napari_medai.scripting.sources import (
    Subject,
    array_of,
    drained,
    is_layer,
    model_for,
    source_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari.layers import Labels, Points

    from napari_medai.models.model import Model


def embed(
    image: Any,
    labels: Any = None,
    model: str | Path | Model = "fluorescence",
    *,
    axes: str | None = None,
    scale: Scale | None = None,
    units: Units | None = None,
    window: Mapping[str, Any] | None = None,
    channel: int | None = None,
    **params: Any,
) -> Labels | Points:
    """Embed the objects of a plane in a few numbers each, near each other for what looks alike.

    Parameters
    ----------
    image
        A napari image layer or an array, of one plane; ``window`` chooses one of several, such as
        ``{"T": slice(3, 4)}``, and ``channel`` a channel.
    labels
        A napari labels layer on the same grid, or an array of whole numbers; without it, patches
        side by side are embedded.
    model
        One that denoises, whose encoder is used: its name, its path, or the model itself.
    axes, scale, units
        As of `segment`.
    **params
        ``latents`` (how many numbers an object), ``patch`` (edge in pixels), ``device``.

    Returns
    -------
    Labels or Points
        The labels again as a new layer, or the centres of the patches, with the features
        ``latent_1``, ``latent_2``, ... and ``map_x``, ``map_y``, a map in two dimensions to plot.

    Raises
    ------
    InputError
        If something does not fit; its text says what to do.
    """
    import pandas as pd
    from napari.layers import Labels, Points

    from napari_medai.tasks.embed import EmbedParams, embed_steps
    from napari_medai.ui.layers import place_of, placed_record

    chosen = checked_params(EmbedParams, params)
    found = model_for("denoise", model)
    subject = Subject.of(image, axes=axes, scale=scale, units=units, window=window, channel=channel)
    drawn = None if labels is None else _drawn(labels, subject.image)
    result = drained(embed_steps(subject.image, drawn, found, chosen))
    place = place_of(subject.source, axes=subject.axes, window=subject.window)
    features = pd.DataFrame(result.features)
    metadata = {"medai": placed_record(result.record, place)}
    where = place.arguments("YX")
    if drawn is None:
        return Points(
            result.centres,
            features=features,
            name=f"{place.name} patches".strip(),
            metadata=metadata,
            size=chosen.patch / 4,
            face_color="map_x",
            **where,
        )
    name = f"{place.name} embedded".strip()
    return Labels(drawn, features=features, name=name, metadata=metadata, **where)


def _drawn(labels: Any, image: AxesArray) -> np.ndarray:
    """Labels (Y, X) on the grid of the image."""
    source = source_of(labels, axes=None, kind="Labels")
    array = array_of(source, None) if is_layer(source) else source
    if array.data.dtype.kind == "b":
        raise InputError(
            "a mask does not tell its objects apart; number them first, with skimage.measure.label"
        )
    sizes = {axis: n for axis, n in array.sizes.items() if n > 1 or axis in "YX"}
    wanted = {axis: image.sizes[axis] for axis in "YX" if axis in image.axes}
    if sizes != wanted:
        raise InputError(
            f"the labels have {sizes}, but the plane {wanted}; give those of the same plane"
        )
    return np.asarray(array.moved_to("YX").data)
