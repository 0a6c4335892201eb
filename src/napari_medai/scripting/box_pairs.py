"""Images and boxes to train on or to be scored by, from files, layers or arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.axes import AxesArray
from napari_medai.core.boxes import UsableBoxes, usable_boxes
from napari_medai.core.errors import InputError
from napari_medai.io.annotated import AnnotatedImage, read_annotated
from napari_medai.io.box_notes import skipped_notes
from napari_medai.io.box_plane import BoxPlane
from napari_medai.scripting.box_planes import box_planes
from napari_medai.scripting.sources import array_of, listed, source_of
from napari_medai.tasks.pairs import BoxPair, named

Notes = tuple[str, ...]


def box_pairs(
    images: Any, boxes: Any, *, axes: str | None = None, classes: Sequence[str] = ()
) -> tuple[list[BoxPair], Notes]:
    """Images and their boxes, as `train` takes them, and what the user should know.

    Boxes without an area or outside their image are skipped; with ``classes``, so are those of
    others.

    Raises
    ------
    InputError
        If they do not fit, or no box is of one of the classes.
    """
    if isinstance(images, str | Path) and isinstance(boxes, str | Path):
        annotated, notes = annotated_images(images, boxes)
        pairs = list(read_pairs(annotated))
    else:
        pairs, notes = _given_pairs(listed(images, "boxes"), listed(boxes, "boxes"), axes)
    fewer, left = of_classes(pairs, classes)
    return fewer, (*notes, *left)


def annotated_images(
    images: str | Path, annotations: str | Path, *, split: str | None = None
) -> tuple[list[AnnotatedImage], Notes]:
    """As `napari_medai.io.annotated.read_annotated`, of paths that may begin with ``~``."""
    paths = (Path(path).expanduser() for path in (images, annotations))
    return read_annotated(*paths, split=split)


def renamed(annotated: Sequence[AnnotatedImage], names: Mapping[str, str]) -> list[AnnotatedImage]:
    """The same with other names for some classes, as a model calls them.

    Raises
    ------
    InputError
        If no box is of a class to be renamed.
    """
    known = {str(kind) for one in annotated for kind in one.boxes.kinds}
    missing = [name for name in names if name not in known]
    if missing:
        raise InputError(
            f"no box is of the class {missing[0]!r}; they are of {', '.join(sorted(known))}"
        )
    found = []
    for one in annotated:
        kinds = [names.get(str(kind), str(kind)) for kind in one.boxes.kinds]
        found.append(replace(one, boxes=replace(one.boxes, kinds=np.array(kinds, dtype=str))))
    return found


def read_pairs(annotated: Sequence[AnnotatedImage]) -> Iterator[BoxPair]:
    """The images with their pixels, one after the other; planes of a file are of one source."""
    path, image = None, None
    for one in annotated:
        if image is None or one.path != path:
            path, image = one.path, _pixels(one.path)
        frame = _frame(image, one.position)
        name = _named(one.path.name, one.position)
        yield BoxPair(frame, named(one.boxes), name, source=str(one.path) if one.position else "")


def of_classes(pairs: Sequence[BoxPair], classes: Sequence[str]) -> tuple[list[BoxPair], Notes]:
    """The pairs with boxes of these classes alone, if any are named, and a note on the others."""
    known = sorted({str(kind) for pair in pairs for kind in pair.boxes.kinds})
    missing = [name for name in classes if name not in known]
    if missing:
        raise InputError(
            f"no box is of the class {missing[0]!r}; they are of {', '.join(known) or 'none'}"
        )
    others = [name for name in known if name not in classes]
    if not classes or not others:
        return list(pairs), ()
    fewer = []
    for pair in pairs:
        kept = np.isin(pair.boxes.kinds, list(classes))
        fewer.append(replace(pair, boxes=pair.boxes.at(kept)))
    gone = sum(len(pair.boxes) for pair in pairs) - sum(len(pair.boxes) for pair in fewer)
    return fewer, (f"{gone} boxes of other classes ({', '.join(others)}) were left out",)


def _given_pairs(
    images: list[Any], boxes: list[Any], axes: str | None
) -> tuple[list[BoxPair], Notes]:
    if len(images) != len(boxes):
        raise InputError(
            f"{len(images)} images and {len(boxes)} sets of boxes were given; give one for each "
            "image"
        )
    axes = axes.upper() if axes else None
    pairs: list[BoxPair] = []
    notes: list[str] = []
    skipped: dict[BoxPlane, UsableBoxes] = {}
    for number, (given, drawn) in enumerate(zip(images, boxes, strict=True), 1):
        if isinstance(given, str | Path):
            source: Any = _pixels(Path(given).expanduser())
            name = Path(given).name
        else:
            source = source_of(given, axes=axes)
            name = str(getattr(given, "name", "") or f"image {number}")
        image = array_of(source, axes)
        planes, said = box_planes(drawn, source, image, name=name)
        notes += said
        for plane in planes:
            frame = _frame(image, plane.position)
            used = usable_boxes(plane.boxes, [frame.sizes[axis] for axis in frame.space])
            skipped[plane] = used
            group = f"{number}: {name}" if plane.position else ""
            where = _named(name, plane.position)
            pairs.append(BoxPair(frame, named(used.boxes), where, source=group))
    return pairs, (*notes, *skipped_notes(skipped))


def _pixels(path: Path) -> AxesArray:
    from napari_medai.io.images import read_image

    found = read_image(path)
    return next((image for image in found if not image.labels), found[0]).image


def _frame(image: AxesArray, position: Any) -> AxesArray:
    """One position of an image, without other axes of length 1, its axes in their usual order."""
    alone = {axis: 0 for axis in image.series if image.sizes[axis] == 1}
    frame = image.at(**(alone | dict(position)))
    order = "".join(axis for axis in "CZYX" if axis in frame.axes)
    return frame.moved_to(order) if set(order) == set(frame.axes) else frame


def _named(name: str, position: Any) -> str:
    where = ", ".join(f"{axis.lower()} {at}" for axis, at in position.items())
    return f"{name}, {where}" if where else name
