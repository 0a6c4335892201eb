"""A zoom by a simple fraction, so that tile grids agree before and after."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, inf

from napari_medai.core.errors import InputError

EIGHTH = 8
SMALLEST, LARGEST = 16, 8  # one sixteenth, eightfold
THICK = 2.0
"""Slices more than so many pixels apart are a stack of planes rather than a volume."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Zoomed pixels per source pixel, as a fraction in lowest terms."""

    numerator: int = 1
    denominator: int = 1

    def __post_init__(self) -> None:
        if self.numerator < 1 or self.denominator < 1:
            raise InputError(
                f"a zoom must be a positive fraction, got {self.numerator}/{self.denominator}"
            )
        common = gcd(self.numerator, self.denominator)
        object.__setattr__(self, "numerator", self.numerator // common)
        object.__setattr__(self, "denominator", self.denominator // common)

    @classmethod
    def nearest(cls, value: float) -> Scale:
        """The closest of 8/128, ..., 8/9, 1, 9/8, ..., 64/8.

        Raises
        ------
        InputError
            If the value is not a positive number.
        """
        if not 0 < value < inf:
            raise InputError(
                f"the zoom must be a positive number, got {value!r}; "
                "check the pixel size or the diameter"
            )
        value = min(max(value, 1 / SMALLEST), LARGEST)
        if value >= 1:
            return cls(round(value * EIGHTH), EIGHTH)
        return cls(EIGHTH, round(EIGHTH / value))

    def __float__(self) -> float:
        return self.numerator / self.denominator

    def multiple(self, stride: int) -> int:
        """The smallest step in source pixels that is a whole number of strides when zoomed."""
        along = self.denominator * stride
        return along // gcd(self.numerator, along)

    def length(self, n: int) -> int:
        """Zoomed length of ``n`` source pixels, rounded up."""
        return -(-n * self.numerator // self.denominator)

    def source_halo(self, halo: int) -> int:
        """Source pixels that hold ``halo`` zoomed ones, and two more to interpolate."""
        return -(-halo * self.denominator // self.numerator) + 2
