"""An image worked through plane by plane (or volume by volume), every axis kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.tiling import Window

Position = dict[str, int]


@dataclass(frozen=True, slots=True)
class Planes:
    """The planes of an image along the axes ``space``, which a net sees at once; channels apart."""

    image: AxesArray
    space: str

    def __post_init__(self) -> None:
        missing = [axis for axis in self.space if axis not in self.image.axes]
        if missing:
            raise InputError(
                f"planes along {' '.join(self.space)} are needed, but the image has "
                f"{' '.join(self.image.axes) or 'none'}; set the axes so that "
                f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} among them"
            )

    @property
    def lead(self) -> str:
        """The axes worked through one by one, in array order."""
        return "".join(axis for axis in self.image.axes if axis not in self.space)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one plane."""
        return tuple(self.image.sizes[axis] for axis in self.space)

    @property
    def count(self) -> int:
        return prod(self.image.shape) // prod(self.shape)

    def positions(self) -> Iterator[Position]:
        return self.image.positions(self.lead)

    def plane(self, position: Position) -> AxesArray:
        """One plane (\\*space), lazy."""
        return self.image.at(**position).moved_to(self.space)

    def placed(
        self, position: Position, window: Window, values: np.ndarray
    ) -> tuple[tuple[Any, ...], np.ndarray]:
        """Where values (\\*space) of a window of a plane lie in an array shaped as the image, and
        the values with its axes.
        """
        kept = [axis for axis in self.image.axes if axis in self.space]
        parts = {**position, **dict(zip(self.space, window, strict=True))}
        key = tuple(parts[axis] for axis in self.image.axes)
        return key, values.transpose([self.space.index(axis) for axis in kept])
