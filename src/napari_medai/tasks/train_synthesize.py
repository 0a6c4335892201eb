"""Training of models that paint objects, from images and labels of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.axes import CHANNEL
from napari_medai.core.errors import InputError
from napari_medai.core.layout_statistics import LayoutStatistics
from napari_medai.core.steps import Steps
from napari_medai.models.registry import own_folder
from napari_medai.models.spec import ModelSpec
from napari_medai.tasks.course import check_start, continued, course_steps
from napari_medai.tasks.painter_models import (
    Knowledge,
    knowledge_of,
    package_painter,
    painter_spec,
)
from napari_medai.tasks.pairs import Pair, common_axes, each
from napari_medai.tasks.synthesize_vessels import VESSELS
from napari_medai.tasks.train import TrainParams

if TYPE_CHECKING:
    from napari_medai.models.model import Model
    from napari_medai.nn.synthesis import Example, SynthesisObjective
    from napari_medai.nn.training import Trained

CROP = {2: (128, 128), 3: (16, 64, 64)}
GRAIN = {2: (16, 16), 3: (8, 16, 16)}
"""Crops of smaller images are multiples of this, and at least twice as large in the plane."""
BATCH = {2: 8, 3: 2}
RATE = 1e-3
"""The largest learning rate: two nets that learn from each other must not run away."""
MOMENTUM = 0.5
FEWEST, OBJECTS = 5, 20
"""Images, and objects in all of them, below which nothing general can be learned."""
HELD_OUT_CROPS = 3
"""Of each held-out image, which choose the weights."""


@dataclass(frozen=True, slots=True)
class SynthesisCourse:
    """How a model that paints is trained; see `napari_medai.tasks.course.Course`."""

    spec: ModelSpec
    knowledge: Knowledge
    prepared: Sequence[Example]
    """Of the pairs, as what is known of them was measured on the way."""
    crop: tuple[int, ...]
    seed: int

    @property
    def batch(self) -> int:
        return BATCH[len(self.crop)]

    @property
    def training_only(self) -> dict[str, Any]:
        return {}

    def examples(self, pairs: Sequence[Pair]) -> list[Example]:
        return list(self.prepared)

    def objective(
        self, training: Sequence[Example], held_out: Sequence[Example]
    ) -> SynthesisObjective:
        from napari_medai.nn.synthesis import SynthesisObjective

        return SynthesisObjective(
            training,
            [example for example in held_out for _ in range(HELD_OUT_CROPS)],
            self.knowledge.scales,
            self.crop,
            seed=self.seed,
        )

    def packaged(
        self,
        folder: Path,
        trained: Trained,
        objective: SynthesisObjective,
        *,
        recipe: dict[str, Any],
        scored: str,
        overwrite: bool,
    ) -> Model:
        return package_painter(
            folder, self.spec, trained, recipe=recipe, scored=scored, overwrite=overwrite
        )


def train_synthesize_steps(
    pairs: Sequence[Pair],
    params: TrainParams,
    *,
    name: str,
    start: Model | None = None,
    checkpoint: Path | None = None,
    overwrite: bool = False,
) -> Steps[Model]:
    """Train a model that paints objects; see `napari_medai.tasks.train.train_steps`.

    It keeps how the images look and how their objects lie, as numbers; no pixels. Steps tell the
    losses of both nets (``critic``, and the painter's ``adversarial``, ``features`` and
    ``brightness``), and after each check ``samples``, images (n, \\*space) with the labels of what
    is held out.

    Raises
    ------
    InputError
        If a pair does not fit, there are too few, or the name is taken.
    """
    from napari_medai.nn.device import chosen_device

    if name == VESSELS:
        raise InputError(f"{VESSELS!r} is the word for growing vessels; choose another name")
    folder = own_folder(name, overwrite=overwrite)
    chosen_device(params.device)  # what is missing is said before anything is read
    space = check_painted(pairs)
    if start is not None:
        check_start(start, space)
    steps = course_steps(
        _course(pairs, name, space, start, seed=params.seed),
        pairs,
        replace(params, learning_rate=min(params.learning_rate, RATE)),
        folder=folder,
        start=start,
        checkpoint=checkpoint,
        overwrite=overwrite,
        momentum=MOMENTUM,
    )
    return (yield from steps)


def check_painted(pairs: Sequence[Pair]) -> str:
    """The spatial axes of pairs that a painter can learn from.

    Raises
    ------
    InputError
        If there are too few, or one has several channels, is too small, or has no object.
    """
    space, channels = common_axes(pairs)
    objects = sum(len(np.unique(pair.labels[pair.labels > 0])) for pair in pairs)
    if len(pairs) < FEWEST or objects < OBJECTS:
        raise InputError(
            f"a model that paints needs at least {FEWEST} images with {OBJECTS} objects in all, "
            f"got {len(pairs)} with {objects}; give more, or cut large images into parts"
        )
    if channels > 1:
        raise InputError(
            f"a model that paints learns from images of one channel, got {channels}; choose the "
            "channel that shows the objects"
        )
    least = tuple(n * (2 if i >= len(space) - 2 else 1) for i, n in enumerate(GRAIN[len(space)]))
    for pair in pairs:
        shape = pair.image.moved_to(space).shape
        if any(n < least_n for n, least_n in zip(shape, least, strict=True)):
            raise InputError(
                f"{pair.name} has {' x '.join(map(str, shape))} pixels, but a model that paints "
                f"learns from {' x '.join(map(str, least))} or more; leave it out"
            )
    return space


def painted_examples(pairs: Sequence[Pair], spec: ModelSpec) -> list[Example]:
    """What is learned from, one a pair."""
    from napari_medai.nn.synthesis import Example

    def example(pair: Pair, image: np.ndarray, labels: np.ndarray) -> Example:
        return Example.of(image[0], labels, pair.weight)

    return each(pairs, spec, example)


def learned_from(pairs: Sequence[Pair], examples: Sequence[Example]) -> Knowledge:
    """What is known of the images of a training."""
    looks = [example.look for example in examples]
    objects = np.concatenate([example.objects[1:] for example in examples])
    layouts = LayoutStatistics.of([example.labels for example in examples])
    kinds = {np.dtype(pair.image.data.dtype).newbyteorder("=") for pair in pairs}
    kind = kinds.pop() if len(kinds) == 1 else np.dtype(np.float32)
    return knowledge_of(
        looks, layouts, objects, kind if kind.kind in "iu" else np.dtype(np.float32)
    )


def _course(
    pairs: Sequence[Pair], name: str, space: str, start: Model | None, *, seed: int
) -> SynthesisCourse:
    """What the model will say of itself, and what it knows of these images."""
    ndim = len(space)
    text = f"Images of objects in {ndim}D, painted as in one's own; trained with napari-medai."
    spec = painter_spec(name, ndim, description=text, config={"learned": "{}"})
    examples = painted_examples(pairs, spec)
    learned = learned_from(pairs, examples)
    if start is not None:
        # the net's inputs mean what they meant before
        learned = replace(learned, scales=Knowledge.of(start).scales)
        spec = continued(name, start)
    config = {**spec.config, **learned.thinned().as_config()}
    config.pop("alias", None)
    spec = replace(spec, config=config)
    return SynthesisCourse(spec, learned, examples, _crop(pairs), seed)


def _crop(pairs: Sequence[Pair]) -> tuple[int, ...]:
    """As large as the smallest image allows, in steps of `GRAIN`; square in the plane."""
    ndim = len(pairs[0].image.axes.replace(CHANNEL, ""))
    space = "ZYX"[-ndim:]
    smallest = np.min([pair.image.moved_to(space).shape for pair in pairs], axis=0)
    fitting = [int(n) // g * g for n, g in zip(smallest, GRAIN[ndim], strict=True)]
    *depth, rows, columns = (min(a, b) for a, b in zip(CROP[ndim], fitting, strict=True))
    edge = min(rows, columns)
    return (*depth, edge, edge)
