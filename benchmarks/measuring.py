"""Time, memory, and tables of what was measured."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any


def seconds(call: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """The median duration of a call, after one to warm up, and its last result."""
    result = call()
    took = []
    for _ in range(repeats):
        began = time.perf_counter()
        result = call()
        took.append(time.perf_counter() - began)
    return statistics.median(took), result


def peak_megabytes() -> float:
    """The most memory this process has held."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def show(titles: list[str], rows: list[list[Any]]) -> None:
    lines = [titles, ["---"] * len(titles), *rows]
    print("\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines))
