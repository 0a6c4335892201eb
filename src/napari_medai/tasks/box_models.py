"""Models that find boxes: their nets, what they say of themselves, and their packages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.boxes import Boxes
from napari_medai.core.scale import Scale
from napari_medai.models.settings import BOXES
from napari_medai.models.spec import Architecture, ModelSpec
from napari_medai.tasks.magnification import ENOUGH
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
    edge = _usual_edge([pair.boxes for pair in pairs])
    zoom = Scale.nearest(DIAMETER[len(space)] / edge)
    return {
        "diameter": round(edge * float(zoom), 2),
        "zoom": float(zoom),
        "zoom_range": ZOOM_RANGE,
        **({"anisotropy": anisotropy_of(pairs)} if len(space) == 3 else {}),
    }


def with_zoom(spec: ModelSpec, pairs: Sequence[BoxPair]) -> ModelSpec:
    """The spec of a model that goes on with other images, whose boxes are seen as it knows them."""
    edge = _usual_edge([pair.boxes for pair in pairs])
    zoom = Scale.nearest(float(spec.config["diameter"]) / edge)
    return replace(spec, config={**spec.config, "zoom": float(zoom)})


def zoom_of(boxes: Boxes, config: Mapping[str, Any]) -> Scale:
    """The zoom at which an image with these boxes is seen, as when its boxes are looked for.

    The model's usual one, unless there are enough boxes of another size.
    """
    usual, margin = float(config.get("zoom", 1.0)), float(config.get("zoom_range", 1.0))
    if len(boxes) >= ENOUGH:
        wanted = float(config["diameter"]) / _usual_edge([boxes])
        if not 1 / margin <= wanted / usual <= margin:
            return Scale.nearest(wanted)
    return Scale.nearest(usual)


def _usual_edge(boxes: Sequence[Boxes]) -> float:
    """The median edge in pixels of a plane, of squares of their areas."""
    return float(np.median(np.concatenate([b.sizes[:, -2:].prod(axis=1) ** 0.5 for b in boxes])))


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
