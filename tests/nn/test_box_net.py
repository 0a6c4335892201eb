"""Nets that find boxes: sizes, files, gradients, receptive field, where answers lie."""

from __future__ import annotations

import io
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import pytest
import torch

from napari_medai.nn.box_net import PRIOR, BoxNet, answers_of

NETS: dict[str, dict[str, Any]] = {
    "2D": {"ndim": 2, "kinds": 2, "widths": [4, 5, 6], "finest": 1, "coarsest": 1},
    "2D, RGB, three levels": {
        "ndim": 2, "channels_in": 3, "kinds": 3, "widths": [4, 5, 6, 7], "finest": 0, "coarsest": 2,
    },
    "2D, the coarsest level too": {"ndim": 2, "widths": [4, 5, 6], "finest": 1, "coarsest": 2},
    "2D, pooled along x": {
        "ndim": 2, "widths": [3, 4, 5], "finest": 0, "coarsest": 1, "shuffle": 1, "pool": [1, 2],
    },
    "3D, thick slices": {
        "ndim": 3, "kinds": 2, "widths": [3, 4, 5], "finest": 0, "coarsest": 1,
        "shuffle": [1, 2, 2], "pool": 2,
    },
}  # fmt: skip


@pytest.fixture(params=NETS)
def kwargs(request: pytest.FixtureRequest) -> dict[str, Any]:
    return NETS[request.param]


@pytest.fixture
def net(kwargs: dict[str, Any], lively_boxes: Callable[..., BoxNet]) -> BoxNet:
    return lively_boxes(**kwargs)


def image(net: BoxNet, strides: int, *, batch: int = 1, seed: int = 0) -> torch.Tensor:
    """Noise of so many strides a side, and one stride longer from axis to axis."""
    size = [(strides + i) * s for i, s in enumerate(net.stride)]
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((batch, net.channels_in, *size), generator=generator)


def test_answers_of_all_levels_are_in_the_output(net: BoxNet) -> None:
    x = image(net, 2, batch=2)
    with torch.inference_mode():
        maps = net(x)
    sizes = np.array(x.shape[2:])
    assert maps.shape == (2, net.channels_out, *(sizes // net.cell))
    assert torch.isfinite(maps).all()
    found = answers_of(maps, net.levels)
    assert len(found) == net.coarsest - net.finest + 1
    for level, said in zip(net.levels, found, strict=True):
        assert said.shape == (2, net.answers, *(sizes // level.stride))
        assert tuple(np.multiply(level.stride, level.cells)) == net.cell
        assert level.channels.stop - level.channels.start == net.answers * prod(level.cells)


def test_a_cell_is_folded_where_it_lies(net: BoxNet) -> None:
    """What one cell of a level says depends on the pixels around it, and on those alone."""
    strides = 2 * max(-(-h // s) for h, s in zip(net.halo, net.stride, strict=True)) + 3
    x = image(net, strides)
    for at, level in enumerate(net.levels):
        with torch.inference_mode():
            before = answers_of(net(x), net.levels)[at]
        cell = [n // 2 for n in before.shape[2:]]
        pixel = [c * s for c, s in zip(cell, level.stride, strict=True)]
        near = tuple(
            slice(max(0, p - h), p + s + h)
            for p, s, h in zip(pixel, level.stride, net.halo, strict=True)
        )
        changed = image(net, strides, seed=9) * 5
        changed[(..., *near)] = x[(..., *near)]
        with torch.inference_mode():
            after = answers_of(net(changed), net.levels)[at]
        here = (..., *cell)
        torch.testing.assert_close(after[here], before[here], rtol=1e-4, atol=1e-4)
        assert not torch.allclose(after, before, atol=1e-2)


def test_the_halo_is_no_larger_than_it_must_be(net: BoxNet) -> None:
    """The receptive field, measured by gradients, ends less than two strides within the halo."""
    with torch.no_grad():
        for p in net.parameters():
            p.abs_()  # every unit is on: what can reach an answer does
    strides = 2 * max(-(-h // s) for h, s in zip(net.halo, net.stride, strict=True)) + 2
    reach = np.zeros(net.ndim, int)
    for seed in range(3):
        x = image(net, strides, seed=seed).requires_grad_()
        maps = net(x)
        middle = [n // 2 // s * s for n, s in zip(x.shape[2:], net.stride, strict=True)]
        for corner in (middle, [m + s - 1 for m, s in zip(middle, net.stride, strict=True)]):
            place = [c // n for c, n in zip(corner, net.cell, strict=True)]
            (gradient,) = torch.autograd.grad(
                maps[(0, slice(None), *place)].sum(), x, retain_graph=True
            )
            found = gradient[0].abs().sum(0).nonzero().numpy()
            low = np.multiply(place, net.cell)
            away = np.maximum(low - found, found - (low + net.cell - 1)).max(axis=0)
            reach = np.maximum(reach, away)
    assert (reach <= net.halo).all(), (reach, net.halo)
    assert (reach > np.array(net.halo) - 2 * np.array(net.stride)).all(), (reach, net.halo)


def test_saved_and_loaded_it_gives_the_same(kwargs: dict[str, Any], net: BoxNet) -> None:
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    again = BoxNet(**kwargs)
    again.load_state_dict(torch.load(file, weights_only=True))
    x = image(net, 2)
    with torch.inference_mode():
        assert torch.equal(again.eval()(x), net(x))


def test_gradients_reach_every_parameter(net: BoxNet) -> None:
    net.train()(image(net, 2, batch=2)).square().sum().backward()
    idle = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert not idle


def test_at_the_start_hardly_anything_is_an_object() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = BoxNet(kinds=2).eval()
    with torch.inference_mode():
        said = answers_of(net(image(net, 3)), net.levels)
    for level in said:
        assert float(level[:, :2].mean()) < PRIOR / 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"ndim": 4}, "ndim must be 2 or 3"),
        ({"finest": 3, "coarsest": 2}, "levels from 0 to 4, got 3 and 2"),
        ({"coarsest": 5}, "got 1 and 5"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BoxNet(**wrong)
