"""A layer as an image, from what napari gives to writers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from napari_medai.core.axes import AXIS_WORDS, CHANNEL, guessed_axes
from napari_medai.core.units import unit_word
from napari_medai.io.image_data import ImageData


def image_of_layer(data: Any, attributes: Mapping[str, Any], *, labels: bool) -> ImageData:
    """The finest level of an Image or Labels layer, with its axes, steps, units, table and colours.

    Where it lies is left to `layer_grid`; steps are those of ``scale`` alone.
    """
    rgb = bool(attributes.get("rgb"))
    finest = data[0] if attributes.get("multiscale") else data
    axes = _axes(tuple(finest.shape), attributes.get("axis_labels") or (), rgb=rgb)
    steps = tuple(attributes.get("scale", ()))
    units = tuple(attributes.get("units") or ())
    placed = axes.removesuffix(CHANNEL) if rgb else axes
    known = {a: unit_word(u) for a, u in zip(placed, units, strict=False)}
    limits = attributes.get("contrast_limits")
    shown = None if rgb or labels or limits is None else (float(limits[0]), float(limits[1]))
    return ImageData(
        (finest,),
        axes,
        {a: abs(float(s)) for a, s in zip(placed, steps, strict=False) if s},
        {a: unit for a, unit in known.items() if unit is not None},
        name=str(attributes.get("name") or ""),
        rgb=rgb,
        labels=labels,
        contrast=shown,
        features=_features(attributes.get("features")) if labels else {},
        colours=label_colours(attributes.get("colormap")) if labels else {},
    )


def _axes(shape: tuple[int, ...], words: Sequence[str], *, rgb: bool) -> str:
    """Axes by a layer's axis labels, by the usual order where these say nothing."""
    letters = [AXIS_WORDS.get(str(word).lower(), str(word).upper()) for word in words]
    axes = "".join(letters) + (CHANNEL if rgb else "")
    useful = len(axes) == len(shape) == len(set(axes)) and {"Y", "X"} <= set(axes)
    if useful and all("A" <= letter <= "Z" for letter in axes):
        return axes
    return guessed_axes(shape, rgb=rgb)


def _features(table: Any) -> dict[str, list[Any]]:
    """The columns of a layer's table; without an ``index``, rows are labels from 0 on."""
    if table is None or not len(table):
        return {}
    columns = {str(name): np.asarray(table[name]).tolist() for name in table}
    return {"index": list(range(len(table))), **columns}


def label_colours(colormap: Any) -> dict[int, tuple[float, ...]]:
    """The colours (0 to 1) that the user, or the file, gave to labels one by one.

    A colormap of napari that gives colours by turns has none; a mapping may be given too.
    """
    given = getattr(colormap, "color_dict", colormap)
    return {
        int(label): tuple(float(part) for part in colour)
        for label, colour in (given.items() if isinstance(given, Mapping) else ())
        if label is not None and label != 0
    }
