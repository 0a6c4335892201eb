"""What models find in a window of an image, to learn its magnification."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING

import numpy as np

from napari_medai.core.axes import AxesArray
from napari_medai.core.intensity import Range
from napari_medai.core.predict import predict
from napari_medai.core.steps import Steps
from napari_medai.core.tiling import Window
from napari_medai.tasks.suitable import normalised_reader

if TYPE_CHECKING:
    from napari_medai.models.model import Model
    from napari_medai.nn.box_scorer import BoxScorer
    from napari_medai.nn.runner import ScoreNet
    from napari_medai.tasks.magnification import Magnification

LEAST_SCORE = 0.6
"""Objects with a lower score are not measured."""


@dataclass(frozen=True, slots=True)
class ObjectFinder:
    """Objects by their votes; see `napari_medai.tasks.magnification.Finder`."""

    net: ScoreNet

    @property
    def sure(self) -> float:
        return 0.8

    def found(
        self, plane: AxesArray, window: Window, model: Model, seen: Magnification, bright: Range
    ) -> Steps[tuple[np.ndarray, np.ndarray]]:
        from napari_medai.nn.runner import decoded_objects

        corner = tuple(part.start for part in window)
        shape = tuple(part.stop - part.start for part in window)
        read = normalised_reader(plane, model, bright=bright, corner=corner)
        maps, _, _ = yield from predict(self.net.at(seen.scales), read, shape, tile=shape)
        found = decoded_objects(
            maps,
            threshold=0.5,
            diameter=seen.diameters,
            min_size=0.03 * seen.typical_size,
            min_score=LEAST_SCORE,
        )
        return np.bincount(found[0].ravel(), minlength=1)[1:], found[2]


@dataclass(frozen=True, slots=True)
class BoxFinder:
    """Boxes, each of which is taken for an ellipse that fills it."""

    net: BoxScorer

    @property
    def sure(self) -> float:
        return 0.55

    def found(
        self, plane: AxesArray, window: Window, model: Model, seen: Magnification, bright: Range
    ) -> Steps[tuple[np.ndarray, np.ndarray]]:
        from napari_medai.nn.box_scorer import distinct

        net = self.net.at(seen.scales)
        corner = tuple(part.start for part in window)
        shape = tuple(part.stop - part.start for part in window)
        read = normalised_reader(plane, model, bright=bright, corner=corner)
        grid = net.grid(shape)
        maps, _, _ = yield from predict(net, net.reader(read, shape), grid, tile=grid)
        found, pairs = distinct(net.candidates(maps, shape, least=0.5), least=0.5)
        kept = pairs.kept(threshold=0.5, overlap=0.5)
        edges = (found.corners[:, 1] - found.corners[:, 0])[kept].cpu().numpy()
        full = pi / 4 if edges.shape[1] == 2 else pi / 6
        return edges.prod(axis=1) * full, found.scores[kept].cpu().numpy()
