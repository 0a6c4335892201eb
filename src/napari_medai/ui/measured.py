"""Labels layers become measurements, and measurements features and lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_medai.core.alignment import cut_to
from napari_medai.core.axes import SPACE, AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.measures import Measurements, checked_order
from napari_medai.core.ruler import UNITS, Ruler, ruler_of
from napari_medai.ui.layers import Place, array_from_layer, direction_of, place_of

if TYPE_CHECKING:
    import pandas as pd
    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer, Shapes

MOST_LINES = 1000
"""Lines that napari draws without getting slow."""
_WIDTH = 1 / 300
"""The width of a line, of the length of the longer side of a plane."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """What is measured: labels with their ruler, and an image on the same grid.

    ``image_unit`` is that of the image's values, where it is known. ``note`` is for the user.
    """

    labels: AxesArray
    ruler: Ruler
    image: AxesArray | None
    place: Place
    image_unit: str = ""
    note: str = ""


def subject_of(
    labels: Labels | AxesArray, image: Image | AxesArray | None = None, *, axes: str | None = None
) -> Subject:
    """Labels, and the part of an image that they lie on, ready to be measured; nothing is read.

    ``axes`` corrects the letters of a labels layer.

    Raises
    ------
    InputError
        If the two do not have the same size, or cannot be measured.
    """
    array, direction = labels, None
    if not isinstance(labels, AxesArray):
        array = array_from_layer(labels, axes=axes)
        order = "".join(axis for axis in SPACE if axis in array.axes)
        direction = direction_of(labels, array.axes, order)
    ruler, place = ruler_of(array, direction=direction), place_of(labels, axes=axes)
    if image is None or isinstance(image, AxesArray):
        checked_order(array, ruler, image)
        return Subject(array, ruler, image, place)
    pixels = array_from_layer(image)
    part = None if isinstance(labels, AxesArray) else _part_under(labels, array, image, pixels)
    checked_order(array, ruler, pixels if part is None else part)
    told = image.metadata.get("medai", {})
    unit = str(told.get("values", "")) if isinstance(told, Mapping) else ""
    elsewhere = part is None and not isinstance(labels, AxesArray)
    note = f"The image {image.name!r} lies elsewhere in the world." if elsewhere else ""
    return Subject(array, ruler, pixels if part is None else part, place, unit, note)


def problem_of(labels: Labels, image: Image | None) -> str:
    """Why the labels cannot be measured, or not on the image; nothing if they can."""
    try:
        subject_of(labels, image)
    except InputError as error:
        return str(error)
    return ""


def _part_under(
    labels: Labels, array: AxesArray, image: Image, pixels: AxesArray
) -> AxesArray | None:
    """The part of an image that labels lie on, None where they lie otherwise."""
    if image.ndim != labels.ndim or array.axes != pixels.axes[: image.ndim]:
        return None
    return cut_to(pixels, array, lambda at: image.world_to_data(labels.data_to_world(at)))


def table_of(found: Measurements, features: pd.DataFrame) -> dict[str, np.ndarray]:
    """The columns of a measurement, with the ``class`` that a layer's features give each label."""
    table = dict(found.features)
    if "class" not in features:
        return table
    indexed = _by_index(features)["class"]
    named = indexed[~indexed.index.duplicated()].reindex(table["index"])
    kinds = np.array(["" if kind != kind else str(kind) for kind in named], dtype=object)
    return {"index": table.pop("index"), "class": kinds, **table}


def merged_features(features: pd.DataFrame, table: Mapping[str, np.ndarray]) -> pd.DataFrame | None:
    """A layer's features with the columns of a measurement, joined by label.

    Rows and columns that were there stay, in their order; measured columns are replaced. None
    where a label has several rows, as a label in several frames has.
    """
    import pandas as pd

    old, new = _by_index(features), pd.DataFrame(dict(table)).set_index("index")
    if old.index.has_duplicates or new.index.has_duplicates:
        return None
    if "class" in old:
        new = new.drop(columns="class", errors="ignore")
    rows = [*old.index, *(label for label in new.index if label not in old.index)]
    kept = old.drop(columns=[name for name in new if name in old]).reindex(rows)
    joined: pd.DataFrame = kept.join(new.reindex(rows)).reset_index(names="index")
    return joined


def _by_index(features: pd.DataFrame) -> pd.DataFrame:
    """Features by label; without a column for it, napari counts the rows from 0."""
    if "index" in features:
        return features.set_index("index")
    return features if features.shape[1] else features.iloc[:0]


def diameters_layer(found: Measurements, place: Place) -> Shapes:
    """The longest diameters as lines that tell their lengths, at most `MOST_LINES`."""
    import pandas as pd
    from napari.layers import Shapes

    column, unit = found.ruler.diameter_name, UNITS[found.ruler.unit]
    lengths = found.features[column]
    kept = np.sort(np.argsort(-lengths, kind="stable")[:MOST_LINES])
    longest = max(n for axis, n in zip(found.axes, found.shape, strict=True) if axis in "YX")
    text = {
        "string": f"{{{column}:.1f}} {unit}".strip(),
        "color": "yellow",
        "size": 10,
        "anchor": "upper_left",
    }
    return Shapes(
        list(found.diameters[kept]) or None,
        ndim=len(place.axes),
        shape_type="line",
        name=f"{place.name} diameters",
        opacity=1.0,
        edge_color="yellow",
        edge_width=max(0.5, longest * _WIDTH),
        features=pd.DataFrame({"index": found.features["index"][kept], column: lengths[kept]}),
        text=text,
        **place.arguments(place.axes),
    )


def replace_layer(viewer: ViewerModel, old: Layer | None, new: Layer | None) -> None:
    """Show a layer in place of one that may be there still; the active one stays active."""
    if old in viewer.layers:
        viewer.layers.remove(old)
    if new is not None:
        active = viewer.layers.selection.active
        viewer.add_layer(new)
        viewer.layers.selection.active = active
