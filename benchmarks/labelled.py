"""Images with labels, from folders."""

from __future__ import annotations

import csv
from pathlib import Path

from napari_medai.core.errors import InputError
from napari_medai.tasks.pairs import Pair


def folder_pairs(
    images: Path,
    masks: Path,
    *,
    table: Path | None = None,
    kind: str = "",
    split: str = "",
) -> list[Pair]:
    """Images with their labels, by name; of one kind and split where there is a table."""
    from napari_medai.io.pairs import find_pairs, read_pair

    chosen = None
    if table is not None:
        with table.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if split in ("", row["split"])]
        chosen = {row["id"] for row in rows if kind in ("", row["type"])}
    elif kind or split:
        raise InputError("a type and a split are those of a table; give it with --csv")
    found = find_pairs(images, masks)
    read = [read_pair(*both) for both in found if chosen is None or both[0].stem in chosen]
    if not read:
        raise InputError(f"no image of {images} is of the split {split!r} and the type {kind!r}")
    return [Pair(image, labels, name) for image, labels, name in read]


def pairs_within(folder: Path, **which: str | Path | None) -> list[Pair]:
    """Those of a folder that holds ``images`` and ``masks``."""
    return folder_pairs(folder / "images", folder / "masks", **which)  # type: ignore[arg-type]
