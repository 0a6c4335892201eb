from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from napari_medai.core.defects import defects, floor, saturation
from napari_medai.core.errors import InputError
from napari_medai.core.noise import CameraNoise

NOISE = CameraNoise(gain=2, offset=100, read_noise=4)


def _places(mask: np.ndarray) -> list[tuple[int, int]]:
    return [(int(y), int(x)) for y, x in np.argwhere(mask)]


def test_single_hot_and_dead_pixels_are_found_at_edges_too() -> None:
    image = np.full((20, 30), 200.0)
    places = [(0, 0), (0, 15), (5, 7), (10, 29), (19, 0)]
    for number, place in enumerate(places):
        image[place] += 500 if number % 2 else -180
    assert _places(defects(image, NOISE)) == places


@pytest.mark.parametrize("edge", [5, 6])
def test_a_hot_pixel_in_a_tiny_image_is_found(edge: int) -> None:
    image = np.full((edge, edge), 200.0)
    image[1, 2] = 900
    assert _places(defects(image, NOISE)) == [(1, 2)]


def test_only_what_differs_by_more_than_8_sigma_is_a_defect() -> None:
    sigma = float(np.sqrt(NOISE.variance(np.array(200))))
    image = np.full((20, 20), 200.0)
    image[5, 5] += 7.9 * sigma
    image[5, 15] += 8.1 * sigma
    image[15, 5] -= 8.1 * sigma
    assert _places(defects(image, NOISE)) == [(5, 15), (15, 5)]


def test_points_threads_and_edges_of_light_are_no_defects() -> None:
    rows, columns = np.mgrid[:40, :40]
    point = 5000 * np.exp(-((rows - 10) ** 2 + (columns - 10) ** 2) / 2)
    thread = np.where((columns == 25) & (rows > 7), 3000.0, 0)
    edge = np.where(rows > columns, 2000.0, 0)
    for light in (point, thread, edge):
        assert not defects(100 + light, NOISE, saturated=np.inf).any()


def test_pixels_in_a_row_are_structure() -> None:
    image = np.full((20, 20), 200.0)
    image[5, 5:7] = 900
    image[12, 5:8] = 900
    assert not defects(image, NOISE).any()


@pytest.mark.parametrize("name", ["actin-20x", "mito-20x", "membrane", "drawn"])
@pytest.mark.parametrize("peak", [30, 300])
def test_in_pictures_defects_are_found_and_nothing_else(
    name: str,
    peak: float,
    scene: Callable[[str], np.ndarray],
    photo: Callable[..., np.ndarray],
) -> None:
    image = photo(scene(name), peak=peak, gain=2, read=2)
    hot = np.zeros(image.shape, bool)
    hot[3::16, 5::16] = True
    image[hot] += 40 * np.sqrt(NOISE.variance(image[hot]))
    found = defects(image, NOISE)
    assert not (found & ~hot).any()
    assert found[hot].mean() > 0.97


def test_saturated_and_missing_pixels_are_defects() -> None:
    image = np.full((20, 20), 200.0)
    image[3:8, 3:8] = 4095
    image[15, 15], image[16, 3] = np.nan, -np.inf
    expected = np.zeros(image.shape, bool)
    expected[3:8, 3:8] = expected[15, 15] = expected[16, 3] = True
    assert (defects(image, NOISE, saturated=4000) == expected).all()
    assert defects(np.full((5, 5), np.nan), NOISE).all()


def test_saturation_is_the_dtypes_highest_or_a_plateau() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(1000, 200, 10_000)
    assert saturation(values) is None
    assert saturation(np.minimum(values, 1300)) == 1300
    assert saturation(np.array([3, 5, 255], np.uint8)) == 255
    assert saturation(np.array([3, 5, 254], np.uint8)) is None
    assert saturation(np.array([np.nan, np.inf])) is None
    assert saturation(np.array([True, False])) is None
    assert saturation(np.full(100, 7)) is None
    assert saturation(rng.poisson(3, 10_000)) is None


def test_the_floor_is_a_plateau_at_the_lowest_value() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(3, 2, 10_000)
    assert floor(values) is None
    assert floor(np.maximum(values, 0)) == 0
    assert floor(np.maximum(np.rint(rng.normal(0, 4, 10_000)), -1)) == -1
    assert floor(np.rint(values * 50)) is None
    assert floor(np.zeros(0)) is None


@pytest.mark.parametrize("image", [np.zeros((4, 9)), np.zeros((4, 9, 9)), np.zeros(9)])
def test_anything_but_a_plane_is_refused(image: np.ndarray) -> None:
    with pytest.raises(InputError, match="5 x 5"):
        defects(image, NOISE)
