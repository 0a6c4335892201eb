"""Train a segmentation model on one's own images, from nothing or from another model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar

import numpy as np

from napari_medai.core.axes import CHANNEL
from napari_medai.core.errors import InputError
from napari_medai.core.fields import settle
from napari_medai.core.steps import Step, Steps
from napari_medai.models.registry import own_folder
from napari_medai.models.settings import CLASSES, class_names
from napari_medai.models.spec import ModelSpec
from napari_medai.tasks.pairs import Pair, common_axes
from napari_medai.tasks.train_classes import ClassCourse, class_spec
from napari_medai.tasks.train_objects import ObjectCourse, object_spec

if TYPE_CHECKING:
    from napari_medai.models.model import Model
    from napari_medai.nn.training import Objective, Trained

Example = TypeVar("Example")

CHECK_EVERY = 300
"""Steps from one score on the held-out images to the next."""
MOST_HELD_OUT = 20
"""More are trained on instead: scoring them would take the time of training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainParams:
    """How a model is trained."""

    minutes: Annotated[
        float,
        {"min": 0.1, "max": 10_000.0, "help": "How long to train; longer is better, to a degree"},
    ] = 15.0
    steps: Annotated[
        int,
        {
            "min": 0,
            "max": 10_000_000,
            "zero": "by minutes",
            "help": "Train for so many steps instead: the same seed then gives the same model",
        },
    ] = 0
    held_out: Annotated[
        float,
        {"min": 0.0, "max": 0.5, "help": "Part of the images kept to choose the best weights"},
    ] = 0.1
    batch: Annotated[int, {"min": 0, "max": 256, "zero": "auto", "help": "Crops in one step"}] = 0
    learning_rate: Annotated[float, {"min": 1e-6, "max": 0.1, "help": "Largest learning rate"}] = (
        3e-3
    )
    seed: Annotated[int, {"min": 0, "max": 2**31 - 1, "help": "Makes a run repeatable"}] = 0
    device: Annotated[
        str,
        {"choices": ("auto", "cuda", "mps", "cpu"), "help": "Where to compute; auto: the fastest"},
    ] = "auto"

    def __post_init__(self) -> None:
        settle(self)


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


def train_steps(
    pairs: Sequence[Pair],
    params: TrainParams,
    *,
    name: str,
    start: Model | None = None,
    classes: str | Sequence[str] = (),
    window: tuple[float, float] | None = None,
    mirror: str = "",
    checkpoint: Path | None = None,
    overwrite: bool = False,
) -> Steps[Model]:
    """Train a model and put it into the user's folder, where it is found by its name at once.

    Each step tells ``loss``, and now and then ``score`` on what is held out. Closing the job
    early (cancel) keeps the best model so far, if there is one. With a ``checkpoint`` file, a run
    that was stopped goes on from it.

    Parameters
    ----------
    start
        A model to go on from, whose settings are kept.
    classes
        Names of the classes 1, 2, ... in the labels; without them, labels are numbers of objects.
    window
        For classes: the values that become 0 and 1 in every image, as CT in Hounsfield units
        needs; without it, each image is brought to mean 0 and standard deviation 1.
    mirror
        For classes: the axes, such as ``"X"``, along which a mirrored image is as good as another.
        Empty: those of pictures whose pixels have no size, or one in micrometres.

    Raises
    ------
    InputError
        If a pair does not fit or holds no object, or the name is taken.
    """
    from napari_medai.nn.device import chosen_device

    folder = own_folder(name, overwrite=overwrite)
    chosen_device(params.device)  # what is missing is said before anything is read
    space, channels = common_axes(pairs)
    names = (classes,) if isinstance(classes, str) else tuple(classes)
    if start is not None:
        check_start(start, space)
        _check_kept(start, classes=names, window=window, mirror=mirror)
        spec = continued(name, start)
    elif names:
        spec = class_spec(name, pairs, space, channels, classes=names, window=window, mirror=mirror)
    elif window is not None or mirror:
        raise InputError("window and mirror are for models of classes; name these with classes")
    else:
        spec = object_spec(name, pairs, space, channels)
    steps = course_steps(
        _course(spec),
        pairs,
        params,
        folder=folder,
        start=start,
        checkpoint=checkpoint,
        overwrite=overwrite,
    )
    return (yield from steps)


def course_steps(
    course: Course,
    pairs: Sequence[Any],
    params: TrainParams,
    *,
    folder: Path,
    start: Model | None,
    checkpoint: Path | None,
    overwrite: bool,
) -> Steps[Model]:
    """Train by a course, as `train_steps` does, and write the package to a folder."""
    from napari_medai.nn.device import chosen_device
    from napari_medai.nn.training import Run, Schedule

    spec, device = course.spec, chosen_device(params.device).torch
    yield Step(0, 0, f"preparing {len(pairs)} images")
    training, held_out = _split(pairs, course.examples(pairs), params)
    schedule = Schedule(
        steps=params.steps,
        minutes=params.minutes,
        batch=params.batch or course.batch,
        learning_rate=params.learning_rate * (1.0 if start is None else 0.3),
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


def finds_classes(classes: Sequence[str], start: Model | None) -> bool:
    """Whether a training with these names, or from this model, is of classes."""
    return bool(classes) or (start is not None and start.decoder == CLASSES)


def _course(spec: ModelSpec) -> Course:
    return ClassCourse(spec) if spec.config["decoder"] == CLASSES else ObjectCourse(spec)


def check_start(start: Model, space: str) -> None:
    """Refuse to go on from a 3D model with pictures, or the other way round."""
    wanted = start.axes.replace(CHANNEL, "")
    if set(wanted) != set(space):
        raise InputError(
            f"{start.name} works on axes {' '.join(wanted)}, but the training images have "
            f"{' '.join(space)}; go on from another model, or from none"
        )


def _check_kept(
    start: Model, *, classes: Sequence[str], window: tuple[float, float] | None, mirror: str
) -> None:
    """Refuse other settings than those of the model to go on from."""
    known = class_names(start.config)
    if (classes and list(classes) != known) or window is not None or mirror:
        raise InputError(
            f"{start.name} keeps its own classes ({', '.join(known) or 'none: it finds objects'})"
            ", intensities and mirrors; leave them out, or train from nothing"
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
    names = list(dict.fromkeys(sources))
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
