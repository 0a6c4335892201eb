"""Parts of a noisy image in units of light, as nets learn from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from napari_medai.core.axes import CHANNEL
from napari_medai.core.tiling import Window
from napari_medai.tasks.channel_noise import ChannelNoise
from napari_medai.tasks.lost_pixels import lost_pixels
from napari_medai.tasks.planes import Planes

if TYPE_CHECKING:
    from napari_medai.nn.shots import Own

MOST_PLANES = 24
"""Planes of one image that are learned from: more look alike."""


def own_light(
    planes: Planes,
    channels: ChannelNoise,
    position: Mapping[str, int],
    window: Window,
    weight: float | None = None,
) -> Own:
    """A part of a plane in units of light; what is saturated or dead does not count.

    Without a ``weight`` it is drawn as often as it has pixels that count.
    """
    from napari_medai.nn.shots import Own

    noise = channels.noises[position.get(CHANNEL, 0)]
    assert noise is not None, "channels without noise are not learned from"
    values = np.asarray(planes.plane(dict(position)).data[window])
    lost = lost_pixels(values, noise)
    unit = noise.gain or noise.read_noise
    light = (np.where(lost, noise.offset, values).astype(np.float64) - noise.offset) / unit
    return Own(
        light.astype(np.float32),
        ~lost,
        shot=1.0 if noise.gain else 0.0,
        read=noise.read_noise / unit,
        weight=float(max((~lost).sum(), 1)) if weight is None else weight,
    )
