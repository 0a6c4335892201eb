"""What every training has in common: what is held out, the loop, a package at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from napari_medai.core.axes import CHANNEL
from napari_medai.core.errors import InputError
from napari_medai.core.steps import Step, Steps
from napari_medai.models.spec import ModelSpec

if TYPE_CHECKING:
    from napari_medai.models.model import Model
    from napari_medai.nn.training import Objective, Trained
    from napari_medai.tasks.train import TrainParams

Example = TypeVar("Example")

CHECK_EVERY = 300
"""Steps from one score on the held-out images to the next."""
MOST_HELD_OUT = 20
"""More are trained on instead: scoring them would take the time of training."""


class Course(Protocol):
    """What differs between models of objects, of classes and of boxes."""

    @property
    def spec(self) -> ModelSpec:
        """What the model will say of itself."""
        ...

    @property
    def batch(self) -> int:
        """Crops in one step, where the user asks for none."""
        ...

    @property
    def training_only(self) -> dict[str, Any]:
        """What the net takes besides while it is trained."""
        ...

    def examples(self, pairs: Sequence[Any]) -> list[Any]:
        """What is drawn from, one a pair."""
        ...

    def objective(self, training: Sequence[Any], held_out: Sequence[Any]) -> Objective: ...

    def packaged(
        self,
        folder: Path,
        trained: Trained,
        objective: Any,
        *,
        recipe: dict[str, Any],
        scored: str,
        overwrite: bool,
    ) -> Model:
        """The best weights as a model package, with figures on images that were ``scored``."""
        ...


def course_steps(
    course: Course,
    pairs: Sequence[Any],
    params: TrainParams,
    *,
    folder: Path,
    start: Model | None,
    checkpoint: Path | None,
    overwrite: bool,
    momentum: float = 0.9,
) -> Steps[Model]:
    """Train by a course, as `train_steps` does, and write the package to a folder.

    ``momentum`` is the optimiser's; two nets that learn from each other want less.
    """
    from napari_medai.nn.device import device_for
    from napari_medai.nn.training import Run, Schedule

    spec = course.spec
    device = device_for(len(spec.axes.replace(CHANNEL, "")), params.device).torch
    yield Step(0, 0, f"preparing {len(pairs)} images")
    training, held_out = _split(pairs, course.examples(pairs), params)
    schedule = Schedule(
        steps=params.steps,
        minutes=params.minutes,
        batch=params.batch or course.batch,
        learning_rate=params.learning_rate * (1.0 if start is None else 0.3),
        momentum=momentum,
        validate_every=max(1, min(CHECK_EVERY, params.steps // 4 or CHECK_EVERY)),
        seed=params.seed,
    )
    objective = course.objective(training, held_out or training)
    net = fresh_net(spec, start, course.training_only, seed=params.seed)
    run = Run(net, objective, schedule, device=device, checkpoint=checkpoint)
    recipe = {
        **asdict(params),
        "batch": schedule.batch,
        "learning_rate": schedule.learning_rate,
        "images": len(training),
        "held_out_images": len(held_out),
    }

    def packaged() -> Model:
        told = {**spec.config.get("recipe", {}), **recipe, "steps": run.trained.steps}
        return course.packaged(
            folder,
            run.trained,
            objective,
            recipe=told,
            scored="held out" if held_out else "trained on",
            overwrite=overwrite,
        )

    try:
        yield from run.steps()
    except (GeneratorExit, KeyboardInterrupt):
        if run.trained.history:
            packaged()
        raise
    return packaged()


def check_start(start: Model, space: str) -> None:
    """Refuse to go on from a 3D model with pictures, or the other way round."""
    wanted = start.axes.replace(CHANNEL, "")
    if set(wanted) != set(space):
        raise InputError(
            f"{start.name} works on axes {' '.join(wanted)}, but the training images have "
            f"{' '.join(space)}; go on from another model, or from none"
        )


def continued(name: str, start: Model) -> ModelSpec:
    """What a model trained on from another will say of itself."""
    config = {key: start.config[key] for key in start.spec.config if key not in ("scores",)}
    config["recipe"] = {
        "from": start.name,
        "from_version": start.version,
        "from_sha256": start.sha256,
    }
    seen = str(start.config.get("training_data", "")).strip()
    own = f"Images of one's own, with the weights of {start.name} to begin with"
    config["training_data"] = f"{own}, which saw: {seen}" if seen else f"{own}."
    return replace(
        start.spec,
        name=name,
        title="",
        version="1.0.0",
        description=f"{start.name}, trained on with napari-medai.",
        card="",
        config=config,
    )


def _split(
    pairs: Sequence[Any], examples: Sequence[Example], params: TrainParams
) -> tuple[list[Example], list[Example]]:
    """What is trained on and what is held out (nothing, if ``held_out`` is 0), by the seed."""
    sources = [pair.source or f"pair {i}" for i, pair in enumerate(pairs)]
    real = [at for at, pair in enumerate(pairs) if not getattr(pair, "synthetic", False)]
    names = list(dict.fromkeys(sources[at] for at in real))
    order = np.random.default_rng(params.seed).permutation(len(names))
    wanted = max(1, round(params.held_out * len(names))) if params.held_out else 0
    held = {names[i] for i in order[: min(wanted, MOST_HELD_OUT, len(names) - 1)]}
    training = [example for example, at in zip(examples, sources, strict=True) if at not in held]
    held_out = [example for example, at in zip(examples, sources, strict=True) if at in held]
    return training, held_out


def fresh_net(
    spec: ModelSpec, start: Model | None, training_only: dict[str, Any], *, seed: int
) -> Any:
    """The net with fresh weights by the seed, or those of the model to go on from."""
    from napari_medai.nn.runner import built_net, load_weights, seeded_net

    module, name, kwargs = spec.architecture
    net = seeded_net(module, name, {**kwargs, **training_only}, seed=seed)
    if start is not None:
        known = built_net(module, name, kwargs)
        load_weights(known, start.weights_path)
        net.load_state_dict({**net.state_dict(), **known.state_dict()})
    return net
