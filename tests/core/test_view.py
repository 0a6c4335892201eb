"""Views of arrays that can only be sliced."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_medai.core.view import View

VALUES = np.arange(3 * 4 * 5).reshape(3, 4, 5)


class Slow:
    """An array that counts what is read, and knows slices and integers only."""

    shape, dtype = VALUES.shape, VALUES.dtype

    def __init__(self) -> None:
        self.read = 0

    def __getitem__(self, key: Any) -> np.ndarray:
        assert all(isinstance(k, int | slice) for k in key)
        values = VALUES[key]
        self.read += values.size
        return values


@st.composite
def keys(draw: Any, shape: tuple[int, ...]) -> tuple[Any, ...]:
    key: list[Any] = []
    for n in shape:
        if draw(st.booleans()):
            key.append(None)
        low = draw(st.integers(0, n - 1))
        choices = [slice(None), slice(low, draw(st.integers(low + 1, n))), slice(low, None, 2), low]
        key.append(draw(st.sampled_from(choices)))
    return tuple(key)


@given(st.data())
def test_a_view_is_what_numpy_gives(data: Any) -> None:
    slow, wanted = Slow(), VALUES
    view: Any = View.of(slow)
    for _ in range(data.draw(st.integers(0, 3))):
        if not wanted.ndim:
            break
        key = data.draw(keys(wanted.shape))
        view, wanted = view[key], wanted[key]
        order = data.draw(st.permutations(range(wanted.ndim)))
        view, wanted = view.transpose(order), wanted.transpose(order)
    assert slow.read == 0
    assert (view.shape, view.ndim, view.dtype) == (wanted.shape, wanted.ndim, wanted.dtype)
    np.testing.assert_array_equal(np.asarray(view), wanted)
    assert slow.read == wanted.size


def test_ellipsis_stands_for_the_rest() -> None:
    view = View.of(Slow())
    np.testing.assert_array_equal(np.asarray(view[..., 1]), VALUES[..., 1])
    np.testing.assert_array_equal(np.asarray(view[None, ..., 1:3]), VALUES[None, ..., 1:3])
    np.testing.assert_array_equal(np.asarray(view[1]), VALUES[1])
