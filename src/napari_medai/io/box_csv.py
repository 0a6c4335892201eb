"""Boxes of many images as a table and back, and the tables of other programs."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import numpy as np

from napari_medai.core.boxes import Boxes
from napari_medai.core.errors import InputError
from napari_medai.io.atomic import replacing
from napari_medai.io.box_plane import (
    BoxFile,
    BoxPlane,
    checked_planes,
    class_name,
    index_along,
    place,
    read_text,
    sureness,
)

LARGEST_TABLE = 1 << 27
"""Bytes up to which a table is read: some two million boxes."""
FLAT = ("top", "left", "bottom", "right")
SOLID = ("front", "top", "left", "back", "bottom", "right")
_EDGES = ("ymin", "xmin", "ymax", "xmax")
_WORDS = {
    "image": ("image", "filename", "file_name", "path", "image_path"),
    "class": ("class", "label", "class_name", "category"),
    "score": ("score", "confidence"),
    "split": ("split",),
}
"""What programs call a column that is not a corner."""
_EDGE_WORDS = {"ymin": "y1", "xmin": "x1", "ymax": "y2", "xmax": "x2"}


def write_boxes_csv(
    path: str | Path, planes: Sequence[BoxPlane], *, overwrite: bool = False
) -> Path:
    """Write the boxes of images as a table; `read_boxes_csv` gives back the same but for sizes.

    Columns: image, index (from 1 in each plane), the index along each other axis, the corners in
    pixels whose centres are whole numbers (front, top, left, back, bottom, right; planes have no
    front and back), class, score. A plane without boxes is a row without corners.

    Raises
    ------
    InputError
        If ``path`` exists and ``overwrite`` is false, or planes cannot be told apart.
    RunError
        If writing fails; nothing is left behind then.
    """
    path = Path(path)
    columns = FLAT if checked_planes(planes) == 2 else SOLID
    axes = list(dict.fromkeys(axis for plane in planes for axis in plane.position))
    header = ["image", "index", *(axis.lower() for axis in axes), *columns, "class", "score"]
    with (
        replacing(path, overwrite=overwrite) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(header)
        for plane in planes:
            at = [str(plane.position.get(axis, "")) for axis in axes]
            boxes = plane.boxes
            if not len(boxes):
                writer.writerow([plane.image, "", *at, *[""] * (len(columns) + 2)])
            # As float32 these texts are short, and the same number again when read.
            corners = boxes.corners.reshape(-1, len(columns)).astype(str).tolist()
            scores = np.where(np.isnan(boxes.scores), "", boxes.scores.astype(str)).tolist()
            for row, (one, kind, score) in enumerate(
                zip(corners, boxes.kinds.tolist(), scores, strict=True), start=1
            ):
                writer.writerow([plane.image, row, *at, *one, kind, score])
    return path


def read_boxes_csv(path: str | Path, *, split: str | None = None) -> BoxFile:
    """The boxes in a table, for each image it names, in its order.

    Tables of `write_boxes_csv` and of Shapes layers, and those with the usual columns image (or
    filename, path), class (or label), xmin, ymin, xmax, ymax, which count from the corner of the
    first pixel. Columns are found by name, in any case and order. Of a table with a column
    ``split``, that part alone may be read. Rows without corners are images without objects.

    Raises
    ------
    InputError
        If it cannot be read, lacks a column, or a row does not fit; the text names its line.
    """
    path = Path(path)
    lines = iter(_lines(path))
    _, header = next(lines, (0, []))
    columns = _Columns.of(path, header, split=split)
    found: dict[tuple[object, ...], _Rows] = {}
    elsewhere: set[str] = set()
    for number, fields in lines:
        try:
            image = columns.text(fields, "image") if "image" in columns.at else path.stem
            if not image:
                raise InputError("it names no image")
            if split is not None and columns.text(fields, "split") != split:
                elsewhere.add(image)
                continue
            position = columns.position(fields)
            key = (image, *sorted(position.items()))
            rows = found.setdefault(key, _Rows(image, position))
            rows.add(columns, fields, number)
        except InputError as error:
            raise InputError(f"line {number} of {path}: {error}; correct or remove it") from error
    unnamed = "image" not in columns.at
    if unnamed and not found and not columns.axes:
        found[(path.stem,)] = _Rows(path.stem, {})
    if split is not None and not found:
        raise InputError(f"{path} has no row of the split {split!r}; give one that it has")
    planes = tuple(rows.plane(path, ndim=columns.ndim) for rows in found.values())
    used = {plane.image for plane in planes}
    return BoxFile(planes, elsewhere=frozenset(elsewhere - used), unnamed=unnamed)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The boxes of one plane while its table is read."""

    image: str
    position: dict[str, int]
    corners: list[list[list[float]]] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def add(self, columns: _Columns, fields: Sequence[str], line: int) -> None:
        """The box of a row, if it has one."""
        corners = columns.corners(fields)
        if not corners:
            return
        self.corners.append(corners)
        self.kinds.append(class_name(columns.text(fields, "class")))
        self.scores.append(sureness(columns.text(fields, "score")))
        self.lines.append(f"line {line}")

    def plane(self, source: Path, *, ndim: int) -> BoxPlane:
        boxes = Boxes.of(self.corners, self.kinds, self.scores, ndim=ndim)
        return BoxPlane(self.image, boxes, self.position, None, source, self.lines)


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where the columns of a table are.

    ``at`` is by our words, ``edges`` by the names of corners, low ones first, ``axes`` by letter;
    ``shift`` is taken off corners, and ``own`` says that we wrote the table.
    """

    at: Mapping[str, int]
    edges: Mapping[str, int]
    axes: Mapping[str, int]
    shift: float
    own: bool

    @classmethod
    def of(cls, path: Path, header: Sequence[str], *, split: str | None) -> _Columns:
        names = [name.strip().lower() for name in header]
        names = [_OTHER_EDGES.get(name, name) for name in names]
        place_of = {name: at for at, name in reversed(list(enumerate(names)))}
        at = {
            word: place_of[next(name for name in spellings if name in place_of)]
            for word, spellings in _WORDS.items()
            if any(name in place_of for name in spellings)
        }
        solid = set(SOLID) <= set(names)
        own = solid or set(FLAT) <= set(names)
        wanted = SOLID if solid else FLAT if own else _EDGES
        missing = not own and ("image" not in at or not set(_EDGES) <= set(names))
        if missing or (split is not None and "split" not in at):
            part = " and split" if split is not None else ""
            raise InputError(
                f"{path} is no table of boxes: it has the columns {', '.join(names)[:200] or '-'}, "
                f"but image, class, xmin, ymin, xmax, ymax{part} are needed (or top, left, bottom, "
                "right); name them in its first line"
            )
        taken = "yx" if own else "yxwh"
        axes = {
            name.upper(): at
            for at, name in enumerate(names)
            if len(name) == 1 and "a" <= name <= "z" and name not in taken
        }
        return cls(at, {name: place_of[name] for name in wanted}, axes, 0.0 if own else 0.5, own)

    @property
    def ndim(self) -> int:
        return len(self.edges) // 2

    def text(self, fields: Sequence[str], word: str) -> str:
        """A field, empty where there is no such column."""
        if word not in self.at:
            return ""
        found = _field(fields, self.at[word], word)
        return found if self.own else found.strip()

    def position(self, fields: Sequence[str]) -> dict[str, int]:
        given = {axis: _field(fields, at, axis.lower()) for axis, at in self.axes.items()}
        return {axis: index_along(axis, text) for axis, text in given.items() if text.strip()}

    def corners(self, fields: Sequence[str]) -> list[list[float]]:
        """The low and the high corner, empty where the row has none."""
        texts = [_field(fields, at, name) for name, at in self.edges.items()]
        if not any(text.strip() for text in texts):
            return []
        numbers = [place(text) - self.shift for text in texts]
        return [numbers[: self.ndim], numbers[self.ndim :]]


_OTHER_EDGES = {other: word for word, other in _EDGE_WORDS.items()} | {
    f"{word[0]}_{word[1:]}": word for word in _EDGE_WORDS
}


def _field(fields: Sequence[str], at: int, name: str) -> str:
    if at >= len(fields):
        raise InputError(f"it has {len(fields)} fields, none for {name}")
    return fields[at]


def _lines(path: Path) -> Iterable[tuple[int, list[str]]]:
    """The rows that are not blank, each with the number of the line it ends on."""
    text = read_text(path, largest=LARGEST_TABLE)
    first = text.lstrip().partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)

    def rows() -> Iterator[tuple[int, list[str]]]:
        try:
            for fields in reader:
                if any(field.strip() for field in fields):
                    yield reader.line_num, fields
        except csv.Error as error:
            raise InputError(
                f"{path} is no table (line {reader.line_num}: {error}); export it again as CSV"
            ) from error

    return rows()
