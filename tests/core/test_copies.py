from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_medai.core.copies import PART, nearest_parts, shrunken
from napari_medai.core.errors import InputError
from napari_medai.core.memorisation import Nearest
from napari_medai.core.steps import finished


def scene(seed: int, shape: tuple[int, int] = (96, 112)) -> np.ndarray:
    """Bright blobs on black, without any symmetry."""
    rng = np.random.default_rng(seed)
    spots = ndimage.gaussian_filter(rng.normal(size=shape), 4)
    return np.asarray(np.maximum(spots / spots.std() - 0.5, 0), np.float32)


SCENES = [scene(seed) for seed in range(5)]


def found(parts: np.ndarray, apart: tuple[np.ndarray, np.ndarray] | None = None) -> Nearest:
    return finished(nearest_parts(parts, SCENES, apart=apart))


@pytest.mark.parametrize("turn", range(8))
def test_a_copy_is_found_however_it_was_turned_and_wherever_it_lies(turn: int) -> None:
    part = SCENES[3][13 : 13 + PART, 26 : 26 + PART]
    view = np.rot90(part, turn % 4)
    view = view[:, ::-1] if turn >= 4 else view
    other = scene(77)[:PART, :PART]
    told = found(np.stack([0.3 * view + 5, other]))
    assert told.indices[0] == 3
    assert told.distances[0] == pytest.approx(0, abs=1e-3)
    assert told.distances[1] > 0.6


def test_noise_does_not_hide_a_copy() -> None:
    part = SCENES[1][8 : 8 + PART, 40 : 40 + PART]
    noisy = part + np.random.default_rng(0).normal(0, 0.1 * part.std(), part.shape)
    told = found(noisy[None])
    assert (told.indices[0], told.distances[0] < 0.2) == (1, True)


def test_distances_are_those_of_correlations() -> None:
    part, image = SCENES[0][:PART, :PART], scene(50, (PART, PART))
    (told,) = finished(nearest_parts(part[None], [image])).distances
    views = [np.rot90(v, k) for v in (part, part[:, ::-1]) for k in range(4)]
    best = max(np.corrcoef(view.ravel(), image.ravel())[0, 1] for view in views)
    # which of the views is best is seen coarsely
    assert np.sqrt(2 - 2 * best) - 1e-4 <= told < 1.42


def test_its_own_image_is_left_out() -> None:
    part = SCENES[2][:PART, :PART]
    told = found(part[None], (np.array([7]), np.array([1, 2, 7, 3, 4])))
    assert told.indices[0] != 2
    assert told.distances[0] > 0.6
    alone = found(part[None], (np.array([7]), np.full(5, 7)))
    assert np.isinf(alone.distances[0])


def test_large_images_are_looked_at_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = np.stack([image[20 : 20 + PART, 9 : 9 + PART] for image in SCENES])
    whole = found(parts)
    monkeypatch.setattr("napari_medai.core.copies.ANSWERS", 900)
    pieces = found(parts)
    assert pieces.indices.tolist() == whole.indices.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(pieces.distances, whole.distances)


def test_what_is_all_alike_is_near_nothing() -> None:
    told = finished(nearest_parts(np.zeros((1, PART, PART)), SCENES))
    assert told.distances[0] == pytest.approx(2**0.5)
    flat = finished(nearest_parts(SCENES[0][None, :PART, :PART], [np.ones((80, 80))]))
    assert flat.distances[0] == pytest.approx(2**0.5)


def test_shrinking_averages_and_keeps_places() -> None:
    image = np.zeros((42, 63))
    image[8:12, 20:24] = 1
    small = shrunken(image, 4)
    assert small.shape == (10, 15)
    assert small.sum() * 16 == pytest.approx(image.sum(), rel=1e-3)
    assert np.unravel_index(small.argmax(), small.shape) == (2, 5)
    # a stripe as fine as a pixel is gone, not aliased
    striped = np.tile([0.0, 1.0], (32, 16))
    np.testing.assert_allclose(shrunken(striped, 2)[:, 2:-2], 0.5, atol=0.01)


def test_what_cannot_be_looked_for() -> None:
    with pytest.raises(InputError, match="parts of 64 x 64 pixels are looked for"):
        finished(nearest_parts(np.zeros((2, 32, 32)), SCENES))
    with pytest.raises(InputError, match=r"an image of shape \(40, 90\) is too small"):
        finished(nearest_parts(np.zeros((2, PART, PART)), [np.zeros((40, 90))]))
