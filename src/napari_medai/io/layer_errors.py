"""What napari's writers raise, so that the user sees it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from napari_medai.core.errors import InputError, RunError

Writer = Callable[[str, Any, dict[str, Any]], list[str]]


def told_by_napari(write: Writer) -> Writer:
    """A writer whose sentences reach the user.

    napari takes a ValueError, and so an `InputError`, to mean that there is no such writer.
    """

    @wraps(write)
    def told(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
        try:
            return write(path, data, attributes)
        except InputError as error:
            raise RunError(str(error)) from error

    return told
