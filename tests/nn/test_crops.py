"""Crops: pixels, labels and centres move together."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_medai.core.intensity import Percentiles
from napari_medai.nn.crops import (
    Appearance,
    Cut,
    Geometry,
    Window,
    random_window,
    target_positions,
    varied,
)
from napari_medai.nn.decode import OFFSETS_PER_DIAMETER
from napari_medai.nn.instances import Example, InstanceObjective

SHAPES = [(40, 52), (9, 40, 44)]


def whole(shape: tuple[int, ...]) -> Window:
    """The window that shows an image as it is."""
    return Window(np.array(shape) / 2, np.eye(len(shape)), shape)


def blocks(shape: tuple[int, ...], *, edge: int = 6) -> np.ndarray:
    """Boxes on a grid, each with its own label."""
    labels = np.zeros(shape, np.int32)
    for i, corner in enumerate(np.ndindex(*(n // (edge + 3) for n in shape))):
        starts = [2 + c * (edge + 3) for c in corner]
        labels[tuple(slice(s, s + edge) for s in starts)] = i + 1
    return labels


@pytest.mark.parametrize("shape", [(7, 10), (4, 7, 10)])
def test_the_identity_gives_the_image(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    image = rng.random((2, *shape)).astype(np.float32)
    labels = rng.integers(0, 5, shape).astype(np.int32)
    cut = Cut.of(shape, whole(shape))
    np.testing.assert_allclose(cut.smooth(image).numpy(), image, atol=1e-5)
    assert (cut.nearest(labels).numpy() == labels).all()
    assert cut.inside().all()
    points = rng.uniform(0, 7, (5, len(shape)))
    np.testing.assert_allclose(target_positions(points, whole(shape)), points, atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_flip_flips_pixels_labels_and_points(axis: int) -> None:
    shape = (6, 9)
    rng = np.random.default_rng(0)
    image = rng.random((1, *shape)).astype(np.float32)
    labels = rng.integers(0, 5, shape).astype(np.int32)
    matrix = np.eye(2)
    matrix[axis, axis] = -1
    window = Window(np.array(shape) / 2, matrix, shape)
    cut = Cut.of(shape, window)
    np.testing.assert_allclose(cut.smooth(image).numpy(), np.flip(image, axis + 1), atol=1e-5)
    assert (cut.nearest(labels).numpy() == np.flip(labels, axis)).all()
    points = np.array([[0.0, 0.0], [2.0, 3.0]])
    mirrored = points.copy()
    mirrored[:, axis] = shape[axis] - 1 - points[:, axis]
    np.testing.assert_allclose(target_positions(points, window), mirrored, atol=1e-5)


def test_a_shifted_window_shows_what_lies_there() -> None:
    image = np.arange(80, dtype=np.float32).reshape(1, 8, 10)
    cut = Cut.of((8, 10), Window(np.array([6.0, 3.0]), np.eye(2), (4, 4)))
    np.testing.assert_allclose(cut.smooth(image).numpy()[0], image[0, 4:8, 1:5], atol=1e-4)


def test_outside_is_told_and_labelled_as_background() -> None:
    labels = np.ones((8, 10), np.int32)
    cut = Cut.of((8, 10), Window(np.array([0.0, 5.0]), np.eye(2), (6, 6)))
    inside = np.zeros((6, 6), bool)
    inside[3:] = True
    assert (cut.inside().numpy() == inside).all()
    assert (cut.nearest(labels).numpy() == inside).all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(8))
def test_random_windows_move_all_alike(shape: tuple[int, ...], seed: int) -> None:
    """Labels painted into the image stay on their objects, and centres of mass on their centres."""
    rng = np.random.default_rng(seed)
    labels = blocks(shape)
    size = (24,) * len(shape)
    window = random_window(rng, shape, size=size, zoom=1.5, geometry=Geometry())
    cut = Cut.of(shape, window)
    found = cut.nearest(labels).numpy()
    image = cut.smooth((labels > 0)[None].astype(np.float32)).numpy()[0]
    inside = cut.inside().numpy()
    assert not found[~inside].any()
    # away from edges, where interpolation mixes, the two agree
    sure = inside & ((image > 0.95) | (image < 0.05))
    assert ((image > 0.5) == (found > 0))[sure].all()
    assert sure.sum() > 0.4 * inside.sum()
    centres = np.array(ndimage.center_of_mass(labels > 0, labels, range(1, labels.max() + 1)))
    placed = target_positions(centres, window)
    edge = found.copy()
    edge[(slice(1, -1),) * len(shape)] = 0
    border = {*np.unique(edge).tolist(), *np.unique(found[ndimage.binary_dilation(~inside)])}
    complete = [n for n in np.unique(found) if n not in border]
    for label in complete:
        mass = [along.mean() for along in np.nonzero(found == label)]
        assert np.abs(placed[label - 1] - mass).max() < 1.0


def test_the_same_seed_draws_the_same_window() -> None:
    first, second = (
        random_window(
            np.random.default_rng(5), (50, 60), size=(32, 32), zoom=1, geometry=Geometry()
        )
        for _ in range(2)
    )
    assert (first.centre == second.centre).all()
    assert (first.matrix == second.matrix).all()


def test_a_focus_is_in_the_window() -> None:
    """As near to its middle as the image's borders allow."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        focus = rng.uniform(0, 100, 2)
        window = random_window(
            rng, (100, 100), size=(32, 32), zoom=1, geometry=Geometry(turn=False), focus=focus
        )
        placed = target_positions(focus[None], window)[0]
        assert (placed > -1).all()
        assert (placed < 32).all()


def test_without_variation_there_is_none() -> None:
    still = Geometry(zoom=1, stretch=1, turn=False, flip=False)
    window = random_window(
        np.random.default_rng(0), (64, 64), size=(16, 16), zoom=2, geometry=still
    )
    np.testing.assert_allclose(window.matrix, np.eye(2) / 2)


def test_a_shrunk_crop_averages_what_it_skips() -> None:
    """A checkerboard of single pixels is gray from afar, not black or white."""
    image = np.indices((64, 64)).sum(0)[None].astype(np.float32) % 2
    window = Window(np.array([32.0, 32.0]), np.eye(2) * 4, (12, 12))
    np.testing.assert_allclose(Cut.of((64, 64), window).smooth(image).numpy(), 0.5, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_appearance_keeps_the_shape_and_follows_the_seed(channels: int) -> None:
    image = torch.rand(channels, 20, 24, generator=torch.Generator().manual_seed(0))
    always = Appearance(gain=1, gamma=1, blur=1, noise=1, invert=1, gray=0, colour=1, shade=1)
    never = Appearance(gain=0, gamma=0, blur=0, noise=0, invert=0, gray=0, colour=0, shade=0)
    first, second = (varied(image, np.random.default_rng(3), always) for _ in range(2))
    assert first.shape == image.shape
    assert torch.isfinite(first).all()
    assert torch.equal(first, second)
    assert not torch.allclose(first, image)
    assert torch.equal(varied(image, np.random.default_rng(3), never), image)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_pixel_of_an_object_points_to_its_centre(shape: tuple[int, ...]) -> None:
    """Pixel + offset x unit is the centre of the transformed object, for whole batches."""
    rng = np.random.default_rng(0)
    labels = blocks(shape)
    image = rng.random((1, *shape)).astype(np.float32)
    example = Example.of(image, labels, intensity=Percentiles())
    size = (24,) * len(shape)
    objective = InstanceObjective([example], [], diameter=8.0, channels=2, crop=size, wild=0.5)
    inputs, targets = objective.batch(np.random.default_rng(1), 8)
    assert inputs.shape == (8, 2, *size)
    unit = 8.0 / OFFSETS_PER_DIAMETER
    here = torch.stack(torch.meshgrid(*(torch.arange(24.0) for _ in size), indexing="ij"), dim=-1)
    found = 0
    for own, offsets, valid in zip(
        targets["labels"], targets["offsets"], targets["valid"], strict=True
    ):
        assert not own[~valid].any()
        assert not offsets[:, own == 0].any()
        aims = here + torch.movedim(offsets, 0, -1) * unit
        for label in own.unique()[1:]:
            aimed = aims[own == label]
            assert (aimed - aimed[0]).abs().max() < 1e-3
            pixels = here[own == label]
            low, high = pixels.amin(0).int() - 1, pixels.amax(0).int() + 2
            around = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
            if (low >= 0).all() and (high <= 24).all() and valid[around].all():
                assert (pixels.mean(0) - aimed[0]).abs().max() < 1.0
                found += 1
    assert found > 3
    assert targets["depth"].min() >= 0
    assert targets["depth"].max() <= 1
    assert not targets["depth"][targets["labels"] == 0].any()


def test_batches_follow_the_seed() -> None:
    labels = blocks((40, 52))
    example = Example.of(labels[None].astype(np.float32), labels, intensity=Percentiles())
    objective = InstanceObjective([example], [], diameter=8.0, channels=1, crop=(16, 16))
    (first, a), (second, b) = (objective.batch(np.random.default_rng(7), 4) for _ in range(2))
    assert torch.equal(first, second)
    assert all(torch.equal(a[name], b[name]) for name in a)
