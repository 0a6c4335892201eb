"""Objects of slices, joined through z."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from napari_medai.core.link import MIN_IOU, SliceLinker


def row(*objects: int) -> np.ndarray:
    """A slice of one row."""
    return np.array([objects])


def linked(slices: Iterable[np.ndarray], *, min_iou: float = MIN_IOU) -> np.ndarray:
    """The slices with labels of the stack."""
    linker = SliceLinker(min_iou=min_iou)
    return np.stack([linker.add(plane)[plane] for plane in slices])


def test_an_object_goes_on() -> None:
    found = linked(
        [row(1, 1, 1, 0, 2, 2), row(2, 2, 0, 0, 1, 1), row(0, 0, 0, 0, 1, 1), row(1, 1, 0, 0, 0, 0)]
    )
    expected = [
        row(1, 1, 1, 0, 2, 2),
        row(1, 1, 0, 0, 2, 2),
        row(0, 0, 0, 0, 2, 2),
        row(3, 3, 0, 0, 0, 0),  # a gap ends an object
    ]
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.int32


def test_little_overlap_is_none() -> None:
    # two of eight pixels shared: IoU 0.25
    stack = np.array([row(1, 1, 1, 1, 1, 0, 0, 0), row(0, 0, 0, 1, 1, 1, 1, 1)])
    assert linked(stack).max() == 1
    assert linked(stack, min_iou=0.26).max() == 2


def test_the_best_pair_comes_first() -> None:
    # the first of the two below fits better; the other becomes an object of its own
    found = linked([row(1, 1, 1, 1, 1, 1), row(1, 1, 1, 1, 2, 2)])
    np.testing.assert_array_equal(found[1], row(1, 1, 1, 1, 2, 2))
    found = linked([row(1, 1, 2, 2, 2, 2), row(1, 1, 1, 1, 1, 1)])
    np.testing.assert_array_equal(found[1], row(2, 2, 2, 2, 2, 2))


def test_who_is_turned_away_takes_the_next_best() -> None:
    above = row(*[1] * 10, *[2] * 10, 0, 0, 0, 0)
    below = row(*[0] * 3, *[1] * 12, *[2] * 9)
    # 1 and 1 share 7 of 15, 2 and 1 share 5 of 17, 2 and 2 share 5 of 14
    found = linked([above, below])
    np.testing.assert_array_equal(np.unique(found[1]), [0, 1, 2])
    # here the second's best is taken, and its next best is left to it
    above = row(*[1] * 10, *[2] * 10)
    below = row(*[1] * 14, *[2] * 6)
    np.testing.assert_array_equal(linked([above, below])[1], below)


def test_every_pixel_of_a_stack_keeps_its_object() -> None:
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
    found = np.stack([linker.add(plane)[plane] for plane in stack])
    np.testing.assert_array_equal(np.unique(found), np.arange(linker.count + 1))
    assert linker.count == 25
    for plane, result in zip(stack, found, strict=True):
        np.testing.assert_array_equal(plane > 0, result > 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64, np.uint64])
def test_any_integers(dtype: type) -> None:
    stack = np.array([row(1, 0, 2), row(2, 0, 1)], dtype)
    np.testing.assert_array_equal(linked(stack), [row(1, 0, 2), row(1, 0, 2)])


def test_absent_labels_take_no_number() -> None:
    linker = SliceLinker()
    np.testing.assert_array_equal(linker.add(row(3, 0, 5)), [0, 0, 0, 1, 0, 2])
    assert linker.count == 2


def test_empty_slices() -> None:
    found = linked([row(0, 0), row(1, 1), row(0, 0), row(1, 0)])
    np.testing.assert_array_equal(found, [row(0, 0), row(1, 1), row(0, 0), row(2, 0)])
