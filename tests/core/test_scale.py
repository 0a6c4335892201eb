"""Zooms by simple fractions."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medai.core.errors import InputError
from napari_medai.core.scale import Scale


@pytest.mark.parametrize(
    ("value", "numerator", "denominator"),
    [
        (1, 1, 1),
        (1.05, 1, 1),
        (1.1, 9, 8),
        (0.95, 1, 1),
        (0.9, 8, 9),
        (0.5, 1, 2),
        (2, 2, 1),
        (100, 8, 1),
        (1e-9, 1, 16),
        (0.3, 8, 27),
    ],
)
def test_nearest(value: float, numerator: int, denominator: int) -> None:
    scale = Scale.nearest(value)
    assert (scale.numerator, scale.denominator) == (numerator, denominator)
    assert float(scale) == numerator / denominator
    assert scale == Scale(numerator * 3, denominator * 3)


@given(value=st.floats(1 / 16, 8))
def test_nearest_is_near(value: float) -> None:
    assert abs(float(Scale.nearest(value)) / value - 1) <= 1 / 16


@given(
    value=st.floats(1 / 16, 8),
    stride=st.sampled_from([1, 2, 8, 16, 32]),
    n=st.integers(0, 5000),
    halo=st.integers(0, 200),
)
def test_grids_agree(value: float, stride: int, n: int, halo: int) -> None:
    scale = Scale.nearest(value)
    exact = Fraction(scale.numerator, scale.denominator)
    step = scale.multiple(stride)
    assert (step * exact) % stride == 0
    assert step == next(p for p in range(1, step + 1) if (p * exact) % stride == 0)
    assert scale.length(n) == ceil(n * exact)
    source = scale.source_halo(halo)
    assert (source - 2) * exact >= halo > (source - 3) * exact


def test_by_hand() -> None:
    half = Scale(1, 2)
    assert (half.multiple(16), half.length(7), half.source_halo(10)) == (32, 4, 22)
    up = Scale(9, 8)
    assert (up.multiple(16), up.length(8), up.source_halo(10)) == (128, 9, 11)


@pytest.mark.parametrize("value", [0, -1, nan, inf])
def test_no_zoom(value: float) -> None:
    with pytest.raises(InputError, match="the zoom must be a positive number, got"):
        Scale.nearest(value)
    with pytest.raises(InputError, match="positive fraction, got 0/8"):
        Scale(0, 8)
