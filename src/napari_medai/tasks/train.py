"""Train a segmentation model on one's own images, from nothing or from another model."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from napari_medai.core.axes import CHANNEL, SPACE, AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.fields import settle
from napari_medai.core.intensity import Percentiles
from napari_medai.core.steps import Step, Steps
from napari_medai.models.package import Export, write_model
from napari_medai.models.registry import own_folder
from napari_medai.models.spec import Architecture, ModelSpec
from napari_medai.tasks.segment import SegmentParams

if TYPE_CHECKING:
    from napari_medai.models.model import Model
    from napari_medai.nn.instances import Example, InstanceObjective
    from napari_medai.nn.training import Trained

DIAMETER = 24.0
"""Diameter in pixels to which objects are brought, where training starts from nothing."""
ZOOM_RANGE = 1.75
"""Factor within which a trained model knows objects of other sizes."""
CROP = {2: 192, 3: 48}
NETS: dict[int, dict[str, Any]] = {
    2: {"ndim": 2, "widths": [32, 64, 96, 128], "shuffle": 2, "pool": 2},
    3: {"ndim": 3, "widths": [16, 32, 64], "shuffle": [1, 2, 2], "pool": 2},
}
CHECK_EVERY = 300
"""Steps from one score on the held-out images to the next."""
MOST_HELD_OUT = 20
"""More are trained on instead: scoring them would take the time of training."""
FEWEST = 2
"""Pairs below which there is nothing to hold out."""


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
    batch: Annotated[int, {"min": 1, "max": 256, "help": "Crops in one step"}] = 8
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


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """An image and the labels of its objects (0 background); ``name`` is for messages.

    ``weight`` is how often it is drawn, relative to others; None: by its number of objects.
    Pairs of one ``source`` (frames of a movie, say) are trained on or held out together.
    """

    image: AxesArray
    labels: np.ndarray
    name: str = "pair"
    weight: float | None = None
    source: str = ""


def train_steps(
    pairs: Sequence[Pair],
    params: TrainParams,
    *,
    name: str,
    start: Model | None = None,
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

    Raises
    ------
    InputError
        If a pair does not fit or holds no object, or the name is taken.
    """
    from napari_medai.nn.device import chosen_device
    from napari_medai.nn.instances import InstanceObjective
    from napari_medai.nn.training import Run, Schedule

    folder = own_folder(name, overwrite=overwrite)
    device = chosen_device(params.device).torch
    space, channels = _common_axes(pairs)
    if start is None:
        spec = _fresh_spec(name, space, channels, anisotropy=_anisotropy(pairs))
    else:
        spec = _continued(name, start)
    yield Step(0, 0, f"preparing {len(pairs)} images")
    examples = _examples(pairs, spec)
    training, held_out = _split(pairs, examples, params)
    schedule = Schedule(
        steps=params.steps,
        minutes=params.minutes,
        batch=params.batch,
        learning_rate=params.learning_rate * (1.0 if start is None else 0.3),
        validate_every=max(1, min(CHECK_EVERY, params.steps // 4 or CHECK_EVERY)),
        seed=params.seed,
    )
    objective = InstanceObjective(
        training,
        held_out or training,
        diameter=float(spec.config["diameter"]),
        channels=len(spec.channels_in),
        min_size=SegmentParams().min_size,
        min_score=SegmentParams().min_score,
        crop=(CROP[len(space)],) * len(space),
        anisotropy=float(spec.config.get("anisotropy", 1.0)),
    )
    net = _net(spec, start, seed=params.seed)
    run = Run(net, objective, schedule, device=device, checkpoint=checkpoint)
    recipe = {**asdict(params), "images": len(training), "held_out_images": len(held_out)}

    def packaged() -> Model:
        told = {**spec.config.get("recipe", {}), **recipe, "steps": run.trained.steps}
        return package_trained(
            folder,
            spec,
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


def check_pairs(pairs: Sequence[Pair]) -> None:
    """Refuse pairs that cannot be learned from."""
    if len(pairs) < FEWEST:
        raise InputError(
            f"training needs at least {FEWEST} images with labels, got {len(pairs)}; add more"
        )
    for pair in pairs:
        shape = tuple(n for axis, n in pair.image.sizes.items() if axis != CHANNEL)
        if pair.labels.shape != shape:
            raise InputError(
                f"the labels of {pair.name} have shape {pair.labels.shape}, but its image has "
                f"{shape}; give labels of the same size"
            )
        if pair.labels.dtype.kind not in "biu" or int(pair.labels.min(initial=0)) < 0:
            raise InputError(
                f"the labels of {pair.name} must be whole numbers from 0, got {pair.labels.dtype} "
                "values; 0 is background, each object has a number"
            )
    if not any(pair.labels.any() for pair in pairs):
        raise InputError("none of the labels holds an object; draw some first")


def _common_axes(pairs: Sequence[Pair]) -> tuple[str, int]:
    """The spatial axes and the number of channels that the pairs share."""
    check_pairs(pairs)
    spaces = {pair.image.space for pair in pairs}
    others = "".join(sorted({axis for pair in pairs for axis in pair.image.series}))
    if others:
        raise InputError(
            f"training images may have channels and the axes Z, Y, X only, got {others} as well; "
            "give one frame at a time"
        )
    if len(spaces) != 1:
        raise InputError(
            f"training images must all be 2D or all be 3D, got axes {sorted(spaces)}; "
            "train a model for each"
        )
    channels = {pair.image.sizes.get(CHANNEL, 1) for pair in pairs}
    if len(channels - {1}) > 1:
        raise InputError(
            f"training images must have the same number of channels (or one), got "
            f"{sorted(channels)}; choose the channel that shows the objects"
        )
    return spaces.pop(), max(channels)


def _anisotropy(pairs: Sequence[Pair]) -> float:
    """Step along z over that along x: the median of the pairs, 1 where it is not known."""
    known = [
        pair.image.step("Z") / pair.image.step("X")
        for pair in pairs
        if {"Z", "X"} <= set(pair.image.spacing)
    ]
    return round(float(np.median(known)), 3) if known else 1.0


def _fresh_spec(name: str, space: str, channels: int, *, anisotropy: float) -> ModelSpec:
    """What a model trained from nothing will say of itself."""
    ndim = len(space)
    kwargs = {"channels_in": channels, "channels_out": 2 + ndim, **NETS[ndim]}
    return instance_spec(
        name,
        kwargs,
        description=f"Instance segmentation in {ndim}D, trained with napari-medai.",
        config={
            "diameter": DIAMETER if ndim == 2 else DIAMETER / 2,
            "zoom_range": ZOOM_RANGE,
            **({"anisotropy": anisotropy} if ndim == 3 else {}),
        },
    )


def instance_spec(
    name: str, kwargs: dict[str, Any], *, description: str, config: dict[str, Any], **more: Any
) -> ModelSpec:
    """The description of a model that finds objects by centre votes.

    ``kwargs`` are those of `napari_medai.nn.unet.UNet`; ``config`` holds at least the diameter.
    """
    from napari_medai.nn.unet import UNet

    net = UNet(**kwargs)
    ndim = int(kwargs["ndim"])
    names = ("red", "green", "blue") if net.channels_in == 3 else ()
    return ModelSpec(
        name=name,
        description=description,
        architecture=Architecture("napari_medai.nn.unet", "UNet", kwargs),
        channels_in=names or tuple(f"channel{i}" for i in range(net.channels_in)),
        channels_out=("foreground", "distance", *(f"offset_{a}" for a in "zyx"[-ndim:])),
        stride=net.stride,
        halo=net.halo,
        axes="CYX" if ndim == 2 else "CZYX",
        config={"decoder": "centre votes", **config},
        **more,
    )


def _continued(name: str, start: Model) -> ModelSpec:
    """What a model trained on from another will say of itself."""
    config = {key: start.config[key] for key in start.spec.config if key not in ("scores",)}
    config["recipe"] = {"from": start.name, "version": start.version, "sha256": start.sha256}
    return replace(
        start.spec,
        name=name,
        title="",
        version="1.0.0",
        description=f"{start.name}, trained on with napari-medai.",
        card="",
        config=config,
    )


def _examples(pairs: Sequence[Pair], spec: ModelSpec) -> list[Example]:
    from napari_medai.nn.instances import Example

    order = CHANNEL + "".join(axis for axis in SPACE if axis in spec.axes)
    found = []
    for pair in pairs:
        image = np.asarray(pair.image.moved_to(order).data)
        if image.shape[0] not in {1, len(spec.channels_in)}:
            raise InputError(
                f"{pair.name} has {image.shape[0]} channels, but the model takes "
                f"{len(spec.channels_in)}; choose one channel"
            )
        space = pair.image.axes.replace(CHANNEL, "")
        labels = pair.labels.transpose([space.index(axis) for axis in order[1:]])
        try:
            example = Example.of(
                image,
                labels,
                percentiles=Percentiles(**spec.config["intensity"]),
                weight=pair.weight,
                anisotropy=float(spec.config.get("anisotropy", 1.0)),
            )
        except InputError as error:
            raise InputError(f"{pair.name}: {error}") from None
        found.append(example)
    return found


def _split(
    pairs: Sequence[Pair], examples: Sequence[Example], params: TrainParams
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


def _net(spec: ModelSpec, start: Model | None, *, seed: int) -> Any:
    """The net with fresh weights by the seed, or those of the model to go on from."""
    from napari_medai.nn.runner import load_weights, seeded_net

    net = seeded_net(*spec.architecture, seed=seed)
    if start is not None:
        load_weights(net, start.weights_path)
    return net


def package_trained(
    folder: Path,
    spec: ModelSpec,
    trained: Trained,
    objective: InstanceObjective,
    *,
    recipe: Mapping[str, Any],
    scores: Mapping[str, Any] | None = None,
    scored: str = "held out",
    overwrite: bool = False,
) -> Model:
    """The best weights of a training as a model package.

    The foreground is shifted so that the probability that separated held-out objects best is
    0.5: thresholds then mean the same for every model. ``scores`` are figures on images that
    training did not see; without them, the card shows those of the objective, on images that were
    ``scored``.
    """
    from napari_medai.nn.export import exported
    from napari_medai.nn.runner import built_net

    net = built_net(*spec.architecture)
    net.load_state_dict(trained.state)
    found = objective.calibrate(net)
    config = {
        **spec.config,
        "recipe": {**recipe, "calibrated_threshold": found["threshold"]},
        "scores": scores or {scored: {k: round(found[k], 3) for k in ("AP50", "mAP")}},
    }
    with tempfile.TemporaryDirectory(prefix="napari-medai-") as scratch:
        files = exported(net, Path(scratch), **spec.config["intensity"])
        return write_model(
            folder,
            replace(spec, config=config),
            weights=files.weights,
            test_input=files.test_input,
            test_output=files.test_output,
            exports=[Export("torchscript", files.script, files.version)],
            overwrite=overwrite,
        )
