"""What the command line says when something goes wrong, and the exit status."""

from __future__ import annotations

import codecs
import sys
from io import TextIOWrapper

from napari_medai.core.errors import InputError, MedaiError
from napari_medai.core.words import THIN_SPACE

PROGRAM = "napari-medai"


def say_in_any_encoding() -> None:
    """Let no output fail for a letter that its encoding lacks, as those of Windows lack many.

    Thin spaces become spaces, other letters question marks.
    """
    codecs.register_error(PROGRAM, _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and stream.errors in ("strict", "backslashreplace"):
            stream.reconfigure(errors=PROGRAM)


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(" " if letter == THIN_SPACE else "?" for letter in lacking), error.end


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
