"""Memory that is free again goes back to the system."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any


def give_back() -> None:
    """Give freed memory back, where the C library would keep it.

    glibc puts arrays of up to 32 MB beside small ones, and holds the room of a large one as long
    as a small one behind it lives: in a long job that keeps a little of every block, some hundred
    megabytes. Elsewhere this does nothing.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
