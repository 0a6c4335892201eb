"""Tasks on layers and arrays: what comes out is a new layer, or a table."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.fields import checked_params, left_out
from napari_medai.core.words import digits
from napari_medai.io.box_plane import label_classes
from napari_medai.io.calibration import Scale, Units
from napari_medai.models.settings import class_names
from napari_medai.scripting.inside import placed_boxes
from napari_medai.scripting.sources import (
    Subject,
    array_of,
    drained,
    is_layer,
    model_for,
    pixels_on,
    source_of,
)

if TYPE_CHECKING:
    from napari.layers import Labels, Layer, Points, Shapes
    from pandas import DataFrame

    from napari_medai.models.model import Model


def segment(
    image: Any,
    model: str | Path | Model = "nuclei",
    *,
    axes: str | None = None,
    scale: Scale | None = None,
    units: Units | None = None,
    window: Mapping[str, Any] | None = None,
    channel: int | None = None,
    out: str | Path | None = None,
    inside: Any = None,
    single: bool = True,
    **params: Any,
) -> Labels:
    """Find the objects or classes in an image; a new Labels layer with features and a record.

    Parameters
    ----------
    image
        A napari image layer, whose place in the world the result takes, or an array (numpy,
        dask, zarr, a multiscale list of them, `AxesArray`). Lazy ones stay lazy.
    model
        Its name, the path of its package, or the model itself.
    axes
        A letter a dimension, such as ``"TCZYX"``; without it, those of the layer's axis labels,
        or the usual ones.
    scale, units
        Of an array: one value for all spatial axes, one an axis, or a mapping of axes.
    window
        The part to work on: ``{"Y": slice(0, 512), "X": slice(0, 512)}``, in pixels of the data.
    channel
        The one to work on, counted from 0, of an image with several.
    out
        A folder to be made for the labels (zarr), for results larger than memory.
    inside
        The boxes to segment in, and nothing else: a Shapes layer, as `detect` and `boxes` give
        it, a Labels layer, `napari_medai.core.boxes.Boxes`, or numbers (n, 4) of top, left,
        bottom, right. The features tell the ``box`` of each object, its class and its score.
    single
        Each of those boxes holds one object; otherwise all that lie in it by half or more.
    **params
        The fields of `napari_medai.SegmentParams`: ``threshold``, ``min_size``, ``diameter`` for
        objects, ``mirror`` for classes, ...

    Raises
    ------
    InputError
        If something does not fit; its text says what to do.
    """
    from napari_medai.tasks.inside_boxes import segment_inside_steps
    from napari_medai.tasks.segment import SegmentParams, segment_steps
    from napari_medai.ui.layers import labels_layer

    chosen = checked_params(SegmentParams, params)
    found = model_for("segment", model)
    if note := left_out(chosen, found.decoder, model=found.name):
        warnings.warn(note, stacklevel=2)
    subject = Subject.of(image, axes=axes, scale=scale, units=units, window=window, channel=channel)
    if inside is None:
        folder = None if out is None else Path(out)
        steps = segment_steps(subject.image, found, chosen, out=folder)
    else:
        if window or out is not None:
            raise InputError(
                "inside boxes, the whole image is looked at and labels are in memory; "
                f"remove {'window' if window else 'out'}="
            )
        placed = placed_boxes(inside, subject)
        steps = segment_inside_steps(subject.image, found, chosen, placed, single=single)
    result = drained(steps)
    for note in result.notes:
        warnings.warn(note, stacklevel=2)
    return labels_layer(result, subject.source, axes=subject.axes, window=subject.window)


def detect(
    image: Any,
    model: str | Path | Model = "blood-cells",
    *,
    axes: str | None = None,
    scale: Scale | None = None,
    units: Units | None = None,
    window: Mapping[str, Any] | None = None,
    channel: int | None = None,
    points: bool = False,
    classes: str | Sequence[str] = "",
    **params: Any,
) -> Shapes | Points:
    """Find the objects in an image as boxes; a new Shapes layer with features and a record.

    Parameters
    ----------
    image, model, axes, scale, units, window, channel
        As of `segment`.
    points
        Give the middles of the boxes as a Points layer, which napari draws quickly where there are
        many.
    classes
        The names of those to look for, in a list or with commas between; all without them.
    **params
        The other fields of `napari_medai.DetectParams`: ``threshold``, ``overlap``, ``diameter``,
        ...

    Raises
    ------
    InputError
        If something does not fit; its text says what to do.
    """
    from napari_medai.tasks.detect import DetectParams, detect_steps
    from napari_medai.ui.box_layers import MOST_SHAPES, points_layer, rectangle_count, shapes_layer

    chosen = checked_params(DetectParams, {"classes": _joined(classes), **params})
    found = model_for("detect", model)
    chosen.chosen(class_names(found.config))
    subject = Subject.of(image, axes=axes, scale=scale, units=units, window=window, channel=channel)
    result = drained(detect_steps(subject.image, found, chosen))
    notes = list(result.notes)
    if not result.count:
        notes.append("no objects were found; a lower threshold finds more")
    if not points and (drawn := rectangle_count(result)) > MOST_SHAPES:
        notes.append(f"{_slow(drawn)}; points=True gives a Points layer")
    for note in notes:
        warnings.warn(note, stacklevel=2)
    layer = points_layer if points else shapes_layer
    return layer(result, subject.source, axes=subject.axes, window=subject.window)


def boxes(
    labels: Any,
    *,
    axes: str | None = None,
    scale: Scale | None = None,
    units: Units | None = None,
) -> Shapes:
    """Draw the boxes around labels; a new Shapes layer, whose feature ``index`` is the label.

    Parameters
    ----------
    labels
        A napari labels layer, whose place in the world the result takes and whose features give
        the ``class``, or an array of whole numbers, with ``axes``, ``scale`` and ``units`` as of
        `segment`.

    Raises
    ------
    InputError
        If they are no labels; its text says what to do.
    """
    from napari_medai.tasks.label_boxes import boxes_of_labels
    from napari_medai.ui.box_layers import MOST_SHAPES, rectangle_count, shapes_layer
    from napari_medai.ui.layers import place_of

    axes = axes.upper() if axes else None
    source = source_of(labels, axes=axes, scale=scale, units=units, kind="Labels")
    array = array_of(source, axes)
    if array.data.dtype.kind == "b":
        raise InputError(
            "a mask does not tell its objects apart; number them first, with skimage.measure.label"
        )
    result = boxes_of_labels(array, label_classes(source.features) if is_layer(source) else {})
    if not result.count:
        warnings.warn("there are no labels to draw boxes around", stacklevel=2)
    if (drawn := rectangle_count(result)) > MOST_SHAPES:
        warnings.warn(_slow(drawn), stacklevel=2)
    place = place_of(source, axes=None if isinstance(source, AxesArray) else axes)
    layer = shapes_layer(result, place)
    layer.name = f"{place.name} boxes".strip()
    return layer


def measure(
    labels: Any,
    image: Any = None,
    *,
    axes: str | None = None,
    scale: Scale | None = None,
    units: Units | None = None,
) -> DataFrame:
    """Measure every label; a table as napari's ``features`` are, whose columns name their units.

    Parameters
    ----------
    labels
        A napari labels layer, whose scale and units count and whose features give the ``class``,
        or an array of whole numbers, with ``axes``, ``scale`` and ``units`` as of `segment`.
    image
        A layer or an array on the same grid, whose values are measured.

    Returns
    -------
    DataFrame
        ``volume_ml``, ``surface_mm2``, ``longest_diameter_mm``, ``mean_intensity``, ...: see
        `napari_medai.core.measures.Measurements`. The layer is left as it is.
    """
    import pandas as pd

    from napari_medai.core.measures import measure_steps
    from napari_medai.ui.measured import subject_of, table_of

    axes = axes.upper() if axes else None
    source = source_of(labels, axes=axes, scale=scale, units=units, kind="Labels")
    subject = subject_of(source, axes=axes)
    if image is not None:
        pixels = image if is_layer(image) else pixels_on(image, subject.labels.axes)
        subject = subject_of(source, pixels, axes=axes)
    if subject.note:
        warnings.warn(subject.note, stacklevel=2)
    found = drained(measure_steps(subject.labels, subject.ruler, image=subject.image))
    features = source.features if is_layer(source) else pd.DataFrame()
    return pd.DataFrame(table_of(found, features))


def models(task: str | None = None) -> list[Model]:
    """The models that can be used, all or those for one task."""
    from napari_medai.models.registry import list_models

    return list_models(task)


def script(layer: Layer | Mapping[str, Any], *, path: str | None = None) -> str:
    """The Python that makes a result again; ``path`` is the file its image came from."""
    from napari_medai.ui.script import script as written

    return written(layer, path=path)


def _joined(classes: str | Sequence[str]) -> str:
    """Names with commas between, as params hold them."""
    return classes if isinstance(classes, str) else ",".join(str(name) for name in classes)


def _slow(drawn: int) -> str:
    return f"{digits(drawn)} rectangles are slow to draw"
