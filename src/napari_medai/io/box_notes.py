"""What readers of boxes tell the user of what they left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from napari_medai.core.boxes import UsableBoxes
from napari_medai.io.box_plane import BoxPlane

ROWS = 5
"""Rows of a file that are told one by one."""
FILES = 10
"""Files that have a note of their own."""


def skipped_notes(used: Mapping[BoxPlane, UsableBoxes]) -> list[str]:
    """A sentence for each file with boxes that could not be used: which rows, and why."""
    rows: dict[str, list[str]] = {}
    for plane, found in used.items():
        of_file = rows.setdefault("" if plane.source is None else plane.source.name, [])
        for at in np.flatnonzero(found.degenerate | found.outside).tolist():
            of_file.append(f"{plane.rows[at]} ({_reason(plane, found, at)})")
    told = {name: of_file for name, of_file in rows.items() if of_file}
    notes = [
        f"{name}: skipped {counted(len(of_file), 'box')}, {', '.join(of_file[:ROWS])}"
        + (f" and {len(of_file) - ROWS} more" if len(of_file) > ROWS else "")
        for name, of_file in list(told.items())[:FILES]
    ]
    rest = list(told.values())[FILES:]
    if rest:
        boxes = sum(len(of_file) for of_file in rest)
        notes.append(f"skipped {counted(boxes, 'box')} of {counted(len(rest), 'more file')} alike")
    return notes


def counted_files(paths: Sequence[Path], what: str) -> str:
    """``3 images (a.png, b.png, c.png)``, the first few by name."""
    some = ", ".join(path.name for path in paths[:3]) + (", ..." if len(paths) > 3 else "")
    return f"{counted(len(paths), what)} ({some})"


def _reason(plane: BoxPlane, found: UsableBoxes, at: int) -> str:
    if found.outside[at]:
        return f"outside {plane.image}"
    low, high = plane.boxes.corners[at]
    for axis, start, stop in zip("zyx"[-len(low) :], low, high, strict=True):
        if stop < start:
            return f"{axis}2 < {axis}1"
    return "no area"


def counted(number: int, what: str) -> str:
    """``1 box``, ``2 boxes``."""
    plural = what if number == 1 else f"{what}es" if what.endswith("x") else f"{what}s"
    return f"{number} {plural}"
