"""Synthetic images with their labels, to be trained on beside real ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from napari_medai.core.axes import CHANNEL
from napari_medai.core.errors import InputError
from napari_medai.core.steps import Step, Steps, retold
from napari_medai.tasks.object_params import ObjectParams
from napari_medai.tasks.pairs import Pair
from napari_medai.tasks.synthesize_objects import objects_steps

if TYPE_CHECKING:
    from napari_medai.models.model import Model

SHAPE = {2: (256, 256), 3: (32, 96, 96)}
"""Of a synthetic image."""
MOST = {2: 5000, 3: 500}
"""Synthetic images that are made for a training: they are held in memory."""


def check_painter(painter: Model, space: str, count: int) -> None:
    """Refuse to paint for a training that has no use for it.

    Raises
    ------
    InputError
        If the painter makes images with other axes, or they are too many.
    """
    own = painter.axes.replace(CHANNEL, "")
    if set(own) != set(space):
        raise InputError(
            f"{painter.name} paints images with axes {' '.join(own)}, but the training images have "
            f"{' '.join(space)}; choose another painter, or leave out synthetic"
        )
    most = MOST[len(own)]
    if isinstance(count, bool) or not isinstance(count, int) or not 0 < count <= most:
        raise InputError(f"synthetic must be 1 to {most} images, got {count!r}")


def synthetic_pairs_steps(
    painter: Model, count: int, *, beside: Sequence[Pair], seed: int, device: str = "auto"
) -> Steps[list[Pair]]:
    """So many synthetic pairs, drawn as often in all as those that they are ``beside``.

    They never are held out: a model is scored on real images alone.
    """
    params = ObjectParams(images=count, seed=seed, device=device)
    total = sum(_weight(pair) for pair in beside)
    shape = SHAPE[len(painter.axes) - 1]
    found = []
    for number in range(1, count + 1):
        told = Step(number - 1, count, f"painting image {number} of {count}")
        steps = objects_steps(shape, params, number, model=painter)
        made = yield from retold(steps, lambda _, told=told: told)  # type: ignore[misc]
        found.append(
            Pair(
                made.image,
                made.labels,
                f"synthetic image {number}",
                weight=total / count,
                synthetic=True,
            )
        )
    return found


def _weight(pair: Pair) -> float:
    """How often a real image is drawn: see `napari_medai.nn.instances.Example`."""
    if pair.weight is not None:
        return pair.weight
    from napari_medai.nn.instances import EMPTY_WEIGHT

    return len(np.unique(pair.labels[pair.labels > 0])) + EMPTY_WEIGHT
