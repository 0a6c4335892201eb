"""Measurements of objects that come block by block, slice by slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, slots=True)
class Sums:
    """What was added up of each object of one block: row i is object i + 1."""

    size: np.ndarray
    score: np.ndarray
    intensity: np.ndarray
    position: np.ndarray

    @classmethod
    def of(
        cls,
        labels: np.ndarray,
        scores: np.ndarray,
        *,
        image: np.ndarray,
        corner: Sequence[int],
        within: Mapping[int, int] | None = None,
    ) -> Sums:
        """Of labels 1 to n, where n is the number of scores.

        Parameters
        ----------
        image
            (channels, \\*labels.shape); the channels' mean is measured.
        corner
            Where the block begins, along its axes.
        within
            Positions of the block along further axes, by their place among all axes.
        """
        count = len(scores) + 1
        where = np.flatnonzero(labels)
        own = labels.reshape(-1)[where]
        size = np.bincount(own, minlength=count)[1:]
        total = np.zeros(count)
        for channel in image:
            total += np.bincount(own, channel.reshape(-1)[where], minlength=count)
        place = []
        rest = where
        for length, start in zip(reversed(labels.shape), reversed(corner), strict=True):
            along = rest % length
            rest = rest // length
            place.append(np.bincount(own, along, minlength=count)[1:] + start * size)
        place.reverse()
        for axis, position in sorted((within or {}).items()):
            place.insert(axis, position * size)
        return cls(size, scores * size, total[1:] / len(image), np.stack(place, axis=1))


@dataclass(slots=True)
class ObjectTable:
    """Adds up blocks into one row an object."""

    ndim: int
    _labels: list[np.ndarray] = field(default_factory=list)
    _sums: list[Sums] = field(default_factory=list)

    def add(self, labels: np.ndarray, sums: Sums) -> None:
        """``labels`` (n,) are the final labels of the block's objects, 0 for those left out."""
        self._labels.append(labels)
        self._sums.append(sums)

    def features(
        self, *, axes: str, space: str, spacing: Mapping[str, float]
    ) -> dict[str, np.ndarray]:
        """Columns by rising label.

        ``index``, ``score`` (0 to 1), ``area`` (``volume`` where Z is among the axes of
        ``space``) in squared (cubed) units of the spacing, ``mean_intensity``, and for each axis
        ``centroid-y``, ... in pixels; axes outside ``space`` give their position, as ``t``.
        """
        labels = np.concatenate([np.zeros(0, np.int64), *self._labels]).astype(np.int64)
        index, row = np.unique(labels, return_inverse=True)
        kept = index > 0

        def total(parts: list[np.ndarray]) -> np.ndarray:
            values = np.concatenate([np.zeros(0), *parts])
            return np.bincount(row, values, minlength=len(index))[kept]

        size = total([sums.size for sums in self._sums])
        solid = np.maximum(size, 1)
        pixel = float(np.prod([spacing.get(axis, 1.0) for axis in space]))
        columns: dict[str, np.ndarray] = {
            "index": index[kept],
            "score": (total([s.score for s in self._sums]) / solid).astype(np.float32),
            "volume" if len(space) == 3 else "area": size * pixel,
            "mean_intensity": total([s.intensity for s in self._sums]) / solid,
        }
        for place, axis in enumerate(axes):
            along = total([s.position[:, place] for s in self._sums]) / solid
            if axis in space:
                columns[f"centroid-{axis.lower()}"] = along
            else:
                columns[axis.lower()] = along.round().astype(np.int64)
        return columns
