"""A distance is 0 for equal sets, and grows with what sets images apart."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from scipy import ndimage

from napari_medai.nn.patch_distance import patch_distance

SHAPES = [(48, 48), (12, 32, 32)]


def photographs(painting: ModuleType, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    labels = painting.disks(shape, every=12, radius=4)
    images = [painting.photograph(labels, seed=seed + n) for n in range(4)]
    return np.stack(images).astype(np.float32) / 170


@pytest.mark.parametrize("shape", SHAPES)
def test_equal_sets_have_none(painting: ModuleType, shape: tuple[int, ...]) -> None:
    images = photographs(painting, shape)
    assert patch_distance(images, images.copy()) == 0
    # not for lack of an eye: the same kind of images is near, not equal
    assert 0 < patch_distance(images, photographs(painting, shape, seed=9)) < 0.4


@pytest.mark.parametrize("shape", SHAPES)
def test_it_grows_with_noise_with_blur_and_with_brightness(
    painting: ModuleType, shape: tuple[int, ...]
) -> None:
    images, rng = photographs(painting, shape), np.random.default_rng(0)
    noise = rng.standard_normal(images.shape).astype(np.float32)
    noisy = [patch_distance(images, images + s * noise) for s in (0.02, 0.1, 0.4)]
    soft = [
        patch_distance(images, ndimage.gaussian_filter(images, (0, *[s] * len(shape))))
        for s in (0.5, 1, 2)
    ]
    bright = [patch_distance(images, images + s) for s in (0.1, 0.3, 0.9)]
    for distances in (noisy, soft, bright):
        assert 0 < distances[0] < distances[1] < distances[2]


def test_the_scale_of_values_does_not_matter(painting: ModuleType) -> None:
    images, others = (photographs(painting, (48, 48), seed=n) for n in (0, 9))
    told = patch_distance(images, others)
    assert patch_distance(200 * images, 200 * others) == pytest.approx(told, rel=1e-4)
    assert patch_distance(images, others) == told


def test_images_smaller_than_a_patch_can_be_compared() -> None:
    images = np.random.default_rng(0).random((3, 9, 9)).astype(np.float32)
    assert patch_distance(images, images) == 0
    assert patch_distance(images, 1 - images) > 0
