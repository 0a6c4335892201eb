"""What was synthesized as layers: images, labels, and the centre lines of vessels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import block_diag

from napari_medai.core.intensity import intensity_range
from napari_medai.core.vessel_features import vessel_features
from napari_medai.tasks.synthetic import Synthetic
from napari_medai.ui.layers import PIXEL, Place, model_name, place_of, placed_record

if TYPE_CHECKING:
    from napari.layers import Layer, Vectors

STACK = "n"
"""The axis along which several images lie."""

Table = Mapping[str, np.ndarray]


def synthetic_layers(
    made: Sequence[Synthetic], *, on: Layer | Place | None = None, style: str = ""
) -> list[Layer]:
    """Images and their labels: an Image and a Labels layer; of vessels a Vectors layer as well.

    What was painted onto the labels of a layer lies ``on`` it; ``style`` is the name of the layer
    whose look was followed.

    Several lie along a first axis ``n``. Then each label has a number of its own in all of them,
    and features tell the ``n``. Centre lines have a vector a segment, coloured by its radius.
    """
    from napari.layers import Image, Labels

    first = made[0].record
    place = _placed(made) if on is None else _placed_on(on, made)
    place["metadata"] = {"medai": _record(made, on=on, style=style)}
    name = model_name(first)
    images = _stacked([np.asarray(one.image.data) for one in made])
    bright = intensity_range(images)
    layers = [
        Image(
            images,
            rgb=False,
            name=name,
            contrast_limits=(bright.low, bright.high) if bright.high > bright.low else None,
            **place,
        ),
        Labels(
            _labels(made),
            name=f"{name} {first['parameters'].get('numbering', 'labels')}",
            features=_frame(_joined([one.features for one in made], _labels_before(made))),
            **place,
        ),
    ]
    if made[0].tree is not None:
        layers.append(_centre_lines(made, name=f"{name} centre lines", place=place))
    return layers


def _centre_lines(made: Sequence[Synthetic], *, name: str, place: Mapping[str, Any]) -> Vectors:
    from napari.layers import Vectors

    trees = [one.tree for one in made if one.tree is not None]
    axes, step = made[0].image.axes, made[0].image.step("X")
    lines = [np.stack([tree.starts, tree.ends - tree.starts], axis=1) for tree in trees]
    if len(trees) > 1:
        lines = [_at_position(line, number) for number, line in enumerate(lines)]
    tables = [vessel_features(tree, axes=axes, step=step) for tree in trees]
    return Vectors(
        np.concatenate(lines),
        name=name,
        features=_frame(_joined(tables, _sums_before([len(tree.radii) for tree in trees]))),
        vector_style="line",
        edge_width=1.0,
        edge_color="radius",
        edge_colormap="turbo",
        opacity=1.0,
        **place,
    )


def _at_position(lines: np.ndarray, number: int) -> np.ndarray:
    """Vectors (n, 2, ndim) that lie at a position along a first axis."""
    first = np.zeros((*lines.shape[:2], 1))
    first[:, 0] = number
    return np.concatenate([first, lines], axis=-1)


def _labels(made: Sequence[Synthetic]) -> np.ndarray:
    """Labels that have a number of their own in all images, int32 where they have room in it."""
    before = _labels_before(made)
    highest = before[-1] + int(made[-1].labels.max())
    kind: np.dtype[Any] = np.dtype(np.int32 if highest <= np.iinfo(np.int32).max else np.int64)
    numbered = [
        np.where(one.labels > 0, one.labels.astype(kind) + n, 0).astype(kind)
        for one, n in zip(made, before, strict=True)
    ]
    return _stacked(numbered)


def _labels_before(made: Sequence[Synthetic]) -> list[int]:
    """How many numbers the labels of the images before each take."""
    highest = [max(int(one.labels.max()), *one.features["index"].tolist()) for one in made]
    return _sums_before(highest)


def _sums_before(counts: Sequence[int]) -> list[int]:
    return [0, *np.cumsum(counts)[:-1].tolist()]


def _joined(tables: Sequence[Table], before: Sequence[int]) -> Table:
    """Tables of the same columns as one, numbers raised by those before; of several, ``n`` tells
    which.
    """
    if len(tables) == 1:
        return tables[0]
    raised = [_raised(table, by) for table, by in zip(tables, before, strict=True)]
    branches = [int(table["branch"].max()) if "branch" in table else 0 for table in tables]
    for table, by in zip(raised, _sums_before(branches), strict=True):
        if "branch" in table:
            table["branch"] = table["branch"] + by
    whole = {key: np.concatenate([table[key] for table in raised]) for key in raised[0]}
    counts = [len(table["index"]) for table in raised]
    return {**whole, STACK: np.repeat(np.arange(len(tables)), counts)}


def _raised(table: Table, by: int) -> dict[str, np.ndarray]:
    """A table whose labels have higher numbers; a parent of 0 is none."""
    raised = {**table, "index": table["index"] + by}
    if "parent" in table:
        raised["parent"] = np.where(table["parent"] > 0, table["parent"] + by, 0)
    return raised


def _stacked(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return arrays[0] if len(arrays) == 1 else np.stack(arrays)


def _frame(columns: Table) -> Any:
    import pandas as pd

    return pd.DataFrame(dict(columns))


def _placed(made: Sequence[Synthetic]) -> dict[str, Any]:
    """Where a layer of all lies."""
    image, several = made[0].image, len(made) > 1
    return {
        "scale": [1.0] * several + [image.step(axis) for axis in image.axes],
        "units": [PIXEL] * several + [image.units.get(axis, PIXEL) for axis in image.axes],
        "axis_labels": [STACK] * several + list(image.axes.lower()),
    }


def _placed_on(on: Layer | Place, made: Sequence[Synthetic]) -> dict[str, Any]:
    """The same, where another layer lies."""
    image = made[0].image
    given = _place(on).arguments(image.axes)
    if len(made) > 1:
        given = {
            "scale": [1.0, *given["scale"]],
            "translate": [0.0, *given["translate"]],
            **{name: block_diag(1.0, given[name]) for name in ("rotate", "shear", "affine")},
            "units": (PIXEL, *given["units"]),
            "axis_labels": (STACK, *(given["axis_labels"] or image.axes.lower())),
        }
    return given


def _place(on: Layer | Place) -> Place:
    return on if isinstance(on, Place) else place_of(on)


def _record(made: Sequence[Synthetic], *, on: Layer | Place | None, style: str) -> dict[str, Any]:
    record = dict(made[0].record)
    if style:
        record["source"] = {"style": style}
    if on is not None:
        record = placed_record(record, _place(on))
    if len(made) == 1:
        return record
    record["found"] = {"images": [dict(one.record["found"]) for one in made]}
    record["seconds"] = round(sum(one.record["seconds"] for one in made), 3)
    return record
