"""Training of models that find boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_medai.core.errors import InputError
from napari_medai.core.intensity import intensity_of
from napari_medai.core.steps import Steps
from napari_medai.models.registry import own_folder
from napari_medai.models.settings import class_names, is_class_name
from napari_medai.models.spec import ModelSpec
from napari_medai.tasks.box_models import (
    NETS,
    box_spec,
    package_boxes,
    sizes_of,
    with_zoom,
    zoom_of,
)
from napari_medai.tasks.course import check_start, continued, course_steps
from napari_medai.tasks.pairs import FEWEST, BoxPair, common_images, named, pixels_of
from napari_medai.tasks.train import TrainParams

if TYPE_CHECKING:
    from napari_medai.models.model import Model
    from napari_medai.nn.box_crops import BoxExample
    from napari_medai.nn.boxes import BoxObjective
    from napari_medai.nn.training import Trained

CROP = {2: 256, 3: 64}
BATCH = {2: 8, 3: 2}


@dataclass(frozen=True, slots=True)
class BoxCourse:
    """How a model that finds boxes is trained; see `napari_medai.tasks.course.Course`."""

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
                    zoom=zoom_of(pair.boxes, self.spec.config),
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
        spec = with_zoom(continued(name, start), pairs)
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
    for kind in kinds:
        if not is_class_name(kind):
            raise InputError(
                f"a class is named {kind!r}, but names of classes have no comma and no blanks at "
                "their ends; rename it"
            )
    return tuple(kinds)
