"""Training of models that find the class of every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.axes import CHANNEL, AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.intensity import intensity_of
from napari_medai.core.scale import THICK
from napari_medai.models.architecture import MOST_CHANNELS
from napari_medai.models.settings import CLASSES, class_names
from napari_medai.models.spec import Architecture, ModelSpec
from napari_medai.tasks.pairs import Pair, each
from napari_medai.tasks.spacing import millimetres
from napari_medai.tasks.trained import write_trained

if TYPE_CHECKING:
    from napari_medai.models.model import Model
    from napari_medai.nn.classes import ClassExample, ClassObjective
    from napari_medai.nn.training import Trained

NETS: dict[int, dict[str, Any]] = {
    2: {"ndim": 2, "widths": [32, 64, 96, 128], "shuffle": 2, "pool": 2},
    3: {"ndim": 3, "widths": [32, 64, 128], "shuffle": 2, "pool": 2},
}
MICROSCOPIC = 0.02
"""Millimetres below which pixels are those of a microscope."""
BATCH = {2: 8, 3: 2}
LARGEST_CROP = {2: 256**2, 3: 56**3}
"""Pixels of a crop at most."""
AUXILIARY = 1
"""Coarser levels that answer too while the net is trained."""
MOST_CLASSES = MOST_CHANNELS - 1
"""The background has a channel of its own."""
ZSCORE = {"zscore": 5.0}
COLOURS = (
    "#e6194b",
    "#3cb44b",
    "#4363d8",
    "#ffe119",
    "#f58231",
    "#911eb4",
    "#42d4f4",
    "#f032e6",
    "#bfef45",
    "#fabed4",
    "#469990",
    "#9a6324",
)


@dataclass(frozen=True, slots=True)
class ClassCourse:
    """How a model that finds classes is trained; see `napari_medai.tasks.course.Course`."""

    spec: ModelSpec

    @property
    def batch(self) -> int:
        return BATCH[self._ndim]

    @property
    def training_only(self) -> dict[str, Any]:
        levels = len(self.spec.architecture.kwargs.get("widths", NETS[self._ndim]["widths"]))
        return {"auxiliary": max(0, min(AUXILIARY, levels - 2))}

    def examples(self, pairs: Sequence[Pair]) -> list[ClassExample]:
        from napari_medai.nn.classes import ClassExample

        intensity = intensity_of(self.spec.config["intensity"])

        def example(pair: Pair, image: np.ndarray, labels: np.ndarray) -> ClassExample:
            return ClassExample.of(
                image,
                labels,
                intensity=intensity,
                classes=len(self.spec.channels_out),
                zoom=self._zoom(pair.image),
                weight=pair.weight,
            )

        return each(pairs, self.spec, example)

    def objective(
        self, training: Sequence[ClassExample], held_out: Sequence[ClassExample]
    ) -> ClassObjective:
        from napari_medai.nn.classes import GEOMETRY, ClassObjective

        space = self._space
        mirror = tuple(space.index(axis) for axis in self.spec.config.get("mirror", ""))
        geometry = replace(
            GEOMETRY,
            flip=mirror,
            turn=set("YX") <= {space[a] for a in mirror},
            spacing=tuple(self.spec.config.get("spacing") or ()),
        )
        return ClassObjective(
            training,
            held_out,
            classes=tuple(class_names(self.spec.config)),
            channels=len(self.spec.channels_in),
            crop=_crop(training, self.spec.stride),
            geometry=geometry,
        )

    def packaged(
        self,
        folder: Path,
        trained: Trained,
        objective: ClassObjective,
        *,
        recipe: dict[str, Any],
        scored: str,
        overwrite: bool,
    ) -> Model:
        found = {k: round(v, 3) for k, v in trained.best.items() if k not in ("step", "score")}
        return package_classes(
            folder, self.spec, trained, recipe=recipe, scores={scored: found}, overwrite=overwrite
        )

    def _zoom(self, image: AxesArray) -> tuple[float, ...]:
        """Pixels of the model to a pixel of the image, along each axis."""
        steps = millimetres(image, self._space)
        known = self.spec.config.get("spacing")
        if steps is None or known is None:
            return (1.0,) * self._ndim
        return tuple(step / own for step, own in zip(steps, known, strict=True))

    @property
    def _space(self) -> str:
        return self.spec.axes.replace(CHANNEL, "")

    @property
    def _ndim(self) -> int:
        return len(self._space)


def check_classes(names: Sequence[str]) -> None:
    """Refuse names that are empty or occur twice, and more than a net can tell apart."""
    if len(set(names)) != len(names) or not all(name.strip() for name in names):
        raise InputError(f"classes need different names, got {', '.join(names)}")
    if len(names) > MOST_CLASSES:
        raise InputError(
            f"a model tells at most {MOST_CLASSES} classes apart, got {len(names)}; join some, "
            "or train several models"
        )


def class_spec(
    name: str,
    pairs: Sequence[Pair],
    space: str,
    channels: int,
    *,
    classes: Sequence[str],
    window: tuple[float, float] | None = None,
    mirror: str = "",
) -> ModelSpec:
    """What a model of classes, trained from nothing, will say of itself.

    Its spacing is the median one of the pairs, where that is known. Images of volumes and scans
    are taken to lie the same way up; pictures, whose pixels have no size or one in micrometres,
    are also learned from turned and reversed. ``mirror`` names axes along which that holds.

    Raises
    ------
    InputError
        If a class occurs in no label, or names or the window do not fit.
    """
    check_classes(classes)
    _check_present(pairs, classes)
    axes = "".join(axis for axis in "ZYX" if axis in space)
    known = [steps for pair in pairs if (steps := millimetres(pair.image, axes)) is not None]
    spacing = [round(float(n), 6) for n in np.median(known, axis=0)] if known else None
    picture = len(axes) == 2 and (spacing is None or max(spacing) < MICROSCOPIC)
    net = {**NETS[len(axes)], "channels_in": channels, "channels_out": 1 + len(classes)}
    if spacing is not None and len(axes) == 3 and spacing[0] > THICK * min(spacing[1:]):
        net |= {"shuffle": [1, 2, 2], "pool": [1, 2, 2]}
    return classes_spec(
        name,
        net,
        classes=classes,
        description=f"Semantic segmentation in {len(axes)}D ({', '.join(classes)}), trained with "
        "napari-medai.",
        config={
            "spacing": spacing,
            "intensity": ZSCORE if window is None else {"window": list(window)},
            "mirror": mirror.upper() or (axes if picture else None),
        },
    )


def _check_present(pairs: Sequence[Pair], classes: Sequence[str]) -> None:
    """Refuse names of classes that no label holds: nothing could be learned of them."""
    held = set().union(*(np.unique(pair.labels).tolist() for pair in pairs))
    absent = [name for number, name in enumerate(classes, 1) if number not in held]
    if absent:
        raise InputError(
            f"no label holds the class {' or '.join(absent[:3])}; leave it out, or add images "
            "with it"
        )


def classes_spec(
    name: str,
    kwargs: dict[str, Any],
    *,
    classes: Sequence[str],
    description: str,
    config: dict[str, Any],
    **more: Any,
) -> ModelSpec:
    """The description of a model that finds classes, named 1, 2, ... in this order.

    ``kwargs`` are those of `napari_medai.nn.unet.UNet`.
    """
    from napari_medai.nn.unet import UNet

    check_classes(classes)
    net = UNet(**kwargs)
    names = ("red", "green", "blue") if net.channels_in == 3 else ()
    entries = [
        {"name": label, "colour": COLOURS[i % len(COLOURS)]} for i, label in enumerate(classes)
    ]
    return ModelSpec(
        name=name,
        description=description,
        architecture=Architecture("napari_medai.nn.unet", "UNet", kwargs),
        channels_in=names or tuple(f"channel{i}" for i in range(net.channels_in)),
        channels_out=("background", *classes),
        stride=net.stride,
        halo=net.halo,
        axes="CYX" if net.ndim == 2 else "CZYX",
        config={"decoder": CLASSES, "classes": entries, **config},
        **more,
    )


def package_classes(
    folder: Path,
    spec: ModelSpec,
    trained: Trained,
    *,
    recipe: dict[str, Any],
    scores: dict[str, Any],
    overwrite: bool = False,
) -> Model:
    """The best weights of a training as a model package, without what only training needs."""
    from napari_medai.nn.runner import built_net
    from napari_medai.nn.unet import AUXILIARY as HEADS

    net = built_net(*spec.architecture)
    net.load_state_dict(
        {name: value for name, value in trained.state.items() if not name.startswith(HEADS)}
    )
    config = {**spec.config, "recipe": recipe, "scores": scores}
    return write_trained(folder, replace(spec, config=config), net, overwrite=overwrite)


def _crop(examples: Sequence[ClassExample], stride: Sequence[int]) -> tuple[int, ...]:
    """The usual size of the examples, at the model's spacing, as far as there is room for it."""
    sizes = [np.array(e.labels.shape) * np.array(e.zoom) for e in examples]
    edges = [int(-(-n // s) * s) for n, s in zip(np.median(sizes, axis=0), stride, strict=True)]
    while prod(edges) > LARGEST_CROP[len(edges)]:
        widest = max(range(len(edges)), key=lambda a: edges[a] / stride[a])
        edges[widest] -= stride[widest]
    return tuple(edges)
