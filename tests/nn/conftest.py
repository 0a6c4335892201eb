from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from napari_medai.nn.unet import UNet


@pytest.fixture
def lively() -> Callable[..., UNet]:
    """Nets with random weights everywhere, as if trained: no scale of one, no bias of zero."""

    def make(**kwargs: Any) -> UNet:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(kwargs.pop("seed", 0))
            net = UNet(**kwargs)
            with torch.no_grad():
                for module in net.modules():
                    if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                        module.weight.uniform_(0.5, 1.5)
                        module.bias.normal_(0, 0.2)
                        module.running_mean.normal_(0, 0.2)
                        module.running_var.uniform_(0.5, 2)
                net.head.weight.normal_(0, 0.3)
                net.head.bias.normal_(0, 0.3)
        return net.eval()

    return make
