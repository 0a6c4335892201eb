"""One contract for every net: sizes, files, gradients, learning, receptive field."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from napari_medai.nn.unet import UNet, folded, unfolded

NETS: dict[str, dict[str, Any]] = {
    "2D": {"ndim": 2, "widths": [4, 7]},
    "2D folded, RGB": {
        "ndim": 2, "channels_in": 3, "channels_out": 4, "widths": [4, 6, 8], "shuffle": 2,
    },
    "2D odd widths, pooled along x": {"ndim": 2, "widths": [3, 5, 7], "pool": [1, 2]},
    "2D one level": {"ndim": 2, "widths": [5], "channels_out": 2},
    "3D": {"ndim": 3, "widths": [3, 5], "channels_out": 5},
    "3D thick slices": {
        "ndim": 3, "channels_in": 2, "channels_out": 2, "widths": [4, 5], "pool": [1, 2, 2],
    },
    "3D folded in the plane": {"ndim": 3, "widths": [4, 5], "shuffle": [1, 2, 2], "pool": 2},
    "2D without normalisation, residual": {
        "ndim": 2, "channels_in": 2, "widths": [6, 8], "norm": False, "residual": True,
    },
    "3D without normalisation, residual": {
        "ndim": 3, "channels_in": 2, "widths": [5, 6], "norm": False, "residual": True,
    },
    "3D folded": {"ndim": 3, "widths": [4, 5], "shuffle": 2, "pool": [1, 2, 2]},
}  # fmt: skip


@pytest.fixture(params=NETS)
def kwargs(request: pytest.FixtureRequest) -> dict[str, Any]:
    return NETS[request.param]


@pytest.fixture
def net(kwargs: dict[str, Any], lively: Callable[..., UNet]) -> UNet:
    return lively(**kwargs)


def image(net: UNet, strides: int, *, batch: int = 1, seed: int = 0) -> torch.Tensor:
    """Noise of so many strides a side, and one stride longer from axis to axis."""
    size = [(strides + i) * s for i, s in enumerate(net.stride)]
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((batch, net.channels_in, *size), generator=generator)


def test_maps_have_the_size_of_the_image(net: UNet) -> None:
    for strides in (1, 3):
        x = image(net, strides, batch=2)
        with torch.inference_mode():
            y = net(x)
        assert y.shape == (2, net.channels_out, *x.shape[2:])
        assert y.dtype == torch.float32
        assert torch.isfinite(y).all()


def test_stride_is_the_smallest_step_the_net_takes(net: UNet) -> None:
    """A shift by the stride shifts the maps, a smaller one does more; away from the borders."""
    x = image(net, 2 * max(-(-h // s) for h, s in zip(net.halo, net.stride, strict=True)) + 3)
    inner = tuple(
        slice(h + s, n - h - s) for h, s, n in zip(net.halo, net.stride, x.shape[2:], strict=True)
    )
    with torch.inference_mode():
        whole = net(x)[(..., *inner)]
        for axis, stride in enumerate(net.stride):
            shifted = net(x.roll(stride, axis + 2)).roll(-stride, axis + 2)[(..., *inner)]
            torch.testing.assert_close(shifted, whole, rtol=1e-4, atol=1e-5)
            for less in range(1, stride):
                shifted = net(x.roll(less, axis + 2)).roll(-less, axis + 2)[(..., *inner)]
                assert not torch.allclose(shifted, whole, rtol=1e-4, atol=1e-5)


def test_saved_and_loaded_it_gives_the_same(kwargs: dict[str, Any], net: UNet) -> None:
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    again = UNet(**kwargs)
    again.load_state_dict(torch.load(file, weights_only=True))
    x = image(net, 2)
    with torch.inference_mode():
        assert torch.equal(again.eval()(x), net(x))


def test_gradients_reach_every_parameter(net: UNet) -> None:
    net.train()
    net(image(net, 4, batch=3)).square().mean().backward()
    without = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_one_image_can_be_learned_by_heart(kwargs: dict[str, Any]) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        net = UNet(**{**kwargs, "widths": [4 * w for w in kwargs["widths"]]}).train()
    x = image(net, 4)
    blobs = functional.interpolate(image(net, 1, seed=3)[:, :1], x.shape[2:], mode="nearest")
    wanted = (x[:, :1] > blobs).float().expand(-1, net.channels_out, *x.shape[2:])
    rate = 2e-2 if kwargs.get("norm", True) else 5e-3  # nothing else keeps its steps small
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate)
    losses = []
    for _ in range(60):
        loss = functional.binary_cross_entropy_with_logits(net(x), wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.35 * losses[0], losses[::10]


def test_nothing_beyond_the_halo_counts(net: UNet) -> None:
    """Other pixels everywhere else leave a score as it was, wherever it lies in its cell."""
    strides = 2 * max(-(-h // s) for h, s in zip(net.halo, net.stride, strict=True)) + 2
    x, other = image(net, strides), image(net, strides, seed=9)
    with torch.inference_mode():
        before = net(x)
        for step in range(max(net.stride)):
            at = [n // 2 // s * s + step % s for n, s in zip(x.shape[2:], net.stride, strict=True)]
            near = tuple(slice(max(0, a - h), a + h + 1) for a, h in zip(at, net.halo, strict=True))
            changed = 5 * other
            changed[(..., *near)] = x[(..., *near)]
            after = net(changed)
            torch.testing.assert_close(after[(..., *at)], before[(..., *at)], rtol=1e-4, atol=1e-4)
            assert not torch.allclose(after, before, atol=1e-2)


def test_the_halo_is_no_larger_than_it_must_be(net: UNet) -> None:
    """The receptive field, measured by gradients, ends less than two strides within the halo."""
    with torch.no_grad():
        for p in net.parameters():
            p.abs_()  # every unit is on: what can reach a score does
    strides = 2 * max(-(-h // s) for h, s in zip(net.halo, net.stride, strict=True)) + 2
    reach = np.zeros(net.ndim, int)
    for seed in range(3):
        x = image(net, strides, seed=seed).requires_grad_()
        middle = [n // 2 // s * s for n, s in zip(x.shape[2:], net.stride, strict=True)]
        y = net(x)
        for corner in (middle, [m + s - 1 for m, s in zip(middle, net.stride, strict=True)]):
            (gradient,) = torch.autograd.grad(
                y[(0, slice(None), *corner)].sum(), x, retain_graph=True
            )
            found = gradient[0].abs().sum(0).nonzero()
            reach = np.maximum(reach, (found - torch.tensor(corner)).abs().amax(0).numpy())
    assert (reach <= net.halo).all(), (reach, net.halo)
    assert (reach > np.array(net.halo) - 2 * np.array(net.stride)).all(), (reach, net.halo)


@pytest.mark.parametrize("factors", [(2, 2), (1, 2), (3, 2), (1, 2, 2), (2, 3, 1), (1, 1)])
def test_folding_there_and_back(factors: tuple[int, ...]) -> None:
    size = [4 * f for f in factors]
    x = torch.arange(2 * 3 * int(np.prod(size)), dtype=torch.float32).reshape(2, 3, *size)
    found = folded(x, factors)
    assert found.shape == (2, 3 * int(np.prod(factors)), *(4 for _ in factors))
    assert torch.equal(unfolded(found, factors), x)
    # the first channel holds the first pixel of each cell
    cells = tuple(slice(None, None, f) for f in factors)
    assert torch.equal(found[:, 0], x[(slice(None), 0, *cells)])


def test_folding_in_the_plane_is_what_torch_does() -> None:
    """`folded` has a shortcut for 2 x 2; both order channels alike."""
    x = torch.rand(1, 3, 1, 6, 8)
    assert torch.equal(folded(x, (1, 2, 2))[:, :, 0], functional.pixel_unshuffle(x[:, :, 0], 2))


def test_a_net_of_one_or_four_dimensions_is_refused() -> None:
    for ndim in (1, 4):
        with pytest.raises(ValueError, match="ndim must be 2 or 3"):
            UNet(ndim=ndim)


def test_without_normalisation_it_answers_in_the_scale_of_its_input(
    lively: Callable[..., UNet],
) -> None:
    net = lively(channels_in=2, widths=[6, 8], norm=False, residual=True)
    x = image(net, 3)
    with torch.inference_mode():
        torch.testing.assert_close(net(7.5 * x), 7.5 * net(x), rtol=1e-4, atol=1e-5)
        assert not net(torch.zeros_like(x)).any()


def test_a_residual_net_adds_to_its_first_channels(lively: Callable[..., UNet]) -> None:
    net = lively(channels_in=3, channels_out=2, widths=[4, 5], residual=True)
    x = image(net, 3)
    with torch.inference_mode():
        y = net(x)
        net.residual = False
        torch.testing.assert_close(y, net(x) + x[:, :2])
        assert net(x).abs().max() > 1e-3


def test_there_must_be_channels_to_add_to() -> None:
    with pytest.raises(ValueError, match="1 channels cannot be added to 2"):
        UNet(channels_in=1, channels_out=2, residual=True)
