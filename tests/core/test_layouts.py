from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from napari_medai.core.errors import InputError
from napari_medai.core.layout_statistics import ImageLayout, LayoutStatistics
from napari_medai.core.layouts import Layout, drawn_layout

PLANE = ImageLayout(
    count=40,
    density=40 / 200**2,
    diameters=(8.0, 10.0, 11.0, 13.0, 15.0, 17.0, 20.0),
    elongations=(1.05, 1.1, 1.2, 1.4, 1.6, 1.8, 2.0),
    irregularities=(0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.08),
    middle=0.5,
    alignment=0.0,
    direction=(1.0, 0.0),
    clustering=1.1,
    touching=0.2,
)
VOLUME = replace(PLANE, density=5e-5, middle=0.3, direction=(0.0, 0.6, 0.8))


def _drawn(image: ImageLayout, shape: tuple[int, ...] = (300, 300), **options: Any) -> Layout:
    return drawn_layout(LayoutStatistics((image,)), shape, **{"seed": 0} | options)


def _components(labels: np.ndarray) -> list[int]:
    return [int(ndimage.label(labels == label)[1]) for label in range(1, labels.max() + 1)]


@pytest.mark.parametrize(
    ("image", "shape"), [(PLANE, (200, 260)), (VOLUME, (40, 90, 80)), (PLANE, (64, 300))]
)
@pytest.mark.parametrize("touching", [0.0, 0.4])
def test_objects_are_numbered_from_1_each_in_one_piece(
    image: ImageLayout, shape: tuple[int, ...], touching: float
) -> None:
    layout = _drawn(replace(image, touching=touching), shape, count=30)
    assert (layout.labels.dtype, layout.labels.shape) == (np.int32, shape)
    assert np.unique(layout.labels).tolist() == list(range(31))
    assert set(_components(layout.labels)) == {1}
    assert (layout.count, layout.notes) == (30, ())


def test_objects_that_are_not_to_touch_have_a_pixel_between_them() -> None:
    labels = _drawn(replace(PLANE, touching=0.0), count=100).labels
    assert int(ndimage.label(labels, np.ones((3, 3)))[1]) == 100


@pytest.mark.parametrize("image", [PLANE, VOLUME], ids=["plane", "volume"])
def test_sizes_and_elongations_are_as_wanted(image: ImageLayout) -> None:
    shape = (420, 420) if image is PLANE else (100, 110, 120)
    apart = replace(image, touching=0.0)
    found = ImageLayout.of(_drawn(apart, shape, count=140).labels)
    assert np.mean(found.diameters[1:-1]) == pytest.approx(np.mean(image.diameters[1:-1]), rel=0.05)
    assert found.diameter == pytest.approx(image.diameter, rel=0.05)
    assert found.elongations[1:-1] == pytest.approx(image.elongations[1:-1], rel=0.08)
    assert found.irregularities[3] == pytest.approx(image.irregularities[3], rel=0.25)
    assert image is PLANE or found.middle == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("touching", [0.0, 0.25, 0.6, 0.9])
def test_as_many_touch_as_wanted(touching: float) -> None:
    found = ImageLayout.of(_drawn(replace(PLANE, touching=touching), count=100).labels)
    assert found.touching == pytest.approx(touching, abs=0.03)
    assert found.diameter == pytest.approx(PLANE.diameter, rel=0.05)


@pytest.mark.parametrize("clustering", [0.75, 0.9, 1.2, 1.5])
def test_objects_are_as_clustered_as_wanted(clustering: float) -> None:
    image = replace(PLANE, clustering=clustering, touching=0.1)
    found = ImageLayout.of(_drawn(image, (500, 500), count=80, seed=2).labels)
    assert found.clustering == pytest.approx(clustering, abs=0.08)


@pytest.mark.parametrize("image", [PLANE, VOLUME], ids=["plane", "volume"])
@pytest.mark.parametrize("alignment", [0.3, 0.8])
def test_long_axes_are_as_aligned_as_wanted(image: ImageLayout, alignment: float) -> None:
    ndim = image.ndim
    long = replace(image, alignment=alignment, elongations=(2.0,) * 7, irregularities=(0.0,) * 7)
    shape = (500, 500) if ndim == 2 else (100, 100, 100)
    found = ImageLayout.of(_drawn(long, shape, count=150).labels)
    assert found.alignment == pytest.approx(alignment, abs=0.12)
    assert abs(np.dot(found.direction, image.direction)) > 0.95


def test_the_density_says_how_many() -> None:
    assert _drawn(PLANE).count == 90
    assert _drawn(PLANE, density=5e-4).count == 45
    assert _drawn(PLANE, density=1e-9).count == 1


def test_another_size_covers_as_much() -> None:
    layout = _drawn(PLANE, (600, 600), size=26)
    assert layout.count == 90
    assert ImageLayout.of(layout.labels).diameter == pytest.approx(26, rel=0.06)
    covered = (layout.labels > 0).mean() / (_drawn(PLANE).labels > 0).mean()
    assert covered == pytest.approx(1, abs=0.1)


def test_a_seed_gives_the_same_image_again_and_another_gives_another() -> None:
    first, again, other = (_drawn(PLANE, seed=seed).labels for seed in (5, 5, 6))
    assert (first == again).all()
    assert (first != other).any()
    assert (_drawn(PLANE, seed=np.random.default_rng(5)).labels == first).all()


def test_of_many_images_one_is_chosen() -> None:
    few, many = replace(PLANE, density=1e-4), replace(PLANE, density=2e-3)
    both = LayoutStatistics((few, many))
    drawn = [drawn_layout(both, (200, 200), seed=seed) for seed in range(12)]
    assert {(layout.model, layout.count) for layout in drawn} == {(0, 4), (1, 80)}


def test_which_one_was_chosen_counts_those_that_do_not_fit() -> None:
    large = replace(PLANE, diameters=tuple(50 * d for d in PLANE.diameters))
    drawn = drawn_layout(LayoutStatistics((large, large, PLANE)), (60, 60), seed=0)
    assert drawn.model == 2
    assert drawn.wanted.diameters == PLANE.diameters


def test_more_than_fit_are_left_out_and_that_is_said() -> None:
    layout = _drawn(PLANE, (80, 80), count=1000)
    assert 15 < layout.count < 60
    assert layout.labels.max() == layout.count
    assert layout.notes == (
        f"{layout.count} of 1000 objects found room; enlarge the image, or ask for fewer or "
        "smaller ones",
    )


def test_objects_as_large_as_the_image_fit_or_it_is_said() -> None:
    layout = _drawn(PLANE, (24, 24), count=3, size=20)
    assert layout.count in (1, 2)
    assert layout.notes


def test_borders_cut_some_objects() -> None:
    labels = _drawn(PLANE, count=100).labels
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    assert 5 < len(np.unique(border)) - 1 < 40


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "count must be a whole number of 1 or more, got 0"),
        ({"count": -3}, "got -3"),
        ({"count": 2.5}, "count must be a whole number"),
        ({"density": 0.0}, "density must be a number above 0, got 0"),
        ({"density": float("nan")}, "density must be a number above 0, got nan"),
        ({"size": -1}, "size must be a number above 0, got -1"),
        ({"count": 3, "density": 0.1}, "give one of them"),
        ({"seed": -1}, "a seed is a whole number"),
        ({"shape": (300, 7)}, "each edge has 8 pixels or more"),
        ({"shape": (300, 300, 300)}, "a shape of 3 axes was asked for"),
        ({"shape": (300, 10)}, "too small for objects of 13 pixels"),
        ({"shape": (300, 20), "size": 30}, "too small for objects of 30 pixels"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        _drawn(PLANE, **options)
