"""napari's writer of Labels layers as DICOM segmentations, as npe2 calls it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.core.space import Grid, carried
from napari_medai.io.dicom.reader import source_series
from napari_medai.io.dicom.seg_writer import SourceSeries, write_dicom_seg
from napari_medai.io.dicom.segments import TISSUE, Code, Segment
from napari_medai.io.layer_errors import told_by_napari
from napari_medai.io.layer_grid import SOURCE, grid_of_layer
from napari_medai.io.layer_image import label_colours


@told_by_napari
def write_labels_seg(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a Labels layer as DICOM SEG that refers to the series it was made on.

    Raises
    ------
    RunError
        If it is not known which series that is, or the labels do not lie on it.
    """
    place = (attributes.get("metadata") or {}).get(SOURCE)
    if not place:
        raise InputError(
            "a DICOM segmentation refers to the series that its labels were made on, and this "
            "layer was not made on one by Medai; segment an opened series, or save the labels as "
            "NIfTI (.nii.gz)"
        )
    labels = np.asarray(data[0] if attributes.get("multiscale") else data)
    while labels.ndim > 3 and labels.shape[0] == 1:
        labels = labels[0]
    if labels.ndim != 3:
        raise InputError(
            f"a DICOM segmentation holds one volume (Z, Y, X), got labels of shape {labels.shape}; "
            "save one time at a time"
        )
    grid = grid_of_layer(attributes)
    series = fitting_series(place, labels, grid)
    # napari's dialog has asked already whether a file may be replaced
    written = write_dicom_seg(
        path, labels, grid, series, segments_of(labels, attributes), overwrite=True
    )
    return [str(written)]


def fitting_series(place: str, labels: np.ndarray, grid: Grid) -> SourceSeries:
    """The series at a path on whose voxels the labels lie, most of them if several do."""
    best, most = None, 0
    problem: InputError | None = None
    for series in source_series(place):
        try:
            held = int(np.count_nonzero(carried(labels, grid, series.grid, series.shape)))
        except InputError as error:
            problem = error
            continue
        if held > most:
            best, most = series, held
    if best is not None:
        return best
    raise problem or InputError(
        "no label lies on the series that the layer was made on; move it back, or save it as NIfTI"
    )


def segments_of(labels: np.ndarray, attributes: Mapping[str, Any]) -> list[Segment]:
    """A segment a label, named by the layer's features, and by the model that made them.

    Of classes there is one each, also of those that were not found; what they are in coded terms
    is in the record of the run (``classes``, as in the model's settings). ``colormap`` tells the
    colours of labels that have their own (see `label_colours`).
    """
    record = (attributes.get("metadata") or {}).get("medai")
    model, number = _made_by(record)
    names = _names(attributes.get("features"))
    terms = _terms(record)
    colours = label_colours(attributes.get("colormap"))
    found = {int(label) for label in np.unique(labels) if label}
    # Classes have different names and are numbered from 1 on; objects share the names of theirs.
    if len(set(names.values())) == len(names) and set(names) == set(range(1, len(names) + 1)):
        found |= set(names)
    return [
        Segment(
            label,
            names.get(label, f"object {label}"),
            model,
            number,
            *terms.get(names.get(label, ""), (TISSUE, TISSUE)),
            _rgb(colours[label]) if label in colours else None,
        )
        for label in sorted(found)
    ]


def _made_by(record: Any) -> tuple[str, str]:
    model = record.get("model") if isinstance(record, Mapping) else None
    if isinstance(model, Mapping):
        return str(model.get("name", "")), str(model.get("version", ""))
    return (str(model), version("napari-medai")) if model else ("", "")


def _names(features: Any) -> dict[int, str]:
    if features is None or not {"index", "class"} <= set(features):
        return {}
    columns = (np.asarray(features[name]).tolist() for name in ("index", "class"))
    return {int(index): str(name) for index, name in zip(*columns, strict=True)}


def _terms(record: Any) -> dict[str, tuple[Code, Code]]:
    """Category and kind of each class that has a code, by its name."""
    classes = record.get("classes") if isinstance(record, Mapping) else None
    return {
        str(entry.get("name", "")): (_code(entry.get("category")), _code(entry["code"]))
        for entry in classes or ()
        if isinstance(entry, Mapping) and entry.get("code")
    }


def _code(entry: Any) -> Code:
    if not isinstance(entry, Mapping) or not {"value", "scheme", "meaning"} <= set(entry):
        return TISSUE
    return str(entry["value"]), str(entry["scheme"]), str(entry["meaning"])


def _rgb(colour: Sequence[float]) -> tuple[int, int, int]:
    """Red, green and blue of a colour, 0 to 255."""
    red, green, blue = (round(255 * part) for part in colour[:3])
    return red, green, blue
