"""Training of models that find objects by centre votes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.intensity import intensity_of
from napari_medai.models.settings import VOTES
from napari_medai.models.spec import Architecture, ModelSpec
from napari_medai.tasks.pairs import BoxPair, Pair, each
from napari_medai.tasks.segment import SegmentParams
from napari_medai.tasks.trained import write_trained

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


@dataclass(frozen=True, slots=True)
class ObjectCourse:
    """How a model that finds objects is trained; see `napari_medai.tasks.course.Course`."""

    spec: ModelSpec

    @property
    def batch(self) -> int:
        return 8

    @property
    def training_only(self) -> dict[str, Any]:
        return {}

    def examples(self, pairs: Sequence[Pair]) -> list[Example]:
        from napari_medai.nn.instances import Example

        intensity = intensity_of(self.spec.config["intensity"])

        def example(pair: Pair, image: np.ndarray, labels: np.ndarray) -> Example:
            return Example.of(
                image,
                labels,
                intensity=intensity,
                weight=pair.weight,
                anisotropy=self._anisotropy,
            )

        return each(pairs, self.spec, example)

    def objective(
        self, training: Sequence[Example], held_out: Sequence[Example]
    ) -> InstanceObjective:
        from napari_medai.nn.instances import InstanceObjective

        ndim = len(self.spec.axes) - 1
        return InstanceObjective(
            training,
            held_out,
            diameter=float(self.spec.config["diameter"]),
            channels=len(self.spec.channels_in),
            min_size=SegmentParams().min_size,
            min_score=SegmentParams().min_score,
            crop=(CROP[ndim],) * ndim,
            anisotropy=self._anisotropy,
        )

    def packaged(
        self,
        folder: Path,
        trained: Trained,
        objective: InstanceObjective,
        *,
        recipe: dict[str, Any],
        scored: str,
        overwrite: bool,
    ) -> Model:
        return package_objects(
            folder,
            self.spec,
            trained,
            objective,
            recipe=recipe,
            scored=scored,
            overwrite=overwrite,
        )

    @property
    def _anisotropy(self) -> float:
        return float(self.spec.config.get("anisotropy", 1.0))


def object_spec(name: str, pairs: Sequence[Pair], space: str, channels: int) -> ModelSpec:
    """What a model of objects, trained from nothing, will say of itself."""
    ndim = len(space)
    kwargs = {"channels_in": channels, "channels_out": 2 + ndim, **NETS[ndim]}
    return instance_spec(
        name,
        kwargs,
        description=f"Instance segmentation in {ndim}D, trained with napari-medai.",
        config={
            "diameter": DIAMETER if ndim == 2 else DIAMETER / 2,
            "zoom_range": ZOOM_RANGE,
            **({"anisotropy": anisotropy_of(pairs)} if ndim == 3 else {}),
        },
    )


def anisotropy_of(pairs: Sequence[Pair] | Sequence[BoxPair]) -> float:
    """Step along z over that along x: the median of the pairs, 1 where it is not known."""
    known = [
        pair.image.step("Z") / pair.image.step("X")
        for pair in pairs
        if {"Z", "X"} <= set(pair.image.spacing)
    ]
    return round(float(np.median(known)), 3) if known else 1.0


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
        config={"decoder": VOTES, **config},
        **more,
    )


def package_objects(
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
    from napari_medai.nn.runner import built_net

    net = built_net(*spec.architecture)
    net.load_state_dict(trained.state)
    found = objective.calibrate(net)
    config = {
        **spec.config,
        "recipe": {**recipe, "calibrated_threshold": found["threshold"]},
        "scores": scores or {scored: {k: round(found[k], 3) for k in ("AP50", "mAP")}},
    }
    return write_trained(folder, replace(spec, config=config), net, overwrite=overwrite)
