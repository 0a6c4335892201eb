"""What scripts give: layers, arrays, and models by name; as the tasks take them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.axes import CHANNEL, AxesArray, guessed_axes, looks_rgb
from napari_medai.core.errors import InputError
from napari_medai.core.progress import ProgressLine
from napari_medai.core.steps import Steps, finished
from napari_medai.io.calibration import Scale, Units, calibrated

if TYPE_CHECKING:
    from napari_medai.models.model import Model


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """What a task works on: ``image`` is the part of ``source``, a layer or an array, that
    ``window`` cuts out; ``axes`` are those given for a layer.
    """

    source: Any
    image: AxesArray
    axes: str | None
    window: dict[str, slice]

    @classmethod
    def of(
        cls,
        image: Any,
        *,
        axes: str | None,
        scale: Scale | None,
        units: Units | None,
        window: Mapping[str, Any] | None,
        channel: int | None,
    ) -> Subject:
        """From the arguments of a task.

        Raises
        ------
        InputError
            If one does not fit.
        """
        from napari_medai.ui.window import checked_window

        axes = axes.upper() if axes else None
        source = source_of(image, axes=axes, scale=scale, units=units)
        whole = array_of(source, axes)
        cuts = checked_window(whole, window or {}, channel=channel)
        own = None if isinstance(source, AxesArray) else axes
        return cls(source, whole.cropped(**cuts), own, cuts)


def drained(steps: Steps[Any]) -> Any:
    """What a job returns, with a line that tells how far it is."""
    with ProgressLine() as line:
        return finished(steps, line)


def model_for(task: str, model: str | Path | Model) -> Model:
    """A model for a task, by its name or path, or read again."""
    from napari_medai.models.model import Model
    from napari_medai.models.registry import find_model

    return find_model(model.path if isinstance(model, Model) else model, task)


def is_layer(image: Any) -> bool:
    return hasattr(image, "data_to_world") and hasattr(image, "axis_labels")


def source_of(
    image: Any,
    *,
    axes: str | None,
    scale: Scale | None = None,
    units: Units | None = None,
    kind: str = "Image",
) -> Any:
    """The layer itself, of one kind, or an array with its axes, spacing and units."""
    if is_layer(image):
        from napari import layers

        if not isinstance(image, getattr(layers, kind)):
            wanted = "an image" if kind == "Image" else "a labels"
            raise InputError(
                f"layer {image.name!r} is a {type(image).__name__} layer; choose {wanted} layer"
            )
        if scale is not None or units is not None:
            raise InputError(
                f"scale and units are those of layer {image.name!r}; change them on the layer"
            )
        return image
    if isinstance(image, AxesArray):
        return calibrated(image, axes=axes, scale=scale, units=units)
    data = finest(image)
    rgb = axes is None and looks_rgb(data.shape)
    array = AxesArray(data, guessed_axes(data.shape, rgb=rgb) if axes is None else axes)
    if rgb and data.shape[-1] == 4:
        array = array.cropped(C=slice(0, 3))
    return calibrated(array, scale=scale, units=units)


def array_of(source: Any, axes: str | None) -> AxesArray:
    """The array of what `source_of` gives."""
    if isinstance(source, AxesArray):
        return source
    from napari_medai.ui.layers import array_from_layer

    return array_from_layer(source, axes=axes)


def pixels_on(image: Any, axes: str) -> AxesArray:
    """An array of values on the grid of labels with these axes, maybe with channels last."""
    if isinstance(image, AxesArray):
        return image
    data = finest(image)
    return AxesArray(data, axes + CHANNEL * (len(data.shape) - len(axes)))


def finest(image: Any) -> Any:
    """The array itself, the first of a pyramid's, or what numpy makes of it."""
    if isinstance(image, str | Path):
        raise InputError(f"{str(image)!r} is a path; open it first, or give the array")
    if isinstance(image, Sequence):
        shapes = [getattr(level, "shape", None) for level in image]
        if shapes and None not in shapes and (len(shapes) == 1 or len(set(shapes)) > 1):
            return image[0]
    elif all(hasattr(image, name) for name in ("shape", "dtype", "__getitem__")):
        return image
    try:
        return np.asarray(image)
    except ValueError as error:
        raise InputError(f"the image is not an array ({error}); give one number a pixel") from error


def listed(values: Any, drawn: str) -> list[Any]:
    """The values of a list, or the one given alone; ``drawn`` is what belongs to the images."""
    if isinstance(values, str | Path):
        raise InputError(
            f"{values} was given for one of images and {drawn}; give two folders, or two lists"
        )
    if is_layer(values) or hasattr(values, "shape"):
        return [values]
    if not isinstance(values, Iterable):
        raise InputError(
            f"images and {drawn} must be two folders, or two lists of layers, arrays or files, "
            f"got {values!r}"
        )
    return list(values)
