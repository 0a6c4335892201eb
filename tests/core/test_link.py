"""Objects of slices, joined through z."""

from __future__ import annotations

import numpy as np
import pytest

from napari_medai.core.link import SliceLinker, linked_through_z


def row(*objects: int) -> np.ndarray:
    """A slice of one row."""
    return np.array([objects])


def test_an_object_goes_on() -> None:
    linked = linked_through_z(
        [row(1, 1, 1, 0, 2, 2), row(2, 2, 0, 0, 1, 1), row(0, 0, 0, 0, 1, 1), row(1, 1, 0, 0, 0, 0)]
    )
    expected = [
        row(1, 1, 1, 0, 2, 2),
        row(1, 1, 0, 0, 2, 2),
        row(0, 0, 0, 0, 2, 2),
        row(3, 3, 0, 0, 0, 0),  # a gap ends an object
    ]
    np.testing.assert_array_equal(linked, expected)
    assert linked.dtype == np.int32


def test_little_overlap_is_none() -> None:
    # two of eight pixels shared: IoU 0.25
    stack = np.array([row(1, 1, 1, 1, 1, 0, 0, 0), row(0, 0, 0, 1, 1, 1, 1, 1)])
    assert linked_through_z(stack).max() == 1
    assert linked_through_z(stack, min_iou=0.26).max() == 2


def test_the_best_pair_comes_first() -> None:
    # the first of the two below fits better; the other becomes an object of its own
    linked = linked_through_z([row(1, 1, 1, 1, 1, 1), row(1, 1, 1, 1, 2, 2)])
    np.testing.assert_array_equal(linked[1], row(1, 1, 1, 1, 2, 2))
    linked = linked_through_z([row(1, 1, 2, 2, 2, 2), row(1, 1, 1, 1, 1, 1)])
    np.testing.assert_array_equal(linked[1], row(2, 2, 2, 2, 2, 2))


def test_who_is_turned_away_takes_the_next_best() -> None:
    above = row(*[1] * 10, *[2] * 10, 0, 0, 0, 0)
    below = row(*[0] * 3, *[1] * 12, *[2] * 9)
    # 1 and 1 share 7 of 15, 2 and 1 share 5 of 17, 2 and 2 share 5 of 14
    linked = linked_through_z([above, below])
    np.testing.assert_array_equal(np.unique(linked[1]), [0, 1, 2])
    # here the second's best is taken, and its next best is left to it
    above = row(*[1] * 10, *[2] * 10)
    below = row(*[1] * 14, *[2] * 6)
    np.testing.assert_array_equal(linked_through_z([above, below])[1], below)


def test_streamed_equals_whole() -> None:
    rng = np.random.default_rng(0)
    stack = []
    for _ in range(6):
        plane = np.zeros((40, 40), np.int32)
        numbers = rng.permutation(25) + 1
        for number, (y, x) in zip(numbers, np.ndindex(5, 5), strict=True):
            dy, dx = rng.integers(0, 2, 2)
            plane[8 * y + dy : 8 * y + dy + 5, 8 * x + dx : 8 * x + dx + 5] = number
        stack.append(plane)
    linker = SliceLinker()
    planes = [linker.add(plane)[plane] for plane in stack]
    linked = linked_through_z(np.array(stack))
    np.testing.assert_array_equal(np.array(planes), linked)
    np.testing.assert_array_equal(np.unique(linked), np.arange(linker.count + 1))
    assert linker.count == 25
    for plane, result in zip(stack, linked, strict=True):
        np.testing.assert_array_equal(plane > 0, result > 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64, np.uint64])
def test_any_integers(dtype: type) -> None:
    stack = np.array([row(1, 0, 2), row(2, 0, 1)], dtype)
    np.testing.assert_array_equal(linked_through_z(stack), [row(1, 0, 2), row(1, 0, 2)])


def test_absent_labels_take_no_number() -> None:
    linker = SliceLinker()
    np.testing.assert_array_equal(linker.add(row(3, 0, 5)), [0, 0, 0, 1, 0, 2])
    assert linker.count == 2


def test_empty_slices() -> None:
    linked = linked_through_z([row(0, 0), row(1, 1), row(0, 0), row(1, 0)])
    np.testing.assert_array_equal(linked, [row(0, 0), row(1, 1), row(0, 0), row(2, 0)])
    assert linked_through_z([]).size == 0
