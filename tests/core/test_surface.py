from __future__ import annotations

import numpy as np
import pytest

from napari_medai.core.surface import surface_area


def ball(radius: float, edges: np.ndarray) -> np.ndarray:
    """The voxels whose centres lie in a ball around the middle one."""
    reach = np.ceil(radius * np.linalg.norm(np.linalg.inv(edges), axis=1)).astype(int)
    index = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"))
    return np.linalg.norm(np.tensordot(edges, index, 1), axis=0) <= radius


LEANING = np.array([[2.0, 0, 0], [0.7, 1, 0], [0, 0, 1]])


@pytest.mark.parametrize(
    ("edges", "radius"),
    [
        (np.eye(3), 6),
        (np.eye(3), 15),
        (np.diag([2.0, 1, 1]), 15),
        (np.diag([5.0, 0.7, 0.7]), 20),
        (np.diag([0.7, 5.0, 0.7]), 20),
        (LEANING, 15),
    ],
)
def test_balls(edges: np.ndarray, radius: float) -> None:
    area = surface_area(ball(radius, edges), edges)
    assert area == pytest.approx(4 * np.pi * radius**2, rel=0.05)


@pytest.mark.parametrize(
    ("shape", "steps", "within"),
    [
        ((40, 40, 40), (1, 1, 1), 0.03),
        ((20, 30, 40), (1, 1, 1), 0.03),
        ((20, 60, 80), (2.5, 0.7, 0.7), 0.05),
        ((5, 30, 40), (1, 1, 1), 0.05),
        ((1, 30, 40), (1, 1, 1), 0.06),
    ],
)
def test_boxes(shape: tuple[int, ...], steps: tuple[float, ...], within: float) -> None:
    a, b, c = np.array(shape) * steps
    area = surface_area(np.ones(shape, dtype=bool), np.diag(steps))
    assert area == pytest.approx(2 * (a * b + b * c + c * a), rel=within)
    assert area < 2 * (a * b + b * c + c * a)


@pytest.mark.parametrize(
    ("shape", "steps", "missing"),
    [
        ((40, 40, 40), (1, 1, 1), 0.02),
        ((6, 8, 8), (1, 1, 1), 0.10),
        ((3, 8, 8), (2, 1, 1), 0.15),
        ((2, 10, 10), (3, 0.8, 0.8), 0.21),
        ((1, 25, 25), (3, 0.8, 0.8), 0.21),
    ],
)
def test_how_much_of_boxes_is_missing(
    shape: tuple[int, ...], steps: tuple[float, ...], missing: float
) -> None:
    a, b, c = np.array(shape) * steps
    area = surface_area(np.ones(shape, dtype=bool), np.diag(steps))
    assert 1 - area / (2 * (a * b + b * c + c * a)) == pytest.approx(missing, abs=0.005)


def test_one_voxel_has_its_six_sides() -> None:
    mask = np.ones((1, 1, 1), dtype=bool)
    assert surface_area(mask, np.diag([3.0, 2, 1])) == pytest.approx(2 * (6 + 3 + 2))


def test_a_hole_has_a_surface_too() -> None:
    mask = np.ones((21, 21, 21), dtype=bool)
    full = surface_area(mask, np.eye(3))
    mask[10, 10, 10] = False
    assert surface_area(mask, np.eye(3)) == pytest.approx(full + 6, rel=1e-6)


def test_parts_add_up() -> None:
    edges = np.diag([3.0, 1, 1])
    mask = ball(12, edges) & (np.random.default_rng(0).random(ball(12, edges).shape) < 0.9)
    whole = surface_area(mask, edges)
    for size in (1, 2, 5):
        parts = (slice(n, n + size) for n in range(0, len(mask), size))
        total = sum(surface_area(mask, edges, planes=part) for part in parts)
        assert total == pytest.approx(whole, rel=1e-6)
