"""What COCO JSON files are made of: images, categories and annotations with ids."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_medai.core.errors import InputError
from napari_medai.io.box_plane import class_name, index_along, read_text

LARGEST_FILE = 192 << 20
"""Bytes up to which a file is read: boxes in JSON take ten times that in memory, and some 15 s for
100 MB."""
NO_CLASS = "object"
"""The category of what has no class: the format wants a name."""
_UNNAMED = "unnamed"
"""The mark of that category, so that no class comes back as none."""


@dataclass(frozen=True, slots=True)
class CocoFile:
    """A COCO file that holds together: images and names of classes by id, and what was marked."""

    images: Mapping[Any, dict[str, Any]]
    kinds: Mapping[Any, str]
    annotations: Sequence[Any]


def read_coco_file(path: Path) -> CocoFile:
    """A COCO file, its annotations still as they stand there.

    Raises
    ------
    InputError
        If it is too large, cannot be read, is not COCO, or has an id twice.
    """
    content = _content(path)
    try:
        images = {image["id"]: image for image in content["images"]}
        kinds = {kind["id"]: _class_name(kind) for kind in content.get("categories", ())}
        given = list(content["annotations"])
        _refuse_doubles("images", [image["id"] for image in content["images"]])
        _refuse_doubles("categories", [kind["id"] for kind in content.get("categories", ())])
        _refuse_doubles("annotations", [one["id"] for one in given if "id" in one])
        for image in images.values():
            position_of(image)
            size_of(image)
    except InputError as error:
        raise InputError(f"{path} cannot be used: {error}") from error
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{path} is not COCO JSON ({type(error).__name__}: {error}); it must hold images, "
            "annotations and categories"
        ) from error
    return CocoFile(images, kinds, given)


def categories_of(kinds: Sequence[str]) -> list[dict[str, Any]]:
    """The categories of these classes, numbered from 1; an empty text is no class."""
    return [
        {"id": number, "name": kind} if kind else {"id": number, "name": NO_CLASS, _UNNAMED: True}
        for number, kind in enumerate(kinds, start=1)
    ]


def plane_name(name: str, position: Mapping[str, int]) -> str:
    """The file name of a plane of a stack, an image of its own in COCO: ``movie#T1``."""
    return name + "".join(f"#{axis}{at}" for axis, at in position.items())


def stack_name(image: dict[str, Any]) -> str:
    """The name of the stack that an image is a plane of, else its own."""
    name = str(image.get("file_name", image["id"]))
    return name.removesuffix(plane_name("", position_of(image)))


def position_of(image: dict[str, Any]) -> dict[str, int]:
    """Where in its stack an image lies, empty where it is no plane of one.

    Raises
    ------
    InputError
        If it is not whole numbers from 0.
    """
    given = image.get("position") or {}
    return {str(axis): index_along(str(axis), at) for axis, at in dict(given).items()}


def size_of(image: dict[str, Any]) -> tuple[int, int] | None:
    """Height and width of an image, None where the file does not say."""
    if not image.get("height") or not image.get("width") or image.get("size_known") is False:
        return None
    return index_along("height", image["height"]), index_along("width", image["width"])


def identity(one: Any, number: int) -> str:
    """How an annotation is called: by its id, else by its place."""
    return repr(one["id"]) if isinstance(one, dict) and "id" in one else f"number {number}"


def misfit(path: Path, one: Any, number: int, error: Exception) -> InputError:
    """What is wrong with an annotation, with its id and file."""
    reason = f"{error} is missing or unknown" if isinstance(error, KeyError) else str(error)
    return InputError(
        f"annotation {identity(one, number)} of {path} does not fit ({reason}); correct or "
        "remove it"
    )


def kind_of(one: dict[str, Any], kinds: Mapping[Any, str]) -> str:
    """The class of an annotation.

    Raises
    ------
    InputError
        If its category is not one of the file's.
    """
    identifier = one["category_id"]
    if identifier not in kinds:
        raise InputError(f"its category_id {identifier!r} is none of the file's categories")
    return kinds[identifier]


def _class_name(category: dict[str, Any]) -> str:
    return "" if category.get(_UNNAMED) is True else class_name(category["name"])


def _content(path: Path) -> dict[str, Any]:
    text = read_text(path, largest=LARGEST_FILE)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}); export it again") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} is not COCO JSON; it must hold images and annotations")
    return content


def _refuse_doubles(what: str, ids: Sequence[Any]) -> None:
    seen: set[Any] = set()
    for one in ids:
        if one in seen:
            raise InputError(f"it has two {what} of the id {one!r}; give each its own")
        seen.add(one)
