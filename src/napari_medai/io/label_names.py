"""File names that say that the values of an image are object numbers."""

from __future__ import annotations

import re

_WORD = re.compile(r"(?<![a-z])(labels?|masks?|[ad]?seg|segmentations?)(?![a-z])", re.IGNORECASE)
_HUMP = re.compile(r"(?<=[a-z])(Labels?|Masks?|Seg|Segmentations?)(?![a-z])")


def says_labels(name: str) -> bool:
    """Whether a word of a file's name says so: ``ct_seg``, ``Labels-3``, ``mniMask``."""
    return bool(_WORD.search(name) or _HUMP.search(name))
