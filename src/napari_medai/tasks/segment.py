"""Segment: which pixels belong to which object, or to which class.

The whole recipe for objects: normalise, find the magnification, score tiles, decode scores into
objects, stitch blocks, link slices, measure. That for classes is `napari_medai.tasks.classes`.
Arrays in, a `Segmentation` out; napari is not needed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from napari_medai.core.axes import CHANNEL, SPACE, AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.fields import settle, suited
from napari_medai.core.intensity import Range
from napari_medai.core.memory import give_back
from napari_medai.core.predict import predict
from napari_medai.core.steps import Step, Steps, as_part
from napari_medai.core.tiling import Block, plan_blocks
from napari_medai.models.settings import CLASSES, VOTES
from napari_medai.tasks.assembly import Assembly, Decode, Layout
from napari_medai.tasks.brightness import stack_range
from napari_medai.tasks.classes import class_steps
from napari_medai.tasks.computing import Device, Tile
from napari_medai.tasks.finders import ObjectFinder
from napari_medai.tasks.magnification import Magnification, magnification_of
from napari_medai.tasks.record import run_record
from napari_medai.tasks.segmentation import Scores, Segmentation
from napari_medai.tasks.suitable import (
    check_suited,
    loaded_net,
    normalised_reader,
    pixels,
)

if TYPE_CHECKING:
    from napari_medai.models.model import Model
    from napari_medai.nn.runner import ScoreNet

TILE = {2: 2048, 3: 128}
BLOCK = {2: 3072, 3: 256}
LARGEST_BLOCK = 1 << 24
"""Pixels up to which a plane is decoded in one piece."""
LARGEST_KEPT = 1 << 30
"""Bytes of scores that may be kept for decoding again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentParams:
    """How an image becomes objects or classes.

    What applies to the models of one decoder alone (``applies``) is ignored by those of another.
    """

    threshold: Annotated[
        float,
        {
            "min": 0.05,
            "max": 0.95,
            "step": 0.01,
            "help": "How sure the model must be that a pixel belongs to an object; "
            "lower finds more and larger objects",
            "applies": VOTES,
        },
    ] = 0.5
    min_size: Annotated[
        float,
        {
            "min": 0.0,
            "max": 1.0,
            "step": 0.01,
            "label": "Minimum size",
            "help": "The smallest object kept, as a part of a typical object's area (or volume)",
            "applies": VOTES,
        },
    ] = 0.1
    min_score: Annotated[
        float,
        {
            "min": 0.0,
            "max": 1.0,
            "step": 0.01,
            "label": "Minimum score",
            "help": "How sure the model must be of a whole object (its mean foreground "
            "probability) for it to be kept",
            "applies": VOTES,
        },
    ] = 0.75
    diameter: Annotated[
        float,
        {
            "min": 0.0,
            "max": 10_000.0,
            "step": 1.0,
            "unit": "px",
            "zero": "estimated",
            "help": "Diameter of a typical object in pixels; 0 estimates it from the image",
            "applies": VOTES,
        },
    ] = 0.0
    mirror: Annotated[
        str,
        {
            "choices": ("auto", "on", "off"),
            "help": "Look at the image mirrored too, and average: slower, a little more exact; "
            "auto: as the model is best used",
            "applies": CLASSES,
        },
    ] = "auto"
    device: Device = "auto"
    tile: Tile = 0
    block: Annotated[
        int,
        {
            "min": 0,
            "max": 65_536,
            "zero": "auto",
            "unit": "px",
            "help": "Edge of the blocks that objects are found in and stitched from",
        },
    ] = 0

    def __post_init__(self) -> None:
        settle(self)


def segment_steps(
    image: AxesArray,
    model: Model,
    params: SegmentParams,
    *,
    out: Path | None = None,
    keep_scores: bool = False,
) -> Steps[Segmentation]:
    """Segment every plane (or volume, with a 3D model) of an image, into objects or classes.

    Other axes are worked through one by one; the slices of a z-stack seen by a 2D model are
    linked into 3D objects. ``out`` is a folder to be made for the labels (zarr), for results
    larger than memory; without it, those go to a temporary one.
    ``keep_scores`` keeps what `redecoded` needs, where that is at most a gigabyte.

    Raises
    ------
    InputError
        If the image or the parameters do not suit the model; its text says what to do.
    """
    if model.decoder == CLASSES:
        return (yield from class_steps(image, model, params, out=out))
    began = time.perf_counter()
    check_suited(image, model)
    yield Step(0, 0, f"loading {model.name}")
    net = loaded_net(model, device=params.device)
    layout = Layout(image, model.axes.replace(CHANNEL, ""))
    try:
        seen = yield from magnification_of(
            layout, model, ObjectFinder(net), diameter=params.diameter
        )
        net = net.at(seen.scales)
        assembly = Assembly(layout, _decoder(seen, params), out=out)
        try:
            scored = yield from _scored(
                layout, model, net, params, assembly, seen, keep=keep_scores
            )
        except BaseException:
            assembly.discard()
            raise
    finally:
        net.close()
    record = run_record(
        "segment",
        model,
        suited(params, model.decoder),
        image,
        device=f"{scored.net.device.type}, {scored.net.backend.name}",
        seconds=time.perf_counter() - began,
        found={"diameter": round(seen.diameter, 2), "diameter_from": seen.source},
    )
    scores = None if scored.maps is None else Scores(layout, seen, scored.maps)
    return _segmentation(layout, assembly, record, scores, scored.notes)


def redecoded(segmentation: Segmentation, params: SegmentParams) -> Segmentation:
    """The same scores with another threshold and minimum size; the net does not run again.

    Raises
    ------
    InputError
        If the result kept no scores.
    """
    scores = segmentation.scores
    if scores is None:
        raise InputError("the scores of this result were not kept; run it again")
    assembly = Assembly(scores.layout, _decoder(scores.seen, params))
    for stack in scores.layout.stacks():
        assembly.begin_stack()
        for position in stack:
            maps = scores.maps[tuple(position.values())]
            values = np.asarray(scores.layout.plane(position).data)
            assembly.add(position, _whole(scores.layout.plane_shape), maps, values)
            assembly.end_plane(position)
        assembly.end_stack()
    parameters = {
        **segmentation.record["parameters"],
        "threshold": params.threshold,
        "min_size": params.min_size,
        "min_score": params.min_score,
    }
    record = {**segmentation.record, "parameters": parameters}
    return _segmentation(scores.layout, assembly, record, scores, ())


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """What `_scored` gives besides the objects: score maps to keep, notes, the net at the end."""

    maps: dict[tuple[int, ...], Any] | None
    notes: tuple[str, ...]
    net: ScoreNet


def _scored(
    layout: Layout,
    model: Model,
    net: ScoreNet,
    params: SegmentParams,
    assembly: Assembly,
    seen: Magnification,
    *,
    keep: bool,
) -> Steps[_Scored]:
    """Score and decode every block."""
    shape = layout.plane_shape
    blocks = plan_blocks(
        shape,
        size=params.block or _block_edge(shape),
        overlap=_overlap(seen, net.halo),
        multiple=net.multiple,
    )
    # The net's memory is a matter of the pixels that it sees, after zooming.
    tile = params.tile or tuple(max(1, int(TILE[len(shape)] / float(s))) for s in seen.scales)
    maps_bytes = 4 * (2 + len(shape)) * prod(layout.shape)
    kept: dict[tuple[int, ...], Any] | None = (
        {} if keep and len(blocks) == 1 and maps_bytes <= LARGEST_KEPT else None
    )
    notes: dict[str, None] = {}
    done, total = 0, layout.count * len(blocks)
    for stack in layout.stacks():
        assembly.begin_stack()
        bright: Range | None = None
        for position in stack:
            plane = layout.plane(position)
            if bright is None:
                bright, blank = stack_range(layout, position, model)
                notes |= dict.fromkeys(blank)
            for block in blocks:
                corner = tuple(window.start for window in block.read)
                read = normalised_reader(plane, model, bright=bright, corner=corner)
                run = predict(net, read, block.shape, tile=tile)
                text = _where(position, block, blocks)
                maps, said, net = yield from as_part(run, done=done, total=total, text=text)
                assembly.add(position, block, maps, pixels(plane, block.read))
                notes |= dict.fromkeys(said)
                done += 1
                if kept is not None:
                    kept[tuple(position.values())] = net.kept(maps)
                del maps
                if len(blocks) > 1:
                    give_back()
            assembly.end_plane(position)
        assembly.end_stack()
    if assembly.oversized:
        several = assembly.oversized > 1
        notes[
            f"{assembly.oversized} object{'s are' if several else ' is'} larger than the overlap "
            f"of blocks and {'were' if several else 'was'} joined from pieces; run again with a "
            "larger block to see such objects whole"
        ] = None
    return _Scored(kept, tuple(notes), net)


def _segmentation(
    layout: Layout,
    assembly: Assembly,
    record: dict[str, Any],
    scores: Scores | None,
    notes: tuple[str, ...],
) -> Segmentation:
    space = "".join(axis for axis in layout.axes if axis in SPACE)
    features = assembly.table.features(
        axes=layout.measured_axes,
        space=space,
        spacing=layout.image.spacing,
        slant=layout.image.slant,
    )
    record = {**record, "found": {**record["found"], "count": len(features["index"])}}
    return Segmentation(assembly.labels(), layout.axes, features, record, scores, notes)


def _decoder(seen: Magnification, params: SegmentParams) -> Decode:
    from napari_medai.nn.runner import decoded_objects

    return partial(
        decoded_objects,
        threshold=params.threshold,
        diameter=seen.diameters,
        min_size=params.min_size * seen.typical_size,
        min_score=params.min_score,
    )


def _where(position: Mapping[str, int], block: Block, blocks: list[Block]) -> str:
    """A few words about what is worked on."""
    words = [f"{axis.lower()} {at}" for axis, at in position.items()]
    if len(blocks) > 1:
        words.append(f"block {blocks.index(block) + 1} of {len(blocks)}")
    return "segmenting" + (": " if words else "") + ", ".join(words)


def _whole(shape: tuple[int, ...]) -> Block:
    window = tuple(slice(0, n) for n in shape)
    return Block(window, window)


def _block_edge(shape: tuple[int, ...]) -> int | tuple[int, ...]:
    """The whole plane where it is small enough, else the usual edge."""
    return max(shape) if prod(shape) <= LARGEST_BLOCK else BLOCK[len(shape)]


def _overlap(seen: Magnification, halo: tuple[int, ...]) -> tuple[int, ...]:
    """Two objects' width, seen with the context that the net needs."""
    return tuple(round(2 * w) + h for w, h in zip(seen.diameters, halo, strict=True))
