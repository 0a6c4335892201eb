"""The boxes of one plane or volume of an image, as files hold them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.boxes import Boxes
from napari_medai.core.errors import InputError

LONGEST_NAME = 256
"""Letters of the name of a class: an array of names has room for the longest in each."""
FARTHEST = 1e9
"""Pixels from the first one beyond which a number is no place in an image."""


@dataclass(frozen=True, slots=True, eq=False)
class BoxPlane:
    """The boxes of a plane of an image (two axes) or of a volume (three), none where it is empty.

    ``image`` is its file name or the name of its layer; ``position`` the index along each axis
    that the boxes lack. ``size`` is that of the plane or volume in pixels, None where nobody said.
    ``source`` is the file that the boxes were read from, ``rows`` where in it each was found:
    ``"line 7"``, ``"annotation 12"``.
    """

    image: str
    boxes: Boxes
    position: Mapping[str, int] = field(default_factory=dict)
    size: tuple[int, ...] | None = None
    source: Path | None = None
    rows: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class BoxFile:
    """What a file or folder says of boxes, as it stands there: also boxes of no use.

    ``notes`` are for the user, a sentence each. ``elsewhere`` are images it names that were not
    asked for. ``unnamed`` says that it does not say which image it belongs to, and
    ``silent_is_empty`` that an image it does not name has no objects.
    """

    planes: tuple[BoxPlane, ...]
    notes: tuple[str, ...] = ()
    elsewhere: frozenset[str] = frozenset()
    unnamed: bool = False
    silent_is_empty: bool = False


def checked_planes(planes: Sequence[BoxPlane]) -> int:
    """How many axes the boxes of all have, 2 where there are no planes.

    Raises
    ------
    InputError
        If they cannot be told apart in one file: no name, the same plane twice, planes beside
        volumes; or if a corner is not a number, or a position or size not of their axes.
    """
    seen: set[tuple[Any, ...]] = set()
    for plane in planes:
        key = (plane.image, *sorted(plane.position.items()))
        if not plane.image.strip() or key in seen:
            raise InputError(
                f"boxes are written by the name of their image, got {plane.image!r} "
                f"{'twice' if key in seen else 'as a name'}; give each image a name of its own"
            )
        seen.add(key)
        space = "YX" if plane.boxes.ndim == 2 else "ZYX"
        axes = [axis for axis in plane.position if len(axis) == 1 and "A" <= axis <= "Z"]
        if len(axes) < len(plane.position) or set(axes) & set(space):
            raise InputError(
                f"the position {dict(plane.position)} must name axes that its boxes lack, by one "
                "capital letter each"
            )
        for axis, at in plane.position.items():
            index_along(axis, at)
        if plane.size is not None and len(plane.size) != plane.boxes.ndim:
            raise InputError(
                f"{plane.image} has the size {plane.size}, but its boxes have {plane.boxes.ndim} "
                "axes; give the size along these"
            )
        for kind in set(plane.boxes.kinds.tolist()):
            class_name(kind)
        if not (np.abs(plane.boxes.corners) < FARTHEST).all():
            raise InputError(f"a box of {plane.image} has a corner that is not a number; remove it")
    ndims = {plane.boxes.ndim for plane in planes}
    if len(ndims) > 1:
        raise InputError("boxes of planes and of volumes cannot share a file; write one of each")
    return ndims.pop() if ndims else 2


def place(given: Any) -> float:
    """A number that can be a place in an image.

    Raises
    ------
    InputError
        If it is not one.
    """
    try:
        number = float(given)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not abs(number) < FARTHEST:
        raise InputError(f"{str(given)[:40]!r} is not a number of pixels")
    return number


def index_along(axis: str, given: Any) -> int:
    """A whole number from 0, as text or number.

    Raises
    ------
    InputError
        If it is not one.
    """
    number = place(given)
    if number < 0 or number != int(number):
        raise InputError(f"{axis} must be a whole number from 0, got {str(given)[:40]!r}")
    return int(number)


def sureness(given: Any) -> float:
    """A score, NaN where there is none.

    Raises
    ------
    InputError
        If it is not a number.
    """
    nothing = given is None or str(given).strip().lower() in ("", "nan")
    return math.nan if nothing else place(given)


def class_name(given: Any) -> str:
    """The name of a class as text, empty where a table has none (None, NaN).

    Raises
    ------
    InputError
        If it is too long to be one.
    """
    name = "" if missing(given) else str(given)
    if len(name) > LONGEST_NAME:
        raise InputError(
            f"the class {name[:20]!r}... has {len(name)} letters, and names have up to "
            f"{LONGEST_NAME}"
        )
    return name


def label_classes(table: Any) -> dict[int, str]:
    """The class of each label, of a table with the columns ``index`` and ``class``.

    Rows without a label or a class are passed over; a table without these columns has none.
    """
    if table is None or not {"index", "class"} <= set(table):
        return {}
    import pandas as pd

    numbers = pd.to_numeric(table["index"], errors="coerce").to_numpy(dtype=float)
    pairs = zip(numbers, table["class"], strict=True)
    return {
        int(at): class_name(kind) for at, kind in pairs if math.isfinite(at) and not missing(kind)
    }


def missing(given: Any) -> bool:
    """Whether a field of a table is empty: None, NaN, or what pandas has for it."""
    if isinstance(given, str):
        return False
    import pandas as pd

    return given is None or bool(pd.isna(given))


def corners_of_edges(edges: Any) -> np.ndarray:
    """Corners (n, 2, 2), (y, x) in pixels whose centres are whole, from x1, y1, x2, y2 (n, 4).

    These count from the corner of the first pixel, as COCO does and most programs do.
    """
    return np.asarray(edges, dtype=float).reshape(-1, 2, 2)[..., ::-1] - 0.5


def read_text(path: Path, *, largest: int) -> str:
    """The text of a small file.

    Raises
    ------
    InputError
        If it is larger than ``largest`` bytes, cannot be read, or is not text.
    """
    try:
        size = path.stat().st_size
        if size > largest:
            raise InputError(
                f"{path} has {size / 2**20:.0f} MB, and files of its kind are read up to "
                f"{largest >> 20} MB; split it by images"
            )
        with path.open(encoding="utf-8-sig", newline="") as file:
            return file.read()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text in UTF-8 ({error}); save it as UTF-8") from error
