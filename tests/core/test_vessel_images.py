from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from napari_medai.core.errors import InputError
from napari_medai.core.noise import CameraNoise
from napari_medai.core.vessel_images import VesselLook, vessel_image, vessel_light
from napari_medai.core.vessel_masks import vessel_mask
from napari_medai.core.vessel_trees import grown_vessels
from napari_medai.core.vessels import VesselTree

PLAIN = VesselLook(contrast=100, background=50, texture=0, tissue=0, fading=0, blur=0.0, noise=None)


def _two(radii: tuple[float, float] = (4.0, 1.0), shape: tuple[int, ...] = (60, 80)) -> VesselTree:
    """Two vessels side by side along the second axis, far from each other."""
    level = [(shape[0] // 2,)] if len(shape) == 3 else [()]
    rows = (15.0, 45.0)
    nodes = np.array([(*level[0], rows[0], 10), (*level[0], rows[0], 70), (*level[0], rows[1], 70)])
    nodes = np.concatenate([nodes, [(*level[0], rows[1], 10)]])
    segments = np.array([[0, 1], [2, 3]])
    return VesselTree(nodes, segments, np.array(radii), np.array([0, 1]), 3.0, shape)


def test_vessels_stand_out_from_the_background() -> None:
    image = vessel_image(_two(), seed=0, look=PLAIN)
    assert (image.dtype, image.shape) == (np.float32, (60, 80))
    assert (image[15, 40], image[45, 40], image[30, 40]) == (150, 150, 50)
    dark = vessel_image(_two(), seed=0, look=replace(PLAIN, contrast=-30))
    assert (dark[15, 40], dark[30, 40]) == (20, 50)


def test_edge_pixels_are_bright_as_far_as_they_are_covered() -> None:
    column = vessel_light(_two((4.25, 1.0)))[:, 40]
    # of the pixels around the edge, 4.25 from the axis in row 15
    assert column[18:21].tolist() == pytest.approx([1, 0.75, 0])
    assert column[10:21].sum() == pytest.approx(2 * 4.25)


@pytest.mark.parametrize("shape", [(60, 80), (30, 60, 80)])
def test_light_adds_up_to_the_volume(shape: tuple[int, ...]) -> None:
    tree = grown_vessels(shape, seed=0, segments=9, radius=1.5)
    assert vessel_light(tree).sum() == pytest.approx(vessel_mask(tree).sum(), rel=0.06)


@pytest.mark.parametrize(("shape", "light"), [((60, 80), 0.4), ((30, 60, 80), np.pi * 0.04)])
def test_a_vessel_thinner_than_a_pixel_fills_it_in_part(
    shape: tuple[int, ...], light: float
) -> None:
    image = vessel_light(_two((3.0, 0.2), shape))
    thin = image[45, 40] if len(shape) == 2 else image[15, 45, 40]
    assert thin == pytest.approx(light * 0.7, rel=1e-5)


def test_round_vessels_are_brightest_in_the_middle() -> None:
    column = vessel_light(_two(), profile="round")[15:21, 40]
    assert column[0] == 1
    assert (np.diff(column[:5]) < 0).all()
    assert column[3] == pytest.approx((1 - (3 / 4.5) ** 2) ** 0.5)


def test_thin_vessels_fade() -> None:
    light = vessel_light(_two((4.0, 1.0)), fading=0.5)
    assert (light[15, 40], light[45, 40]) == (1, 0.5)


def test_blur_may_differ_along_axes() -> None:
    sharp = vessel_image(_two(), seed=0, look=PLAIN) - 50
    across = vessel_image(_two(), seed=0, look=replace(PLAIN, blur=(3.0, 0.0))) - 50
    along = vessel_image(_two(), seed=0, look=replace(PLAIN, blur=(0.0, 3.0))) - 50
    assert across[:, 40].max() < 0.85 * sharp[:, 40].max()
    assert along[15, 40] == pytest.approx(sharp[15, 40])
    assert across.sum() == pytest.approx(sharp.sum(), rel=1e-3)


def test_noise_is_the_cameras() -> None:
    camera = CameraNoise(gain=2.0, offset=100.0, read_noise=3.0)
    clean = vessel_image(_two(), seed=0, look=PLAIN)
    noisy = vessel_image(_two(), seed=0, look=replace(PLAIN, noise=camera))
    flat = clean == 50
    assert noisy[flat].mean() == pytest.approx(150, abs=1)
    assert noisy[flat].var() == pytest.approx(2 * 50 + 9, rel=0.1)


def test_texture_and_tissue_have_the_contrast_that_was_asked_for() -> None:
    empty = _two((0.01, 0.01), (300, 300))
    slow = vessel_image(empty, seed=3, look=replace(PLAIN, texture=0.2, texture_size=12))
    fine = vessel_image(empty, seed=3, look=replace(PLAIN, tissue=0.1))
    assert slow.std() == pytest.approx(10, rel=0.15)
    assert fine.std() == pytest.approx(5, rel=0.1)
    assert np.abs(np.diff(slow, axis=0)).mean() < 0.4 * np.abs(np.diff(fine, axis=0)).mean()


def test_a_seed_gives_the_same_image_again_and_another_gives_another() -> None:
    tree = _two()
    first, again, other = (vessel_image(tree, seed=seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).mean() > 0.9


def test_light_is_never_negative() -> None:
    look = replace(PLAIN, texture=3.0, contrast=-500)
    assert vessel_image(_two(), seed=0, look=look).min() >= 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"background": -1.0}, "background must be 0 or more, got -1"),
        ({"texture": float("nan")}, "texture must be 0 or more, got nan"),
        ({"blur": (1.0, -1.0)}, r"blur must be 0 or more, got \(1.0, -1.0\)"),
        ({"contrast": float("inf")}, "contrast must be a number, got inf"),
        ({"texture_size": 0.5}, "texture_size must be 1 pixel or more"),
        ({"profile": "flat"}, "profile must be full or round, got 'flat'"),
    ],
)
def test_looks_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        VesselLook(**options)


def test_a_blur_of_other_axes_is_refused() -> None:
    with pytest.raises(InputError, match="blur has 3 numbers, but the tree 2 axes"):
        vessel_image(_two(), seed=0, look=VesselLook(blur=(1.0, 1.0, 1.0)))
