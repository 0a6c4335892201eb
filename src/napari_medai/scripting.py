"""The Python API: a layer or an array goes in, a layer comes out.

No Qt is needed: everything works without a screen, with napari's layers alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.axes import CHANNEL, AxesArray, guessed_axes, looks_rgb
from napari_medai.core.errors import InputError
from napari_medai.core.fields import checked_params, left_out
from napari_medai.core.progress import ProgressLine
from napari_medai.core.steps import Steps, finished
from napari_medai.io.calibration import Scale, Units, calibrated

if TYPE_CHECKING:
    from napari.layers import Labels, Layer
    from pandas import DataFrame

    from napari_medai.models.model import Model
    from napari_medai.tasks.pairs import Pair

TRAINABLE = ("segment",)


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
    **params
        The fields of `napari_medai.SegmentParams`: ``threshold``, ``min_size``, ``diameter`` for
        objects, ``mirror`` for classes, ...

    Raises
    ------
    InputError
        If something does not fit; its text says what to do.
    """
    from napari_medai.tasks.segment import SegmentParams, segment_steps
    from napari_medai.ui.layers import labels_layer
    from napari_medai.ui.window import checked_window

    chosen = checked_params(SegmentParams, params)
    axes = axes.upper() if axes else None
    found = _model(model, "segment")
    if note := left_out(chosen, found.decoder, model=found.name):
        warnings.warn(note, stacklevel=2)
    source = _source(image, axes=axes, scale=scale, units=units)
    whole = source if isinstance(source, AxesArray) else _array(source, axes)
    cuts = checked_window(whole, window or {}, channel=channel)
    steps = segment_steps(
        whole.cropped(**cuts), found, chosen, out=None if out is None else Path(out)
    )
    result = _drained(steps)
    for note in result.notes:
        warnings.warn(note, stacklevel=2)
    own = None if isinstance(source, AxesArray) else axes
    return labels_layer(result, source, axes=own, window=cuts)


def train(
    task: str,
    images: Any,
    labels: Any,
    *,
    name: str,
    start: str | Path | Model | None = None,
    classes: str | Sequence[str] = (),
    window: tuple[float, float] | None = None,
    mirror: str = "",
    axes: str | None = None,
    checkpoint: str | Path | None = None,
    overwrite: bool = False,
    **params: Any,
) -> Model:
    """Train a model on one's own images; it can be used by its name at once.

    Parameters
    ----------
    images, labels
        Two folders, whose files are matched by name, or two equally long lists of layers, arrays
        or files. Frames of a time series count as images of their own.
    start
        A model to go on from.
    classes
        Names of the classes 1, 2, ... in the labels, such as ``["liver", "tumour"]``, 63 at most;
        without them, labels number objects.
    window
        For classes: the two values that become dark and bright in every image, as CT in Hounsfield
        units needs; without it, each image counts by its own mean and deviation.
    mirror
        For classes: axes, such as ``"X"``, along which a mirrored image is as good as another.
    axes
        Of the images, where they are arrays or layers with other axes than the usual ones.
    checkpoint
        A file to go on from if it exists, and to keep the state of the training in.
    **params
        ``minutes``, ``steps``, ``held_out``, ``batch``, ``learning_rate``, ``seed``, ``device``.

    Raises
    ------
    InputError
        If something does not fit; its text says what to do.
    """
    from napari_medai.tasks.train import TrainParams, finds_classes, train_steps
    from napari_medai.tasks.train_classes import check_classes

    if task not in TRAINABLE:
        raise InputError(f"models for {task!r} cannot be trained, only for {', '.join(TRAINABLE)}")
    chosen = checked_params(TrainParams, params)
    names = (classes,) if isinstance(classes, str) else tuple(classes)
    check_classes(names)
    begin = None if start is None else _model(start, task)
    steps = train_steps(
        training_pairs(images, labels, axes=axes, classes=finds_classes(names, begin)),
        chosen,
        name=name,
        start=begin,
        classes=names,
        window=window,
        mirror=mirror,
        checkpoint=None if checkpoint is None else Path(checkpoint),
        overwrite=overwrite,
    )
    return _drained(steps)


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
    source = _source(labels, axes=axes, scale=scale, units=units, kind="Labels")
    subject = subject_of(source, axes=axes)
    if image is not None:
        pixels = image if _is_layer(image) else _pixels(image, subject.labels.axes)
        subject = subject_of(source, pixels, axes=axes)
    if subject.note:
        warnings.warn(subject.note, stacklevel=2)
    found = _drained(measure_steps(subject.labels, subject.ruler, image=subject.image))
    features = source.features if _is_layer(source) else pd.DataFrame()
    return pd.DataFrame(table_of(found, features))


def models(task: str | None = None) -> list[Model]:
    """The models that can be used, all or those for one task."""
    from napari_medai.models.registry import list_models

    return list_models(task)


def script(layer: Layer | Mapping[str, Any], *, path: str | None = None) -> str:
    """The Python that makes a result again; ``path`` is the file its image came from."""
    from napari_medai.ui.script import script as written

    return written(layer, path=path)


def training_pairs(
    images: Any, labels: Any, *, axes: str | None = None, classes: bool = False
) -> list[Pair]:
    """Images and labels of objects or classes, as `train` takes them, checked in number."""
    from napari_medai.tasks.pairs import Pair

    if isinstance(images, str | Path) and isinstance(labels, str | Path):
        from napari_medai.io.pairs import find_pairs, read_pair

        found = find_pairs(Path(images).expanduser(), Path(labels).expanduser())
        read = (Pair(*read_pair(*pair, classes=classes)) for pair in found)
        return [frame for number, pair in enumerate(read, 1) for frame in _frames(pair, number)]
    images, labels = _listed(images), _listed(labels)
    if len(images) != len(labels):
        raise InputError(
            f"{len(images)} images and {len(labels)} labels were given; give one label image "
            "for each image"
        )
    pairs = [
        _pair(image, drawn, number, axes=axes, classes=classes)
        for number, (image, drawn) in enumerate(zip(images, labels, strict=True), 1)
    ]
    return [frame for number, pair in enumerate(pairs, 1) for frame in _frames(pair, number)]


def _pair(image: Any, drawn: Any, number: int, *, axes: str | None, classes: bool) -> Pair:
    from napari_medai.tasks.pairs import Pair

    if isinstance(image, str | Path) and isinstance(drawn, str | Path):
        from napari_medai.io.pairs import read_pair

        return Pair(*read_pair(Path(image), Path(drawn), classes=classes))
    axes = axes.upper() if axes else None
    source = _source(image, axes=axes, scale=None, units=None)
    array = source if isinstance(source, AxesArray) else _array(source, axes)
    name = getattr(image, "name", None) or f"image {number}"
    values = _finest(drawn.data if _is_layer(drawn) else drawn)
    return Pair(array, np.asarray(values), str(name))


def _frames(pair: Pair, number: int) -> Iterator[Pair]:
    """A pair for every position along time and other series, all of one source."""
    from napari_medai.tasks.pairs import Pair

    space = pair.image.axes.replace(CHANNEL, "")
    shape = tuple(n for axis, n in pair.image.sizes.items() if axis != CHANNEL)
    if not pair.image.series or pair.labels.shape != shape:
        yield pair
        return
    for position in pair.image.positions(pair.image.series):
        where = ", ".join(f"{axis.lower()} {at}" for axis, at in position.items())
        key = tuple(position.get(axis, slice(None)) for axis in space)
        yield Pair(
            pair.image.at(**position),
            pair.labels[key],
            f"{pair.name}, {where}",
            source=f"{number}: {pair.name}",
        )


def _drained(steps: Steps[Any]) -> Any:
    with ProgressLine() as line:
        return finished(steps, line)


def _model(model: str | Path | Model, task: str) -> Model:
    from napari_medai.models.model import Model
    from napari_medai.models.registry import find_model

    return find_model(model.path if isinstance(model, Model) else model, task)


def _is_layer(image: Any) -> bool:
    return hasattr(image, "data_to_world") and hasattr(image, "axis_labels")


def _source(image: Any, *, axes: str | None, scale: Any, units: Any, kind: str = "Image") -> Any:
    """The layer itself, of one kind, or an array with its axes, spacing and units."""
    if _is_layer(image):
        from napari import layers

        if not isinstance(image, getattr(layers, kind)):
            wanted = "an image" if kind == "Image" else "a labels"
            raise InputError(
                f"layer {image.name!r} is a {type(image).__name__} layer; choose {wanted} layer"
            )
        if scale is not None or units is not None:
            raise InputError(
                f"scale and units are those of layer {image.name!r}; change them on the layer"
            )
        return image
    if isinstance(image, AxesArray):
        return calibrated(image, axes=axes, scale=scale, units=units)
    data = _finest(image)
    rgb = axes is None and looks_rgb(data.shape)
    array = AxesArray(data, guessed_axes(data.shape, rgb=rgb) if axes is None else axes)
    if rgb and data.shape[-1] == 4:
        array = array.cropped(C=slice(0, 3))
    return calibrated(array, scale=scale, units=units)


def _array(layer: Any, axes: str | None) -> AxesArray:
    from napari_medai.ui.layers import array_from_layer

    return array_from_layer(layer, axes=axes)


def _pixels(image: Any, axes: str) -> AxesArray:
    """An array of values on the grid of labels with these axes, maybe with channels last."""
    if isinstance(image, AxesArray):
        return image
    data = _finest(image)
    return AxesArray(data, axes + CHANNEL * (len(data.shape) - len(axes)))


def _finest(image: Any) -> Any:
    """The array itself, the first of a pyramid's, or what numpy makes of it."""
    if isinstance(image, str | Path):
        raise InputError(f"{str(image)!r} is a path; open it first, or give the array")
    if isinstance(image, Sequence):
        shapes = [getattr(level, "shape", None) for level in image]
        if shapes and None not in shapes and (len(shapes) == 1 or len(set(shapes)) > 1):
            return image[0]
    elif all(hasattr(image, name) for name in ("shape", "dtype", "__getitem__")):
        return image
    try:
        return np.asarray(image)
    except ValueError as error:
        raise InputError(f"the image is not an array ({error}); give one number a pixel") from error


def _listed(values: Any) -> list[Any]:
    if isinstance(values, str | Path):
        raise InputError(
            f"{values} was given for one of images and labels; give two folders, or two lists"
        )
    if _is_layer(values) or hasattr(values, "shape"):
        return [values]
    if not isinstance(values, Iterable):
        raise InputError(
            f"images and labels must be two folders, or two lists of layers, arrays or files, "
            f"got {values!r}"
        )
    return list(values)
