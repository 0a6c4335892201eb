"""Boxes of many images as COCO JSON and back, also of stacks and volumes.

COCO knows planes alone. A plane of a stack is an image of its own with its ``position``; a 3D box
is one rectangle in each slice whose centre it holds, and these share the number ``object`` and
say where the box begins and ends: ``front`` and ``back``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, floor
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.boxes import Boxes
from napari_medai.io.atomic import replacing
from napari_medai.io.box_notes import counted
from napari_medai.io.box_plane import (
    BoxFile,
    BoxPlane,
    checked_planes,
    corners_of_edges,
    place,
    sureness,
)
from napari_medai.io.coco_file import (
    categories_of,
    identity,
    kind_of,
    misfit,
    plane_name,
    position_of,
    read_coco_file,
    size_of,
    stack_name,
)

_STALE = 1e-3
"""Pixels by which exact corners may differ from ``bbox``: by more, somebody moved the box."""
_UNFIT = (KeyError, TypeError, ValueError, IndexError, OverflowError, AttributeError)


def write_boxes_coco(
    path: str | Path, planes: Sequence[BoxPlane], *, overwrite: bool = False
) -> Path:
    """Write the boxes of images as COCO JSON; `read_boxes_coco` gives back the same.

    Raises
    ------
    InputError
        If ``path`` exists and ``overwrite`` is false, or planes cannot be told apart.
    RunError
        If writing fails; nothing is left behind then.
    """
    path = Path(path)
    ndim = checked_planes(planes)
    kinds = sorted({str(kind) for plane in planes for kind in plane.boxes.kinds})
    numbers = {kind: number for number, kind in enumerate(kinds, start=1)}
    images: list[dict[str, Any]] = []
    marked: list[dict[str, Any]] = []
    for plane in planes:
        slices: Sequence[int | None] = _slices(plane) if ndim == 3 else [None]
        first = len(images) + 1
        images += [{"id": first + at, **_image(plane, index)} for at, index in enumerate(slices)]
        image_ids = {index: first + at for at, index in enumerate(slices)}
        for one in _annotations(plane, image_ids, numbers):
            marked.append({"id": len(marked) + 1, **one})
    with replacing(path, overwrite=overwrite) as partial:
        partial.write_text(_json(images, categories_of(kinds), marked), encoding="utf-8")
    return path


def read_boxes_coco(path: str | Path) -> BoxFile:
    """The boxes in a COCO file, for each of its images, in its order.

    Of an annotation without ``bbox`` the box around its polygons is taken. Crowds are no objects
    and are left out with a note.

    Raises
    ------
    InputError
        If the file cannot be read or an annotation does not fit; the text names its id.
    """
    path = Path(path)
    content = read_coco_file(path)
    of_image = _by_image(content.images)
    crowds = 0
    for number, one in enumerate(content.annotations, start=1):
        try:
            plane, at = of_image[one["image_id"]]
            if one.get("iscrowd"):
                crowds += 1
                continue
            plane.add(one, kind_of(one, content.kinds), number=number, at=at)
        except _UNFIT as error:
            raise misfit(path, one, number, error) from error
    notes = (f"{path.name}: left out {counted(crowds, 'crowd')}, regions of many objects",)
    found = dict.fromkeys(plane for plane, _ in of_image.values())
    return BoxFile(tuple(plane.boxes(path) for plane in found), notes if crowds else ())


def _by_image(images: Mapping[Any, dict[str, Any]]) -> dict[Any, tuple[_Found, int | None]]:
    """The plane or volume of each image by its id, and which slice of a volume it is."""
    volumes: dict[Any, _Found] = {}
    of_image: dict[Any, tuple[_Found, int | None]] = {}
    for identifier, image in images.items():
        name, position = stack_name(image), position_of(image)
        size: tuple[int, ...] | None = size_of(image)
        if "depth" not in image or "Z" not in position:
            of_image[identifier] = (_Found(name, position, size, volume=False), None)
            continue
        at, depth = position.pop("Z"), image["depth"]
        size = (depth, *size) if size is not None and isinstance(depth, int) else None
        new = _Found(name, position, size, volume=True)
        of_image[identifier] = (volumes.setdefault((name, *sorted(position.items())), new), at)
    return of_image


@dataclass(slots=True, eq=False)
class _Found:
    """What is found of one plane or volume while its file is read."""

    name: str
    position: dict[str, int]
    size: tuple[int, ...] | None
    volume: bool
    corners: list[list[list[float]]] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    objects: dict[Any, int] = field(default_factory=dict)

    def add(self, one: dict[str, Any], kind: str, *, number: int, at: int | None) -> None:
        """One annotation; further slices of a 3D box widen it."""
        low, high = _corners(one)
        if at is not None:
            low = [place(one.get("front", at - 0.5)), *low]
            high = [place(one.get("back", at + 0.5)), *high]
            known = self.objects.setdefault(one.get("object", ("slice", number)), len(self.corners))
            if known < len(self.corners):
                so_far = self.corners[known]
                so_far[0] = [min(pair) for pair in zip(so_far[0], low, strict=True)]
                so_far[1] = [max(pair) for pair in zip(so_far[1], high, strict=True)]
                return
        self.corners.append([low, high])
        self.kinds.append(kind)
        self.scores.append(sureness(one.get("score")))
        self.rows.append(f"annotation {identity(one, number)}")

    def boxes(self, source: Path) -> BoxPlane:
        ndim = 3 if self.volume else 2
        boxes = Boxes.of(self.corners, self.kinds, self.scores, ndim=ndim)
        return BoxPlane(self.name, boxes, self.position, self.size, source, self.rows)


def _corners(one: dict[str, Any]) -> list[list[float]]:
    """The low and the high corner, (y, x), of an annotation."""
    if one.get("bbox") is None and one.get("segmentation"):
        points = np.concatenate([np.reshape(ring, (-1, 2)) for ring in one["segmentation"]])
        left, top, right, bottom = (place(n) for n in (*points.min(0), *points.max(0)))
    else:
        left, top, width, height = (place(n) for n in one["bbox"])
        right, bottom = left + width, top + height
    found = [[top - 0.5, left - 0.5], [bottom - 0.5, right - 0.5]]
    if "corners" in one:
        exact = [[place(n) for n in corner] for corner in one["corners"]]
        if np.shape(exact) == (2, 2) and np.abs(np.subtract(exact, found)).max() < _STALE:
            return exact
    return found


def _slices(plane: BoxPlane) -> list[int]:
    """The slices of a volume that become images: all, or those that boxes need."""
    if plane.size is not None:
        return list(range(plane.size[0]))
    needed = {at for low, high in plane.boxes.corners[..., 0] for at in _held(low, high, None)}
    return sorted(needed) or [0]


def _held(front: float, back: float, depth: int | None) -> range:
    """The slices whose centres lie between two places, at least one of the volume."""
    last = 2**31 if depth is None else depth - 1
    start, stop = (min(max(int(n), 0), last) for n in (ceil(front), floor(back)))
    return range(start, max(start, stop) + 1)


def _image(plane: BoxPlane, index: int | None) -> dict[str, Any]:
    position = dict(plane.position) | ({} if index is None else {"Z": index})
    image: dict[str, Any] = {"file_name": plane_name(plane.image, position)}
    if plane.size is not None:
        image |= {"height": int(plane.size[-2]), "width": int(plane.size[-1])}
    if position:
        image["position"] = position
    if index is not None:
        image["depth"] = None if plane.size is None else int(plane.size[0])
    return image


def _annotations(
    plane: BoxPlane, image_ids: Mapping[int | None, int], numbers: Mapping[str, int]
) -> Iterator[dict[str, Any]]:
    """The rectangles of a plane's boxes, in as many slices as they hold."""
    boxes, flat = plane.boxes, plane.boxes.corners[..., -2:].astype(float)
    edges = np.column_stack([flat[:, 0, ::-1] + 0.5, flat[:, 1, ::-1] - flat[:, 0, ::-1]])
    back = corners_of_edges(np.column_stack([edges[:, :2], edges[:, :2] + edges[:, 2:]]))
    same = back.astype(np.float32).view(np.int32) == flat.astype(np.float32).view(np.int32)
    exact = same.all(axis=(1, 2))
    for at, edge in enumerate(edges.tolist()):
        one: dict[str, Any] = {
            "category_id": numbers[str(boxes.kinds[at])],
            "bbox": edge,
            "area": edge[2] * edge[3],
            "iscrowd": 0,
            "segmentation": [],
        }
        if not exact[at]:  # half a pixel more took digits from a place close to 0
            one["corners"] = flat[at].tolist()
        if not np.isnan(boxes.scores[at]):
            one["score"] = float(boxes.scores[at])
        if boxes.ndim == 2:
            yield {"image_id": image_ids[None], **one}
            continue
        front, rear = (float(n) for n in boxes.corners[at, :, 0])
        one |= {"object": at + 1, "front": front, "back": rear}
        depth = None if plane.size is None else plane.size[0]
        for index in _held(front, rear, depth):
            yield {"image_id": image_ids[index], **one}


def _json(*parts: list[dict[str, Any]]) -> str:
    """The whole file, a line an entry."""
    lines = ['{"info": {"description": "written by napari-medai"}']
    for name, entries in zip(("images", "categories", "annotations"), parts, strict=True):
        rows = ",\n".join(json.dumps(entry, allow_nan=False) for entry in entries)
        lines.append(f'"{name}": [\n{rows}\n]' if entries else f'"{name}": []')
    return ",\n".join(lines) + "}\n"
