"""What segmenting gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_medai.core.axes import ArrayLike
from napari_medai.core.words import digits
from napari_medai.tasks.assembly import Layout
from napari_medai.tasks.magnification import Magnification

SIZES = {
    "volume_ml": "ml",
    "volume_um3": "µm³",
    "area_mm2": "mm²",
    "area_um2": "µm²",
    "voxels": "pixels",
}
"""Columns that say how much of a class there is, and their units."""


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """The objects, or the classes, of an image.

    ``labels`` holds integers over ``axes`` (those of the image without ``C``), 0 background,
    every object with a number of its own, also across frames, or every class with its number; an
    array, or zarr when large. ``classes`` are the names of classes 1, 2, ..., and ``colours``
    (``"#rrggbb"``) theirs, by number; both are empty where objects are found.
    ``features`` are columns of one value an object, ``index`` its label. ``record`` says how the
    result was made. ``scores`` allow `redecoded`; None where they would take too much memory.
    """

    labels: ArrayLike
    axes: str
    features: dict[str, np.ndarray]
    record: dict[str, Any]
    scores: Scores | None = None
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    colours: Mapping[int, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return len(self.features["index"])

    @property
    def told(self) -> str:
        """What was found: ``1 302 objects``, or how much of each class."""
        if not self.classes:
            return f"{digits(self.count)} object" + "s" * (self.count != 1)
        size = next(name for name in SIZES if name in self.features)
        frames = self.count // len(self.classes)
        if frames > 1:
            return f"{', '.join(self.classes)} in {digits(frames)} frames"
        parts = zip(self.classes, self.features[size], strict=True)
        return ", ".join(f"{name} {digits(value)} {SIZES[size]}" for name, value in parts)


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """The score maps of every plane, by its position, in main memory."""

    layout: Layout
    seen: Magnification
    maps: Mapping[tuple[int, ...], Any]
