"""What napari's writers raise, so that the user sees it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from napari_medai.core.errors import InputError, RunError

P = ParamSpec("P")


def told_by_napari(write: Callable[P, list[str]]) -> Callable[P, list[str]]:
    """A writer whose sentences reach the user.

    napari takes a ValueError, and so an `InputError`, to mean that there is no such writer.
    """

    @wraps(write)
    def told(*args: P.args, **kwargs: P.kwargs) -> list[str]:
        try:
            return write(*args, **kwargs)
        except InputError as error:
            raise RunError(str(error)) from error

    return told
