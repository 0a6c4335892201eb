"""Slicing and transposing put off until the values are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


class View:
    """Part of an array that can only be sliced (zarr, a file), its axes in another order.

    Slicing, transposing and new axes give views; ``np.asarray`` reads, and only what is in view.
    """

    def __init__(
        self, source: Any, parts: Sequence[range | int], order: Sequence[int | None]
    ) -> None:
        self._source = source
        self._parts = tuple(parts)
        self._order = tuple(order)

    @classmethod
    def of(cls, source: Any) -> View:
        """All of an array."""
        return cls(source, [range(int(n)) for n in source.shape], range(len(source.shape)))

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(1 if axis is None else len(self._part(axis)) for axis in self._order)

    @property
    def ndim(self) -> int:
        return len(self._order)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self._source.dtype)

    def __getitem__(self, key: Any) -> View:
        """Integers, slices, ``...`` and None, as in numpy."""
        keys = list(key) if isinstance(key, tuple) else [key]
        taken = sum(1 for k in keys if k is not None and k is not Ellipsis)
        rest = [slice(None)] * (self.ndim - taken)
        at = keys.index(Ellipsis) if Ellipsis in keys else len(keys)
        keys[at : at + 1] = rest
        parts, order, old = list(self._parts), [], iter(self._order)
        for k in keys:
            axis = None if k is None else next(old)
            if axis is not None:
                parts[axis] = self._part(axis)[k]
            if k is None or isinstance(k, slice):
                order.append(axis)
        return View(self._source, parts, order)

    def transpose(self, order: Sequence[int]) -> View:
        """The axes in another order."""
        return View(self._source, self._parts, [self._order[axis] for axis in order])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        whole = tuple(
            part if isinstance(part, int) else slice(part.start, part.stop, part.step)
            for part in self._parts
        )
        values = np.asarray(self._source[whole])
        kept = [axis for axis, part in enumerate(self._parts) if isinstance(part, range)]
        places = [kept.index(axis) for axis in self._order if axis is not None]
        values = values.transpose(places)
        key = tuple(None if axis is None else slice(None) for axis in self._order)
        return np.asarray(values[key]).astype(dtype or values.dtype, copy=bool(copy))

    def _part(self, axis: int) -> range:
        part = self._parts[axis]
        assert isinstance(part, range), "an axis in view has a range"
        return part
