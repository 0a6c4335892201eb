"""What a file holds: one image, with all that is needed to put it in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from napari_medai.core.axes import ArrayLike, AxesArray
from napari_medai.core.space import Grid, Upright


@dataclass(frozen=True, slots=True, eq=False)
class ImageData:
    """One image of a file.

    ``levels`` are the resolutions of a pyramid, the finest first (one level: no pyramid); large
    ones are lazy. ``axes``, ``spacing`` and ``units`` are those of the finest level, as in
    `AxesArray`. ``names`` are those of the channels, if known. ``rgb`` says that ``C`` is last
    and means red, green, blue; ``labels`` that the values are object numbers.

    A volume of a patient has a ``grid``: where its upright axes Z Y X lie; ``stored`` is its way
    back to the file's own order of axes. Of others, ``origin`` is the place of the first sample
    along an axis, in its unit, where it is not 0. ``contrast`` are the values to show as black and
    white, where the file knows them. ``features`` are columns of a labels' table (``index``,
    ``class``, ...), ``colours`` the red, green, blue and opacity (0 to 1) of labels. ``metadata``
    says how it was taken, never of whom. ``notes`` are for the user: a sentence for each thing in
    the file that is not as it should be.
    """

    levels: tuple[ArrayLike, ...]
    axes: str
    spacing: Mapping[str, float] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    name: str = ""
    rgb: bool = False
    labels: bool = False
    origin: Mapping[str, float] = field(default_factory=dict)
    grid: Grid | None = None
    stored: Upright | None = None
    contrast: tuple[float, float] | None = None
    features: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    colours: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def image(self) -> AxesArray:
        """The finest level with its axes; `InputError` if it does not hold real numbers."""
        slant = 1.0 if self.grid is None else self.grid.slant
        return AxesArray(self.levels[0], self.axes, self.spacing, self.units, slant)
