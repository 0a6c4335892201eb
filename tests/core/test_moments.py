from __future__ import annotations

import numpy as np
import pytest

from napari_medai.core.moments import Moments


@pytest.mark.parametrize("far", [0.0, 1e9])
def test_parts_of_any_size_are_as_the_whole(far: float) -> None:
    values = np.random.default_rng(0).normal(size=1000) + far
    found = Moments()
    for part in np.split(values, [1, 2, 500, 500, 977]):
        found.add(part)
    expected = values.mean(), values.std(), values.min(), values.max()
    np.testing.assert_allclose(found.told, expected, rtol=1e-6)


def test_equal_values_do_not_differ() -> None:
    found = Moments()
    for count in (3, 7, 1):
        found.add(np.full((count, 2), 0.1, np.float32))
    assert found.told == (np.float32(0.1), 0, np.float32(0.1), np.float32(0.1))


def test_without_a_finite_value_there_is_nothing_to_tell() -> None:
    found = Moments()
    found.add(np.array([np.nan, np.inf]))
    np.testing.assert_array_equal(found.told, [np.nan] * 4)
    found.add(np.array([-np.inf, 4]))
    assert found.told == (4, 0, 4, 4)
