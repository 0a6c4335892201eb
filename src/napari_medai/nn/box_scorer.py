"""Tiles to candidates: a net that finds boxes, looking at one zoom, and what its answers mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import log, prod
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_medai.core.boxes import Boxes
from napari_medai.core.scale import Scale
from napari_medai.core.tiling import Window
from napari_medai.nn.backends import short_of_memory
from napari_medai.nn.box_net import BoxNet, answers_of
from napari_medai.nn.runner import ScoreNet, cropped
from napari_medai.nn.suppress import Overlaps, overlaps
from napari_medai.nn.unet import folded, unfolded

TILE = {2: 2048, 3: 128}
"""Edge of tiles, in pixels as the net sees them."""
LOOSEST = 0.8
"""Overlap (IoU) above which two boxes of one class are one object seen twice, at any setting."""


class Candidates(NamedTuple):
    """Boxes that may be objects: ``corners`` float32 (n, 2, ndim) in pixels whose centres are
    whole numbers, ``kinds`` int64 (n,) from 0, ``scores`` float32 (n,), 0 to 1.
    """

    corners: Tensor
    kinds: Tensor
    scores: Tensor


@dataclass(frozen=True, slots=True)
class BoxScorer:
    """Answers for tiles of cells; it fits `napari_medai.core.predict.Net`.

    What counts as a pixel there is a unit here: the smallest step in pixels of the image that is a
    whole number of the net's cells when zoomed. A map holds the answers of all cells of a unit.
    """

    scorer: ScoreNet

    @property
    def net(self) -> BoxNet:
        net = self.scorer.net
        assert isinstance(net, BoxNet), "only nets that find boxes have cells"
        return net

    @property
    def device(self) -> torch.device:
        return self.scorer.device

    @property
    def unit(self) -> tuple[int, ...]:
        """Pixels of the image along each axis that one place of the map stands for."""
        return tuple(
            scale.multiple(n) for scale, n in zip(self.scorer.scales, self.net.cell, strict=True)
        )

    @property
    def cells(self) -> tuple[int, ...]:
        """Cells of the net's output along each axis of a unit."""
        parts = zip(self.unit, self.scorer.scales, self.net.cell, strict=True)
        return tuple(round(unit * float(scale)) // cell for unit, scale, cell in parts)

    @property
    def halo(self) -> tuple[int, ...]:
        """Units around a tile that its answers depend on."""
        return tuple(-(-n // u) for n, u in zip(self.scorer.halo, self.unit, strict=True))

    @property
    def multiple(self) -> tuple[int, ...]:
        """Units after which the net's grid repeats."""
        return tuple(n // u for n, u in zip(self.scorer.multiple, self.unit, strict=True))

    @property
    def seen(self) -> tuple[int, ...]:
        """Pixels along each axis of a unit, as the net sees them."""
        return tuple(n * c for n, c in zip(self.cells, self.net.cell, strict=True))

    @property
    def channels(self) -> int:
        """Numbers in the answers of one unit."""
        return self.net.channels_out * prod(self.cells)

    @property
    def batch(self) -> int:
        return self.scorer.batch

    @property
    def tile(self) -> tuple[int, ...]:
        """Units along the edges of tiles that take a fair share of memory."""
        return tuple(max(1, TILE[len(self.unit)] // n) for n in self.seen)

    def reader(
        self,
        read: Callable[[Window], np.ndarray],
        shape: Sequence[int],
        corner: Sequence[int] | None = None,
    ) -> Callable[[Window], np.ndarray]:
        """Reads windows of units, counted from ``corner``, of an image of this spatial shape.

        ``read`` gives the pixels (channels, \\*space) of a window of pixels.
        """
        start, unit = corner or (0,) * len(self.unit), self.unit

        def read_units(window: Window) -> np.ndarray:
            parts = zip(window, start, unit, shape, strict=True)
            return read(
                tuple(slice((c + w.start) * u, min(n, (c + w.stop) * u)) for w, c, u, n in parts)
            )

        return read_units

    def grid(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Units that cover an image of this spatial shape."""
        return tuple(-(-n // u) for n, u in zip(shape, self.unit, strict=True))

    def empty(self, shape: tuple[int, ...]) -> Tensor:
        """Room for the answers of so many units, on the device."""
        with short_of_memory((self.channels, *shape)):
            return torch.empty((self.channels, *shape), device=self.device)

    def __call__(self, tiles: Sequence[np.ndarray]) -> list[Tensor]:
        """Answers of the units of each tile, given as pixels (channels, \\*space) of the image."""
        images = torch.from_numpy(np.stack(tiles).astype(np.float32, copy=False))
        units = self.grid(images.shape[2:])
        ends = [n * u - s for n, u, s in zip(units, self.unit, images.shape[2:], strict=True)]
        if any(ends):
            padding = [n for end in reversed(ends) for n in (0, end)]
            images = functional.pad(images, padding, mode="replicate")
        maps = self.scorer.maps(images)
        maps = cropped(maps, [n * c for n, c in zip(units, self.cells, strict=True)])
        return list(folded(maps, self.cells))

    def fallback(self) -> BoxScorer | None:
        """The same on the CPU; None if it is there already."""
        scorer = self.scorer.fallback()
        return None if scorer is None else replace(self, scorer=scorer)

    def at(self, scales: tuple[Scale, ...]) -> BoxScorer:
        """The same net looking at another zoom."""
        return replace(self, scorer=self.scorer.at(scales))

    def close(self) -> None:
        """Give the device's memory back."""
        self.scorer.close()

    def candidates(
        self,
        maps: Tensor,
        shape: Sequence[int],
        *,
        least: float,
        corner: Sequence[int] | None = None,
    ) -> Candidates:
        """The boxes that answers of units (channels, \\*units) speak of.

        Each class that a cell gives a score of ``least`` or more is one; boxes end where the image
        of this spatial shape does. ``corner`` is the first unit, where maps are a part of those of
        an image.
        """
        with torch.inference_mode():
            net = self.net
            cells = unfolded(maps[None], self.cells)
            found = [
                self._level(said[0], level.stride, least)
                for level, said in zip(net.levels, answers_of(cells, net.levels), strict=True)
            ]
            corners = torch.cat([part.corners for part in found])
            kinds = torch.cat([part.kinds for part in found])
            scores = torch.cat([part.scores for part in found])
            if corner is not None:
                start = [float(c * u) for c, u in zip(corner, self.unit, strict=True)]
                corners = corners + corners.new_tensor(start)
            limit = corners.new_tensor([float(n) for n in shape])
            corners = torch.minimum(corners.clamp(min=0), limit) - 0.5
            real = (corners[:, 1] > corners[:, 0]).all(-1)
            return Candidates(corners[real], kinds[real], scores[real])

    def _level(self, said: Tensor, stride: tuple[int, ...], least: float) -> Candidates:
        """The boxes of one level, counted from the corner of the image's first pixel."""
        kinds = self.net.kinds
        known = said[:kinds] >= log(least / (1 - least))
        at = known.nonzero()
        place = (slice(None), *at[:, 1:].T)
        reach = functional.softplus(said[kinds:][place].T).reshape(-1, 2, len(stride))
        steps = reach.new_tensor(stride)
        middle = (at[:, 1:] + 0.5) * steps
        corners = torch.stack([middle - reach[:, 0] * steps, middle + reach[:, 1] * steps], 1)
        corners = corners / corners.new_tensor([float(scale) for scale in self.scorer.scales])
        return Candidates(corners, at[:, 0], torch.sigmoid(said[:kinds][known]))


def distinct(found: Candidates, *, least: float) -> tuple[Candidates, Overlaps]:
    """Candidates of which none is another one seen twice, by falling score, and their overlaps.

    Pairs of a smaller IoU than ``least`` are left out. Where scores are the same, the place in the
    image decides, so that the result does not depend on how the image was cut.
    """
    found = _ordered(found)
    # In two steps, because most pairs are of one object seen many times.
    twice = overlaps(found.corners, found.scores, found.kinds, least=LOOSEST)
    kept = twice.kept(threshold=0.0, overlap=LOOSEST)
    fewer = Candidates(*(part[kept] for part in found))
    return fewer, overlaps(fewer.corners, fewer.scores, fewer.kinds, least=least)


def put_together(parts: Sequence[Candidates]) -> Candidates:
    """The candidates of all blocks of an image."""
    return Candidates(*(torch.cat(list(part)) for part in zip(*parts, strict=True)))


def joined(
    planes: Sequence[tuple[Candidates, Overlaps]], names: Sequence[str]
) -> tuple[Boxes, Overlaps, np.ndarray]:
    """The candidates of several planes, in main memory, and the plane of each."""
    counts = [len(found.scores) for found, _ in planes]
    starts = np.cumsum([0, *counts[:-1]])
    whole = put_together([Candidates(*(t.cpu() for t in found)) for found, _ in planes])
    pairs = [
        (overlaps.strong.cpu() + start, overlaps.weak.cpu() + start, overlaps.iou.cpu())
        for (_, overlaps), start in zip(planes, starts.tolist(), strict=True)
    ]
    strong, weak, iou = (torch.cat(list(part)) for part in zip(*pairs, strict=True))
    kinds = np.array(list(names))[whole.kinds.numpy()]
    boxes = Boxes.of(
        whole.corners.numpy(), kinds, whole.scores.numpy(), ndim=whole.corners.shape[-1]
    )
    return boxes, Overlaps(whole.scores, strong, weak, iou), np.repeat(range(len(counts)), counts)


def _ordered(found: Candidates) -> Candidates:
    """By falling score, then by class and place."""
    order = torch.arange(len(found.scores), device=found.scores.device)
    keys = [*found.corners.flatten(1).T.flip(0), found.kinds, -found.scores]
    for key in keys:
        order = order[torch.argsort(key[order], stable=True)]
    return Candidates(*(part[order] for part in found))
