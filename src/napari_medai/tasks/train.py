"""Train a segmentation model on one's own images, from nothing or from another model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from napari_medai.core.errors import InputError
from napari_medai.core.fields import settle
from napari_medai.core.steps import Steps
from napari_medai.models.registry import own_folder
from napari_medai.models.settings import CLASSES, class_names
from napari_medai.models.spec import ModelSpec
from napari_medai.tasks.computing import Device
from napari_medai.tasks.course import Course, check_start, continued, course_steps
from napari_medai.tasks.pairs import Pair, common_axes
from napari_medai.tasks.synthetic_pairs import check_painter, synthetic_pairs_steps
from napari_medai.tasks.train_classes import ClassCourse, class_spec
from napari_medai.tasks.train_objects import ObjectCourse, object_spec

if TYPE_CHECKING:
    from napari_medai.models.model import Model

Example = TypeVar("Example")


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
    device: Device = "auto"

    def __post_init__(self) -> None:
        settle(self)


def train_steps(
    pairs: Sequence[Pair],
    params: TrainParams,
    *,
    name: str,
    start: Model | None = None,
    classes: str | Sequence[str] = (),
    window: tuple[float, float] | None = None,
    mirror: str = "",
    synthetic: int = 0,
    painter: Model | None = None,
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
    synthetic, painter
        For objects: so many images that the painter makes are trained on as well, as often in all
        as the real ones; what is held out is real.

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
    if synthetic:
        if painter is None or spec.config["decoder"] == CLASSES:
            raise InputError(
                "synthetic images are for models of objects, and want a painter (a model that "
                "synthesizes); leave out synthetic"
            )
        check_painter(painter, space, synthetic)
        made = yield from synthetic_pairs_steps(
            painter, synthetic, beside=pairs, seed=params.seed, device=params.device
        )
        pairs, spec = [*pairs, *made], _told(spec, painter, synthetic)
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


def _told(spec: ModelSpec, painter: Model, synthetic: int) -> ModelSpec:
    """The description of a model that learns from synthetic images, too."""
    recipe = {
        **spec.config.get("recipe", {}),
        "synthetic_images": synthetic,
        "painter": f"{painter.name} {painter.version}",
    }
    return replace(spec, config={**spec.config, "recipe": recipe})


def finds_classes(classes: Sequence[str], start: Model | None) -> bool:
    """Whether a training with these names, or from this model, is of classes."""
    return bool(classes) or (start is not None and start.decoder == CLASSES)


def _course(spec: ModelSpec) -> Course:
    return ClassCourse(spec) if spec.config["decoder"] == CLASSES else ObjectCourse(spec)


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
