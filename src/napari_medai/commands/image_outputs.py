"""Restoring one image into files: the image, the record, and a picture to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from napari_medai.commands.image_files import image_ending, write_image_file
from napari_medai.commands.outputs import Outputs, staged, write_record
from napari_medai.commands.pictures import plane_at
from napari_medai.core.axes import CHANNEL, AxesArray
from napari_medai.core.steps import Steps
from napari_medai.io.image_data import ImageData
from napari_medai.io.results import write_beside_png
from napari_medai.models.model import Model
from napari_medai.scripting.denoising import kept_notes
from napari_medai.tasks.denoise import denoise_steps
from napari_medai.tasks.denoise_params import DenoiseParams
from napari_medai.tasks.denoising import Restoration
from napari_medai.tasks.image_store import goes_to_disk

STEM = "_clean"
"""What restored images are named, without the ending that tells their format."""


def written_image_steps(
    image: ImageData,
    model: Model | None,
    params: DenoiseParams,
    outputs: Outputs,
    *,
    notes: Mapping[str, Any],
    overlay: bool = False,
    overwrite: bool = False,
    keep: str = "",
) -> Steps[Restoration]:
    """Restore an image and write it, all or nothing, in the format that the image came in.

    One too large for memory is kept beside the results until it is written. ``notes`` are added to
    the record; what was learned is kept as the model ``keep``, if that is a name.
    """
    array = image.image
    ending = image_ending(outputs.source, image)
    with staged(outputs, overwrite=overwrite) as new:
        large = goes_to_disk(array, same_dtype=params.dtype == "same")
        store = new.folder / "restored" if large else None
        result = yield from denoise_steps(array, model, params, out=store)
        write_image_file(new.at(STEM), result, image, ending)
        if overlay:
            write_beside_png(new.picture, *_middle_planes(array, result))
        said = kept_notes(result, keep, overwrite=overwrite)
        result = replace(result, notes=(*result.notes, *said))
        write_record(new, result.record, notes=result.notes, more=notes)
    return result


def _middle_planes(image: AxesArray, result: Restoration) -> tuple[np.ndarray, np.ndarray]:
    """One plane of each, from the middle: (y, x) or (y, x, 3)."""
    middle = {a: n // 2 for a, n in image.sizes.items() if a not in "YX" + CHANNEL}
    restored = image.with_data(result.image)
    return np.asarray(plane_at(image, **middle)), np.asarray(plane_at(restored, **middle))
