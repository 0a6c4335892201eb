from __future__ import annotations

import numpy as np
import pytest

from napari_medai.core.errors import InputError
from napari_medai.core.vessel_domain import Domain


def _disk(edge: int = 61, radius: float = 25) -> np.ndarray:
    rows, columns = np.indices((edge, edge)) - edge // 2
    return np.asarray(np.hypot(rows, columns) <= radius)


def test_room_is_the_way_to_the_outer_sides_of_pixels() -> None:
    points = np.array([[0.0, 20], [10, 20], [10, 37], [-2, 20]])
    assert Domain.of((30, 40), None).room(points) == pytest.approx([0.5, 10.5, 2.5, -1.5])


def test_room_in_a_mask_is_never_more_than_there_is() -> None:
    mask = _disk()
    points = np.random.default_rng(0).uniform(5, 55, (300, 2))
    room = Domain.of(mask.shape, mask).room(points)
    outside = np.argwhere(~mask)
    near = np.linalg.norm(points[:, None] - outside, axis=-1).min(axis=1)
    assert (room <= near - 0.5 + 1e-6).all()
    assert (room >= near - 2).all()


def test_what_passes_outside_a_mask_does_not_fit_though_its_ends_do() -> None:
    mask = np.ones((40, 40), bool)
    mask[:30, 18:22] = False
    starts, ends = np.array([[5.0, 5], [35, 5]]), np.array([[5.0, 35], [35, 35]])
    assert Domain.of(mask.shape, mask).fits(starts, ends, np.ones(2)).tolist() == [False, True]


@pytest.mark.parametrize("mask", [None, _disk()])
def test_drawn_points_have_room(mask: np.ndarray | None) -> None:
    domain = Domain.of((61, 61), mask)
    points = domain.drawn(np.random.default_rng(0), 200, 3.0)
    assert len(points) > 100
    assert (domain.room(points) >= 3).all()


def test_vessels_come_in_at_the_first_pixels() -> None:
    assert Domain.of((50, 31), None).entrance(4).tolist() == [3.5, 15]
    row, column = Domain.of((61, 61), _disk()).entrance(4)
    assert 9 <= row <= 13
    assert abs(column - 30) <= 1


@pytest.mark.parametrize(
    ("shape", "mask", "message"),
    [
        ((100, 15), None, "2 or 3 axes of 16 pixels or more"),
        ((100,), None, "2 or 3 axes"),
        ((20, 20), np.ones((20, 21), bool), "the mask must hold bool values of the shape"),
        ((20, 20), np.ones((20, 20)), "got float64"),
        ((20, 20), np.zeros((20, 20), bool), "the mask is empty"),
    ],
)
def test_where_nothing_can_grow_is_refused(
    shape: tuple[int, ...], mask: np.ndarray | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Domain.of(shape, mask)


@pytest.mark.parametrize("mask", [None, _disk()])
def test_a_vessel_that_is_too_wide_is_refused(mask: np.ndarray | None) -> None:
    with pytest.raises(InputError, match="the widest vessel has a radius of 40 pixels"):
        Domain.of((61, 61), mask).entrance(40)
