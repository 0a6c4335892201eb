from __future__ import annotations

import numpy as np
import pytest

from napari_medai.core.quantiles import LEVELS, drawn_values, quantiles_of


def test_quantiles_of_equal_weights_are_numpys() -> None:
    values = np.random.default_rng(0).normal(size=37)
    found = quantiles_of(values, np.full(37, 3.0))
    assert found == pytest.approx(np.quantile(values, LEVELS))


def test_what_weighs_more_counts_more() -> None:
    # 1 has 10 of 12 parts: the middle lies in it, and the way to its neighbours is long
    found = quantiles_of(np.array([2.0, 1.0, 3.0]), np.array([1.0, 10.0, 1.0]))
    assert found[0] == 1
    assert found[-1] == 3
    assert found[LEVELS.index(0.5)] == pytest.approx(1 + 3.25 / 5.5)


def test_one_value_is_all_quantiles() -> None:
    assert quantiles_of(np.array([4.0]), np.array([2.0])) == [4.0] * len(LEVELS)


def test_drawn_values_have_the_quantiles_even_if_they_are_few() -> None:
    wanted = (1.0, 2.0, 3.0, 5.0, 6.0, 8.0, 9.0)
    values = drawn_values(wanted, 40, np.random.default_rng(1))
    assert quantiles_of(values, np.ones(40)) == pytest.approx(wanted, abs=0.3)
    assert (np.diff(values) < 0).any()
