"""OME-Zarr folders for labels too large to be held in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_medai.core.axes import CHANNEL, SPACE, AxesArray
from napari_medai.core.errors import RunError

ARRAY = "0"


def new_label_group(folder: Path, image: AxesArray, *, name: str) -> Path:
    """Make an OME-Zarr (0.5) folder for the labels of an image; returns where its array belongs.

    The array itself is left to be made there, with the image's axes without ``C``.
    """
    import zarr

    axes = image.axes.replace(CHANNEL, "")
    scale = {"type": "scale", "scale": [image.step(axis) for axis in axes]}
    told = {
        "version": "0.5",
        "multiscales": [
            {
                "name": name,
                "axes": [_axis(image, axis) for axis in axes],
                "datasets": [{"path": ARRAY, "coordinateTransformations": [scale]}],
            }
        ],
        "image-label": {"version": "0.5"},
    }
    try:
        zarr.create_group(store=str(folder), zarr_format=3, attributes={"ome": told})
    except OSError as error:
        raise RunError(
            f"{folder} could not be made ({error.strerror or error}); choose another folder"
        ) from error
    return folder / ARRAY


def _axis(image: AxesArray, axis: str) -> dict[str, Any]:
    kind = {"type": "space"} if axis in SPACE else {"type": "time"} if axis == "T" else {}
    unit = image.units.get(axis)
    return {"name": axis.lower(), **kind, **({"unit": unit} if unit else {})}
