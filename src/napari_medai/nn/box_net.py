"""A net that finds boxes: the U-Net's blocks as a feature pyramid, with a head on some levels.

On each answering level every cell says how likely an object of each class is whose middle it
belongs to, and how far the object's edges lie from the cell's centre. There are no anchors. As in
`napari_medai.nn.unet`, batch normalisation and strided pooling keep an answer a function of its
receptive field, so tiles agree with the whole image, and one code serves 2D and 3D.

Sources: Lin et al. 2017 (feature pyramid), Tian et al. 2019 (FCOS: boxes without anchors), Ge et
al. 2021 (separate branches for class and box).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_medai.nn.unet import CONV, NORM, POOL, Block, folded, per_axis, unfolded

PRIOR = -4.6
"""Logit of an object anywhere, before training: 1 in 100 (Lin et al. 2017, focal loss)."""


class Level(NamedTuple):
    """Where an answering level lies in the net's output: its stride in pixels along each axis,
    how many of its cells make one of the output along each axis, and its channels.
    """

    stride: tuple[int, ...]
    cells: tuple[int, ...]
    channels: slice


class BoxNet(nn.Module):
    """Image in, answers of all cells of all levels out.

    Input ``(batch, channels_in, *space)`` float32, each spatial size a multiple of `stride`;
    output ``(batch, channels_out, *(space / stride))``, raw values. Cells of finer levels lie
    folded in the channels of the coarsest one's; `levels` says where, `answers_of` takes them out.
    Each cell has ``kinds`` logits, then the distances (before the softplus, in strides) to the low
    edges and to the high edges along each axis.

    Parameters
    ----------
    ndim
        Spatial dimensions, 2 or 3.
    kinds
        Number of classes.
    widths
        Channels of each level, finest first.
    finest, coarsest
        The first and the last level that answer, counted from 0.
    shuffle
        Factor of the folding at input, one number or one an axis; 1 does not fold.
    pool
        Factor between levels, one number or one an axis (1 keeps an axis: thick slices).
    """

    def __init__(
        self,
        *,
        ndim: int = 2,
        channels_in: int = 1,
        kinds: int = 1,
        widths: Sequence[int] = (24, 48, 96, 160, 224),
        finest: int = 1,
        coarsest: int = 3,
        shuffle: int | Sequence[int] = 2,
        pool: int | Sequence[int] = 2,
    ) -> None:
        super().__init__()
        if ndim not in (2, 3):
            raise ValueError(f"ndim must be 2 or 3, got {ndim}")
        if not 0 <= finest <= coarsest < len(widths):
            raise ValueError(
                f"finest and coarsest must be levels from 0 to {len(widths) - 1}, got {finest} "
                f"and {coarsest}"
            )
        self.ndim = ndim
        self.channels_in = channels_in
        self.kinds = kinds
        self.fold = per_axis(shuffle, ndim)
        self.pool = per_axis(pool, ndim)
        self.finest, self.coarsest = finest, coarsest
        self.depth = len(widths)
        conv = CONV[ndim]
        self.stem = Block(ndim, channels_in * prod(self.fold), widths[0])
        self.down = nn.ModuleList(Block(ndim, a, b) for a, b in pairwise(widths))
        upper = list(pairwise(widths))[finest:]
        self.lateral = nn.ModuleList(conv(b, a, 1, bias=False) for a, b in upper)
        self.up = nn.ModuleList(Block(ndim, a, a) for a, _ in upper)
        self.heads = nn.ModuleList(
            Head(ndim, width, kinds) for width in widths[finest : coarsest + 1]
        )
        for module in self.modules():
            if isinstance(module, conv):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        for head in self.heads:
            head.begin()  # type: ignore[operator]

    @property
    def stride(self) -> tuple[int, ...]:
        """Spatial sizes must be multiples of this, and so must the corners of tiles."""
        return self._stride(self.depth - 1)

    @property
    def cell(self) -> tuple[int, ...]:
        """Pixels along each axis that one cell of the output stands for."""
        return self._stride(self.coarsest)

    @property
    def halo(self) -> tuple[int, ...]:
        """Radius of the receptive field in input pixels, rounded up to the stride.

        The pyramid reaches two pixels of a level to each side in every block on the way down, and
        again on the way up to the level that answers, and its head one more.
        """
        reach = []
        for fold, pool, stride in zip(self.fold, self.pool, self.stride, strict=True):
            down = 2 * sum(pool**level for level in range(self.depth))
            ways = [
                2 * sum(pool**level for level in range(answering, self.depth - 1)) + pool**answering
                for answering in range(self.finest, self.coarsest + 1)
            ]
            radius = fold * (down + max(ways)) + stride
            reach.append(-(-radius // stride) * stride)
        return tuple(reach)

    @property
    def answers(self) -> int:
        """Numbers that one cell says."""
        return self.kinds + 2 * self.ndim

    @property
    def levels(self) -> tuple[Level, ...]:
        """The answering levels, finest first."""
        found, start = [], 0
        for level in range(self.finest, self.coarsest + 1):
            cells = tuple(p ** (self.coarsest - level) for p in self.pool)
            stop = start + self.answers * prod(cells)
            found.append(Level(self._stride(level), cells, slice(start, stop)))
            start = stop
        return tuple(found)

    @property
    def channels_out(self) -> int:
        return self.levels[-1].channels.stop

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(folded(image, self.fold))
        skips: list[Tensor] = []
        for block in self.down:
            skips.append(x)
            x = block(POOL[self.ndim](x, self.pool))
        seen = {self.depth - 1: x}
        for level in reversed(range(self.finest, self.depth - 1)):
            x = self.lateral[level - self.finest](x)
            scale = [float(p) for p in self.pool]
            x = skips[level] + functional.interpolate(x, scale_factor=scale)
            seen[level] = x = self.up[level - self.finest](x)
        answers = []
        for at, level in enumerate(range(self.finest, self.coarsest + 1)):
            cells = tuple(p ** (self.coarsest - level) for p in self.pool)
            answers.append(folded(self.heads[at](seen[level]), cells))
        return torch.cat(answers, 1)

    def _stride(self, level: int) -> tuple[int, ...]:
        return tuple(f * p**level for f, p in zip(self.fold, self.pool, strict=True))


class Head(nn.Module):
    """What the cells of one level say: a branch for the class, one for the box."""

    def __init__(self, ndim: int, width: int, kinds: int) -> None:
        super().__init__()
        conv = CONV[ndim]
        self.kind = self._branch(ndim, width)
        self.box = self._branch(ndim, width)
        self.to_kind = conv(width, kinds, 1)
        self.to_box = conv(width, 2 * ndim, 1)

    @staticmethod
    def _branch(ndim: int, width: int) -> nn.Module:
        conv = CONV[ndim](width, width, 3, padding=1, bias=False)
        return nn.Sequential(conv, NORM[ndim](width), nn.ReLU(inplace=True))

    def begin(self) -> None:
        """Weights from which training starts: few objects, of a few strides."""
        for last, bias in ((self.to_kind, PRIOR), (self.to_box, 2.0)):
            nn.init.normal_(last.weight, std=0.01)
            assert last.bias is not None, "both have one"
            nn.init.constant_(last.bias, bias)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.to_kind(self.kind(x)), self.to_box(self.box(x))], 1)


def answers_of(maps: Tensor, levels: Sequence[Level]) -> list[Tensor]:
    """What each level says, (batch, answers, \\*cells), from a net's output."""
    return [unfolded(maps[:, level.channels], level.cells) for level in levels]
