"""How well a model does on images whose labels are known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from napari_medai.core.steps import finished
from napari_medai.models.settings import class_names
from napari_medai.tasks.pairs import Pair
from napari_medai.tasks.segment import SegmentParams, segment_steps

if TYPE_CHECKING:
    from napari_medai.models.model import Model


def mean_class_figures(
    model: Model, pairs: Iterable[Pair], params: SegmentParams | None = None
) -> dict[str, dict[str, float]]:
    """The figures of `napari_medai.nn.class_figures` for each class, averaged over the pairs.

    Surfaces within a millimetre of each other count as the same.
    """
    from napari_medai.nn.class_figures import class_figures, mean_figures

    names, rows = class_names(model.config), []
    for pair in pairs:
        found = finished(segment_steps(pair.image, model, params or SegmentParams()))
        spacing = [pair.image.step(axis) for axis in found.axes]
        labels = np.asarray(found.labels)
        rows.append(class_figures(pair.labels, labels, classes=names, spacing=spacing))
    return mean_figures(rows)
