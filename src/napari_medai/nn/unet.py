"""A U-Net family for 2D and 3D that gives the same answer in tiles as in one piece.

Batch normalisation (a fixed scale and shift once trained) and strided pooling keep every output
value a function of its receptive field alone, so tiles with a halo of that size, cut at multiples
of the stride, agree with the whole image. The input may be folded (pixel-unshuffle) before the
first convolution and the output unfolded after the last: at a factor of 2 the net works at half
resolution, at a quarter of the cost in 2D, and still answers at full resolution.

Sources: Ronneberger et al. 2015 (U-Net), He et al. 2016 (residual blocks), Chaurasia and
Culurciello 2017 (skips that add, LinkNet), Shi et al. 2016 (pixel shuffle).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

FAINT = 0.1
"""What the second convolution of a block without normalisation begins with, to the usual."""
AUXILIARY = "auxiliary."
"""What the names of the weights begin with that only training needs."""


class UNet(nn.Module):
    """Image in, ``channels_out`` maps of the same size out.

    Input ``(batch, channels_in, *space)`` float32, each spatial size a multiple of `stride`;
    output ``(batch, channels_out, *space)``, raw values (no sigmoid).

    Parameters
    ----------
    ndim
        Spatial dimensions, 2 or 3.
    widths
        Channels of each level, finest first.
    shuffle
        Factor of the folding at input and output, one number or one an axis; 1 does not fold.
    pool
        Factor between levels, one number or one an axis (1 keeps an axis: thick slices).
    auxiliary
        How many levels below the finest answer too, in training only (deep supervision): their
        maps, repeated to full size, follow the others as further channels. The weights of their
        heads begin with `AUXILIARY` and are not needed to predict.
    norm
        Without batch normalisation and biases, the net answers in the scale of its input: of
        twice the input, twice the output. So it may be taught brightness in any units.
    residual
        What the net says is added to the first channels of its input: it learns what to change.
    """

    def __init__(
        self,
        *,
        ndim: int = 2,
        channels_in: int = 1,
        channels_out: int = 1,
        widths: Sequence[int] = (32, 64, 96, 128),
        shuffle: int | Sequence[int] = 1,
        pool: int | Sequence[int] = 2,
        auxiliary: int = 0,
        norm: bool = True,
        residual: bool = False,
    ) -> None:
        super().__init__()
        if ndim not in (2, 3):
            raise ValueError(f"ndim must be 2 or 3, got {ndim}")
        self.ndim = ndim
        self.channels_in = channels_in
        self.channels_out = channels_out
        self.fold = per_axis(shuffle, ndim)
        self.pool = per_axis(pool, ndim)
        self.levels = len(widths)
        self.pooled = POOL[ndim] if norm else MEAN[ndim]
        self.residual = residual
        cell = int(torch.tensor(self.fold).prod())
        conv = CONV[ndim]
        self.stem = Block(ndim, channels_in * cell, widths[0], norm=norm)
        self.down = nn.ModuleList(Block(ndim, a, b, norm=norm) for a, b in pairwise(widths))
        self.lateral = nn.ModuleList(conv(b, a, 1, bias=False) for a, b in pairwise(widths))
        self.up = nn.ModuleList(Block(ndim, a, a, norm=norm) for a in widths[:-1])
        self.head = conv(widths[0], channels_out * cell, 1, bias=norm)
        if residual and channels_in < channels_out:
            raise ValueError(f"{channels_in} channels cannot be added to {channels_out}")
        most = max(0, self.levels - 2)
        if not 0 <= auxiliary <= most:
            raise ValueError(f"auxiliary must be from 0 to {most}, got {auxiliary}")
        self.auxiliary = nn.ModuleList(
            conv(width, channels_out, 1, bias=norm) for width in widths[1 : auxiliary + 1]
        )
        for module in self.modules():
            if isinstance(module, conv):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        for block in self.modules():
            if isinstance(block, Block) and not norm:
                # Nothing else keeps what blocks add from growing with their number.
                block.conv2.weight.data.mul_(FAINT)
        for head in (self.head, *self.auxiliary):
            nn.init.normal_(head.weight, std=0.01)
            if norm:
                nn.init.zeros_(head.bias)

    @property
    def stride(self) -> tuple[int, ...]:
        """Spatial sizes must be multiples of this, and so must the corners of tiles."""
        return tuple(f * p ** (self.levels - 1) for f, p in zip(self.fold, self.pool, strict=True))

    @property
    def halo(self) -> tuple[int, ...]:
        """Radius of the receptive field in input pixels, rounded up to the stride.

        A block of two 3-wide convolutions reaches two pixels of its level to each side, on the
        way down and again on the way up; pooling and repeating add up to one stride.
        """
        reach = []
        for fold, pool, stride in zip(self.fold, self.pool, self.stride, strict=True):
            blocks = [2 * (2 if level < self.levels - 1 else 1) for level in range(self.levels)]
            radius = sum(n * fold * pool**level for level, n in enumerate(blocks)) + stride
            reach.append(-(-radius // stride) * stride)
        return tuple(reach)

    def encoded(self, image: Tensor) -> list[Tensor]:
        """What each level makes of the image on the way down, finest first."""
        found = [self.stem(folded(image, self.fold))]
        for block in self.down:
            found.append(block(self.pooled(found[-1], self.pool)))
        return found

    def forward(self, image: Tensor) -> Tensor:
        *skips, x = self.encoded(image)
        coarse: list[Tensor] = []
        for level in reversed(range(self.levels - 1)):
            x = self.lateral[level](x)
            x = skips[level] + functional.interpolate(x, scale_factor=[float(p) for p in self.pool])
            x = self.up[level](x)
            if self.training and 0 < level <= len(self.auxiliary):
                coarse.append(self.auxiliary[level - 1](x))
        maps = unfolded(self.head(x), self.fold)
        if self.residual:
            maps = maps + image[:, : self.channels_out]
        if not coarse:
            return maps
        size = maps.shape[2:]
        return torch.cat([maps, *(functional.interpolate(c, size) for c in reversed(coarse))], 1)


class Block(nn.Module):
    """Two 3-wide convolutions with batch normalisation and a residual connection.

    Without normalisation nothing stands in the way of what is added to: a small signal on a large
    background comes through, as in the blocks of DRUNet (Zhang et al. 2021).
    """

    def __init__(
        self, ndim: int, channels_in: int, channels_out: int, *, norm: bool = True
    ) -> None:
        super().__init__()
        conv = CONV[ndim]
        self.conv1 = conv(channels_in, channels_out, 3, padding=1, bias=False)
        self.norm1 = NORM[ndim](channels_out) if norm else nn.Identity()
        self.conv2 = conv(channels_out, channels_out, 3, padding=1, bias=False)
        self.norm2 = NORM[ndim](channels_out) if norm else nn.Identity()
        self.rectified = norm
        self.match: nn.Module = (
            nn.Identity()
            if channels_in == channels_out
            else conv(channels_in, channels_out, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y)) + self.match(x)
        return functional.relu(y) if self.rectified else y


CONV: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
NORM: dict[int, type[nn.Module]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
POOL = {2: functional.max_pool2d, 3: functional.max_pool3d}
MEAN = {2: functional.avg_pool2d, 3: functional.avg_pool3d}
"""Of noisy values the mean is to be known; the largest would be the one with the most noise."""


def per_axis(value: int | Sequence[int], ndim: int) -> tuple[int, ...]:
    return (value,) * ndim if isinstance(value, int) else tuple(value)


def folded(x: Tensor, factors: tuple[int, ...]) -> Tensor:
    """Pixels of each ``factors``-sized cell become channels (pixel-unshuffle in any dimension)."""
    if all(f == 1 for f in factors):
        return x
    if len(factors) == 2 and factors[0] == factors[1]:
        return functional.pixel_unshuffle(x, factors[0])
    split = [n for size, f in zip(x.shape[2:], factors, strict=True) for n in (size // f, f)]
    ndim = len(factors)
    x = x.reshape(*x.shape[:2], *split)
    x = x.permute(0, 1, *range(3, 3 + 2 * ndim, 2), *range(2, 2 + 2 * ndim, 2))
    return x.reshape(x.shape[0], -1, *x.shape[2 + ndim :])


def unfolded(x: Tensor, factors: tuple[int, ...]) -> Tensor:
    """The inverse of `folded` (pixel-shuffle in any dimension)."""
    if all(f == 1 for f in factors):
        return x
    if len(factors) == 2 and factors[0] == factors[1]:
        return functional.pixel_shuffle(x, factors[0])
    ndim = len(factors)
    size = x.shape[2:]
    x = x.reshape(x.shape[0], -1, *factors, *size)
    order = [n for axis in range(ndim) for n in (2 + ndim + axis, 2 + axis)]
    x = x.permute(0, 1, *order)
    return x.reshape(*x.shape[:2], *(n * f for n, f in zip(size, factors, strict=True)))
