"""What a file holds: one image, with all that is needed to put it in its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from napari_medai.core.axes import ArrayLike, AxesArray


@dataclass(frozen=True, slots=True, eq=False)
class ImageData:
    """One image of a file.

    ``levels`` are the resolutions of a pyramid, the finest first (one level: no pyramid); large
    ones are lazy. ``axes``, ``spacing`` and ``units`` are those of the finest level, as in
    `AxesArray`. ``names`` are those of the channels, if known. ``rgb`` says that ``C`` is last
    and means red, green, blue; ``labels`` that the values are object numbers.
    """

    levels: tuple[ArrayLike, ...]
    axes: str
    spacing: Mapping[str, float] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    name: str = ""
    rgb: bool = False
    labels: bool = False

    @property
    def image(self) -> AxesArray:
        """The finest level with its axes; `InputError` if it does not hold real numbers."""
        return AxesArray(self.levels[0], self.axes, self.spacing, self.units)
