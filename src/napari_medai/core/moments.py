"""Mean, standard deviation, minimum and maximum of values that come in parts."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan, sqrt

import numpy as np


@dataclass(slots=True)
class Moments:
    """What is known of the values seen so far; those that are not finite do not count.

    ``squares`` is the sum of squared distances from the mean, which each part has around its own
    mean: far from 0, sums of squares would lose every digit that tells values apart (Chan, Golub
    and LeVeque, Algorithms for computing the sample variance, The American Statistician 37, 1983).
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = inf
    high: float = -inf

    def add(self, part: np.ndarray) -> None:
        """See some more values, in any shape."""
        values = part.astype(np.float64).ravel()
        values = values[np.isfinite(values)]
        if not values.size:
            return
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))
        mean = float(values.mean())
        values -= mean
        apart, total = mean - self.mean, self.count + values.size
        self.squares += float(values @ values) + apart * apart * self.count * values.size / total
        self.mean += apart * values.size / total
        self.count = total

    @property
    def told(self) -> tuple[float, float, float, float]:
        """Mean, standard deviation (divided by n), minimum, maximum; NaN without values."""
        if not self.count:
            return nan, nan, nan, nan
        return self.mean, sqrt(self.squares / self.count), self.low, self.high
