"""A set of pictures with labels, and crops of them, to compare with another set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.axes import CHANNEL, AxesArray
from napari_medai.core.copies import PART, shrunken
from napari_medai.core.errors import InputError
from napari_medai.core.intensity import Range
from napari_medai.core.steps import Step, Steps
from napari_medai.tasks.pairs import Pair
from napari_medai.tasks.suitable import check_suited, image_range

if TYPE_CHECKING:
    from napari_medai.models.model import Model

AT_ONCE = 64
"""Crops that are read at once."""
ENOUGH = 3
"""Objects in a crop from which on it can be told from others: of a single one there are many."""
LEAST_PIXELS = 16
"""What is seen of an object that counts as in a crop."""
VIEWS = 8
"""Turns by right angles, and their mirror images."""


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """Planes as a model sees them, and their crops, side by side on a grid.

    ``images`` have the axes CYX, ``labels`` Y and X; ``ranges`` are the values that the model sees
    as 0 and 1. ``sources`` tell which images are of one source. ``corners`` (n, 3) are the image,
    the row and the column at which each crop of ``edge`` pixels begins, ``full`` (n,) whether it
    shows `ENOUGH` objects.
    """

    images: tuple[AxesArray, ...]
    labels: tuple[np.ndarray, ...]
    names: tuple[str, ...]
    ranges: tuple[Range, ...]
    sources: np.ndarray
    edge: int
    channels: int
    corners: np.ndarray
    full: np.ndarray

    @classmethod
    def of(cls, pairs: Sequence[Pair], model: Model, *, edge: int) -> Gallery:
        """Pairs of planes of at least ``edge`` x ``edge`` pixels.

        Raises
        ------
        InputError
            If an image does not suit the model or its labels, is no plane, or is too small.
        """
        for pair in pairs:
            _check(pair, model, edge)
        images = tuple(pair.image.moved_to(CHANNEL + "YX") for pair in pairs)
        labels = tuple(_upright(pair) for pair in pairs)
        corners = [
            (at, row, column)
            for at, drawn in enumerate(labels)
            for row in _starts(drawn.shape[0], edge)
            for column in _starts(drawn.shape[1], edge)
        ]
        _, sources = np.unique(
            [pair.source or f"pair {at}" for at, pair in enumerate(pairs)], return_inverse=True
        )
        return cls(
            images=images,
            labels=labels,
            names=tuple(pair.name for pair in pairs),
            ranges=tuple(image_range(image.data, model) for image in images),
            sources=sources,
            edge=edge,
            channels=model.channels,
            corners=np.array(corners, np.int64),
            full=np.array([_objects(labels[i][y : y + edge, x : x + edge]) for i, y, x in corners])
            >= ENOUGH,
        )

    def drawn(self, most: int, rng: np.random.Generator, *, full: bool = False) -> np.ndarray:
        """So many crops at most, in random order but one of each image before a second of any."""
        order = rng.permutation(np.flatnonzero(self.full) if full else len(self.corners))
        image = self.corners[order, 0]
        turn = np.zeros(len(order), np.int64)
        for at in np.unique(image):
            same = image == at
            turn[same] = np.arange(same.sum())
        return np.asarray(order[np.argsort(turn, kind="stable")][:most])

    def sources_of(self, crops: np.ndarray) -> np.ndarray:
        """The source of each crop."""
        return np.asarray(self.sources[self.corners[crops, 0]])

    def crops(self, chosen: np.ndarray) -> np.ndarray:
        """Crops (n, channels, edge, edge) as the model sees them, float32."""
        found = np.empty((len(chosen), self.channels, self.edge, self.edge), np.float32)
        for place, (at, row, column) in zip(found, self.corners[chosen], strict=True):
            window = (slice(row, row + self.edge), slice(column, column + self.edge))
            place[:] = self.ranges[at].scaled(self.images[at].data[(slice(None), *window)])
        return found

    def features(
        self, net: Any, chosen: np.ndarray, *, device: Any, views: int = 1
    ) -> Steps[np.ndarray]:
        """`napari_medai.nn.pooled.pooled_activations` of crops (n, views, features), float32.

        With `VIEWS`, those of each crop turned and mirrored.
        """
        from napari_medai.nn.pooled import pooled_activations

        found = []
        for start in range(0, len(chosen), AT_ONCE):
            crops = self.crops(chosen[start : start + AT_ONCE])
            seen = [_turned(crops, turn) for turn in range(views)]
            rows = [pooled_activations(net, view, device=device) for view in seen]
            found.append(np.stack(rows, axis=1))
            yield Step(min(start + AT_ONCE, len(chosen)), len(chosen), "looking at crops")
        return np.concatenate(found)

    def shrunken(self) -> list[np.ndarray]:
        """The images, their channels averaged, so small that a crop is a part to look for."""
        found = []
        for image, seen in zip(self.images, self.ranges, strict=True):
            gray = np.clip(seen.scaled(image.data), 0, 1).mean(0)
            found.append(shrunken(gray, self.edge // PART))
        return found

    def parts(self, small: Sequence[np.ndarray], chosen: np.ndarray) -> np.ndarray:
        """The same crops (n, `PART`, `PART`) of the shrunken images."""
        factor = self.edge // PART
        cut = []
        for at, row, column in self.corners[chosen]:
            # The last pixels of an edge may be too few for one of a shrunken image.
            top, left = (
                min(int(start) // factor, n - PART)
                for start, n in zip((row, column), small[at].shape, strict=True)
            )
            cut.append(small[at][top : top + PART, left : left + PART])
        return np.stack(cut) if cut else np.empty((0, PART, PART), np.float32)


def _turned(crops: np.ndarray, turn: int) -> np.ndarray:
    turned = np.rot90(crops, turn % 4, (2, 3))
    return turned[..., ::-1] if turn >= VIEWS // 2 else turned


def _starts(length: int, edge: int) -> list[int]:
    """As many crops as fit, evenly from one end to the other."""
    return [round(at) for at in np.linspace(0, length - edge, max(1, length // edge))]


def _objects(labels: np.ndarray) -> int:
    _, counts = np.unique(labels[labels > 0], return_counts=True)
    return int((counts >= LEAST_PIXELS).sum())


def _upright(pair: Pair) -> np.ndarray:
    """The labels with the axes Y and X."""
    space = pair.image.axes.replace(CHANNEL, "")
    return np.asarray(pair.labels.transpose([space.index(axis) for axis in "YX"]))


def _check(pair: Pair, model: Model, edge: int) -> None:
    image = pair.image
    if set(image.axes.replace(CHANNEL, "")) != {"Y", "X"}:
        raise InputError(
            f"planes are compared, but {pair.name} has the axes {' '.join(image.axes)}; give one "
            "plane at a time"
        )
    try:
        check_suited(image, model)
    except InputError as error:
        raise InputError(f"{pair.name}: {error}") from None
    shape = tuple(n for axis, n in image.sizes.items() if axis != CHANNEL)
    if pair.labels.shape != shape:
        raise InputError(
            f"the labels of {pair.name} have shape {pair.labels.shape}, but its image has {shape}; "
            "give labels of the same size"
        )
    if pair.labels.dtype.kind not in "biu":
        raise InputError(
            f"the labels of {pair.name} must be whole numbers, got {pair.labels.dtype} values; 0 "
            "is background, each object has a number"
        )
    if min(shape) < edge:
        raise InputError(
            f"crops of {edge} x {edge} pixels are compared, but {pair.name} has {shape[0]} x "
            f"{shape[1]}; give a smaller crop, or leave it out"
        )
