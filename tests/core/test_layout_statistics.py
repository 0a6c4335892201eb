from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from skimage.io import imread

from napari_medai.core.errors import InputError
from napari_medai.core.layout_statistics import ImageLayout, LayoutStatistics, Spread
from napari_medai.core.layouts import drawn_layout

SHARED = Path(os.environ.get("MEDAI_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")


def _ellipse(
    labels: np.ndarray, label: int, centre: tuple[float, ...], axes: np.ndarray
) -> np.ndarray:
    """Write an ellipse (ellipsoid) whose half axes are columns into labels."""
    away = np.moveaxis(np.indices(labels.shape), 0, -1) - np.array(centre)
    labels[(np.square(away @ np.linalg.inv(axes).T)).sum(axis=-1) <= 1] = label
    return labels


def _turned(long: float, short: float, degrees: float) -> np.ndarray:
    sine, cosine = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    return np.array([[sine * long, cosine * short], [cosine * long, -sine * short]])


def _parallel(degrees: tuple[float, ...]) -> np.ndarray:
    labels = np.zeros((60, 60 * len(degrees)), np.int32)
    for number, angle in enumerate(degrees):
        _ellipse(labels, number + 1, (30, 30 + 60 * number), _turned(20, 10, angle))
    return labels


def test_ellipses_drawn_by_hand_are_measured_as_they_are() -> None:
    image = ImageLayout.of(_parallel((30, 30, 30, 30)))
    assert (image.count, image.density) == (4, pytest.approx(4 / (60 * 240), rel=1e-4))
    assert image.diameter == pytest.approx(2 * 200**0.5, rel=0.01)
    assert image.elongations == pytest.approx((2,) * 7, rel=0.02)
    assert image.irregularities == pytest.approx((0,) * 7, abs=0.006)
    assert (image.alignment, image.touching, image.middle) == (pytest.approx(1, abs=1e-4), 0, 0.5)
    assert image.direction == pytest.approx((0.5, 3**0.5 / 2), abs=0.01)
    assert image.clustering > 1.2


def test_directions_all_round_are_not_aligned() -> None:
    assert ImageLayout.of(_parallel((0, 45, 90, 135))).alignment == 0


def test_an_ellipsoid_has_a_middle_axis() -> None:
    labels = np.zeros((60, 50, 40), np.uint8)
    _ellipse(labels, 1, (30, 25, 20), np.diag([24.0, 12, 6]))
    image = ImageLayout.of(labels)
    assert image.diameter == pytest.approx(2 * 12, rel=0.01)
    assert image.elongations[0] == pytest.approx(4, rel=0.02)
    assert image.middle == pytest.approx(0.5, abs=0.01)
    assert image.direction == pytest.approx((1, 0, 0), abs=1e-3)


def test_a_cross_is_irregular() -> None:
    labels = np.zeros((40, 40), np.uint8)
    labels[5:35, 17:23] = labels[17:23, 5:35] = 1
    assert ImageLayout.of(labels).irregularities[0] > 0.1


def test_what_a_border_cuts_does_not_count_for_sizes_but_for_the_number() -> None:
    labels = np.zeros((50, 100), np.uint8)
    for label, column in enumerate((20, 45, 70), 1):
        _ellipse(labels, label, (25, column), np.eye(2) * 8)
    labels[:2, 30:60] = 9
    image = ImageLayout.of(labels)
    assert image.count == 4
    assert image.diameters == pytest.approx((16,) * 7, rel=0.02)
    labels[labels == 3] = 0
    assert ImageLayout.of(labels).diameters[0] == pytest.approx(2 * (60 / np.pi) ** 0.5, rel=1e-4)


def test_labels_may_have_gaps() -> None:
    labels = _parallel((0, 45))
    gaps = np.where(labels == 2, 40_000, labels * 7).astype(np.uint16)
    assert ImageLayout.of(gaps) == ImageLayout.of(labels)


def _image(**values: float) -> ImageLayout:
    numbers = {"count": 10, "density": 1e-3, "clustering": 1.0, "touching": 0.0} | values
    return ImageLayout(
        **numbers,  # type: ignore[arg-type]
        diameters=(5.0,) * 7,
        elongations=(1.0, 1.2, 1.5, 2.0, 2.5, 2.8, 3.0),
        irregularities=(0.0,) * 7,
        middle=0.5,
        alignment=0.0,
        direction=(1.0, 0.0),
    )


def test_a_set_has_the_mean_of_its_images_and_how_they_differ() -> None:
    both = LayoutStatistics(
        (_image(density=1e-3, touching=0.2), _image(count=30, density=3e-3, touching=0.6))
    )
    assert both.ndim == 2
    assert both.density == pytest.approx(Spread(2e-3, 1e-3))
    assert both.touching == pytest.approx(Spread(0.4, 0.2))
    assert both.clustering == Spread(1, 0)
    assert both.diameter == pytest.approx(Spread(5, 0))
    # the line through the quantiles, from 1 to 3
    assert both.elongation.mean == pytest.approx(2.0, abs=0.03)


def test_numbers_go_into_a_file_and_come_back() -> None:
    before = LayoutStatistics.of([_parallel((0, 45, 90)), _parallel((10, 20))])
    text = json.dumps(before.as_dict())
    assert LayoutStatistics.from_dict(json.loads(text)) == before


@pytest.mark.parametrize("plain", [{}, {"images": [{"count": 3}]}, {"images": 3}, {"images": [1]}])
def test_other_dictionaries_are_refused(plain: dict[str, object]) -> None:
    with pytest.raises(InputError, match="these are no statistics of layouts"):
        LayoutStatistics.from_dict(plain)


def test_a_thinned_set_keeps_few_and_many() -> None:
    images = tuple(_image(density=number * 1e-4) for number in range(1, 101))
    thin = LayoutStatistics(images).thinned(10)
    assert len(thin.images) == 10
    assert thin.density.mean == pytest.approx(LayoutStatistics(images).density.mean, rel=0.02)
    assert LayoutStatistics(images).thinned(1000).images == images


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([np.ones((9, 9))], "label image 1 must hold whole numbers in 2 or 3 axes, got float64"),
        ([np.ones((9, 9), bool)], "must hold whole numbers in 2 or 3 axes, got bool"),
        ([np.ones(9, int)], r"got int64 values of shape \(9,\)"),
        ([np.eye(9, dtype=int), -np.eye(9, dtype=int)], "label image 2 holds -1, but labels are 0"),
        ([np.zeros((9, 9), int)], "none of 1 label images holds an object"),
        ([], "none of 0 label images holds an object"),
        ([np.eye(9, dtype=int), np.ones((9, 9, 9), int)], "of the same number of axes"),
    ],
)
def test_what_is_no_label_image_is_refused(labels: list[np.ndarray], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LayoutStatistics.of(labels)


def test_images_without_an_object_are_left_out() -> None:
    some = _parallel((0, 45))
    empty = np.zeros((30, 30), int)
    assert LayoutStatistics.of([empty, some, empty]) == LayoutStatistics.of([some])


@pytest.fixture(scope="module")
def real() -> list[np.ndarray]:
    """Every sixth mask of fluorescence images that are for training."""
    folder = SHARED / "nuclei_dsb2018"
    if not folder.is_dir():
        pytest.skip("the folder shared/data is not beside the repository; set MEDAI_TEST_DATA")
    with open(folder / "metadata.csv", newline="") as file:
        rows = [
            r for r in csv.DictReader(file) if (r["type"], r["split"]) == ("fluorescence", "train")
        ]
    return [imread(folder / "masks" / f"{row['id']}.png") for row in rows[::6]]


def test_drawn_images_have_the_statistics_of_real_ones(real: list[np.ndarray]) -> None:
    wanted = LayoutStatistics.of(real)
    layouts = [
        drawn_layout(LayoutStatistics((image,)), labels.shape, seed=seed)
        for seed, (image, labels) in enumerate(zip(wanted.images, real, strict=True))
    ]
    found = LayoutStatistics.of([layout.labels for layout in layouts])
    assert [image.count for image in found.images] == [image.count for image in wanted.images]
    assert tuple(found.diameter) == pytest.approx(tuple(wanted.diameter), rel=0.05)
    assert tuple(found.elongation) == pytest.approx(tuple(wanted.elongation), rel=0.05)
    assert found.irregularity.mean == pytest.approx(wanted.irregularity.mean, rel=0.2)
    assert tuple(found.touching) == pytest.approx(tuple(wanted.touching), abs=0.03)
    assert tuple(found.clustering) == pytest.approx(tuple(wanted.clustering), abs=0.07)


def test_what_differs_from_image_to_image_is_kept(real: list[np.ndarray]) -> None:
    wanted = LayoutStatistics.of(real)
    drawn = [drawn_layout(wanted, (256, 256), seed=seed).labels for seed in range(60)]
    found = LayoutStatistics.of(drawn)
    assert found.density.mean == pytest.approx(wanted.density.mean, rel=0.3)
    assert found.density.sd == pytest.approx(wanted.density.sd, rel=0.4)
