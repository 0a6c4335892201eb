"""Random fields that change slowly."""

from __future__ import annotations

import numpy as np
import pytest

from napari_medai.core.textures import slow_texture


@pytest.mark.parametrize("shape", [(40, 30), (12, 40, 30)])
def test_they_have_mean_0_and_variance_1(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    images = np.stack([slow_texture(shape, size=10, rng=rng) for _ in range(300)])
    assert images.mean() == pytest.approx(0, abs=0.06)
    assert images.var() == pytest.approx(1, rel=0.1)
    assert images[0].shape == shape
    assert images.dtype == np.float32
    assert np.abs(np.diff(images, axis=-1)).max() < 0.8


def test_larger_ones_change_more_slowly() -> None:
    rng = np.random.default_rng(0)
    fine, coarse = (slow_texture((200, 200), size=size, rng=rng) for size in (3, 16))
    assert np.abs(np.diff(coarse, axis=0)).mean() < 0.3 * np.abs(np.diff(fine, axis=0)).mean()


def test_they_follow_the_generator() -> None:
    first, again = (slow_texture((20, 30), size=5, rng=np.random.default_rng(4)) for _ in "ab")
    assert (first == again).all()
    assert (first != slow_texture((20, 30), size=5, rng=np.random.default_rng(5))).mean() > 0.99
