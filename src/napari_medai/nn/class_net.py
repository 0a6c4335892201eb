"""A net whose answer for a pixel is its class: the largest of its scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import prod

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_medai.nn.backends import short_of_memory
from napari_medai.nn.runner import ScoreNet, cropped

TILE = {2: 1024, 3: 112}
"""Edge of the tiles, in pixels of the net."""
LARGEST_SCORES = 1 << 26
"""Numbers that the scores of a tile hold at most: with many classes, tiles are smaller."""


@dataclass(frozen=True, slots=True)
class ClassNet:
    """Classes of tiles, uint8, on the image's own grid; it fits `napari_medai.core.predict.Net`.

    Scores are resampled to the grid of the image before the largest is taken, and live as long as
    a batch of tiles does: what is kept of an image is one byte a pixel. With ``mirror`` (spatial
    axes) the tiles are also seen reversed along these axes, in every combination, and the
    probabilities are averaged.
    """

    scorer: ScoreNet
    mirror: tuple[int, ...] = ()

    @property
    def device(self) -> torch.device:
        return self.scorer.device

    @property
    def halo(self) -> tuple[int, ...]:
        return self.scorer.halo

    @property
    def multiple(self) -> tuple[int, ...]:
        return self.scorer.multiple

    @property
    def batch(self) -> int:
        return self.scorer.batch

    @property
    def tile(self) -> tuple[int, ...]:
        """Edges of tiles in pixels of the image, whose scores stay within the budget of memory."""
        scales, channels = self.scorer.scales, int(self.scorer.net.channels_out)  # type: ignore[arg-type]
        edges = [max(1, int(TILE[len(scales)] / float(scale))) for scale in scales]

        def read() -> list[int]:
            return [edge + 2 * halo for edge, halo in zip(edges, self.halo, strict=True)]

        while channels * prod(read()) > LARGEST_SCORES and max(edges) > 1:
            longest = edges.index(max(edges))
            edges[longest] = max(1, edges[longest] // 2)
        return tuple(edges)

    def empty(self, shape: tuple[int, ...]) -> Tensor:
        """Room for the classes (1, \\*shape) of an image, on the device."""
        with short_of_memory(shape):
            return torch.zeros((1, *shape), dtype=torch.uint8, device=self.device)

    def __call__(self, tiles: Sequence[np.ndarray]) -> list[Tensor]:
        """Classes (1, \\*space) of each tile (channels, \\*space), on the device."""
        images = torch.from_numpy(np.stack(tiles).astype(np.float32, copy=False))
        with short_of_memory(images.shape), torch.inference_mode():
            classes = self._scores(images).argmax(1, keepdim=True).to(torch.uint8)
        return list(classes)

    def fallback(self) -> ClassNet | None:
        """The same on the CPU; None if it is there already."""
        scorer = self.scorer.fallback()
        return None if scorer is None else replace(self, scorer=scorer)

    def _scores(self, images: Tensor) -> Tensor:
        """Logits, or the sum of the probabilities of all mirrored views."""
        if not self.mirror:
            return self.scorer.scores(images)
        size = images.shape[2:]
        # Reversed images end on the net's grid too, so that tiles see the grid of the whole.
        ends = [(-n) % m for n, m in zip(size, self.multiple, strict=True)]
        padding = [n for end in reversed(ends) for n in (0, end)]
        images = functional.pad(images, padding, mode="replicate")
        total: Tensor | None = None
        for axes in self._views():
            scores = self.scorer.scores(images.flip(axes) if axes else images)
            seen = torch.softmax(scores.float(), dim=1)
            seen = seen.flip(axes) if axes else seen
            total = seen if total is None else total.add_(seen)
        assert total is not None, "there is at least the view that is not reversed"
        return cropped(total, size)

    def _views(self) -> Iterator[tuple[int, ...]]:
        for count in range(len(self.mirror) + 1):
            for axes in combinations(self.mirror, count):
                yield tuple(axis + 2 for axis in axes)
