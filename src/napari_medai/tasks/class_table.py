"""What is measured of each class, block by block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from napari_medai.core.axes import AxesArray
from napari_medai.core.ruler import ruler_of


class ClassTable:
    """Adds up blocks into one row a class and frame, background (0) left out."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._sums: dict[tuple[tuple[str, int], ...], np.ndarray] = {}

    def add(self, position: Mapping[str, int], classes: np.ndarray, image: np.ndarray) -> None:
        """A block of classes (\\*space) of one frame, and its pixels (channels, \\*space).

        The mean of the channels' finite values is measured.
        """
        own = classes.reshape(-1)
        sums = np.zeros((3, self._count))
        sums[0] = np.bincount(own, minlength=self._count)
        for channel in image:
            values = channel.reshape(-1)
            finite = np.isfinite(values) if values.dtype.kind == "f" else slice(None)
            sums[1] += np.bincount(own[finite], values[finite], minlength=self._count)
            sums[2] += np.bincount(own[finite], minlength=self._count)
        frame = tuple(position.items())
        self._sums[frame] = self._sums.get(frame, 0) + sums

    def features(self, names: Sequence[str], image: AxesArray) -> dict[str, np.ndarray]:
        """Columns with a row for every class, also one that was not found, frame by frame.

        ``index``, ``class`` (its name), the frame as ``t`` and the like, ``voxels``, what they
        hold (`napari_medai.core.ruler.Ruler.size_name`: ``volume_ml``, ...) and
        ``mean_intensity`` (NaN without voxels).
        """
        frames = sorted(self._sums)
        table = np.stack([self._sums[frame] for frame in frames])[:, :, 1:]
        voxels, total, counted = table.transpose(1, 0, 2).reshape(3, -1)
        series = [axis for axis, _ in frames[0]]
        where = np.array([[at for _, at in frame] for frame in frames], np.int64)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = total / counted
        ruler = ruler_of(image)
        return {
            "index": np.tile(np.arange(1, len(names) + 1), len(frames)),
            "class": np.tile(np.array(names, dtype=object), len(frames)),
            **{a.lower(): np.repeat(where[:, i], len(names)) for i, a in enumerate(series)},
            "voxels": voxels.astype(np.int64),
            **({ruler.size_name: voxels * ruler.pixel * image.slant} if ruler.unit else {}),
            "mean_intensity": mean,
        }
