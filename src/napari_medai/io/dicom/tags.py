"""What a header says, or None where it says nothing that can be used."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom import Dataset


@cache
def _tag(keyword: str) -> Any:
    from pydicom.datadict import tag_for_keyword
    from pydicom.tag import Tag

    tag = tag_for_keyword(keyword)
    return None if tag is None else Tag(tag)


def value(dataset: Any, keyword: str) -> Any:
    """The value of an element; None where it is missing, empty or cannot be understood."""
    tag = _tag(keyword)
    if dataset is None or tag is None or tag not in dataset:
        return None
    try:
        found = dataset[tag].value
    except Exception:  # pydicom converts values when asked, and raises whatever broken ones provoke
        return None
    return None if found is None or (hasattr(found, "__len__") and len(found) == 0) else found


def numbers(dataset: Any, keyword: str, count: int | None = None) -> tuple[float, ...] | None:
    """All values as finite numbers; None where there are not ``count`` of them."""
    result = _from_bytes(dataset, keyword)
    if result is None:
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


def _from_bytes(dataset: Any, keyword: str) -> tuple[float, ...] | None:
    """Numbers that pydicom has not converted yet, without its way, which is long."""
    from pydicom.dataelem import RawDataElement

    tag = _tag(keyword)
    if dataset is None or tag is None or tag not in dataset:
        return None
    raw = dataset.get_item(tag)
    if not isinstance(raw, RawDataElement) or not raw.value:
        return None
    if raw.VR == "US" and len(raw.value) == 2:
        return (int.from_bytes(raw.value, "little" if raw.is_little_endian else "big"),)
    try:
        if raw.VR in ("DS", "IS"):
            return tuple(float(one) for one in raw.value.rstrip(b"\0 ").split(b"\\"))
    except ValueError:
        pass
    return None


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
