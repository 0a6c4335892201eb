"""What a header says, or None where it says nothing that can be used."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom import Dataset


def value(dataset: Any, keyword: str) -> Any:
    """The value of an element; None where it is missing, empty or cannot be understood."""
    if dataset is None:
        return None
    try:
        found = dataset.get(keyword)
    except Exception:  # pydicom converts values when asked, and raises whatever broken ones provoke
        return None
    return None if found is None or (hasattr(found, "__len__") and len(found) == 0) else found


def numbers(dataset: Any, keyword: str, count: int | None = None) -> tuple[float, ...] | None:
    """All values as finite numbers; None where there are not ``count`` of them."""
    found = value(dataset, keyword)
    if found is None or isinstance(found, bytes):
        return None
    many = not isinstance(found, str) and hasattr(found, "__iter__")
    try:
        result = tuple(float(one) for one in (found if many else [found]))
    except (TypeError, ValueError):
        return None
    if not all(map(math.isfinite, result)) or (count is not None and len(result) != count):
        return None
    return result


def number(dataset: Any, keyword: str) -> float | None:
    """The first value as a finite number."""
    found = numbers(dataset, keyword)
    return found[0] if found else None


def whole(dataset: Any, keyword: str) -> int | None:
    """The first value as a whole number."""
    found = number(dataset, keyword)
    return int(found) if found is not None and found == int(found) else None


def words(dataset: Any, keyword: str) -> tuple[str, ...]:
    """All values as text; none where they are bytes."""
    found = value(dataset, keyword)
    if found is None or isinstance(found, bytes):
        return ()
    many = not isinstance(found, str) and hasattr(found, "__iter__")
    return tuple(str(one) for one in found) if many else (str(found),)


def word(dataset: Any, keyword: str) -> str:
    """The first value as text, '' where there is none."""
    return next(iter(words(dataset, keyword)), "")


def items(dataset: Any, keyword: str) -> list[Dataset]:
    """The items of a sequence."""
    found = value(dataset, keyword)
    try:
        return [item for item in found or () if hasattr(item, "get")]
    except TypeError:
        return []


def first(dataset: Any, keyword: str) -> Dataset | None:
    """The first item of a sequence."""
    return next(iter(items(dataset, keyword)), None)
