"""Segmenting one image into files: labels, features, record, and a picture to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.commands.inside import BoxesInFile
from napari_medai.commands.label_files import ZARR, labels_of, write_label_file
from napari_medai.commands.outputs import Outputs, staged, write_record, writing
from napari_medai.commands.pictures import plane_at
from napari_medai.core.axes import CHANNEL, AxesArray
from napari_medai.core.steps import Steps
from napari_medai.io.image_data import ImageData
from napari_medai.io.ome_zarr.writer import FINEST, finish_labels
from napari_medai.io.results import write_features_csv, write_overlay_png
from napari_medai.models.model import Model
from napari_medai.models.settings import CLASSES
from napari_medai.tasks import assembly
from napari_medai.tasks.inside_boxes import segment_inside_steps
from napari_medai.tasks.segment import SegmentParams, segment_steps
from napari_medai.tasks.segmentation import Segmentation

MOST_TIFF_AXES = 5
STEM = "_labels"
"""What labels are named, without the ending that tells their format."""


def written_labels_steps(
    image: ImageData,
    model: Model,
    params: SegmentParams,
    outputs: Outputs,
    *,
    notes: Mapping[str, Any],
    overlay: bool = False,
    overwrite: bool = False,
    inside: BoxesInFile | None = None,
) -> Steps[Segmentation]:
    """Segment an image, or what lies ``inside`` boxes, and write it, all or nothing.

    Labels are written in the format that the image came in. ``notes`` are added to the record.
    Labels too large for memory, or of more axes than OME-TIFF has, go to OME-Zarr.
    """
    array = image.image
    with staged(outputs, overwrite=overwrite) as new:
        if inside is None and _is_large(array, 1 if model.decoder == CLASSES else 4):
            zarr = new.at(STEM + ZARR)
            store = zarr / FINEST
            result = yield from segment_steps(array, model, params, out=store)
            labels = _opened(store)
            with writing(new):
                finish_labels(zarr, labels_of(result, image, zarr.stem))
        else:
            result = yield from (
                segment_steps(array, model, params)
                if inside is None
                else segment_inside_steps(
                    array,
                    model,
                    params,
                    inside.placed(outputs.source, array),
                    single=inside.single,
                )
            )
            labels = result.labels
            said = write_label_file(new.at(STEM), result, image, outputs.source)
            result = replace(result, notes=(*result.notes, *said))
        write_features_csv(new.table, result.features)
        if overlay:
            shown = AxesArray(labels, result.axes)
            write_overlay_png(new.picture, *_middle_planes(array, shown))
        write_record(new, result.record, notes=result.notes, more=notes)
    return result


def _middle_planes(image: AxesArray, labels: AxesArray) -> tuple[np.ndarray, np.ndarray]:
    """One plane of each, from the middle: (y, x) or (y, x, 3), and (y, x)."""
    middle = {a: n // 2 for a, n in labels.sizes.items() if a not in "YX"}
    return plane_at(image, **middle), plane_at(labels, **middle)


def _is_large(image: AxesArray, itemsize: int) -> bool:
    sizes = [n for axis, n in image.sizes.items() if axis != CHANNEL]
    return itemsize * prod(sizes) > assembly.LARGEST_IN_MEMORY or len(sizes) > MOST_TIFF_AXES


def _opened(path: Path) -> Any:
    import zarr

    return zarr.open_array(str(path), mode="r")
