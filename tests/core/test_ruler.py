from __future__ import annotations

import numpy as np
import pytest

from napari_medai.core.errors import InputError
from napari_medai.core.ruler import Ruler


@pytest.mark.parametrize(
    ("ndim", "unit", "pixel", "names"),
    [
        (3, "mm", 8e-3, ("volume_ml", "surface_mm2", "longest_diameter_mm")),
        (3, "um", 8.0, ("volume_um3", "surface_um2", "longest_diameter_um")),
        (3, "", 8.0, ("volume", "surface", "longest_diameter")),
        (2, "mm", 4.0, ("area_mm2", "surface_mm2", "longest_diameter_mm")),
        (2, "um", 4.0, ("area_um2", "surface_um2", "longest_diameter_um")),
        (2, "", 4.0, ("area", "surface", "longest_diameter")),
    ],
)
def test_columns_are_named_by_their_units(
    ndim: int, unit: str, pixel: float, names: tuple[str, ...]
) -> None:
    ruler = Ruler(2 * np.eye(ndim), unit)
    assert (ruler.size_name, ruler.surface_name, ruler.diameter_name) == names
    assert ruler.pixel == pytest.approx(pixel)
    assert ruler.steps == (2.0,) * ndim


def test_a_pixel_that_leans_holds_less() -> None:
    # Steps of 5 mm along a direction that leans by 30 degrees: slices lie 5 cos 30 mm apart.
    leaning = np.array([[np.cos(np.pi / 6), 0, 0], [np.sin(np.pi / 6), 1, 0], [0, 0, 1]])
    ruler = Ruler(leaning * (5, 2, 2), "mm")
    assert ruler.steps == pytest.approx((5, 2, 2))
    assert ruler.pixel == pytest.approx(5 * np.cos(np.pi / 6) * 4 / 1000)


@pytest.mark.parametrize(
    ("edges", "unit", "words"),
    [
        (np.eye(4), "mm", "two or three dimensions"),
        (np.diag([1, np.nan]), "mm", "two or three dimensions"),
        (np.diag([1, 0]), "mm", "must span"),
        (np.eye(2), "furlong", "one of mm, um"),
    ],
)
def test_what_is_no_ruler_is_refused(edges: np.ndarray, unit: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Ruler(edges, unit)
