"""Models that find boxes: their nets, what they say of themselves, and their packages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.scale import Scale
from napari_medai.models.settings import BOXES
from napari_medai.models.spec import Architecture, ModelSpec
from napari_medai.tasks.pairs import BoxPair
from napari_medai.tasks.train_classes import COLOURS
from napari_medai.tasks.train_objects import anisotropy_of
from napari_medai.tasks.trained import write_trained

if TYPE_CHECKING:
    from napari_medai.models.model import Model
    from napari_medai.nn.boxes import BoxObjective
    from napari_medai.nn.training import Trained

DIAMETER = {2: 52.0, 3: 14.0}
"""Edge in pixels to which a typical box is brought."""
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
