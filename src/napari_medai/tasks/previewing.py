"""A small part of an image restored, to be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from napari_medai.core.axes import CHANNEL, AxesArray
from napari_medai.core.noise import CameraNoise
from napari_medai.core.steps import finished
from napari_medai.core.tiling import Window
from napari_medai.tasks.planes import Planes
from napari_medai.tasks.restoring import Restorer

if TYPE_CHECKING:
    from napari_medai.nn.runner import ScoreNet

Part = Mapping[str, int | slice]
"""A small part of an image: a position along axes that the net does not see, windows of others."""


def part_of(planes: Planes, part: Part) -> AxesArray:
    """The part (\\*space), lazy."""
    at = {axis: index for axis, index in part.items() if isinstance(index, int)}
    cut = {axis: window for axis, window in part.items() if isinstance(window, slice)}
    return planes.plane(at).cropped(**cut)


def restored_part(
    net: ScoreNet,
    planes: Planes,
    part: Part,
    noises: Mapping[int, CameraNoise | None],
    *,
    strength: float,
) -> np.ndarray:
    """The part (\\*space), float32, less the noise of its channel."""
    values = part_of(planes, part)
    shown = np.zeros(values.shape, np.float32)

    def write(window: Window, restored: np.ndarray) -> None:
        shown[window] = restored

    channel = part.get(CHANNEL, 0)
    noise = noises[channel if isinstance(channel, int) else 0]
    finished(Restorer(net, noise, strength).steps(values, write))
    return shown
