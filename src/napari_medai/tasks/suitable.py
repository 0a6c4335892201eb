"""Whether an image suits a model, and its pixels as the model's net expects them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from napari_medai.core.axes import CHANNEL, ArrayLike, AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.intensity import Range, intensity_of, intensity_range
from napari_medai.core.tiling import Window

if TYPE_CHECKING:
    from napari_medai.models.model import Model
    from napari_medai.nn.runner import ScoreNet


def check_suited(image: AxesArray, model: Model) -> None:
    """Refuse an image that a model cannot work on."""
    if 0 in image.shape:
        raise InputError(
            f"the image is empty (shape {image.shape}); choose a layer or region with pixels"
        )
    space = model.axes.replace(CHANNEL, "")
    missing = [axis for axis in space if axis not in image.axes]
    if missing:
        raise InputError(
            f"{model.name} works on axes {' '.join(space)}, but the image has "
            f"{' '.join(image.axes) or 'none'}; set the axes so that {' and '.join(missing)} "
            f"{'are' if len(missing) > 1 else 'is'} among them, or choose another model"
        )
    channels = image.sizes.get(CHANNEL, 1)
    if channels not in {1, model.channels}:
        fitting = "1 channel" if model.channels == 1 else f"1 or {model.channels} channels"
        raise InputError(
            f"{model.name} takes {fitting}, but the image has {channels}; choose one of them"
        )


def loaded_net(model: Model, *, device: str) -> ScoreNet:
    """A model's net, ready to score; loaded once for each device."""
    from napari_medai.nn.runner import score_net

    return score_net(model.weights_path, model.sha256, *model.architecture, device=device)


def image_range(image: ArrayLike, model: Model) -> Range:
    """The values that a model's net sees as 0 and 1."""
    return intensity_range(image, intensity_of(model.config.get("intensity", {})))


def normalised_reader(
    plane: AxesArray,
    model: Model,
    *,
    bright: Range | None = None,
    corner: tuple[int, ...] | None = None,
) -> Callable[[Window], np.ndarray]:
    """Reads windows of a plane (channels, \\*space) as float32, 0 dark and 1 bright.

    A gray image is repeated in all of the model's channels. ``bright`` is measured on the plane
    if it is not given; windows count from ``corner``.
    """
    seen = bright or image_range(plane.data, model)
    start = corner or (0,) * (len(plane.axes) - 1)

    def read(window: Window) -> np.ndarray:
        inside = tuple(slice(c + w.start, c + w.stop) for c, w in zip(start, window, strict=True))
        values = seen.scaled(pixels(plane, inside))
        return np.broadcast_to(values, (model.channels, *values.shape[1:]))

    return read


def pixels(plane: AxesArray, window: Window) -> np.ndarray:
    """The pixels (channels, \\*space) of a window of a plane."""
    return np.asarray(plane.data[(slice(None), *window)])
