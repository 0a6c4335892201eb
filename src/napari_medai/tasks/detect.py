"""Detect: where objects of each class are, as boxes.

The whole recipe: normalise, find the magnification, score tiles, turn cells into candidates, drop
those that are others seen again, suppress. Arrays in, a `Detection` out; napari is not needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from napari_medai.core.axes import CHANNEL, AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.fields import settle
from napari_medai.core.intensity import Range
from napari_medai.core.memory import give_back
from napari_medai.core.predict import predict
from napari_medai.core.steps import Step, Steps, as_part
from napari_medai.core.tiling import Window, plan_blocks
from napari_medai.models.settings import class_names
from napari_medai.tasks.assembly import Layout
from napari_medai.tasks.brightness import stack_range
from napari_medai.tasks.computing import Device, Tile
from napari_medai.tasks.detection import Candidates, Detection, Grid
from napari_medai.tasks.finders import BoxFinder
from napari_medai.tasks.magnification import magnification_of
from napari_medai.tasks.planes import Position
from napari_medai.tasks.record import run_record
from napari_medai.tasks.suitable import check_suited, loaded_net, normalised_reader

if TYPE_CHECKING:
    from napari_medai.models.model import Model
    from napari_medai.nn import box_scorer
    from napari_medai.nn.box_scorer import BoxScorer

LIVE = ("threshold", "overlap", "classes")
"""Parameters that need no new run of the net."""
LEAST_SCORE = 0.01
LEAST_OVERLAP, MOST_OVERLAP = 0.1, 0.8
LARGEST_MAPS = 1 << 27
"""Numbers that the answers of one block hold at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectParams:
    """How an image becomes boxes."""

    threshold: Annotated[
        float,
        {
            "min": LEAST_SCORE,
            "max": 0.99,
            "step": 0.01,
            "help": "How sure the model must be of an object; lower finds more",
        },
    ] = 0.5
    overlap: Annotated[
        float,
        {
            "min": LEAST_OVERLAP,
            "max": MOST_OVERLAP,
            "step": 0.01,
            "help": "How much two boxes of one class may overlap (their intersection over their "
            "union); of those that overlap more, the surest stays",
        },
    ] = 0.6
    classes: Annotated[
        str,
        {"help": "Names of the classes to look for, with commas between; empty for all"},
    ] = ""
    diameter: Annotated[
        float,
        {
            "min": 0.0,
            "max": 10_000.0,
            "step": 1.0,
            "unit": "px",
            "zero": "estimated",
            "help": "Edge of a typical box in pixels; 0 estimates it from the image",
        },
    ] = 0.0
    device: Device = "auto"
    tile: Tile = 0
    block: Annotated[
        int,
        {
            "min": 0,
            "max": 65_536,
            "zero": "auto",
            "unit": "px",
            "help": "Edge of the blocks whose answers are held at once",
        },
    ] = 0

    def __post_init__(self) -> None:
        settle(self)

    def chosen(self, known: Sequence[str]) -> tuple[str, ...]:
        """The classes to look for, of those that a model knows.

        Raises
        ------
        InputError
            If it does not know one of them.
        """
        names = tuple(dict.fromkeys(n.strip() for n in self.classes.split(",") if n.strip()))
        unknown = [name for name in names if name not in known]
        if unknown:
            raise InputError(
                f"the model knows no class {unknown[0]!r}; it finds {', '.join(known)}"
            )
        return tuple(name for name in known if name in names) if names else tuple(known)


def detect_steps(image: AxesArray, model: Model, params: DetectParams) -> Steps[Detection]:
    """Find the objects in every plane (or volume, with a 3D model) of an image.

    Other axes are worked through one by one. Candidates are kept for `rethresholded`.

    Raises
    ------
    InputError
        If the image or the parameters do not suit the model; its text says what to do.
    """
    from napari_medai.nn.box_scorer import BoxScorer

    began = time.perf_counter()
    check_suited(image, model)
    params.chosen(class_names(model.config))
    yield Step(0, 0, f"loading {model.name}")
    net = BoxScorer(loaded_net(model, device=params.device))
    layout = Layout(image, model.axes.replace(CHANNEL, ""))
    try:
        seen = yield from magnification_of(layout, model, BoxFinder(net), diameter=params.diameter)
        scored = yield from _scored(layout, model, net.at(seen.scales), params)
    finally:
        net.close()
    record = run_record(
        "detect",
        model,
        asdict(params),
        image,
        device=f"{scored.net.device.type}, {scored.net.scorer.backend.name}",
        seconds=time.perf_counter() - began,
        found={"diameter": round(seen.diameter, 2), "diameter_from": seen.source},
    )
    return _detection(scored.candidates, model_classes(model), record, params, scored.notes)


def rethresholded(detection: Detection, params: DetectParams) -> Detection:
    """The same candidates with another threshold, overlap or classes; the net does not run again.

    Other parameters stay those of the run.
    """
    live = {name: getattr(params, name) for name in LIVE}
    record = {**detection.record, "parameters": {**detection.record["parameters"], **live}}
    return _detection(detection.candidates, detection.classes, record, params, ())


def model_classes(model: Model) -> dict[str, str]:
    """The colours (``"#rrggbb"``, or nothing) of the classes that a model knows, by name."""
    entries = model.config["classes"]
    return {str(entry["name"]): str(entry.get("colour") or "") for entry in entries}


def _detection(
    candidates: Candidates,
    classes: Mapping[str, str],
    record: dict[str, Any],
    params: DetectParams,
    notes: tuple[str, ...],
) -> Detection:
    wanted = params.chosen(tuple(classes))
    kept = candidates.kept(threshold=params.threshold, overlap=params.overlap, classes=wanted)
    boxes, places = candidates.boxes.at(kept), candidates.places[kept]
    found = {**record["found"], "count": len(boxes)}
    return Detection(
        boxes=boxes,
        places=places,
        features=candidates.grid.features(boxes, places),
        record={**record, "found": found},
        candidates=candidates,
        notes=notes,
        classes=classes,
        wanted=wanted,
        which=np.flatnonzero(kept),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """What `_scored` gives: the candidates of all planes, notes, the net at the end."""

    candidates: Candidates
    notes: tuple[str, ...]
    net: BoxScorer


def _scored(layout: Layout, model: Model, net: BoxScorer, params: DetectParams) -> Steps[_Scored]:
    """The candidates of every plane."""
    from napari_medai.nn.box_scorer import distinct, joined

    found, places = [], []
    notes: dict[str, None] = {}
    done = 0
    for stack in layout.stacks():
        bright: Range | None = None
        for position in stack:
            plane = layout.plane(position)
            if bright is None:
                bright, blank = stack_range(layout, position, model)
                notes |= dict.fromkeys(blank)
            read = normalised_reader(plane, model, bright=bright)
            work = _plane(read, plane.shape[1:], net, params)
            candidates, said, net = yield from as_part(
                work, done=done, total=layout.count, text=_where(position)
            )
            notes |= dict.fromkeys(said)
            found.append(distinct(candidates, least=LEAST_OVERLAP))
            places.append([position[axis] for axis in layout.lead])
            done += 1
    boxes, overlaps, plane_of = joined(found, class_names(model.config))
    where = np.array(places, dtype=np.int64).reshape(len(found), len(layout.lead))
    grid = Grid.of(layout.image, lead=layout.lead, space=layout.space)
    return _Scored(Candidates(boxes, where[plane_of], overlaps, grid), tuple(notes), net)


def _plane(
    read: Callable[[Window], np.ndarray],
    shape: tuple[int, ...],
    net: BoxScorer,
    params: DetectParams,
) -> Steps[tuple[box_scorer.Candidates, tuple[str, ...], BoxScorer]]:
    """The candidates of one plane, block by block; each is in the block of its cell."""
    from napari_medai.nn.box_scorer import put_together

    grid, unit = net.grid(shape), net.unit
    edge = tuple(max(1, params.block // u) for u in unit) if params.block else _block_edge(net)
    blocks = plan_blocks(grid, size=edge, overlap=net.halo, multiple=net.multiple)
    tile = tuple(max(1, params.tile // u) for u in unit) if params.tile else net.tile
    notes: dict[str, None] = {}
    parts = []
    for at, block in enumerate(blocks):
        corner = tuple(window.start for window in block.read)
        run = predict(net, net.reader(read, shape, corner), block.shape, tile=tile)
        maps, said, net = yield from as_part(run, done=at, total=len(blocks))
        notes |= dict.fromkeys(said)
        start = [window.start for window in block.core]
        answers = maps[(slice(None), *block.inner)]
        parts.append(net.candidates(answers, shape, corner=start, least=LEAST_SCORE))
        del maps, answers
        if len(blocks) > 1:
            give_back()
    return put_together(parts), tuple(notes), net


def _block_edge(net: BoxScorer) -> int:
    """Units along an edge of a block whose answers hold about `LARGEST_MAPS` numbers."""
    return max(1, int((LARGEST_MAPS / net.channels) ** (1 / len(net.unit))))


def _where(position: Position) -> str:
    """A few words about what is worked on."""
    words = [f"{axis.lower()} {at}" for axis, at in position.items()]
    return "detecting" + (": " if words else "") + ", ".join(words)
