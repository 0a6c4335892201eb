"""Errors a user can act on.

Every message says what was wrong, what was got, and what to do, in one sentence.
"""

from __future__ import annotations


class MedaiError(Exception):
    """Something the user can put right; its text is shown as it is, without a traceback."""


class InputError(MedaiError, ValueError):
    """The input (image, layer, file, parameter) cannot be used."""


class RunError(MedaiError, RuntimeError):
    """The input was fine, but the run failed (disk full, device lost, ...)."""


class OutOfMemoryError(RunError):
    """The device has no room for a batch of tiles."""
