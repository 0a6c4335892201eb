"""Outlines as COCO JSON, which most programs for detection read.

COCO (Lin et al., ECCV 2014; format at cocodataset.org) counts from the corner of the first pixel,
napari from its centre: half a pixel is added on the way out and taken off on the way in.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.boxes import Outline, box_outline
from napari_medai.core.errors import InputError
from napari_medai.io.atomic import replacing

LARGEST_FILE = 1 << 29
"""Bytes up to which a file is read: JSON takes many times that in memory."""
NO_CLASS = "object"


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
    kinds = sorted({outline.kind or NO_CLASS for outline in outlines})
    planes = sorted({outline.position for outline in outlines}) or [()]
    height, width = annotations.size or _extent(outlines)
    content = {
        "info": {"description": "written by napari-medai"},
        "images": [
            {
                "id": number,
                "file_name": _plane_name(name or path.stem, annotations.axes, plane),
                "height": height,
                "width": width,
                "position": dict(zip(annotations.axes, plane, strict=True)),
            }
            for number, plane in enumerate(planes, start=1)
        ],
        "categories": [{"id": number, "name": kind} for number, kind in enumerate(kinds, start=1)],
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
    content = _content(path)
    try:
        images = {image["id"]: image for image in content["images"]}
        kinds = {kind["id"]: str(kind["name"]) for kind in content.get("categories", ())}
        given = list(content["annotations"])
        _refuse_doubles(path, "images", [image["id"] for image in content["images"]])
        _refuse_doubles(path, "annotations", [one["id"] for one in given if "id" in one])
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is not COCO JSON ({type(error).__name__}: {error}); it must hold images, "
            "annotations and categories"
        ) from error
    found: dict[str, list[Outline]] = {_stack_name(image): [] for image in images.values()}
    for number, one in enumerate(given, start=1):
        try:
            image = images[one["image_id"]]
            outline = _outline(one, image, kinds)
        except (KeyError, TypeError, ValueError, IndexError, InputError) as error:
            raise InputError(
                f"annotation {_identity(one, number)} of {path} does not fit "
                f"({_reason(error)}); correct or remove it"
            ) from error
        found[_stack_name(image)].append(outline)
    return {
        name: Annotations(tuple(outlines), **_stack(images.values(), name))
        for name, outlines in found.items()
    }


def _annotation(
    number: int, outline: Outline, *, planes: Sequence[tuple[int, ...]], kinds: Sequence[str]
) -> dict[str, Any]:
    top, left, bottom, right = outline.box
    entry: dict[str, Any] = {
        "id": number,
        "image_id": planes.index(outline.position) + 1,
        "category_id": kinds.index(outline.kind or NO_CLASS) + 1,
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


def _outline(one: dict[str, Any], image: dict[str, Any], kinds: dict[Any, str]) -> Outline:
    position = tuple(int(n) for n in image.get("position", {}).values())
    kind = kinds[one["category_id"]]
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


def _content(path: Path) -> dict[str, Any]:
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise InputError(
                f"{path} has {size >> 20} MB, and COCO files are read up to "
                f"{LARGEST_FILE >> 20} MB; split it by images"
            )
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}); export it again") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} is not COCO JSON; it must hold images and annotations")
    return content


def _refuse_doubles(path: Path, what: str, ids: Sequence[Any]) -> None:
    seen: set[Any] = set()
    for one in ids:
        if one in seen:
            raise InputError(f"{path} has two {what} of the id {one!r}; give each its own")
        seen.add(one)


def _stack(images: Any, name: str) -> dict[str, Any]:
    """Axes and size of the planes of one stack."""
    first = next(image for image in images if _stack_name(image) == name)
    known = first.get("height") is not None and first.get("width") is not None
    size = (int(first["height"]), int(first["width"])) if known else None
    return {"axes": "".join(first.get("position", {})), "size": size}


def _plane_name(name: str, axes: str, plane: tuple[int, ...]) -> str:
    return name + "".join(f"#{axis}{at}" for axis, at in zip(axes, plane, strict=True))


def _stack_name(image: dict[str, Any]) -> str:
    name = str(image.get("file_name", image["id"]))
    return name.split("#")[0] if image.get("position") else name


def _identity(one: Any, number: int) -> str:
    return repr(one["id"]) if isinstance(one, dict) and "id" in one else f"number {number}"


def _reason(error: Exception) -> str:
    return f"{error} is missing or unknown" if isinstance(error, KeyError) else str(error)


def _extent(outlines: Sequence[Outline]) -> tuple[int, int]:
    """The smallest plane that holds them."""
    boxes = np.array([outline.box for outline in outlines]).reshape(-1, 4)
    bottom, right = boxes[:, 2:].max(axis=0, initial=0.0)
    return max(1, ceil(bottom + 0.5)), max(1, ceil(right + 0.5))
