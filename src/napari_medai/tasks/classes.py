"""Segment into classes: which pixel shows which organ, or none.

The whole recipe: normalise, resample to the spacing that the model was trained at, score tiles,
resample the scores back, take the largest, measure. Tiles overlap by the net's whole receptive
field, so that the classes are the same however the image is cut; nothing is left to blend.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.axes import CHANNEL, AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.fields import suited
from napari_medai.core.intensity import Range
from napari_medai.core.label_store import new_label_store, write_labels
from napari_medai.core.predict import predict
from napari_medai.core.scale import LARGEST, SMALLEST, Scale
from napari_medai.core.steps import Step, Steps, as_part
from napari_medai.core.tiling import plan_blocks
from napari_medai.models.settings import class_names
from napari_medai.tasks.assembly import (
    LARGEST_IN_MEMORY,
    Layout,
    PlaneView,
    bands,
    chunks_of,
    temporary_store,
)
from napari_medai.tasks.brightness import stack_range
from napari_medai.tasks.class_table import ClassTable
from napari_medai.tasks.record import run_record
from napari_medai.tasks.segmentation import Segmentation
from napari_medai.tasks.spacing import millimetres
from napari_medai.tasks.suitable import check_suited, loaded_net, normalised_reader, pixels

if TYPE_CHECKING:
    from napari_medai.models.model import Model
    from napari_medai.nn.class_net import ClassNet
    from napari_medai.tasks.segment import SegmentParams

SLAB = 1 << 22
"""Pixels read at a time."""
BLOCK = {2: 16_384, 3: 512}
LARGEST_BLOCK = 1 << 29
"""Pixels up to which an image is classified in one piece."""
LARGEST_HELD = 1 << 30
"""Bytes up to which a volume is read at once: tiles share slices, which would be decoded anew."""


def class_steps(
    image: AxesArray, model: Model, params: SegmentParams, *, out: Path | None = None
) -> Steps[Segmentation]:
    """Find the class of every pixel, on the image's own grid.

    Axes that the model does not see are worked through one by one. ``out`` is a zarr folder to be
    made for the labels; without it, labels larger than memory go to a temporary one.

    Raises
    ------
    InputError
        If the image or the parameters do not suit the model; its text says what to do.
    """
    from napari_medai.nn.class_net import ClassNet

    began = time.perf_counter()
    check_suited(image, model)
    yield Step(0, 0, f"loading {model.name}")
    scales, notes = resampling(image, model)
    layout = Layout(image, model.axes.replace(CHANNEL, ""))
    scorer = loaded_net(model, device=params.device)
    mirror, told = _mirror(model, params.mirror)
    net = ClassNet(scorer.at(scales), mirror)
    classes: list[Mapping[str, Any]] = model.config["classes"]
    if out is None and prod(layout.shape) > LARGEST_IN_MEMORY:
        out = temporary_store()
    labels = _new_labels(layout, out)
    try:
        said, table, used = yield from _classified(layout, model, net, params, labels)
    except BaseException:
        if out is not None:
            shutil.rmtree(out, ignore_errors=True)
        raise
    finally:
        scorer.close()
    names = tuple(class_names(model.config))
    features = table.features(names, image)
    record = run_record(
        "segment",
        model,
        suited(params, model.decoder),
        image,
        device=f"{used.device.type}, {used.scorer.backend.name}",
        seconds=time.perf_counter() - began,
        found={
            "zoom": [round(float(scale), 4) for scale in scales],
            "count": len(set(features["index"][features["voxels"] > 0].tolist())),
        },
    )
    record["classes"] = [dict(entry) for entry in classes]
    colours = {i: entry["colour"] for i, entry in enumerate(classes, 1) if entry.get("colour")}
    notes = tuple(dict.fromkeys((*notes, *told, *said)))
    return Segmentation(labels, layout.axes, features, record, None, notes, names, colours)


def resampling(image: AxesArray, model: Model) -> tuple[tuple[Scale, ...], tuple[str, ...]]:
    """The zoom that brings each axis to the spacing the model was trained at, and what to say.

    Raises
    ------
    InputError
        If that would be more than a sixteenth or the eightfold.
    """
    space = model.axes.replace(CHANNEL, "")
    known = model.config.get("spacing")
    if known is None:
        return (Scale(),) * len(space), ()
    steps = millimetres(image, space)
    if steps is None:
        sizes = " x ".join(f"{step:g}" for step in known)
        return (Scale(),) * len(space), (
            f"The size of a pixel is not known in millimetres, so it was taken to be {sizes} mm, "
            f"as {model.name} knows it; set scale and units if it is not.",
        )
    scales = []
    for axis, step, own in zip(space, steps, known, strict=True):
        if not 1 / SMALLEST <= step / own <= LARGEST:
            raise InputError(
                f"the step along {axis} is {step:g} mm, but {model.name} was trained at "
                f"{own:g} mm; correct the scale and units, or choose another model"
            )
        scales.append(Scale.nearest(step / own))
    return tuple(scales), ()


def _mirror(model: Model, wanted: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The axes along which images are seen mirrored too, and what to say where there are none."""
    axes = str(model.config.get("mirror", ""))
    if wanted == "off" or (wanted == "auto" and not model.config.get("mirrored")):
        return (), ()
    if not axes:
        return (), (f"{model.name} was not trained on mirrored images, so none were looked at.",)
    space = model.axes.replace(CHANNEL, "")
    return tuple(space.index(axis) for axis in axes), ()


def _classified(
    layout: Layout, model: Model, net: ClassNet, params: SegmentParams, labels: Any
) -> Steps[tuple[tuple[str, ...], ClassTable, ClassNet]]:
    """Fill the labels, block by block; what to say, what was measured, the net at the end."""
    shape = layout.plane_shape
    edge = params.block or (max(shape) if prod(shape) <= LARGEST_BLOCK else BLOCK[len(shape)])
    blocks = plan_blocks(shape, size=edge, overlap=net.halo, multiple=net.multiple)
    tile = params.tile or net.tile
    table = ClassTable(1 + len(model.config["classes"]))
    notes: dict[str, None] = {}
    done, total = 0, layout.count * len(blocks)
    for stack in layout.stacks():
        bright: Range | None = None
        for position in stack:
            frame = {axis: at for axis, at in position.items() if axis in layout.series}
            plane = yield from _held(layout.plane(position), done, total)
            into = PlaneView(labels, layout, position)
            if bright is None:
                bright, blank = stack_range(layout, position, model, plane)
                notes |= dict.fromkeys(blank)
            for block in blocks:
                corner = tuple(window.start for window in block.read)
                read = normalised_reader(plane, model, bright=bright, corner=corner)
                run = predict(net, read, block.shape, tile=tile)
                text = "segmenting"
                found, said, net = yield from as_part(run, done=done, total=total, text=text)
                core = np.asarray(found[(0, *block.inner)].cpu())
                write_labels(into, block.core, core)
                for part in bands(core.shape):
                    where = tuple(
                        slice(whole.start + own.start, whole.start + own.stop)
                        for whole, own in zip(block.core, part, strict=True)
                    )
                    table.add(frame, core[part], pixels(plane, where))
                notes |= dict.fromkeys(said)
                done += 1
    return tuple(notes), table, net


def _held(plane: AxesArray, done: int, total: int) -> Steps[AxesArray]:
    """A plane (channels, \\*space) read into memory, slab by slab, where it is small enough."""
    shape, dtype = plane.shape, np.dtype(plane.data.dtype)
    if isinstance(plane.data, np.ndarray) or prod(shape) * dtype.itemsize > LARGEST_HELD:
        return plane
    values = np.empty(shape, dtype)
    rows = max(1, SLAB * shape[1] // prod(shape))
    for start in range(0, shape[1], rows):
        slab = (slice(None), slice(start, start + rows))
        values[slab] = plane.data[slab]
        yield Step(100 * done, 100 * total, "reading")
    return plane.with_data(values)


def _new_labels(layout: Layout, out: Path | None) -> Any:
    """Room for the classes of all pixels: an array, or zarr where it is large."""
    if out is None:
        return np.zeros(layout.shape, np.uint8)
    return new_label_store(out, layout.shape, chunks_of(layout), axes=layout.axes, dtype="uint8")
