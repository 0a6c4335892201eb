"""What is measured of each object of a label image, at once or block by block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from napari_medai.core.axes import SPACE
from napari_medai.core.errors import InputError


def object_features(
    labels: np.ndarray,
    *,
    image: np.ndarray | None = None,
    score: Sequence[float] | np.ndarray | None = None,
    spacing: Mapping[str, float] | None = None,
    axes: str = "YX",
) -> dict[str, np.ndarray]:
    """A table with a row for each object, by rising label.

    Parameters
    ----------
    labels
        Whole numbers, 0 is background, over ``axes``.
    image
        (channels, \\*labels.shape); the channels' mean is measured.
    score
        One number for each object, by rising label.
    spacing
        The step along each axis, 1 where none is given.

    Returns
    -------
    dict
        The columns of `ObjectTable.features`; ``score`` and ``mean_intensity`` only where they
        are given.
    """
    if labels.dtype.kind not in "biu" or len(axes) != labels.ndim:
        raise InputError(
            f"labels must be whole numbers with axes {axes!r}, "
            f"got {labels.dtype} values of shape {labels.shape}"
        )
    if image is not None and image.shape[1:] != labels.shape:
        raise InputError(
            f"image of shape {image.shape} and labels of shape {labels.shape} do not fit; the "
            "image must have the shape of the labels, with channels before"
        )
    index, own = numbered(labels)
    if score is not None and len(score) != len(index):
        raise InputError(f"{len(index)} objects need as many scores, got {len(score)}")
    sure = np.zeros(len(index)) if score is None else np.asarray(score, dtype=float)
    seen = np.zeros((1, *labels.shape), np.uint8) if image is None else image
    table = ObjectTable()
    table.add(index, Sums.of(own, sure, image=seen, corner=(0,) * labels.ndim))
    space = "".join(axis for axis in axes if axis in SPACE)
    columns = table.features(axes=axes, space=space, spacing=spacing or {})
    unknown = {"score": score, "mean_intensity": image}
    return {name: column for name, column in columns.items() if unknown.get(name, 1) is not None}


@dataclass(frozen=True, slots=True)
class Sums:
    """What was added up of each object of one block: row i is object i + 1."""

    size: np.ndarray
    score: np.ndarray
    intensity: np.ndarray
    counted: np.ndarray
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
            (channels, \\*labels.shape); the mean of the channels' finite values is measured.
        corner
            Where the block begins, along its axes.
        within
            Positions of the block along further axes, by their place among all axes.
        """
        count = len(scores) + 1
        where = np.flatnonzero(labels)
        own = labels.reshape(-1)[where]
        size = np.bincount(own, minlength=count)[1:]
        total, counted = np.zeros(count), np.zeros(count)
        for channel in image:
            values = channel.reshape(-1)[where]
            finite = np.isfinite(values) if values.dtype.kind == "f" else slice(None)
            total += np.bincount(own[finite], values[finite], minlength=count)
            counted += np.bincount(own[finite], minlength=count)
        place = []
        rest = where
        for length, start in zip(reversed(labels.shape), reversed(corner), strict=True):
            along = rest % length
            rest = rest // length
            place.append(np.bincount(own, along, minlength=count)[1:] + start * size)
        place.reverse()
        for axis, position in sorted((within or {}).items()):
            place.insert(axis, position * size)
        return cls(size, scores * size, total[1:], counted[1:], np.stack(place, axis=1))

    def __add__(self, other: Sums) -> Sums:
        """Of the same objects in two blocks together."""
        return Sums(
            self.size + other.size,
            self.score + other.score,
            self.intensity + other.intensity,
            self.counted + other.counted,
            self.position + other.position,
        )


@dataclass(slots=True)
class ObjectTable:
    """Adds up blocks into one row an object."""

    _labels: list[np.ndarray] = field(default_factory=list)
    _sums: list[Sums] = field(default_factory=list)

    def add(self, labels: np.ndarray, sums: Sums) -> None:
        """``labels`` (n,) are the final labels of the block's objects, 0 for those left out."""
        self._labels.append(labels)
        self._sums.append(sums)

    def features(
        self, *, axes: str, space: str, spacing: Mapping[str, float], slant: float = 1.0
    ) -> dict[str, np.ndarray]:
        """Columns by rising label.

        ``index``, ``score`` (0 to 1), ``area`` (``volume`` where Z is among the axes of
        ``space``) in squared (cubed) units of the spacing, ``mean_intensity``, and for each axis
        ``centroid-y``, ... in pixels; axes outside ``space`` give their position, as ``t``.
        ``slant`` is that of `AxesArray`.
        """
        labels = np.concatenate([np.zeros(0, np.int64), *self._labels]).astype(np.int64)
        index, row = np.unique(labels, return_inverse=True)
        kept = index > 0

        def total(parts: list[np.ndarray]) -> np.ndarray:
            values = np.concatenate([np.zeros(0), *parts])
            return np.bincount(row, values, minlength=len(index))[kept]

        size = total([sums.size for sums in self._sums])
        solid = np.maximum(size, 1)
        pixel = slant * float(np.prod([spacing.get(axis, 1.0) for axis in space]))
        columns: dict[str, np.ndarray] = {
            "index": index[kept],
            "score": (total([s.score for s in self._sums]) / solid).astype(np.float32),
            "volume" if len(space) == 3 else "area": size * pixel,
            "mean_intensity": total([s.intensity for s in self._sums])
            / np.maximum(total([s.counted for s in self._sums]), 1),
        }
        for place, axis in enumerate(axes):
            along = total([s.position[:, place] for s in self._sums]) / solid
            if axis in space:
                columns[f"centroid-{axis.lower()}"] = along
            else:
                columns[axis.lower()] = along.round().astype(np.int64)
        return columns


def numbered(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The labels that occur, rising, without 0, and the image with 1 for the first of them, 2 for
    the second, ..., int32.
    """
    where = np.flatnonzero(labels)
    index, row = compact_labels(labels.reshape(-1)[where])
    own = np.zeros(labels.shape, np.int32)
    own.reshape(-1)[where] = row + 1
    return index, own


def compact_labels(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The labels that occur in a flat array, rising, and for each value its place among them."""
    if values.size == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.intp)
    if values.dtype.kind == "b":
        values = values.view(np.uint8)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 4 * values.size + 65536:  # a table of all labels would be too large
        index, row = np.unique(values, return_inverse=True)
        return index.astype(np.int64), row
    index = np.flatnonzero(np.bincount(values))
    if len(index) == high - low + 1:
        return index, values.astype(np.intp) - low
    place = np.zeros(high + 1, dtype=np.intp)
    place[index] = np.arange(len(index))
    return index, place[values]
