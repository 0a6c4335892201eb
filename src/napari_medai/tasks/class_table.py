"""What is measured of each class, block by block."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_medai.core.axes import AxesArray
from napari_medai.core.ruler import Ruler
from napari_medai.tasks.spacing import millimetres

SMALL = 0.02
"""Millimetres below which pixels are those of a microscope, and measured in micrometres."""


class ClassTable:
    """Adds up blocks into one row a class, background (0) left out."""

    def __init__(self, count: int) -> None:
        self._voxels = np.zeros(count)
        self._total = np.zeros(count)
        self._counted = np.zeros(count)

    def add(self, classes: np.ndarray, image: np.ndarray) -> None:
        """A block of classes (\\*space) and its pixels (channels, \\*space).

        The mean of the channels' finite values is measured.
        """
        own = classes.reshape(-1)
        count = len(self._voxels)
        self._voxels += np.bincount(own, minlength=count)
        for channel in image:
            values = channel.reshape(-1)
            finite = np.isfinite(values) if values.dtype.kind == "f" else slice(None)
            self._total += np.bincount(own[finite], values[finite], minlength=count)
            self._counted += np.bincount(own[finite], minlength=count)

    def features(self, names: Sequence[str], image: AxesArray) -> dict[str, np.ndarray]:
        """Columns with a row for every class, also one that was not found.

        ``index``, ``class`` (its name), ``voxels``, ``volume_ml`` and the like where the spacing
        is known in physical units (`napari_medai.core.ruler.Ruler.size_name`), and
        ``mean_intensity`` (NaN without voxels). Several frames are added up.
        """
        known = millimetres(image, image.space)
        measured = {}
        if known is not None:
            unit = "mm" if max(known) >= SMALL else "um"
            ruler = Ruler(np.diag(known) * (1.0 if unit == "mm" else 1e3), unit)
            measured = {ruler.size_name: self._voxels[1:] * ruler.pixel}
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = self._total / self._counted
        return {
            "index": np.arange(1, len(names) + 1),
            "class": np.array(names, dtype=object),
            "voxels": self._voxels[1:].astype(np.int64),
            **measured,
            "mean_intensity": mean[1:],
        }
