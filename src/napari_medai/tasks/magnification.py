"""How large objects are in an image, and how far to zoom so that a model knows them.

A diameter the user gives is taken. Otherwise a few small windows are looked at first, at the zoom
that the pixel size suggests where there is one, and what is found there is measured. Objects
within the range of sizes a model was trained on are left as they are: zooming costs time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from math import pi, prod
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.core.intensity import Range
from napari_medai.core.scale import LARGEST, SMALLEST, Scale
from napari_medai.core.steps import Step, Steps, retold
from napari_medai.core.tiling import Window
from napari_medai.core.units import in_micrometers
from napari_medai.tasks.suitable import image_range

if TYPE_CHECKING:
    from napari_medai.core.axes import AxesArray
    from napari_medai.models.model import Model
    from napari_medai.tasks.assembly import Layout

EDGE = {2: 256, 3: 96}
"""Edge of the windows looked at, in pixels of the net."""
ENOUGH = 5
"""Objects from which a look is trusted."""
LOOKS = 4
ENLARGE, SHRINK = 1.33, 0.5
"""Zooms, relative to the last one, that ask for another look: small objects seem larger than they
are, because those too small are not found."""


@dataclass(frozen=True, slots=True)
class Magnification:
    """The zoom along each spatial axis, and why.

    ``diameter`` is that of a typical object in pixels of the image (of its last axis);
    ``known`` is the diameter the model was trained on; ``source`` says where the first came
    from: given, estimated, pixel size, or assumed; ``anisotropy`` is the step along z over that
    along x that the model was trained on.
    """

    diameter: float
    known: float
    scales: tuple[Scale, ...]
    source: str
    anisotropy: float = 1.0

    @property
    def diameters(self) -> tuple[float, ...]:
        """What the model takes for one diameter, in pixels of the image, along each axis."""
        return tuple(self.known / float(scale) for scale in self.scales)

    @property
    def typical_size(self) -> float:
        """Pixels of a typical object."""
        widths = [self.diameter * float(self.scales[-1]) / float(s) for s in self.scales]
        return prod(widths) * (pi / 4 if len(widths) == 2 else pi / 6 / self.anisotropy)


class Finder(Protocol):
    """Finds objects in a window, to be measured."""

    @property
    def sure(self) -> float:
        """Mean score from which a look is trusted."""
        ...

    def found(
        self, plane: AxesArray, window: Window, model: Model, seen: Magnification, bright: Range
    ) -> Steps[tuple[np.ndarray, np.ndarray]]:
        """How many pixels each object has, and its score, in a window of a plane (channels,
        \\*space) that is zoomed as ``seen`` says.
        """
        ...


@dataclass(frozen=True, slots=True)
class Look:
    """What was found at one zoom: objects, their usual diameter in pixels, how sure, how much,
    and whether that is to be believed.
    """

    zoom: float
    count: int = 0
    diameter: float = 0.0
    sure: float = 0.0
    covered: float = 0.0
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class Surveyor:
    """Looks at an image at different zooms."""

    layout: Layout
    model: Model
    finder: Finder

    def magnification(self, *, given: float) -> Steps[Magnification]:
        """The zoom for an image; ``given`` is the user's diameter in pixels, 0 for none."""
        if given:
            return self._at(given, "given")
        known = self._known
        first, hinted = self._hint()
        looks = yield from self._looks(first)
        best = max(looks, key=lambda look: (look.trusted, look.covered * look.sure))
        if not best.count:
            return self._at(known / first, "pixel size" if hinted else "assumed")
        return self._at(best.diameter, "estimated")

    def _looks(self, first: float) -> Steps[list[Look]]:
        """Look, and look again at the zoom that the finding asks for, until they agree."""
        looks: list[Look] = []
        zooms = [first]
        while zooms and len(looks) < LOOKS:
            look = yield from self._look(zooms.pop(0))
            looks.append(look)
            wanted = self._known / look.diameter if look.count else look.zoom
            if look.trusted and wanted < ENLARGE * look.zoom and wanted > SHRINK * look.zoom:
                return [look]
            if look.trusted:
                zooms.insert(0, wanted)
            elif len(looks) == 1:
                zooms += [first / 3, first * 2, first / 8]
        return looks

    def _look(self, zoom: float) -> Steps[Look]:
        """Find objects in a few windows at one zoom; a step a window."""
        seen = self._zoomed(min(max(zoom, 1 / SMALLEST), LARGEST))
        sizes, scores, area = [np.zeros(0)], [np.zeros(0)], 0
        for plane in self._planes():
            try:
                bright = image_range(plane.data, self.model)
            except InputError:
                continue  # no value to look at here
            for window in self._windows(plane.shape[1:], seen):
                looking = self.finder.found(plane, window, self.model, seen, bright)
                found = yield from retold(looking, _looking)
                sizes.append(found[0])
                scores.append(found[1])
                area += prod(part.stop - part.start for part in window)
            if sum(map(len, scores)) >= ENOUGH:
                break
        look = _summed(seen, np.concatenate(sizes), np.concatenate(scores), area)
        return replace(look, trusted=look.count >= ENOUGH and look.sure >= self.finder.sure)

    def _at(self, diameter: float, source: str) -> Magnification:
        """The magnification for objects of this diameter: none where the model knows them."""
        known = self._known
        zoom = known / diameter
        margin = float(self.model.config.get("zoom_range", 1.0))
        if 1 / margin <= zoom / self._usual <= margin:
            zoom = self._usual
        return replace(self._zoomed(zoom), diameter=diameter, source=source)

    def _zoomed(self, zoom: float) -> Magnification:
        scales = [Scale.nearest(zoom * relative) for relative in self._relative_steps]
        width = self._known / float(scales[-1])
        return Magnification(width, self._known, tuple(scales), "", self._anisotropy)

    @property
    def _known(self) -> float:
        return float(self.model.config["diameter"])

    @property
    def _usual(self) -> float:
        """The zoom at which images like those of the training are seen."""
        return float(self.model.config.get("zoom", 1.0))

    @property
    def _relative_steps(self) -> list[float]:
        """The step along each axis over that along X, relative to what the model was trained on."""
        image = self.layout.image
        trained = {"Z": self._anisotropy}
        relative = []
        for axis in self.layout.space:
            if axis not in image.spacing or "X" not in image.spacing:
                relative.append(1.0)
                continue
            units = [in_micrometers(1.0, image.units.get(a)) for a in (axis, "X")]
            known = 1.0 if None in units else units[0] / units[1]  # type: ignore[operator]
            ratio = known * image.step(axis) / image.step("X") / trained.get(axis, 1.0)
            # Pixels that are nearly square are: zooming costs time, and sharpness.
            relative.append(ratio if not 0.9 < ratio < 1.1 else 1.0)
        return relative

    @property
    def _anisotropy(self) -> float:
        return float(self.model.config.get("anisotropy", 1.0))

    def _hint(self) -> tuple[float, bool]:
        """The zoom that the pixel size suggests, and whether there is one; else the usual one."""
        image = self.layout.image
        unit = in_micrometers(1.0, image.units.get("X"))
        sizes = self.model.config.get("pixel_size", 0)
        trained = float(sizes[-1] if isinstance(sizes, list) else sizes)
        if not unit or not trained:
            return self._usual, False
        zoom = image.step("X") * unit / trained
        return (zoom, True) if 1 / SMALLEST <= zoom <= LARGEST else (self._usual, False)

    def _planes(self) -> Iterator[AxesArray]:
        """The middle of the image, then a quarter from its ends."""
        stacked = [axis for axis in self.layout.axes if axis not in self.layout.space]
        shown: set[tuple[int, ...]] = set()
        for part in (0.5, 0.25, 0.75):
            sizes = self.layout.image.sizes
            position = {axis: int(part * (sizes[axis] - 1) + 0.5) for axis in stacked}
            if tuple(position.values()) not in shown:
                shown.add(tuple(position.values()))
                yield self.layout.plane(position)

    def _windows(self, shape: tuple[int, ...], seen: Magnification) -> Iterator[Window]:
        """The whole plane if it is small, else a grid of windows, two or four along an axis."""
        along = []
        for n, scale in zip(shape, seen.scales, strict=True):
            # Windows hold fewer objects when zoomed in, but in 2D not as few as they might.
            power = 0.5 if len(shape) == 2 else 1.0
            usual = max(1, round(EDGE[len(shape)] / float(scale) ** power))
            edge = usual if n > 6 * usual else usual * 3 // 2
            if n <= 2 * edge:
                along.append([slice(0, n)])
                continue
            count = 2 if n < 16 * edge else 4
            middles = [n * (2 * i + 1) // (2 * count) for i in range(count)]
            starts = [min(max(0, middle - edge // 2), n - edge) for middle in middles]
            along.append([slice(start, start + edge) for start in starts])
        yield from product(*along)


def magnification_of(
    layout: Layout, model: Model, finder: Finder, *, diameter: float
) -> Steps[Magnification]:
    """How far to zoom into an image; ``diameter`` in pixels is the user's, 0 to estimate it."""
    return (yield from Surveyor(layout, model, finder).magnification(given=diameter))


def _looking(step: Step) -> Step:
    """No share of the work: a bar that is full before the work begins would mislead."""
    return Step(0, 0, "finding the magnification")


def _summed(seen: Magnification, sizes: Any, scores: Any, area: int) -> Look:
    zoom = float(seen.scales[-1])
    if not len(sizes):
        return Look(zoom)
    usual = sizes[sizes <= np.quantile(sizes, 0.95)]
    # The mean of squares: among nuclei of many sizes, debris and the smallest hardly count.
    relative = (usual / seen.typical_size) ** (1 / len(seen.scales))
    diameter = seen.diameter * np.mean(relative**2) ** 0.5
    return Look(
        zoom,
        len(sizes),
        float(diameter),
        float(np.mean(scores)),
        float(np.sum(sizes * scores)) / area,
    )
