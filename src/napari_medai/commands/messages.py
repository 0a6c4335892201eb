"""What the command line says when something goes wrong, and the exit status."""

from __future__ import annotations

import sys

from napari_medai.core.errors import InputError, MedaiError

PROGRAM = "napari-medai"


def sentence(error: BaseException) -> str:
    """What went wrong, in one line."""
    text = " ".join(str(error).split())
    if isinstance(error, MedaiError):
        return text
    return f"unexpected {type(error).__name__}: {text}; add --debug to see where it comes from"


def status_of(error: BaseException) -> int:
    """2 where the input was bad, 1 where the run failed."""
    return 2 if isinstance(error, InputError) else 1


def told(message: str, *, status: int) -> int:
    """Say something on standard error and return the status."""
    print(f"{PROGRAM}: {message}", file=sys.stderr)
    return status
