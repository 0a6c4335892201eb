"""Boxes as YOLO text files, one beside each image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_medai.core.boxes import Boxes
from napari_medai.core.errors import InputError
from napari_medai.io.box_plane import (
    BoxFile,
    BoxPlane,
    class_name,
    corners_of_edges,
    index_along,
    place,
    read_text,
    sureness,
)
from napari_medai.io.image_index import ImageIndex

LARGEST_LABELS = 1 << 24
"""Bytes up to which a text file is read; a line has some 40."""
NAME_LISTS = ("classes.txt", "obj.names")
NAME_TABLES = ("data.yaml", "data.yml", "dataset.yaml")
_LEVELS = 3
"""Folders in which names of classes are looked for: that of the labels and those above it."""


def read_yolo(labels: str | Path, images: ImageIndex) -> BoxFile:
    """The boxes in a folder of YOLO text files, or in one, each for the image of its name.

    A line is class, centre x, centre y, width, height and maybe a score; places and sizes are
    fractions of the image's. Names of the classes come from ``classes.txt``, ``obj.names`` or
    ``data.yaml`` there or up to two folders above; without, they are ``class 0``, ``class 1``, ...

    Raises
    ------
    InputError
        If a file cannot be read or a line does not fit; the text names the line.
    """
    labels = Path(labels)
    files = label_files(labels) if labels.is_dir() else [labels]
    names = _class_names(labels if labels.is_dir() else labels.parent)
    planes = tuple(_plane(path, images, names) for path in files)
    return BoxFile(planes, silent_is_empty=True)


def label_files(folder: Path) -> list[Path]:
    """The text files of a folder but for hidden ones and lists of classes."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() == ".txt" and path.name[0] != "." and path.name not in NAME_LISTS
    )


def looks_yolo(line: str) -> bool:
    """Whether a line of text is a box of a YOLO file."""
    fields = line.split()
    try:
        return len(fields) in (5, 6) and all(place(one) is not None for one in fields)
    except InputError:
        return False


def _plane(path: Path, images: ImageIndex, names: Sequence[str] | None) -> BoxPlane:
    image = images.find(path.stem)
    sizes = {} if image is None else images.sizes(image)
    height, width = sizes.get("Y", 0), sizes.get("X", 0)
    edges, kinds, scores, rows = [], [], [], []
    text = read_text(path, largest=LARGEST_LABELS)
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        try:
            if len(fields) not in (5, 6):
                raise InputError(
                    f"it has {len(fields)} fields, but class, centre x, centre y, width, height "
                    "and maybe a score are needed"
                )
            kinds.append(_class_name(fields[0], names))
            x, y, across, down = (place(field) for field in fields[1:5])
            scores.append(sureness(fields[5]) if len(fields) == 6 else np.nan)
        except InputError as error:
            raise InputError(f"line {number} of {path}: {error}; correct or remove it") from error
        edges.append([x - across / 2, y - down / 2, x + across / 2, y + down / 2])
        rows.append(f"line {number}")
    pixels = np.array(edges, dtype=float).reshape(-1, 4) * [width, height, width, height]
    boxes = Boxes.of(corners_of_edges(pixels), kinds, scores)
    return BoxPlane(path.stem, boxes, source=path, rows=rows)


def _class_name(given: str, names: Sequence[str] | None) -> str:
    number = index_along("the class", given)
    if names is None:
        return f"class {number}"
    if number >= len(names):
        raise InputError(f"the class {number} is unknown, as there are {len(names)} names from 0")
    return names[number]


def _class_names(folder: Path) -> list[str] | None:
    """The names of classes in their order, None where no file has them."""
    for level in (folder, *folder.absolute().parents)[:_LEVELS]:
        for name in NAME_LISTS:
            if (level / name).is_file():
                text = read_text(level / name, largest=LARGEST_LABELS)
                try:
                    return [class_name(line.strip()) for line in text.rstrip().splitlines()]
                except InputError as error:
                    raise InputError(f"{level / name} does not list classes: {error}") from error
        for name in NAME_TABLES:
            if (level / name).is_file():
                return _table_names(level / name)
    return None


def _table_names(path: Path) -> list[str]:
    import yaml

    text = read_text(path, largest=LARGEST_LABELS)
    try:
        content = yaml.safe_load(text)
        names = content["names"]
        if isinstance(names, dict):
            numbered = {index_along("a class", number): name for number, name in names.items()}
            if max(numbered) > 99_999:
                raise ValueError(f"it numbers a class {max(numbered)}")
            return [class_name(numbered.get(n, f"class {n}")) for n in range(max(numbered) + 1)]
        if not isinstance(names, list):
            raise TypeError(f"names is {names!r:.40}")
        return [class_name(name) for name in names]
    except (yaml.YAMLError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path} does not list the classes under names ({error}); write names: [a, b, ...]"
        ) from error
