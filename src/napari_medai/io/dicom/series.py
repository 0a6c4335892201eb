"""Series of planes put in order: stacks through the patient, with time or echoes as axes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import prod
from typing import Any

import numpy as np

from napari_medai.io.dicom.geometry import SAME_PLACE, Placing, heights, placing
from napari_medai.io.dicom.planes import Key, Plane
from napari_medai.io.dicom.tags import number, value, whole, word, words

_AXES = {
    "time": "T",
    "frametime": "T",
    "trigger": "T",
    "echo": "E",
    "b": "B",
    "acquisition": "T",
    "energy": "E",
    **{f"index{place}": "T" for place in range(6)},
    "file": "T",
}
"""What planes at one place may differ in, and the axis this becomes; the first that fits counts."""

_IN_SECONDS = {"frametime": 1e-3, "trigger": 1e-3}
_MANY = 8
"""More directions than this are no volumes but a turn around something."""


@dataclass(frozen=True, slots=True)
class Lead:
    """An axis before those of space: its letter, length, step and unit ('' where unknown)."""

    axis: str
    size: int
    step: float = 1.0
    unit: str = ""
    values: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Arrangement:
    """Planes in the order of an array with the axes of ``lead``, then ``depth`` slices.

    ``depth`` is None where planes do not follow each other in space.
    """

    planes: tuple[Plane, ...]
    lead: tuple[Lead, ...] = ()
    depth: int | None = None
    placing: Placing | None = None
    notes: tuple[str, ...] = ()


def arranged(planes: Sequence[Plane]) -> list[Arrangement]:
    """The planes of one series as volumes, cines and single pictures."""
    kept, notes = _each_once(planes)
    result: list[Arrangement] = []
    for alike in _split(kept, _picture):
        placed = [plane for plane in alike if plane.placed]
        turned = _by_direction(placed)
        if len(turned) > _MANY and len(turned) * 2 > len(placed):
            note = f"slices lie in {len(turned)} directions; shown one by one, without a place"
            result.extend(_loose(placed, (note,)))
        else:
            result.extend(stack for group in turned for stack in _stacked(group))
        result.extend(_loose([plane for plane in alike if not plane.placed]))
    if len(result) > 1:
        notes = (*notes, f"the series holds {len(result)} kinds of pictures; each is a layer")
    if notes:
        result[0] = replace(result[0], notes=(*notes, *result[0].notes))
    return result


def _each_once(planes: Sequence[Plane]) -> tuple[list[Plane], tuple[str, ...]]:
    found: dict[Hashable, Plane] = {}
    for plane in planes:
        uid = value(plane.source.header, "SOPInstanceUID")
        found.setdefault((uid or id(plane.source), plane.index), plane)
    extra = len(planes) - len(found)
    note = f"{extra} {'picture is' if extra == 1 else 'pictures are'} there twice; one is shown"
    return list(found.values()), (note,) if extra else ()


def _split(planes: Iterable[Plane], key: Callable[[Plane], Hashable]) -> list[list[Plane]]:
    groups: dict[Hashable, list[Plane]] = defaultdict(list)
    for plane in planes:
        groups[key(plane)].append(plane)
    return list(groups.values())


def _picture(plane: Plane) -> Hashable:
    header = plane.source.header
    return (
        *(whole(header, name) for name in ("Rows", "Columns", "SamplesPerPixel")),
        word(header, "PhotometricInterpretation").split("_")[0],
        "LOCALIZER" in words(header, "ImageType"),
        plane.source.keyword,
    )


def _by_direction(planes: Sequence[Plane]) -> list[list[Plane]]:
    """Planes of one direction and pixel size together, but for rounding."""
    groups: list[tuple[np.ndarray, list[Plane]]] = []
    for plane in planes:
        mine = np.array([*(plane.orientation or ()), *(plane.spacing or (0.0, 0.0))])
        for theirs, group in groups:
            if np.abs(mine - theirs).max() < 2e-3:
                group.append(plane)
                break
        else:
            groups.append((mine, [plane]))
    return [group for _, group in groups]


def _loose(planes: Sequence[Plane], notes: tuple[str, ...] = ()) -> list[Arrangement]:
    """Pictures without a place: the frames of a file in time, files one after the other."""
    if not planes:
        return []
    files = _split(planes, lambda plane: id(plane.source))
    if any(len(frames) > 1 for frames in files):
        return [_cine(frames, notes) for frames in files]
    ordered = sorted(planes, key=lambda plane: (_rank(plane, "number"), str(plane.source.path)))
    lead = (Lead("N", len(ordered)),) if len(ordered) > 1 else ()
    return [Arrangement(tuple(ordered), lead, notes=notes)]


def _cine(frames: Sequence[Plane], notes: tuple[str, ...]) -> Arrangement:
    header = frames[0].source.header
    if len(frames) == 1:
        return Arrangement(tuple(frames), notes=notes)
    rate = number(header, "CineRate") or number(header, "RecommendedDisplayFrameRate")
    step = (number(header, "FrameTime") or 0) / 1000 or (1 / rate if rate and rate > 0 else 0)
    vector = value(header, "FrameTimeVector")
    if not step and hasattr(vector, "__len__") and len(vector) > 1:
        step = float(np.mean([float(n) for n in vector][1:])) / 1000
    known = step > 0
    lead = Lead("T", len(frames), step if known else 1.0, "second" if known else "")
    return Arrangement(tuple(frames), (lead,), notes=notes)


def _stacked(planes: Sequence[Plane]) -> list[Arrangement]:
    """Planes of one direction as volumes, each place once in each."""
    places = _places(planes)
    most = max(map(len, places))
    if most == 1:
        return [_volume([place[0] for place in places])]
    for name in ("stack", "kind"):
        groups = _split(planes, _by_key(name))
        if len(groups) > 1 and max(max(map(len, _places(g))) for g in groups) < most:
            return [stack for group in groups for stack in _stacked(group)]
    names = _full(planes, places)
    if names:
        return [_volume_over(planes, names)]
    for name in _AXES:
        groups = _split(planes, _by_key(name))
        if 1 < len(groups) <= most and all(len(_places(g)) == len(g) for g in groups):
            return [_volume([place[0] for place in _places(g)]) for g in groups]
    if min(map(len, places)) == most:
        return [_by_number(places)]
    extra = len(planes) - len(places)
    what = "1 slice lies" if extra == 1 else f"{extra} slices lie"
    note = f"{what} at a place that another has already; the first of each is shown"
    return [_volume([place[0] for place in places], (note,))]


def _places(planes: Sequence[Plane]) -> list[list[Plane]]:
    """Planes by where they lie, upwards along the normal; those at one place by number."""
    along = heights(planes)
    order = np.argsort(along, kind="stable")
    groups: list[list[Plane]] = []
    last = -np.inf
    for index in order:
        if along[index] - last > SAME_PLACE:
            groups.append([])
            last = along[index]
        groups[-1].append(planes[index])
    for group in groups:
        if len(group) > 1:
            group.sort(key=lambda plane: (_rank(plane, "number"), _rank(plane, "frame")))
    return groups


def _full(planes: Sequence[Plane], places: Sequence[Sequence[Plane]]) -> tuple[str, ...]:
    """The one or two keys whose every combination is there once at every place."""
    at = {id(plane): number for number, place in enumerate(places) for plane in place}
    varied = [name for name in _AXES if len(_values(planes, name)) > 1]
    for count in (1, 2):
        for names in combinations(varied, count):
            sizes = [len(_values(planes, name)) for name in names]
            found = {(at[id(p)], *(p.keys.get(name) for name in names)) for p in planes}
            letters = {_AXES[name] for name in names}
            full = len(planes) == prod(sizes) * len(places) == len(found)
            if full and len(letters) == count:
                return names
    return ()


def _values(planes: Sequence[Plane], name: str) -> list[Any]:
    return sorted({p.keys.get(name) for p in planes}, key=lambda key: (key is None, key or 0))


def _volume_over(planes: Sequence[Plane], names: tuple[str, ...]) -> Arrangement:
    lead = tuple(_lead(planes, name) for name in names)
    first_of = {name: index for index, name in enumerate(names)}
    order = {name: {v: i for i, v in enumerate(_values(planes, name))} for name in names}
    groups = defaultdict(list)
    for plane in planes:
        groups[tuple(order[name][plane.keys.get(name)] for name in first_of)].append(plane)
    ordered = [[place[0] for place in _places(groups[key])] for key in sorted(groups)]
    flat = tuple(plane for stack in ordered for plane in stack)
    where = placing(ordered[0])
    return Arrangement(flat, lead, len(ordered[0]), where, where.notes if where else ())


def _lead(planes: Sequence[Plane], name: str) -> Lead:
    values = tuple(key for key in _values(planes, name) if key is not None)
    step, unit = 1.0, ""
    if name == "time":
        seconds = (number(planes[0].source.header, "TemporalResolution") or 0) / 1000
        step, unit = (seconds, "second") if seconds > 0 else (1.0, "")
    elif name in _IN_SECONDS and len(values) > 1:
        step = float(np.median(np.diff(np.array(values, dtype=float)))) * _IN_SECONDS[name]
        unit = "second"
    size = len(_values(planes, name))
    return Lead(_AXES[name], size, step, unit, values if name in ("echo", "b", "energy") else ())


def _volume(planes: Sequence[Plane], notes: tuple[str, ...] = ()) -> Arrangement:
    where = placing(planes)
    told = where.notes if where else ()
    return Arrangement(tuple(planes), (), len(planes), where, (*notes, *told))


def _by_number(places: Sequence[Sequence[Plane]]) -> Arrangement:
    """As many planes at every place, told apart by their numbers alone."""
    count = len(places[0])
    stacks = [[place[index] for place in places] for index in range(count)]
    note = (
        f"{count} slices lie at every place; they are shown along T in the order of their numbers"
    )
    where = placing(stacks[0])
    return Arrangement(
        tuple(plane for stack in stacks for plane in stack),
        (Lead("T", count),),
        len(places),
        where,
        (note, *(where.notes if where else ())),
    )


def _by_key(name: str) -> Callable[[Plane], Hashable]:
    return lambda plane: plane.keys.get(name)


def _rank(plane: Plane, name: str) -> float:
    key = plane.keys.get(name)
    return float(key) if isinstance(key, float) else 0.0
