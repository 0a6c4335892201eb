"""The metadata of OME-Zarr for an image or labels: what `metadata` reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from napari_medai.core.axes import CHANNEL, SPACE
from napari_medai.core.units import unit_word
from napari_medai.core.view import View
from napari_medai.io.image_data import ImageData
from napari_medai.io.ome_zarr.anatomy import described_orientation
from napari_medai.io.ome_zarr.metadata import RGB_COLORS, RGB_NAMES
from napari_medai.io.volumes import sampled, spread

_COLORS = ("0000FF", "00FF00", "FF0000", "00FFFF", "FF00FF", "FFFF00")


def described_scale(
    image: ImageData, paths: Sequence[str], factors: Sequence[Mapping[str, int]]
) -> dict[str, Any]:
    """What ``multiscales`` says of an image whose levels are coarser by these factors.

    A sample of a coarser level of an image lies in the middle of those that it is the mean of, one
    of labels on the first of them.
    """
    datasets = []
    for path, factor in zip(paths, factors, strict=True):
        steps = {axis: float(image.spacing.get(axis, 1.0)) for axis in image.axes}
        inner = {a: 0.0 if image.labels else (factor.get(a, 1) - 1) / 2 for a in image.axes}
        scale = [steps[a] * factor.get(a, 1) for a in image.axes]
        place = [image.origin.get(a, 0.0) + steps[a] * inner[a] for a in image.axes]
        changes: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
        changes += [{"type": "translation", "translation": place}] if any(place) else []
        datasets.append({"path": path, "coordinateTransformations": changes})
    method = "every other sample" if image.labels else "mean"
    return {
        "name": image.name,
        "axes": [_described_axis(image, axis) for axis in image.axes],
        "datasets": datasets,
        **({"type": method} if len(datasets) > 1 else {}),
    }


def _described_axis(image: ImageData, axis: str) -> dict[str, Any]:
    kinds = {CHANNEL: "channel", "T": "time", **dict.fromkeys(SPACE, "space")}
    kind, unit = kinds.get(axis), unit_word(image.units.get(axis))
    return {
        "name": axis.lower(),
        **({"type": kind} if kind else {}),
        **({"unit": unit} if unit else {}),
        **(described_orientation(axis) if image.grid is not None and axis in SPACE else {}),
    }


def described_channels(image: ImageData, coarsest: Any) -> dict[str, Any]:
    """What ``omero`` says of the channels: names, colours, and the values to show them between."""
    apart = CHANNEL in image.axes
    count = coarsest.shape[image.axes.index(CHANNEL)] if apart else 1
    colors = RGB_COLORS if image.rgb else _COLORS if count > 1 else ("FFFFFF",)
    names = RGB_NAMES if image.rgb else image.names if len(image.names) == count else ()
    channels = []
    for number in range(count):
        key = tuple(number if axis == CHANNEL else slice(None) for axis in image.axes)
        values = sampled(View.of(coarsest)[key])
        channels.append(
            {
                **({"label": names[number]} if names else {}),
                "color": colors[number % len(colors)],
                "active": True,
                "window": _window(values, image),
            }
        )
    return {"channels": channels, "rdefs": {"model": "color"}}


def _window(values: np.ndarray, image: ImageData) -> dict[str, float]:
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    shown = spread(values) or (low, low + 1)
    if image.rgb:
        low, high = 0.0, float(np.iinfo(values.dtype).max) if values.dtype.kind in "iu" else 1.0
        shown = (low, high)
    if image.contrast is not None and CHANNEL not in image.axes:
        shown = image.contrast
    start, end = (float(value) for value in shown)
    return {"min": min(low, start), "max": max(high, end), "start": start, "end": end}


def described_labels(image: ImageData, *, source: str | None) -> dict[str, Any]:
    """What ``image-label`` says of labels, ``source`` being the way to their image."""
    names = [name for name in image.features if name != "index"]
    index = image.features.get("index", ())
    rows = zip(index, *(image.features[name] for name in names), strict=True)
    properties = [
        {"label-value": int(label), **{n: _plain(v) for n, v in zip(names, values, strict=True)}}
        for label, *values in rows
    ]
    colors = [
        {"label-value": int(label), "rgba": [round(255 * float(part)) for part in color]}
        for label, color in image.colours.items()
    ]
    return {
        **({"colors": colors} if colors else {}),
        **({"properties": properties} if names else {}),
        **({"source": {"image": source}} if source else {}),
    }


def _plain(value: Any) -> Any:
    """A value of a table as JSON has it: what is no finite number is null."""
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return None
    return value if isinstance(value, str | int | float) else str(value)
