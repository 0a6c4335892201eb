"""The figures of classes against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from napari_medai.core.errors import InputError
from napari_medai.nn.class_figures import class_figures, mean_figures

SPACING = (2.0, 1.0, 1.0)


def block(*corner: int) -> np.ndarray:
    labels = np.zeros((12, 16, 16), np.uint8)
    labels[tuple(slice(c, c + 6) for c in corner)] = 1
    return labels


def figures(true: np.ndarray, found: np.ndarray) -> dict[str, dict[str, float]]:
    return class_figures(true, found, classes=("block", "none"), spacing=SPACING)


def test_the_same_labels() -> None:
    found = figures(block(3, 4, 5), block(3, 4, 5))
    assert found["block"] == {"Dice": 1.0, "HD95_mm": 0.0, "NSD": 1.0}
    assert np.isnan(found["none"]["Dice"])


def test_a_shift_by_two_slices() -> None:
    """Four of six slices overlap, and the end faces lie 4 mm apart."""
    found = figures(block(2, 4, 5), block(4, 4, 5))["block"]
    assert found["Dice"] == pytest.approx(4 / 6)
    assert found["HD95_mm"] == pytest.approx(4.0)
    assert 0 < found["NSD"] < 1


def test_a_shift_within_the_tolerance() -> None:
    found = figures(block(3, 4, 5), block(3, 4, 6))["block"]
    assert found["Dice"] == pytest.approx(5 / 6)
    assert found["HD95_mm"] == pytest.approx(1.0)
    assert found["NSD"] == pytest.approx(1.0)


def test_means_are_of_the_volumes_that_hold_a_class() -> None:
    other = block(3, 4, 5)
    other[0, 0, 0] = 2
    rows = [figures(block(3, 4, 5), block(3, 4, 6)), figures(other, other)]
    means = mean_figures(rows)
    assert means["block"]["Dice"] == pytest.approx((5 / 6 + 1) / 2, abs=1e-3)
    assert means["block"]["images"] == 2
    assert means["none"] == {"Dice": 1.0, "HD95_mm": 0.0, "NSD": 1.0, "images": 1}


def test_other_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="cannot be compared"):
        figures(block(3, 4, 5), block(3, 4, 5)[1:])
