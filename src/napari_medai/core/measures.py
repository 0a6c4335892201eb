"""What each label measures in the world: volume, surface, longest diameter, intensity.

`core.objects` adds up sizes, means and centres, as after a segmentation; here each object is
looked at by itself, in the box around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np
from scipy import ndimage

from napari_medai.core.axes import CHANNEL, SPACE, ArrayLike, AxesArray
from napari_medai.core.diameter import Diameter, longest_diameter
from napari_medai.core.errors import InputError
from napari_medai.core.moments import Moments
from napari_medai.core.objects import ObjectTable, Sums, numbered
from napari_medai.core.ruler import Ruler
from napari_medai.core.steps import Step, Steps, retold
from napari_medai.core.surface import surface_area

INTENSITIES = ("mean_intensity", "sd_intensity", "min_intensity", "max_intensity")
BLOCK = 1 << 22
"""Pixels that are worked on between two steps."""
HELD = 1 << 30
"""Bytes of lazy labels, and of a lazy image, up to which they are kept in memory."""
_PARTS, _READING = 100, 20
"""Steps that a volume counts as, and how many of them reading it takes."""


@dataclass(frozen=True, slots=True, eq=False)
class Measurements:
    """A row for each label, by rising label, of every volume of a series.

    ``features`` are the columns, whose names hold their units:

    - ``index``, and the position along axes that are not space, as ``t``
    - ``volume_ml``, ``volume_um3`` or ``volume`` (`Ruler.size_name`; of two axes the area)
    - ``surface_mm2``, ... of three axes: `core.surface`
    - ``longest_diameter_mm``, ...: `core.diameter`; of three axes ``diameter-z`` is its plane
    - `INTENSITIES`, where there is an image; the standard deviation is that of all n values,
      divided by n; values that are not finite do not count, and without any the four are NaN
    - ``centroid-z``, ... in pixels

    ``diameters`` (n, 2, axes) are the ends of the longest ones, among the labels' ``axes``, in
    pixels, whose centres are whole numbers; ``shape`` is that of the labels.
    """

    axes: str
    shape: tuple[int, ...]
    ruler: Ruler
    features: dict[str, np.ndarray]
    diameters: np.ndarray


@dataclass(slots=True)
class _Object:
    """One label: the box around it, and what was found in it so far."""

    box: tuple[slice, ...]
    surface: float = 0.0
    diameter: Diameter | None = None
    values: Moments = field(default_factory=Moments)

    def widened(self, box: tuple[slice, ...]) -> None:
        pairs = zip(self.box, box, strict=True)
        self.box = tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in pairs)


@dataclass(slots=True)
class _Found:
    """What was found in one volume, or plane."""

    sums: ObjectTable = field(default_factory=ObjectTable)
    objects: dict[int, _Object] = field(default_factory=dict)


def measure_steps(
    labels: AxesArray, ruler: Ruler, *, image: AxesArray | None = None
) -> Steps[Measurements]:
    """Measure every label; 0 and negative values are background.

    Parameters
    ----------
    labels
        Whole numbers; axes that are not space are worked through one by one, a label in two of
        their positions gets two rows. They may be lazy.
    ruler
        Of the spatial axes, in the order Z Y X.
    image
        On the same grid; further axes of the labels are its own too. The mean of its channels is
        measured.

    Raises
    ------
    InputError
        If the labels are no whole numbers, or lie on another grid than the image.
    """
    order = checked_order(labels, ruler, image)
    positions = list(labels.positions("".join(a for a in labels.axes if a not in SPACE)))
    parts: list[Measurements] = []
    for number, position in enumerate(positions):

        def counted(step: Step, before: int = number * _PARTS) -> Step:
            return Step(before + step.done, len(positions) * _PARTS, step.text)

        volume = labels.at(**position).moved_to(order)
        pixels = None if image is None else _pixels(image, position, order)
        found = yield from retold(_found(volume, pixels, ruler), counted)
        table = _table(found, position, order=order, ruler=ruler, image=image is not None)
        parts.append(_placed(table, found, position, labels=labels, ruler=ruler))
    return _joined(parts)


def checked_order(labels: AxesArray, ruler: Ruler, image: AxesArray | None) -> str:
    """The labels' spatial axes in the order of the ruler; `InputError` as of `measure_steps`."""
    order = "".join(axis for axis in SPACE if axis in labels.axes)
    if np.dtype(labels.data.dtype).kind not in "biu":
        raise InputError(
            f"labels must be whole numbers, got {labels.data.dtype}; choose a labels layer"
        )
    if not {"Y", "X"} <= set(order) or len(order) != ruler.ndim:
        raise InputError(
            f"labels are measured along Y X or Z Y X, and the ruler has {ruler.ndim} axes, but "
            f"the labels' axes are {labels.axes!r}; correct the axes"
        )
    if labels.sizes.get(CHANNEL, 1) != 1:
        raise InputError(
            f"labels have one channel, got {labels.sizes[CHANNEL]}; choose one, or name the axis "
            "by what it is"
        )
    if image is None:
        return order
    own, other = labels.sizes, image.sizes
    for sizes in (own, other):
        sizes.pop(CHANNEL, None)
    if own != other:
        raise InputError(
            f"the labels have {_told(own)} but the image has {_told(other)} pixels; choose the "
            "image that the labels were made on"
        )
    return order


def _told(sizes: dict[str, int]) -> str:
    return f"{' × '.join(str(n) for n in sizes.values())} ({' '.join(sizes)})"


def _pixels(image: AxesArray, position: dict[str, int], order: str) -> AxesArray:
    """An image at a position, its channels before its spatial axes."""
    at = {axis: n for axis, n in position.items() if axis != CHANNEL}
    return image.at(**at).moved_to(CHANNEL + order)


def _found(labels: AxesArray, image: AxesArray | None, ruler: Ruler) -> Steps[_Found]:
    """Of one volume or plane: first where all labels are, then one after another."""
    found, data = _Found(), labels.data
    values = None if image is None else image.data
    kept, seen = _room(data), None if values is None else _room(values)
    blocks = list(_blocks(labels.shape))
    for number, rows in enumerate(blocks):
        yield Step(number * _READING // len(blocks), _PARTS, "reading the labels")
        block = np.asarray(data[rows])
        if kept is not None:
            kept[rows] = block
        if values is not None and seen is not None and block.any():
            seen[:, rows] = values[:, rows]
        _add(found, block, rows.start)
    data = data if kept is None else kept
    values = values if seen is None else seen
    found.objects = dict(sorted(found.objects.items()))
    for number, (label, one) in enumerate(found.objects.items()):
        done = _READING + (_PARTS - _READING) * number // len(found.objects)
        step = Step(done, _PARTS, f"label {label}, {number + 1} of {len(found.objects)}")
        yield from _seen(one, label, data, values, ruler=ruler, step=step)
    return found


def _seen(
    one: _Object, label: int, data: ArrayLike, values: ArrayLike | None, *, ruler: Ruler, step: Step
) -> Steps[None]:
    """Measure one label in its box, a block after each step (which all say the same)."""
    mask = np.empty([cut.stop - cut.start for cut in one.box], dtype=bool)
    for rows in _blocks(mask.shape):
        yield step
        np.equal(np.asarray(data[_within(one.box, rows)]), label, out=mask[rows])
    planes = mask.reshape(-1, *mask.shape[-2:])
    for part in _blocks(planes.shape):
        yield step
        _look(one, planes, part, ruler)
    if values is None:
        return
    for rows in _blocks((len(mask), values.shape[0], *mask.shape[1:])):
        yield step
        block = np.asarray(values[(slice(None), *_within(one.box, rows))])
        one.values.add(block[:, mask[rows]])


def _within(box: tuple[slice, ...], rows: slice) -> tuple[slice, ...]:
    """Some rows of a box, counted from its first."""
    return (slice(box[0].start + rows.start, box[0].start + rows.stop), *box[1:])


def _room(data: ArrayLike) -> np.ndarray | None:
    """Where lazy data are kept, so that each is read only once; None where there is no need."""
    size = prod(data.shape) * np.dtype(data.dtype).itemsize
    held = isinstance(data, np.ndarray) or size > HELD
    return None if held else np.empty(data.shape, data.dtype)


def _blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Parts along the first axis that are worked on together."""
    count = max(1, BLOCK // max(1, prod(shape[1:])))
    for start in range(0, shape[0], count):
        yield slice(start, min(start + count, shape[0]))


def _add(found: _Found, block: np.ndarray, start: int) -> None:
    """Add up a block of labels and widen the boxes around them."""
    index, own = numbered(block)
    nothing = np.zeros((0, *block.shape), np.uint8)
    corner = (start, *(0,) * (block.ndim - 1))
    found.sums.add(index, Sums.of(own, np.zeros(len(index)), image=nothing, corner=corner))
    for label, box in zip(index.tolist(), ndimage.find_objects(own), strict=True):
        here = (slice(box[0].start + start, box[0].stop + start), *box[1:])
        if label in found.objects:
            found.objects[label].widened(here)
        elif label > 0:
            found.objects[label] = _Object(here)


def _look(one: _Object, planes: np.ndarray, part: slice, ruler: Ruler) -> None:
    """Measure the surface and the diameter of some planes of an object in its box."""
    if ruler.ndim == 3:
        one.surface += surface_area(planes, ruler.edges, planes=part)
    above = 0.0 if one.diameter is None else one.diameter.length
    longer = longest_diameter(planes[part], ruler.edges, above=above)
    if longer is not None:
        corner = np.array([0] * (3 - ruler.ndim) + [cut.start for cut in one.box], dtype=float)
        corner[0] += part.start
        one.diameter = longer.moved(corner)


def _table(
    found: _Found, position: dict[str, int], *, order: str, ruler: Ruler, image: bool
) -> dict[str, np.ndarray]:
    """The columns of one volume."""
    sums = found.sums.features(axes=order, space=order, spacing={})
    count, objects = len(found.objects), found.objects.values()
    size = sums["volume" if ruler.ndim == 3 else "area"]
    table = {"index": sums["index"]}
    table |= {axis.lower(): np.full(count, at) for axis, at in position.items() if axis != CHANNEL}
    table[ruler.size_name] = size * ruler.pixel
    if ruler.ndim == 3:
        table[ruler.surface_name] = np.array([one.surface for one in objects], dtype=float)
    diameters = [one.diameter for one in objects if one.diameter is not None]
    table[ruler.diameter_name] = np.array([one.length for one in diameters], dtype=float)
    if ruler.ndim == 3:
        table["diameter-z"] = np.array([one.ends[0, 0] for one in diameters], dtype=np.int64)
    if image:
        values = np.array([one.values.told for one in objects], dtype=float)
        table |= dict(zip(INTENSITIES, values.reshape(-1, len(INTENSITIES)).T, strict=True))
    return table | {f"centroid-{axis.lower()}": sums[f"centroid-{axis.lower()}"] for axis in order}


def _placed(
    table: dict[str, np.ndarray],
    found: _Found,
    position: dict[str, int],
    *,
    labels: AxesArray,
    ruler: Ruler,
) -> Measurements:
    """A table, with the diameters of its rows among all axes."""
    count, axes = len(found.objects), labels.axes
    ends = np.zeros((count, 2, len(axes)))
    lines = [one.diameter.ends for one in found.objects.values() if one.diameter is not None]
    drawn = np.array(lines, dtype=float).reshape(count, 2, 3)
    for place, axis in enumerate(axes):
        if axis in SPACE:
            ends[..., place] = drawn[..., SPACE.index(axis)]
        else:
            ends[..., place] = position[axis]
    return Measurements(axes, labels.shape, ruler, table, ends)


def _joined(parts: list[Measurements]) -> Measurements:
    """All volumes of a series."""
    first = parts[0]
    return replace(
        first,
        features={
            name: np.concatenate([part.features[name] for part in parts]) for name in first.features
        },
        diameters=np.concatenate([part.diameters for part in parts]),
    )
