from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from napari_medai.core.errors import InputError
from napari_medai.core.space import Grid, carried

ORIENTATIONS = list(product(permutations(range(3)), product((1, -1), repeat=3)))
SHAPE = (3, 4, 5)
STEPS = (2.5, 0.7, 1.1)


def _grid(order: tuple[int, ...], signs: tuple[int, ...], turn: np.ndarray | None = None) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
        affine[world, axis] = sign * STEPS[axis]
    affine[:3, 3] = (-30, 12.5, 7)
    if turn is not None:
        affine[:3, :3] = turn @ affine[:3, :3]
    return Grid(affine)


def _places(grid: Grid, shape: tuple[int, ...]) -> np.ndarray:
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    return index @ grid.affine[:3, :3].T + grid.affine[:3, 3]


def test_a_dicom_axial_slice_lies_as_one_looks_at_it() -> None:
    # Columns run to the left of the patient, rows to the back, slices up: nothing is turned.
    grid = Grid.from_lps((-120.0, -110.0, 40.0), (0.5, 0.6, 3.0), np.eye(3))
    assert grid.spacing == pytest.approx((3.0, 0.6, 0.5))
    assert grid.origin.tolist() == [40.0, -110.0, -120.0]
    up = grid.upright(SHAPE)
    assert (up.order, up.flips) == ((0, 1, 2), (False, False, False))


def test_nifti_counts_to_the_right_and_the_front() -> None:
    ras = np.diag([2.0, 3.0, 4.0, 1.0])
    ras[:3, 3] = (10, 20, 30)
    grid = Grid.from_ras(ras)
    assert grid.origin.tolist() == [30, -20, -10]
    assert grid.affine[:3, :3].tolist() == [[4, 0, 0], [0, -3, 0], [0, 0, -2]]
    assert grid.upright(SHAPE).flips == (False, True, True)


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_every_orientation_is_laid_upright_and_back(
    order: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    grid = _grid(order, signs)
    data = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    up = grid.upright(SHAPE)
    laid = up.laid(data)
    matrix = up.grid.affine[:3, :3]
    assert np.array_equal(matrix, np.diag(np.abs(np.diag(matrix))))
    assert np.shares_memory(laid, data)
    # every voxel keeps its place
    stored = dict(zip(data.ravel().tolist(), _places(grid, SHAPE).reshape(-1, 3), strict=True))
    found = zip(laid.ravel().tolist(), _places(up.grid, laid.shape).reshape(-1, 3), strict=True)
    for value, place in found:
        assert place == pytest.approx(stored[value])
    assert np.array_equal(up.stored_again(laid), data)


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS[::7])
def test_an_oblique_volume_keeps_its_places(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    a, b = 0.3, -0.2
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn = turn @ np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    grid = _grid(order, signs, turn)
    data = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    up = grid.upright(SHAPE)
    assert grid.is_oblique
    assert (np.diag(up.grid.direction) > 0.8).all()
    stored = _places(grid, SHAPE).reshape(-1, 3)
    laid = up.laid(data)
    assert _places(up.grid, laid.shape).reshape(-1, 3) == pytest.approx(stored[laid.ravel()])


def test_leading_axes_stay_in_front() -> None:
    up = _grid((2, 0, 1), (1, -1, -1)).upright(SHAPE)
    data = np.arange(2 * np.prod(SHAPE)).reshape(2, *SHAPE)
    laid = up.laid(data)
    assert np.array_equal(laid[1], up.laid(data[1]))
    assert np.array_equal(up.stored_again(laid), data)


def test_lps_and_ras_come_back() -> None:
    grid = _grid((1, 2, 0), (-1, 1, -1))
    assert Grid.from_lps(*grid.as_lps()).affine == pytest.approx(grid.affine)
    assert Grid.from_ras(grid.as_ras()).affine == pytest.approx(grid.affine)


def test_a_part_lies_where_it_was() -> None:
    grid = _grid((2, 0, 1), (1, -1, -1))
    assert grid.cropped((1, 2, 3)).origin == pytest.approx(_places(grid, SHAPE)[1, 2, 3])


@pytest.mark.parametrize(
    ("affine", "complaint"),
    [
        (np.diag([1.0, 0.0, 1.0, 1.0]), "must not be singular"),
        (np.diag([1.0, np.nan, 1.0, 1.0]), "finite numbers"),
        (np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "singular"),
        (np.eye(3), "4 x 4"),
    ],
)
def test_what_is_no_place_is_refused(affine: np.ndarray, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        Grid(affine)


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_a_volume_is_carried_back_to_the_grid_it_came_from(
    order: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    stored = _grid(order, signs)
    data = np.arange(1, 1 + np.prod(SHAPE)).reshape(SHAPE)
    up = stored.upright(SHAPE)
    assert np.array_equal(carried(up.laid(data), up.grid, stored, SHAPE), data)


def test_a_part_is_carried_to_its_place_and_what_lies_outside_is_cut() -> None:
    grid = _grid((0, 1, 2), (1, 1, 1))
    data = np.arange(1, 1 + np.prod(SHAPE)).reshape(SHAPE)
    part = carried(data[1:, 2:, :3], grid.cropped((1, 2, 0)), grid, SHAPE)
    expected = np.zeros_like(data)
    expected[1:, 2:, :3] = data[1:, 2:, :3]
    assert np.array_equal(part, expected)
    assert np.array_equal(carried(data, grid, grid.cropped((1, 2, 0)), (2, 2, 3)), data[1:, 2:, :3])
    far_away = carried(data, grid, grid.cropped((10, 0, 0)), SHAPE)
    assert not far_away.any()


@pytest.mark.parametrize("shift", [0.3, 0.5])
def test_volumes_between_each_others_voxels_are_refused(shift: float) -> None:
    grid = _grid((0, 1, 2), (1, 1, 1))
    with pytest.raises(InputError, match="do not lie on each other"):
        carried(np.ones(SHAPE), grid, grid.cropped((shift, 0, 0)), SHAPE)
    finer = Grid(grid.affine @ np.diag([0.5, 1, 1, 1]))
    with pytest.raises(InputError, match="do not lie on each other"):
        carried(np.ones(SHAPE), grid, finer, SHAPE)
