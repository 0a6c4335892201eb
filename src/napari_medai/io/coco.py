"""Outlines as COCO JSON, which most programs for detection read.

COCO (Lin et al., ECCV 2014; format at cocodataset.org) counts from the corner of the first pixel,
napari from its centre: half a pixel is added on the way out and taken off on the way in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.boxes import Outline, box_outline
from napari_medai.core.errors import InputError
from napari_medai.io.atomic import replacing
from napari_medai.io.coco_file import (
    categories_of,
    kind_of,
    misfit,
    plane_name,
    position_of,
    read_coco_file,
    size_of,
    stack_name,
)


@dataclass(frozen=True, slots=True)
class Annotations:
    """Outlines of one image, or of the planes of a stack.

    ``axes`` are the letters of `Outline.position`; ``size`` is (height, width) of a plane in
    pixels, None where it is not known.
    """

    outlines: Sequence[Outline]
    axes: str = ""
    size: tuple[int, int] | None = None


def write_coco(
    path: str | Path, annotations: Annotations, *, name: str = "", overwrite: bool = False
) -> Path:
    """Write outlines as COCO JSON, a plane of a stack as an image of its own.

    Raises
    ------
    InputError
        If ``path`` exists and ``overwrite`` is false.
    RunError
        If writing fails; nothing is left behind then.
    """
    path = Path(path)
    outlines = annotations.outlines
    kinds = sorted({outline.kind for outline in outlines})
    planes = sorted({outline.position for outline in outlines}) or [()]
    positions = [dict(zip(annotations.axes, plane, strict=True)) for plane in planes]
    height, width = annotations.size or _extent(outlines)
    content = {
        "info": {"description": "written by napari-medai"},
        "images": [
            {
                "id": number,
                "file_name": plane_name(name or path.stem, position),
                "height": height,
                "width": width,
                "size_known": annotations.size is not None,
                "position": position,
            }
            for number, position in enumerate(positions, start=1)
        ],
        "categories": categories_of(kinds),
        "annotations": [
            _annotation(number, outline, planes=planes, kinds=kinds)
            for number, outline in enumerate(outlines, start=1)
        ],
    }
    with replacing(path, overwrite=overwrite) as partial:
        partial.write_text(json.dumps(content, indent=1, allow_nan=False), encoding="utf-8")
    return path


def read_coco(path: str | Path) -> dict[str, Annotations]:
    """The outlines in a COCO file by the file name of their image, in the file's order.

    Planes of a stack that `write_coco` wrote come back as one, under the name of the stack. Of an
    annotation with a polygon its first ring is taken, of one without (or with a mask in runs) its
    box.

    Raises
    ------
    InputError
        If the file cannot be read or an annotation does not fit; the text names its id.
    """
    path = Path(path)
    content = read_coco_file(path)
    found: dict[str, list[Outline]] = {stack_name(image): [] for image in content.images.values()}
    for number, one in enumerate(content.annotations, start=1):
        try:
            image = content.images[one["image_id"]]
            outline = _outline(one, image, content.kinds)
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise misfit(path, one, number, error) from error
        found[stack_name(image)].append(outline)
    return {
        name: Annotations(tuple(outlines), **_stack(content.images.values(), name))
        for name, outlines in found.items()
    }


def _annotation(
    number: int, outline: Outline, *, planes: Sequence[tuple[int, ...]], kinds: Sequence[str]
) -> dict[str, Any]:
    top, left, bottom, right = outline.box
    entry: dict[str, Any] = {
        "id": number,
        "image_id": planes.index(outline.position) + 1,
        "category_id": kinds.index(outline.kind) + 1,
        "bbox": [left + 0.5, top + 0.5, right - left, bottom - top],
        "area": outline.area,
        "iscrowd": 0,
        "segmentation": [] if outline.is_box else [_ring(outline.points)],
    }
    if outline.score is not None:
        entry["score"] = outline.score
    return entry


def _ring(points: np.ndarray) -> list[float]:
    return [float(n) for n in (points[:, ::-1] + 0.5).ravel()]


def _outline(one: dict[str, Any], image: dict[str, Any], kinds: Mapping[Any, str]) -> Outline:
    position = tuple(position_of(image).values())
    kind = kind_of(one, kinds)
    score = None if one.get("score") is None else float(one["score"])
    rings = one.get("segmentation")
    if isinstance(rings, list) and rings:
        points = np.array(rings[0], dtype=float).reshape(-1, 2)[:, ::-1] - 0.5
        if len(points) < 3 or not np.isfinite(points).all():
            raise InputError(f"a polygon needs three points or more, got {len(points)}")
        return Outline(points, position, kind, score)
    left, top, width, height = (float(n) for n in one["bbox"])
    return box_outline(
        top - 0.5,
        left - 0.5,
        top - 0.5 + height,
        left - 0.5 + width,
        position=position,
        kind=kind,
        score=score,
    )


def _stack(images: Any, name: str) -> dict[str, Any]:
    """Axes and size of the planes of one stack."""
    first = next(image for image in images if stack_name(image) == name)
    return {"axes": "".join(position_of(first)), "size": size_of(first)}


def _extent(outlines: Sequence[Outline]) -> tuple[int, int]:
    """The smallest plane that holds them."""
    boxes = np.array([outline.box for outline in outlines]).reshape(-1, 4)
    bottom, right = boxes[:, 2:].max(axis=0, initial=0.0)
    return max(1, ceil(bottom + 0.5)), max(1, ceil(right + 0.5))
