"""All that a painter is given, channel by channel."""

from __future__ import annotations

import numpy as np
import pytest

from napari_medai.core.label_maps import label_maps
from napari_medai.core.paint_maps import CHANNELS, GIVEN, NOISES, given_maps, noise_maps


@pytest.mark.parametrize("shape", [(30, 40), (8, 30, 40)])
def test_channels_are_what_their_names_say(shape: tuple[int, ...]) -> None:
    labels = np.zeros(shape, np.int32)
    labels[..., 5:15, 5:15], labels[..., 20:25, 20:30] = 1, 2
    objects = np.array([[7, 7], [0.5, -1], [1.5, 2]], np.float32)
    traits = np.array([-2, -1, 0, 1, 2], np.float32)
    given = dict(zip(GIVEN, given_maps(labels, objects, traits), strict=True))
    assert (np.stack([given[name] for name in GIVEN[:4]]) == label_maps(labels)).all()
    # nothing of an object is told outside of it
    assert (given["brightness"] == np.array([0, 0.5, 1.5])[labels]).all()
    assert (given["texture"] == np.array([0, -1, 2])[labels]).all()
    names = ("background", "unevenness", "noise", "sharpness", "glow")
    for name, value in zip(names, traits, strict=True):
        assert (given[name] == value).all()
    assert CHANNELS == GIVEN + NOISES
    assert {part.dtype.name for part in given.values()} == {"float32"}


def test_noise_is_white_fine_and_coarse() -> None:
    maps = noise_maps((300, 300), np.random.default_rng(0))
    assert maps.shape == (3, 300, 300)
    assert maps.dtype == np.float32
    assert maps.mean(axis=(1, 2)) == pytest.approx(0, abs=0.15)
    assert maps.std(axis=(1, 2)) == pytest.approx(1, abs=0.15)
    steps = [float(np.abs(np.diff(part, axis=-1)).mean()) for part in maps]
    assert steps[0] > 2 * steps[1] > 4 * steps[2]
    again = noise_maps((300, 300), np.random.default_rng(0))
    assert (maps == again).all()
