"""Images of objects whose labels are known: laid out or given, and painted by a net."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.axes import CHANNEL, SPACE, AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.layouts import drawn_layout
from napari_medai.core.looks import Look
from napari_medai.core.neighbours import ball_diameter
from napari_medai.core.objects import numbered
from napari_medai.core.predict import predict
from napari_medai.core.steps import Step, Steps, retold
from napari_medai.core.words import digits
from napari_medai.tasks.object_params import LAYOUT, ObjectParams
from napari_medai.tasks.painter_canvas import Canvas, painted_values
from napari_medai.tasks.painter_models import Knowledge
from napari_medai.tasks.record import run_record
from napari_medai.tasks.styles import Style
from napari_medai.tasks.suitable import loaded_net
from napari_medai.tasks.synthetic import Synthetic, checked_shape, image_generators

if TYPE_CHECKING:
    from napari_medai.models.model import Model

LEAST = 32
"""Pixels that each edge of an image has at least."""
TILE = {2: 512, 3: 96}
"""Smaller ones in 3D would mostly paint their margins."""
ALIKE = 12
"""Looks whose objects are nearest in size to given ones, of which one is chosen.

Of few looks it is a quarter of them.
"""
LARGEST = int(np.iinfo(np.int32).max)
"""The highest number that a label may have."""
PER = 10_000
"""Pixels to which `ObjectParams.density` counts objects."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What is to be painted: labels int32 (\\*space) from 1 on without gaps, in which look.

    ``numbers`` are those that the labels had, ``notes`` what could not be done.
    """

    labels: np.ndarray
    look: Look
    dtype: np.dtype[Any]
    numbers: np.ndarray
    notes: tuple[str, ...] = ()


def objects_steps(
    shape: Sequence[int],
    params: ObjectParams,
    number: int = 1,
    *,
    model: Model,
    labels: np.ndarray | None = None,
    style: Style | None = None,
    spacing: Mapping[str, float] | None = None,
    units: Mapping[str, str] | None = None,
) -> Steps[Synthetic]:
    """Lay out objects, or take those given, and paint them: one image, by the seed and its number.

    Parameters
    ----------
    shape
        (y, x) or (z, y, x), as the model has axes: edges of 32 pixels or more.
    number
        Which of the images of the seed, from 1 on.
    labels
        Of this shape, whole numbers of 0 or more; without them they are drawn as the model's
        images had them.
    style
        The look to be followed; without it, one of those the model's images had.
    spacing, units
        As of `AxesArray`.

    Raises
    ------
    InputError
        If shape, labels or style do not suit the model.
    """
    began = time.perf_counter()
    edges = checked_shape(shape, least=LEAST)
    axes = SPACE[-len(edges) :]
    _check_axes(model, axes, style)
    known = Knowledge.of(model)
    laying, looking, painting = image_generators(params.seed, number, parts=3)
    yield Step(0, 100, "placing objects")
    if labels is None:
        scene = _drawn(known, edges, params, laying)
    else:
        scene = _given(known, labels, edges, params, laying)
    if style is not None:
        scene = replace(scene, look=style.look, dtype=style.dtype)
    yield Step(20, 100, f"painting {digits(len(scene.numbers) - 1)} objects")
    net = loaded_net(model, device=params.device)
    try:
        work = predict(
            net,
            Canvas.of(scene, known, params.variation, looking, painting).read,
            edges,
            tile=params.tile or TILE[len(edges)],
        )
        scores, said, net = yield from retold(work, _share)
        values = painted_values(np.asarray(net.kept(scores))[0], scene.look, scene.dtype)
    finally:
        net.close()
    whole = scene.numbers[scene.labels].astype(np.int32)
    image = AxesArray(values, axes, dict(spacing or {}), dict(units or {}))
    given = {"labels": labels, "style": style}
    record = run_record(
        "synthesize",
        model,
        {"shape": list(edges), **asdict(params)},
        image,
        device=f"{net.device.type}, {net.backend.name}",
        seconds=time.perf_counter() - began,
        found={"objects": len(scene.numbers) - 1, "look": scene.look.as_dict()},
    )
    record["given"] = [name for name, value in given.items() if value is not None]
    return Synthetic(
        image=image,
        labels=whole,
        features=_features(scene, image),
        record=record,
        told=f"{digits(len(scene.numbers) - 1)} objects",
        notes=(*scene.notes, *said),
    )


def _share(step: Step) -> Step:
    """A step of painting as one of the whole."""
    return Step(20 + 80 * step.done // max(1, step.total), 100, "painting")


def checked_labels(labels: Any) -> np.ndarray:
    """Labels to be painted, as they are.

    Raises
    ------
    InputError
        If they are not whole numbers, some are negative, or there is no object.
    """
    values = np.asarray(labels)
    if values.dtype.kind not in "iub":
        raise InputError(
            f"labels must be whole numbers, got {values.dtype}; convert the layer to labels"
        )
    if not values.size or not values.any():
        raise InputError("the labels are empty; draw an object, or leave them out")
    if values.dtype.kind == "i" and values.min() < 0:
        raise InputError(
            f"labels must be 0 (background) or more, got {values.min()}; number the objects from "
            "1 on"
        )
    if values.max() > LARGEST:
        raise InputError(
            f"labels must be {LARGEST} or less, got {values.max()}; number the objects from 1 on"
        )
    return values


def _check_axes(model: Model, axes: str, style: Style | None) -> None:
    space = model.axes.replace(CHANNEL, "")
    if axes != space:
        raise InputError(
            f"{model.name} paints images of {len(space)} axes ({' '.join(space)}), but the shape "
            f"or the labels have {len(axes)}; give {len(space)}"
        )
    if style is not None and style.axes not in ("", space):
        raise InputError(
            f"{model.name} paints images of {len(space)} axes ({' '.join(space)}), but the style "
            f"has {len(style.axes)} ({' '.join(style.axes)}); choose an image of {len(space)} axes"
        )


def _drawn(
    known: Knowledge, edges: tuple[int, ...], params: ObjectParams, rng: np.random.Generator
) -> Scene:
    if params.count and params.density:
        raise InputError(
            f"a count of {params.count} and a density of {params.density:g} were given; give one "
            "of them"
        )
    layout = drawn_layout(
        known.layouts,
        edges,
        seed=rng,
        count=params.count or None,
        density=params.density / PER or None,
        size=params.size or None,
    )
    look = known.looks[layout.model]
    numbers = np.arange(layout.count + 1)
    return Scene(layout.labels, look, known.dtype, numbers, layout.notes)


def _given(
    known: Knowledge,
    labels: np.ndarray,
    edges: tuple[int, ...],
    params: ObjectParams,
    rng: np.random.Generator,
) -> Scene:
    """Given objects, in the look of an image whose objects are about as large."""
    if labels.shape != edges:
        raise InputError(
            f"the labels have the shape {labels.shape}, but {edges} was asked for; leave the "
            "shape out"
        )
    numbers, places = numbered(checked_labels(labels))
    sizes = np.bincount(places.ravel())[1:]
    diameter = float(ball_diameter(np.median(sizes), len(edges)))
    away = [abs(np.log(look.diameter / diameter)) for look in known.looks]
    near = np.argsort(away, kind="stable")[: min(ALIKE, -(-len(away) // 4))]
    look = known.looks[int(near[rng.integers(len(near))])]
    return Scene(places, look, known.dtype, np.append(0, numbers), _idle(params))


def _idle(params: ObjectParams) -> tuple[str, ...]:
    """What was asked for of objects that are given."""
    names = [name for name in LAYOUT if getattr(params, name)]
    if not names:
        return ()
    means, is_left = ("means", "is") if len(names) == 1 else ("mean", "are")
    told = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return (f"{told} {means} nothing where labels are given and {is_left} left out",)


def _features(scene: Scene, image: AxesArray) -> dict[str, np.ndarray]:
    sizes = np.bincount(scene.labels.ravel(), minlength=len(scene.numbers))[1:]
    step = float(np.prod([image.step(axis) for axis in image.axes]))
    name = "area" if len(image.axes) == 2 else "volume"
    return {"index": scene.numbers[1:].astype(np.int64), name: sizes * step}
