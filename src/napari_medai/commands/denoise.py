"""``napari-medai denoise``: noise taken out of one image or a thousand, to files as they were."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial

from napari_medai.commands import batch
from napari_medai.commands.image_outputs import written_image_steps
from napari_medai.commands.outputs import CLEAN, is_result
from napari_medai.core.errors import InputError
from napari_medai.io.images import find_images
from napari_medai.scripting.denoising import check_keep, denoiser_for
from napari_medai.tasks.denoise_params import SELF, DenoiseParams

TASK = batch.Task(
    name="denoise",
    model="fluorescence",
    params=DenoiseParams,
    files=CLEAN,
    out="folder for <name>_clean in the format of the image (.ome.tif, .zarr, .nii.gz, .nrrd or "
    ".mha) and <name>_clean.json (the record)",
    written_steps=written_image_steps,
    own=SELF,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    batch.add_arguments(parser, TASK)
    parser.add_argument(
        "--keep",
        default="",
        metavar="NAME",
        help=f"with --model {SELF} and one image: keep what was learned as a model of this name",
    )


def run(parsed: argparse.Namespace) -> int:
    if not parsed.keep:
        return batch.run(parsed, TASK)
    check_keep(parsed.keep, denoiser_for(parsed.model), overwrite=parsed.overwrite)
    images = [path for path in find_images(parsed.images) if not is_result(path)]
    if len(images) > 1:
        raise InputError(
            f"a model is kept of what one image taught, but {len(images)} were given; name one "
            f"image with --keep, and use the model {parsed.keep} on the others"
        )
    keeping = replace(
        TASK,
        written_steps=partial(written_image_steps, keep=parsed.keep),
        how={"kept": parsed.keep},
    )
    return batch.run(parsed, keeping)
