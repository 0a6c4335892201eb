"""The nets of synthesis: one paints objects, the other tells paintings from photographs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_medai.nn.unet import CONV, MEAN, UNet


class Painter(UNet):
    """A U-Net that makes an image of maps: labels, traits and noise.

    On the way up, each level's features are brought to length 1 in every pixel, then stretched
    and shifted by what the way down made of the maps there (spatially adaptive modulation; Park et
    al. 2019, whose normalisation over the image is one over channels here, or tiles would show).
    Arguments are those of `UNet`.
    """

    def __init__(
        self,
        *,
        ndim: int = 2,
        channels_in: int = 1,
        channels_out: int = 1,
        widths: Sequence[int] = (16, 32, 64, 96),
        pool: int | Sequence[int] = 2,
    ) -> None:
        super().__init__(
            ndim=ndim,
            channels_in=channels_in,
            channels_out=channels_out,
            widths=widths,
            pool=pool,
        )
        conv = CONV[ndim]
        self.modulation = nn.ModuleList(conv(a, 2 * a, 1) for a in widths[:-1])
        for modulation in self.modulation:
            nn.init.normal_(modulation.get_parameter("weight"), std=0.02)
            nn.init.zeros_(modulation.get_parameter("bias"))

    def forward(self, image: Tensor) -> Tensor:
        *skips, x = self.encoded(image)
        for level in reversed(range(self.levels - 1)):
            x = self.lateral[level](x)
            x = functional.interpolate(x, scale_factor=[float(p) for p in self.pool])
            gain, shift = self.modulation[level](skips[level]).chunk(2, dim=1)
            x = x * (x.square().mean(1, keepdim=True) + 1e-4).rsqrt()
            x = self.up[level](skips[level] + x * (1 + gain) + shift)
        return self.head(x)


class Critic(nn.Module):
    """Says of patches, at two scales, how real they are (Isola et al. 2017, Wang et al. 2018).

    It takes the two channels of `napari_medai.nn.playful.detailed` and ``given`` maps.
    Convolutions but the last are held to a gain of 1 (spectral normalisation, Miyato et al. 2018).
    """

    def __init__(
        self, ndim: int = 2, given: int = 1, widths: Sequence[int] = (16, 48, 96), scales: int = 2
    ) -> None:
        super().__init__()
        self.ndim = ndim
        self.scales = nn.ModuleList(_Patches(ndim, given, widths) for _ in range(scales))

    def forward(self, image: Tensor) -> list[list[Tensor]]:
        """Of each scale the features of its layers, the last being the verdict."""
        told = []
        for scale in self.scales:
            told.append(scale(image))
            image = MEAN[self.ndim](image, 2)
        return told


SEEN = 2
"""Channels of the image itself."""
GAIN = 2.0
"""What is left of a signal after a convolution of gain 1 at most is stretched by this."""


class _Patches(nn.Module):
    def __init__(self, ndim: int, given: int, widths: Sequence[int]) -> None:
        super().__init__()
        conv: Any = CONV[ndim]
        normed = nn.utils.parametrizations.spectral_norm
        # at full resolution: noise is what paintings lack first; with a gain each, as maps are
        # many and bright
        self.image = normed(conv(SEEN, widths[0], 3, padding=1))
        self.given = normed(conv(given, widths[0], 3, padding=1))
        self.layers = nn.ModuleList(
            normed(conv(a, b, 3, stride=2, padding=1)) for a, b in pairwise(widths)
        )
        # free in its gain
        self.verdict = nn.utils.parametrizations.weight_norm(conv(widths[-1], 1, 3, padding=1))

    def forward(self, x: Tensor) -> list[Tensor]:
        image, given = x[:, :SEEN], x[:, SEEN:]
        found = [functional.leaky_relu(GAIN * (self.image(image) + self.given(given)), 0.2)]
        for layer in self.layers:
            found.append(functional.leaky_relu(GAIN * layer(found[-1]), 0.2))
        return [*found, GAIN * self.verdict(found[-1])]


def mean_of(parts: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(parts)).mean()
