"""The net that paints: the same in tiles as whole, and all parts learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_medai.core.predict import predict
from napari_medai.core.steps import finished
from napari_medai.nn.backends import TorchBackend
from napari_medai.nn.runner import scorer_of
from napari_medai.nn.synthesis_net import Painter, mean_of

NETS: dict[int, dict[str, Any]] = {
    2: {"ndim": 2, "channels_in": 3, "widths": [4, 6, 8]},
    3: {"ndim": 3, "channels_in": 3, "widths": [4, 6], "pool": [1, 2, 2]},
}


@pytest.fixture
def lively_painter() -> Callable[..., Painter]:
    """A painter as if trained: no bias of zero, no scale of one, modulation that matters."""

    def make(**kwargs: Any) -> Painter:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            net = Painter(**kwargs)
            with torch.no_grad():
                for part in net.modules():
                    if isinstance(part, nn.BatchNorm2d | nn.BatchNorm3d):
                        part.running_mean.normal_(0, 0.2)  # type: ignore[union-attr, operator]
                        part.running_var.uniform_(0.5, 2)  # type: ignore[union-attr, operator]
                        part.weight.uniform_(0.5, 1.5)
                        part.bias.normal_(0, 0.2)
                for modulation in net.modulation:
                    modulation.get_parameter("weight").normal_(0, 0.5)
                    modulation.get_parameter("bias").normal_(0, 0.5)
                net.head.weight.normal_(0, 0.5)
        return net.eval()

    return make


@pytest.mark.parametrize("shape", [(64, 64), (40, 64), (16, 24, 24)])
def test_a_painting_is_as_large_as_its_maps(
    lively_painter: Callable[..., Painter], shape: tuple[int, ...]
) -> None:
    net = lively_painter(**NETS[len(shape)])
    assert net(torch.zeros(2, 3, *shape)).shape == (2, 1, *shape)


@pytest.mark.parametrize(
    ("shape", "tile"), [((96, 130), 32), ((130, 96), 16), ((12, 50, 67), 16), ((50, 40, 40), 8)]
)
def test_tiled_equals_untiled(
    lively_painter: Callable[..., Painter], shape: tuple[int, ...], tile: int
) -> None:
    net = lively_painter(**NETS[len(shape)])
    maps = np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32)
    scorer = scorer_of(net, TorchBackend(net, torch.device("cpu")))
    found = [
        np.asarray(finished(predict(scorer, lambda w: maps[(slice(None), *w)], shape, tile=t))[0])
        for t in (tile, 1000)
    ]
    assert found[0].std() > 0.1
    np.testing.assert_allclose(found[0], found[1], atol=2e-5)


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_pixel_reaches_no_farther_than_the_halo(
    lively_painter: Callable[..., Painter], ndim: int
) -> None:
    net = lively_painter(**NETS[ndim])
    edges = [2 * h + 2 * s for h, s in zip(net.halo, net.stride, strict=True)]
    middle = tuple(n // 2 for n in edges)
    maps = torch.randn(1, 3, *edges, generator=torch.Generator().manual_seed(0))
    changed = maps.clone()
    changed[(0, slice(None), *middle)] += 5
    moved = (net(maps) != net(changed))[0, 0].nonzero() - torch.tensor(middle)
    assert (moved.abs().amax(0) <= torch.tensor(net.halo)).all()
    assert (moved.abs().amax(0) > 0).all()


@pytest.mark.parametrize("ndim", [2, 3])
def test_all_of_it_learns(ndim: int) -> None:
    net = Painter(**NETS[ndim])
    net(torch.randn(2, 3, *([16] * ndim))).square().sum().backward()
    still = [
        name
        for name, value in net.named_parameters()
        if value.grad is None or not value.grad.abs().sum() > 0
    ]
    assert still == []


def test_modulation_is_by_place(lively_painter: Callable[..., Painter]) -> None:
    """What stretches features at a pixel is what the maps are there, not over the image."""
    net = lively_painter(**NETS[2])
    maps = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    other = maps.clone()
    other[..., 48:] = 7
    same = (net(maps) - net(other))[..., : 48 - net.halo[1]]
    assert same.abs().max() < 1e-6
    nothing = lively_painter(**NETS[2])
    for modulation in nothing.modulation:
        nn.init.zeros_(modulation.get_parameter("weight"))
    assert (net(maps) - nothing(maps)).abs().max() > 0.1


def test_a_mean_is_of_all_alike() -> None:
    parts: list[Tensor] = [torch.tensor(1.0), torch.tensor(4.0)]
    assert float(mean_of(parts)) == 2.5
