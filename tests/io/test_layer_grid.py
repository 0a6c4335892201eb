from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.layers import Labels

from napari_medai.core.errors import InputError
from napari_medai.io.layer_grid import grid_of_layer

pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
TURN = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
EXTRA = np.array([[1, 0.1, 0, 5], [0, 1, 0, -3], [0, 0, 2, 1], [0, 0, 0, 1.0]])


def _layer(shape: tuple[int, ...] = (3, 4, 5), **options: Any) -> Labels:
    return Labels(np.ones(shape, np.uint8), **options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scale": (3, 0.5, 0.25), "translate": (40, -110, 7)},
        {"scale": (3, 0.5, 0.25), "rotate": TURN, "translate": (1, 2, 3)},
        {"scale": (3, 0.5, 0.25), "shear": (0.1, 0.2, -0.3)},
        {"scale": (3, 0.5, 0.25), "affine": EXTRA, "translate": (1, 2, 3), "rotate": TURN},
    ],
)
def test_it_is_where_napari_shows_the_layer(options: dict[str, Any]) -> None:
    layer = _layer(units="mm", **options)
    affine = grid_of_layer(layer.as_layer_data_tuple()[1]).affine
    for index in ((0, 0, 0), (2, 3, 1)):
        assert affine[:3, :3] @ index + affine[:3, 3] == pytest.approx(layer.data_to_world(index))


def test_units_of_length_become_millimetres() -> None:
    layer = _layer(scale=(2, 500, 500), translate=(1, 1000, 0), units=("mm", "um", "um"))
    grid = grid_of_layer(layer.as_layer_data_tuple()[1])
    assert grid.spacing == pytest.approx((2, 0.5, 0.5))
    assert grid.origin == pytest.approx((1, 1, 0))


def test_further_axes_come_before_those_of_space() -> None:
    layer = _layer((2, 3, 4, 5), scale=(9, 3, 0.5, 0.25), translate=(7, 1, 2, 3))
    grid = grid_of_layer(layer.as_layer_data_tuple()[1])
    assert grid.spacing == pytest.approx((3, 0.5, 0.25))
    assert grid.origin == pytest.approx((1, 2, 3))


def test_a_plane_is_no_volume() -> None:
    with pytest.raises(InputError, match="three axes or more"):
        grid_of_layer(_layer((4, 5)).as_layer_data_tuple()[1])
