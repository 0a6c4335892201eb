from __future__ import annotations

import numpy as np
import pytest

from napari_medai.core.neighbours import (
    ball_diameter,
    clark_evans,
    random_distance,
    touching_share,
)


def test_the_diameter_of_a_disk_and_of_a_ball() -> None:
    assert ball_diameter(np.array([np.pi * 25]), 2) == pytest.approx([10])
    assert ball_diameter(np.array([4 / 3 * np.pi * 125]), 3) == pytest.approx([10])


@pytest.mark.parametrize("shape", [(300, 300), (200, 600), (80, 100, 90), (40, 120, 120)])
@pytest.mark.parametrize("count", [30, 400])
def test_random_points_are_neither_clustered_nor_regular(
    shape: tuple[int, ...], count: int
) -> None:
    rng = np.random.default_rng(0)
    found = [clark_evans(rng.uniform(0, shape, (count, len(shape))), shape) for _ in range(60)]
    assert np.mean(found) == pytest.approx(1, abs=0.025)


def test_a_square_grid_is_regular_and_pairs_are_clustered() -> None:
    grid = np.argwhere(np.ones((20, 20))) * 10.0 + 5
    assert clark_evans(grid, (200, 200)) == pytest.approx(10 / random_distance(400, (200, 200)))
    assert clark_evans(grid, (200, 200)) == pytest.approx(2, rel=0.05)
    pairs = np.concatenate([grid[::4], grid[::4] + 0.5])
    assert clark_evans(pairs, (200, 200)) < 0.2


def test_two_points_say_nothing() -> None:
    assert clark_evans(np.array([[1.0, 1], [2, 2]]), (9, 9)) == 1


@pytest.mark.parametrize(
    ("rows", "share"),
    [
        (["1102200", "0000000", "0000330"], 0.0),
        (["1122000", "0000000", "0000330"], 2 / 3),  # by a side
        (["1100000", "0022000", "0000330"], 1.0),  # by corners
        (["1110", "2220", "0000", "0003"], 2 / 3),
    ],
)
def test_objects_touch_by_sides_and_corners(rows: list[str], share: float) -> None:
    labels = np.array([[int(label) for label in row] for row in rows])
    assert touching_share(labels, labels.max()) == pytest.approx(share)
    volume = np.stack([np.zeros_like(labels), labels])
    assert touching_share(volume, labels.max()) == pytest.approx(share)


def test_objects_touch_from_one_plane_to_the_next() -> None:
    labels = np.zeros((3, 5, 5), int)
    labels[0, 1, 1], labels[1, 2, 0], labels[2, 4, 4] = 1, 2, 3
    assert touching_share(labels, 3) == pytest.approx(2 / 3)
