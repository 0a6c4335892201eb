"""From score maps to objects: every pixel votes for its object's centre.

The net says of each pixel whether it belongs to an object (foreground), how deep inside it lies
(distance), and where the object's centre is (offsets). Foreground pixels cast a vote where they
point; votes pile up at centres. Each cell of the vote map then climbs to the highest pile in
reach, all cells at once, by pointer jumping; pixels whose votes end at the same summit are one
object. No loop over pixels or objects, the same code on CPU and GPU, in 2D and 3D.

Sources: Neven et al. 2019 and Cheng et al. 2020 (centre offsets), Vedaldi and Soatto 2008 (quick
shift).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

FOREGROUND, DISTANCE, OFFSET = 0, 1, 2
CELLS_PER_DIAMETER = 12
OFFSETS_PER_DIAMETER = 4


@dataclass(frozen=True, slots=True)
class Decoded:
    """Objects found in one block.

    ``labels`` int32 (\\*space), 0 background, 1 to n; ``centres`` float32 (n, ndim) in pixels of
    the block; ``scores`` float32 (n,), the mean foreground probability, 0 to 1; ``sizes`` int64
    (n,) in pixels.
    """

    labels: Tensor
    centres: Tensor
    scores: Tensor
    sizes: Tensor


def decode(
    scores: Tensor,
    *,
    threshold: float,
    diameter: float | Sequence[float],
    min_size: float,
    min_score: float = 0.0,
) -> Decoded:
    """Objects from score maps.

    Parameters
    ----------
    scores
        Maps (2 + ndim, \\*space): foreground and distance before the sigmoid, then the offset to
        the centre along each axis, in quarters of ``diameter``.
    threshold
        Foreground probability from which a pixel belongs to an object, between 0 and 1.
    diameter
        Diameter of a typical object in pixels, one number or one an axis.
    min_size
        Objects of fewer pixels are dropped.
    min_score
        Objects of a lower score are dropped.
    """
    space = scores.shape[1:]
    logit = float(torch.logit(torch.tensor(threshold, dtype=torch.float64)))
    flat = (scores[FOREGROUND] > logit).flatten().nonzero()[:, 0]
    maps = scores.flatten(1)
    widths = (diameter,) * len(space) if isinstance(diameter, int | float) else tuple(diameter)
    cell = [max(1.0, width / CELLS_PER_DIAMETER) for width in widths]
    votes, cells = _votes(maps, flat, space, widths=widths, cell=cell)
    weight = torch.sigmoid(maps[DISTANCE, flat]) + 0.1
    summit = _summits(votes, weight, cells)[votes]
    size = torch.bincount(summit, minlength=_product(cells))
    probability = torch.sigmoid(maps[FOREGROUND, flat])
    total = torch.zeros(_product(cells), device=scores.device).index_add_(0, summit, probability)
    kept = (size >= max(1.0, min_size)) & (total >= min_score * size)
    identity = torch.cumsum(kept, 0) * kept
    own = identity[summit]
    labels = torch.zeros(_product(space), dtype=torch.int32, device=scores.device)
    labels[flat] = own.to(torch.int32)
    centres = torch.stack(_unravelled(kept.nonzero()[:, 0], cells), dim=1)
    return Decoded(
        labels=labels.reshape(space),
        centres=(centres + 0.5) * torch.tensor(cell, device=scores.device) - 0.5,
        scores=total[kept] / size[kept],
        sizes=size[kept],
    )


def _votes(
    maps: Tensor,
    flat: Tensor,
    space: torch.Size,
    *,
    widths: Sequence[float],
    cell: Sequence[float],
) -> tuple[Tensor, tuple[int, ...]]:
    """The cell each foreground pixel votes for (flat index), and the shape of the vote map."""
    # Never fewer than three cells: the pooling windows need them.
    cells = tuple(max(3, int(-(-n // c))) for n, c in zip(space, cell, strict=True))
    index = torch.zeros_like(flat)
    for axis, position in enumerate(_unravelled(flat, tuple(space))):
        aim = position + maps[OFFSET + axis, flat] * (widths[axis] / OFFSETS_PER_DIAMETER)
        along = ((aim + 0.5) / cell[axis]).long().clamp_(0, cells[axis] - 1)
        index = index * cells[axis] + along
    return index, cells


def _summits(votes: Tensor, weight: Tensor, cells: tuple[int, ...]) -> Tensor:
    """For every cell, the cell (flat index) on whose summit it ends when it climbs."""
    blur, climb = _POOLS[len(cells)]
    density = torch.zeros(_product(cells), device=votes.device).index_add_(0, votes, weight)
    density = density.reshape(1, 1, *cells)
    for _ in range(3):
        density = blur(density, 3, stride=1, padding=1)
    higher: Tensor = climb(density, 5, stride=1, padding=2, return_indices=True)[1].flatten()
    while True:
        further = higher[higher]
        if torch.equal(further, higher):
            return higher
        higher = further


_POOLS = {
    2: (functional.avg_pool2d, functional.max_pool2d),
    3: (functional.avg_pool3d, functional.max_pool3d),
}


def _unravelled(flat: Tensor, shape: tuple[int, ...]) -> list[Tensor]:
    """Coordinates along each axis of flat indices."""
    positions = []
    for n in reversed(shape):
        positions.append(flat % n)
        flat = flat // n
    return positions[::-1]


def _product(shape: tuple[int, ...] | torch.Size) -> int:
    return int(torch.Size(shape).numel())
