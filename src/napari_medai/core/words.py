"""Numbers in words."""

from __future__ import annotations

THIN_SPACE = "\u202f"


def digits(number: float) -> str:
    """A number to read: ``1 302``, ``0.57``."""
    text = f"{number:,.0f}" if number >= 100 or number == int(number) else f"{number:.3g}"
    return text.replace(",", THIN_SPACE)
