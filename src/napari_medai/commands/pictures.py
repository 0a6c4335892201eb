"""What is shown of an image beside its results."""

from __future__ import annotations

import numpy as np

from napari_medai.core.axes import CHANNEL, AxesArray


def plane_at(image: AxesArray, **index: int) -> np.ndarray:
    """One plane to look at, (y, x), or (y, x, 3) of colours; of other channels the first."""
    colours = image.sizes.get(CHANNEL) == 3
    first = {} if colours or CHANNEL not in image.axes else {CHANNEL: 0}
    plane = image.at(**index, **first).moved_to("YX" + (CHANNEL if colours else ""))
    return plane.data  # type: ignore[return-value]
