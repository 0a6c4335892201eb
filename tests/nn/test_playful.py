"""Changes to what a critic sees: the same to an image and its maps, and gradients pass."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_medai.nn.playful import CUT, GAIN, OFFSET, SHIFT, augmented, drawn_changes

SHAPES = [(16, 24), (8, 16, 24)]


def changes(ndim: int, *, count: int = 1, **numbers: list[float]) -> Tensor:
    """Of brightness, of place, and a cut (out of the image if nothing else is said)."""
    light = numbers.get("light", [0.0, 0.0])
    shift = numbers.get("shift", [0.0] * ndim)
    cut = numbers.get("cut", [-9.0] * ndim)
    return torch.tensor([[*light, *shift, *cut]] * count)


def pair(shape: tuple[int, ...], count: int = 1) -> tuple[Tensor, Tensor]:
    torch_rng = torch.Generator().manual_seed(0)
    image = torch.rand((count, 1, *shape), generator=torch_rng) + 0.5
    # the second map is the image again: it must end where the image does
    return image, torch.cat([torch.ones_like(image), image], 1)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_change_changes_nothing(shape: tuple[int, ...]) -> None:
    image, given = pair(shape)
    assert torch.equal(augmented(image, given, changes(len(shape))), torch.cat([image, given], 1))


@pytest.mark.parametrize("shape", SHAPES)
def test_an_image_and_its_maps_go_along(shape: tuple[int, ...]) -> None:
    image, given = pair(shape, 5)
    drawn = torch.from_numpy(drawn_changes(np.random.default_rng(1), 5, len(shape)))
    drawn[:, :2] = 0
    seen = augmented(image, given, drawn)
    assert torch.equal(seen[:, 0], seen[:, 2])
    assert ((seen[:, 1] > 0) == (seen[:, 0] > 0)).all()
    assert set(seen[:, 1].unique().tolist()) == {0, 1}
    assert all(not torch.equal(a, b) for a, b in pairwise(seen[:, 1]))


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_moved_by_whole_pixels_and_zeros_come_in(shape: tuple[int, ...]) -> None:
    image, given = pair(shape)
    steps = [round(SHIFT * n * e) for n, e in zip([1, -1, 1], shape, strict=False)]
    seen = augmented(image, given, changes(len(shape), shift=[1.0, -1.0, 1.0][: len(shape)]))
    wanted = torch.zeros_like(image)
    to = tuple(slice(max(s, 0), e + min(s, 0)) for s, e in zip(steps, shape, strict=True))
    of = tuple(slice(max(-s, 0), e - max(s, 0)) for s, e in zip(steps, shape, strict=True))
    wanted[(..., *to)] = image[(..., *of)]
    assert all(steps)
    assert torch.equal(seen[:, :1], wanted)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_part_is_cut_out(shape: tuple[int, ...]) -> None:
    image, given = pair(shape)
    seen = augmented(image, given, changes(len(shape), cut=[0.0] * len(shape)))
    gone = (seen == 0).all(dim=1)[0]
    edges = [round(CUT * n) for n in shape]
    assert int(gone.sum()) == int(np.prod(edges))
    assert gone[tuple(n // 2 for n in shape)]
    assert torch.equal(seen[0, 0][~gone], image[0, 0][~gone])


def test_light_changes_the_image_alone() -> None:
    image, given = pair((16, 24))
    seen = augmented(image, given, changes(2, light=[1.0, -1.0]))
    torch.testing.assert_close(seen[:, :1], image * (1 + GAIN) - OFFSET)
    assert torch.equal(seen[:, 1:], given)


def test_gradients_pass_where_nothing_was_cut() -> None:
    image, given = pair((16, 24))
    image.requires_grad_(True)
    augmented(image, given, changes(2, cut=[0.0, 0.0], light=[0.5, 0.0])).sum().backward()
    assert image.grad is not None
    assert image.grad.unique().tolist() == pytest.approx([0, 1 + GAIN / 2])


def test_changes_are_between_minus_1_and_1() -> None:
    drawn = drawn_changes(np.random.default_rng(0), 500, 3)
    assert drawn.shape == (500, 8)
    assert drawn.dtype == np.float32
    assert -1 <= drawn.min() < -0.99
    assert 0.99 < drawn.max() <= 1
