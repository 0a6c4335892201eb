from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
import torch
from torch import nn

from napari_medai.nn.box_net import BoxNet
from napari_medai.nn.unet import UNet

Net = TypeVar("Net", bound=nn.Module)


@pytest.fixture
def lively() -> Callable[..., UNet]:
    """Nets with random weights everywhere, as if trained: no scale of one, no bias of zero."""

    def make(**kwargs: Any) -> UNet:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(kwargs.pop("seed", 0))
            return enlivened(UNet(**kwargs), "head")

    return make


@pytest.fixture
def lively_boxes() -> Callable[..., BoxNet]:
    """The same for nets that find boxes; a few cells in a hundred are sure of one."""

    def make(**kwargs: Any) -> BoxNet:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(kwargs.pop("seed", 0))
            net = enlivened(BoxNet(**kwargs), "to_kind", "to_box")
            with torch.no_grad():
                for head in net.heads:
                    head.to_kind.weight.normal_(0, 0.6)
                    head.to_kind.bias.fill_(-2)
        return net

    return make


def enlivened(net: Net, *heads: str) -> Net:
    """Random statistics everywhere, and random weights in the layers of these names."""
    with torch.no_grad():
        for name, module in net.named_modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.2)
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 2)
            elif name.split(".")[-1] in heads:
                module.weight.normal_(0, 0.3)
                if module.bias is not None:
                    module.bias.normal_(0, 0.3)
    return net.eval()
