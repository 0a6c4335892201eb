"""What the Basic Application Level Confidentiality Profile does with each DICOM attribute.

``profile.csv`` holds the rows of Table E.1-1 of DICOM PS3.15, edition 2026c, with the actions
of the column *Basic Prof.*; they come from dicom-anonymizer 2.1.0 (``profile.LICENSE``).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

EDITION = "2026c"
TABLE = Path(__file__).with_name("profile.csv")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: ``tag`` as the standard writes it, with ``x`` for any digit."""

    tag: str
    name: str
    action: str

    @property
    def surest(self) -> str:
        """The last of the actions to choose from: ``X``, ``Z``, ``D``, ``U`` or ``U*``.

        The first that keeps a file valid should be taken, which depends on whether its kind of
        object requires the attribute. The last does so for every kind.
        """
        return self.action.rsplit("/", 1)[-1]


@cache
def profile_rows() -> tuple[Row, ...]:
    """All rows of the table."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(Row(**row) for row in csv.DictReader(file))


def profile_action(tag: int) -> str:
    """What to do with an attribute, empty where the table does not name it.

    ``X`` remove, ``Z`` leave without a value, ``D`` give another value, ``U`` give another UID,
    ``U*`` give other UIDs within the sequence. Of the repeating groups of curves and overlays
    nothing is kept: rows and columns of an overlay are no use without it, and its label is text.
    """
    group = tag >> 16
    if group % 2 or 0x5000 <= group <= 0x50FF or 0x6000 <= group <= 0x60FF:
        return "X"
    return _actions().get(tag, "")


@cache
def _actions() -> Mapping[int, str]:
    single = (row for row in profile_rows() if not {"x", "g"} & set(row.tag))
    return {int(row.tag.replace(",", ""), 16): row.surest for row in single}
