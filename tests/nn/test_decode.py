"""Score maps made by hand, and the objects that must come out of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from napari_medai.nn.decode import OFFSETS_PER_DIAMETER, Decoded, decode

SURE = 6.0
"""Foreground logit of objects; the background has the opposite."""


def score_maps(labels: np.ndarray, diameter: float | Sequence[float]) -> torch.Tensor:
    """What a perfect net says of labels: foreground, distance, offsets to each centre of mass."""
    widths = np.broadcast_to(diameter, labels.ndim)
    maps = np.zeros((2 + labels.ndim, *labels.shape), np.float32)
    maps[0] = np.where(labels > 0, SURE, -SURE)
    for label in np.unique(labels[labels > 0]):
        where = np.nonzero(labels == label)
        for axis, along in enumerate(where):
            offset = along.mean() - along
            maps[(2 + axis, *where)] = offset / (widths[axis] / OFFSETS_PER_DIAMETER)
    return torch.from_numpy(maps)


def assert_same_objects(found: Decoded, labels: np.ndarray) -> None:
    """Equal up to renumbering; centres and sizes are those of the labels."""
    mine = found.labels.numpy()
    pairs = {(int(a), int(b)) for a, b in zip(mine.flat, labels.flat, strict=True)} - {(0, 0)}
    true = np.unique(labels[labels > 0])
    assert len(pairs) == len(true)
    assert {b for _, b in pairs} == set(true.tolist())
    assert {a for a, _ in pairs} == set(range(1, len(true) + 1))
    for a, b in pairs:
        where = np.nonzero(labels == b)
        assert int(found.sizes[a - 1]) == where[0].size
        assert np.abs(found.centres[a - 1].numpy() - [w.mean() for w in where]).max() <= 1


def squares(shape: tuple[int, ...], *, edge: int = 12) -> np.ndarray:
    """Two boxes that touch along the last axis, and one apart."""
    labels = np.zeros(shape, np.int32)
    near = (slice(2, 2 + edge),) * (len(shape) - 1)
    labels[(*near, slice(3, 3 + edge))] = 1
    labels[(*near, slice(3 + edge, 3 + 2 * edge))] = 2
    apart = (slice(2, 2 + edge),) * (len(shape) - 2) + (slice(-edge - 1, -1),) * 2
    labels[apart] = 3
    return labels


@pytest.mark.parametrize("shape", [(40, 50), (16, 40, 45)])
@pytest.mark.parametrize("diameter", [12.0, 24.0])
def test_touching_boxes_are_told_apart(shape: tuple[int, ...], diameter: float) -> None:
    labels = squares(shape)
    found = decode(score_maps(labels, diameter), threshold=0.5, diameter=diameter, min_size=0)
    assert_same_objects(found, labels)
    assert found.labels.dtype == torch.int32


def test_each_axis_has_its_own_diameter() -> None:
    """Flat boxes, as thick slices show balls: apart along z by less than their width in x."""
    labels = np.zeros((12, 40, 40), np.int32)
    labels[1:5, 4:24, 4:24] = 1
    labels[5:9, 4:24, 4:24] = 2
    labels[3:7, 26:38, 20:40] = 3
    widths = (4.0, 20.0, 20.0)
    found = decode(score_maps(labels, widths), threshold=0.5, diameter=widths, min_size=0)
    assert_same_objects(found, labels)


@pytest.mark.parametrize("shape", [(9, 7), (3, 5, 4), (1, 1)])
def test_nothing_is_found_where_nothing_is(shape: tuple[int, ...]) -> None:
    maps = torch.zeros(2 + len(shape), *shape)
    maps[0] = -SURE
    found = decode(maps, threshold=0.5, diameter=10, min_size=0)
    assert not found.labels.any()
    assert found.labels.shape == shape
    assert found.centres.shape == (0, len(shape))
    assert found.scores.shape == found.sizes.shape == (0,)


@pytest.mark.parametrize("shape", [(1, 1), (6, 9), (3, 6, 9)])
def test_one_pixel_is_an_object(shape: tuple[int, ...]) -> None:
    labels = np.zeros(shape, np.int32)
    at = tuple(n // 2 for n in shape)
    labels[at] = 1
    found = decode(score_maps(labels, 6), threshold=0.5, diameter=6, min_size=0)
    assert_same_objects(found, labels)
    assert not decode(score_maps(labels, 6), threshold=0.5, diameter=6, min_size=2).labels.any()


def test_threshold_is_a_probability() -> None:
    """Of three boxes with 0.3, 0.6 and 0.9, those above the threshold are kept."""
    labels = squares((40, 50))
    maps = score_maps(labels, 12)
    for label, probability in ((1, 0.3), (2, 0.6), (3, 0.9)):
        maps[0][torch.from_numpy(labels == label)] = float(torch.logit(torch.tensor(probability)))
    for threshold, kept in ((0.25, {1, 2, 3}), (0.5, {2, 3}), (0.61, {3}), (0.95, set())):
        found = decode(maps, threshold=threshold, diameter=12, min_size=0)
        assert_same_objects(found, np.where(np.isin(labels, list(kept)), labels, 0))


def test_score_is_the_mean_probability() -> None:
    labels = squares((40, 50))
    maps = score_maps(labels, 12)
    rng = np.random.default_rng(0)
    probability = rng.uniform(0.55, 0.95, labels.shape).astype(np.float32)
    inside = torch.from_numpy(labels > 0)
    maps[0] = torch.where(inside, torch.logit(torch.from_numpy(probability)), maps[0])
    found = decode(maps, threshold=0.5, diameter=12, min_size=0)
    for label in (1, 2, 3):
        own = int(found.labels[torch.from_numpy(labels == label)][0])
        assert float(found.scores[own - 1]) == pytest.approx(
            float(probability[labels == label].mean()), abs=1e-5
        )


def test_objects_smaller_than_the_least_are_dropped() -> None:
    labels = squares((40, 50))
    labels[30:34, 2:7] = 4  # 20 pixels
    maps = score_maps(labels, 12)
    assert_same_objects(decode(maps, threshold=0.5, diameter=12, min_size=20), labels)
    without = np.where(labels == 4, 0, labels)
    assert_same_objects(decode(maps, threshold=0.5, diameter=12, min_size=20.5), without)
    assert not decode(maps, threshold=0.5, diameter=12, min_size=1e6).labels.any()


@pytest.mark.parametrize("diameter", [12.0, 20.0])
def test_moved_or_turned_scores_give_moved_or_turned_objects(diameter: float) -> None:
    labels = squares((48, 48))
    shifted = np.roll(labels, (7, 1), axis=(0, 1))
    turned = np.ascontiguousarray(labels.T)
    flipped = np.ascontiguousarray(labels[::-1])
    for other in (shifted, turned, flipped):
        maps = score_maps(other, diameter)
        assert_same_objects(decode(maps, threshold=0.5, diameter=diameter, min_size=0), other)


def test_small_errors_of_the_offsets_do_not_matter() -> None:
    labels = squares((40, 50))
    maps = score_maps(labels, 12)
    noise = torch.randn(maps[2:].shape, generator=torch.Generator().manual_seed(0))
    maps[2:] += 0.15 * noise  # half a pixel
    assert_same_objects(decode(maps, threshold=0.5, diameter=12, min_size=0), labels)


def test_votes_that_leave_the_image_count_at_its_border() -> None:
    """The centre of an object cut by the border lies outside."""
    labels = np.zeros((30, 30), np.int32)
    labels[5:17, :4] = 1
    maps = score_maps(labels, 12)
    maps[3] -= torch.from_numpy(labels > 0) * (6 / (12 / OFFSETS_PER_DIAMETER))
    found = decode(maps, threshold=0.5, diameter=12, min_size=0)
    assert (found.labels.numpy() == labels).all()
    assert found.centres[0, 1] >= -0.5
