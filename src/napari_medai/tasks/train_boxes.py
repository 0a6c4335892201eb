"""Training of models that find boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.core.intensity import intensity_of
from napari_medai.core.scale import Scale
from napari_medai.core.steps import Steps
from napari_medai.models.registry import own_folder
from napari_medai.models.settings import BOXES, class_names
from napari_medai.models.spec import Architecture, ModelSpec
from napari_medai.tasks.pairs import FEWEST, BoxPair, common_images, named, pixels_of
from napari_medai.tasks.train import TrainParams, check_start, continued, course_steps
from napari_medai.tasks.train_classes import COLOURS
from napari_medai.tasks.train_objects import anisotropy_of
from napari_medai.tasks.trained import write_trained

if TYPE_CHECKING:
    from napari_medai.models.model import Model
    from napari_medai.nn.box_crops import BoxExample
    from napari_medai.nn.boxes import BoxObjective
    from napari_medai.nn.training import Trained

DIAMETER = {2: 52.0, 3: 14.0}
"""Edge in pixels to which a typical box is brought."""
CROP = {2: 256, 3: 64}
BATCH = {2: 8, 3: 2}
ZOOM_RANGE = 1.2
"""Factor within which objects of other sizes are not worth another zoom."""
NETS: dict[int, dict[str, Any]] = {
    2: {
        "ndim": 2,
        "widths": [24, 48, 96, 160, 224],
        "finest": 2,
        "coarsest": 3,
        "shuffle": 2,
        "pool": 2,
    },
    3: {
        "ndim": 3,
        "widths": [16, 32, 64, 96],
        "finest": 1,
        "coarsest": 2,
        "shuffle": [1, 2, 2],
        "pool": 2,
    },
}


@dataclass(frozen=True, slots=True)
class BoxCourse:
    """How a model that finds boxes is trained; see `napari_medai.tasks.train.Course`."""

    spec: ModelSpec

    @property
    def batch(self) -> int:
        return BATCH[self._ndim]

    @property
    def training_only(self) -> dict[str, Any]:
        return {}

    def examples(self, pairs: Sequence[BoxPair]) -> list[BoxExample]:
        from napari_medai.nn.box_crops import BoxExample

        intensity = intensity_of(self.spec.config["intensity"])
        names = class_names(self.spec.config)
        found = []
        for pair in pairs:
            try:
                example = BoxExample.of(
                    pixels_of(pair, self.spec),
                    named(pair.boxes),
                    classes=names,
                    intensity=intensity,
                    weight=pair.weight,
                )
            except InputError as error:
                raise InputError(f"{pair.name}: {error}") from None
            found.append(example)
        return found

    def objective(
        self, training: Sequence[BoxExample], held_out: Sequence[BoxExample]
    ) -> BoxObjective:
        from napari_medai.nn.boxes import BoxObjective
        from napari_medai.nn.runner import built_net

        return BoxObjective(
            training,
            held_out,
            levels=built_net(*self.spec.architecture).levels,  # type: ignore[arg-type]
            classes=tuple(class_names(self.spec.config)),
            zoom=(Scale.nearest(float(self.spec.config["zoom"])),) * self._ndim,
            channels=len(self.spec.channels_in),
            crop=(CROP[self._ndim],) * self._ndim,
        )

    def packaged(
        self,
        folder: Path,
        trained: Trained,
        objective: BoxObjective,
        *,
        recipe: dict[str, Any],
        scored: str,
        overwrite: bool,
    ) -> Model:
        return package_boxes(
            folder,
            self.spec,
            trained,
            objective,
            recipe=recipe,
            scored=scored,
            overwrite=overwrite,
        )

    @property
    def _ndim(self) -> int:
        return len(self.spec.axes) - 1


def train_boxes_steps(
    pairs: Sequence[BoxPair],
    params: TrainParams,
    *,
    name: str,
    start: Model | None = None,
    checkpoint: Path | None = None,
    overwrite: bool = False,
) -> Steps[Model]:
    """Train a model that finds boxes; see `napari_medai.tasks.train.train_steps`.

    Its classes are those of the boxes, in the order of their names; with ``start``, those of that
    model, and boxes of others are refused.

    Raises
    ------
    InputError
        If a pair does not fit, there are no boxes, or the name is taken.
    """
    folder = own_folder(name, overwrite=overwrite)
    classes = check_box_pairs(pairs)
    space, channels = common_images(pairs)
    if start is None:
        spec = box_spec(
            name,
            {**NETS[len(space)], "channels_in": channels, "kinds": len(classes)},
            classes=classes,
            description=f"Detection in {len(space)}D, trained with napari-medai.",
            config=sizes_of(pairs, space),
        )
    else:
        check_start(start, space)
        unknown = [kind for kind in classes if kind not in class_names(start.config)]
        if unknown:
            raise InputError(
                f"{start.name} keeps its own classes ({', '.join(class_names(start.config))}), "
                f"but some boxes are of the class {unknown[0]!r}; rename it, or train from nothing"
            )
        spec = continued(name, start)
    steps = course_steps(
        BoxCourse(spec),
        pairs,
        params,
        folder=folder,
        start=start,
        checkpoint=checkpoint,
        overwrite=overwrite,
    )
    return (yield from steps)


def check_box_pairs(pairs: Sequence[BoxPair]) -> tuple[str, ...]:
    """The classes of all boxes, in the order of their names.

    Raises
    ------
    InputError
        If there are too few images, or no box, or boxes of other axes than their image.
    """
    if len(pairs) < FEWEST:
        raise InputError(
            f"training needs at least {FEWEST} images with boxes, got {len(pairs)}; add more"
        )
    for pair in pairs:
        if len(pair.boxes) and pair.boxes.ndim != len(pair.image.space):
            raise InputError(
                f"the boxes of {pair.name} have {pair.boxes.ndim} axes, but its image has "
                f"{len(pair.image.space)}; draw them in the same axes"
            )
    kinds = sorted({str(kind) for pair in pairs for kind in named(pair.boxes).kinds})
    if not kinds:
        raise InputError("none of the images has a box; draw some first")
    return tuple(kinds)


def sizes_of(pairs: Sequence[BoxPair], space: str) -> dict[str, Any]:
    """How large boxes are, and the zoom at which they are learned."""
    edges = np.concatenate([pair.boxes.sizes[:, -2:].prod(axis=1) ** 0.5 for pair in pairs])
    zoom = Scale.nearest(DIAMETER[len(space)] / float(np.median(edges)))
    return {
        "diameter": round(float(np.median(edges)) * float(zoom), 2),
        "zoom": float(zoom),
        "zoom_range": ZOOM_RANGE,
        **({"anisotropy": anisotropy_of(pairs)} if len(space) == 3 else {}),
    }


def box_spec(
    name: str,
    kwargs: dict[str, Any],
    *,
    classes: Sequence[str],
    description: str,
    config: dict[str, Any],
    **more: Any,
) -> ModelSpec:
    """The description of a model that finds boxes.

    ``kwargs`` are those of `napari_medai.nn.box_net.BoxNet`; ``config`` holds at least the
    ``diameter`` and may hold the ``classes`` with colours of their own.
    """
    from napari_medai.nn.box_net import BoxNet

    net = BoxNet(**kwargs)
    letters = "zyx"[-net.ndim :]
    answers = [*classes, *(f"{side} {a}" for side in ("low", "high") for a in letters)]
    channels_out = [
        f"{answer}, stride {'x'.join(map(str, level.stride))}, cell {cell}"
        for level in net.levels
        for answer in answers
        for cell in range(prod(level.cells))
    ]
    coloured = [
        {"name": kind, "colour": COLOURS[at % len(COLOURS)]} for at, kind in enumerate(classes)
    ]
    return ModelSpec(
        name=name,
        description=description,
        task="detect",
        architecture=Architecture("napari_medai.nn.box_net", "BoxNet", kwargs),
        channels_in=("red", "green", "blue")
        if net.channels_in == 3
        else tuple(f"channel{i}" for i in range(net.channels_in)),
        channels_out=tuple(channels_out),
        stride=net.stride,
        halo=net.halo,
        cell=net.cell,
        axes="CYX" if net.ndim == 2 else "CZYX",
        config={"decoder": BOXES, "classes": coloured, **config},
        **more,
    )


def package_boxes(
    folder: Path,
    spec: ModelSpec,
    trained: Trained,
    objective: BoxObjective,
    *,
    recipe: Mapping[str, Any],
    scores: Mapping[str, Any] | None = None,
    scored: str = "held out",
    script: bool = True,
    overwrite: bool = False,
) -> Model:
    """The best weights of a training as a model package.

    The scores of each class are shifted so that the threshold with the best F1 on held-out images
    is 0.5: thresholds then mean the same for every model and class. ``scores`` are figures on
    images that training did not see; without them, the card shows those of the objective, on
    images that were ``scored``. Without a ``script`` the package has no TorchScript.
    """
    from napari_medai.nn.runner import built_net

    net = built_net(*spec.architecture)
    net.load_state_dict(trained.state)
    found = objective.calibrate(net)
    config = {
        **spec.config,
        "recipe": {**recipe, "calibrated_thresholds": found.pop("thresholds")},
        "scores": scores or {scored: {k: round(found[k], 3) for k in ("mAP50", "mAP")}},
    }
    described = replace(spec, config=config)
    return write_trained(folder, described, net, script=script, overwrite=overwrite)
