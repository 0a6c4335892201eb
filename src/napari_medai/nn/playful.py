"""Changes to what a critic sees, through which gradients pass (Zhao et al. 2020)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from napari_medai.nn.unet import MEAN

SHIFT = 0.125
"""Part of an edge by which images are moved at most."""
CUT = 0.35
"""Edge of what is cut out, in parts of the image's."""
GAIN, OFFSET = 0.2, 0.1
"""Most by which brightness is changed."""


def drawn_changes(rng: np.random.Generator, count: int, ndim: int) -> np.ndarray:
    """Numbers for as many images, float32 (count, 2 + 2 * ndim) from -1 to 1; see `augmented`."""
    return rng.uniform(-1, 1, (count, 2 + 2 * ndim)).astype(np.float32)


def augmented(image: Tensor, given: Tensor, changes: Tensor) -> Tensor:
    """Image (batch, k, \\*space) and maps (batch, channels, \\*space) as one tensor, changed alike:

    moved (zeros come in), a part cut out; of the image brightness and contrast too.
    """
    shape = image.shape[2:]
    gain = 1 + GAIN * _as(changes[:, 0], image)
    both = torch.cat([image * gain + OFFSET * _as(changes[:, 1], image), given], 1)
    kept = torch.ones_like(image[:, :1])
    moved = []
    for at in range(len(both)):
        numbers = changes[at].tolist()
        by = [round(SHIFT * n * edge) for n, edge in zip(numbers[2:], shape, strict=False)]
        part: list[slice] = [slice(None)]
        for place, edge in zip(numbers[2 + len(shape) :], shape, strict=True):
            start = round((place + 1) / 2 * edge - CUT * edge / 2)
            part.append(slice(max(0, start), max(0, start + round(CUT * edge))))
        kept[at][tuple(part)] = 0
        moved.append(_moved(both[at], by))
    layout = torch.channels_last if image.ndim == 4 else torch.contiguous_format
    return (torch.stack(moved) * kept).contiguous(memory_format=layout)


def detailed(image: Tensor, noise: Tensor) -> Tensor:
    """Images (batch, 1, \\*space) as a critic sees them: (batch, 2, \\*space).

    The second channel is what differs from the mean around, in parts of the ``noise`` (batch,) of
    each image, strong edges compressed: beside an object noise would go unseen.
    """
    pool = MEAN[image.ndim - 2]
    detail = image - pool(image, 3, stride=1, padding=1)
    return torch.cat([image, torch.asinh(detail / _as(noise, image)) / 2], 1)


def _moved(values: Tensor, by: list[int]) -> Tensor:
    """Values (channels, \\*space) moved by whole pixels, zeros coming in."""
    padding = [n for step in reversed(by) for n in (max(step, 0), max(-step, 0))]
    whole = torch.nn.functional.pad(values, padding)
    for axis, (step, edge) in enumerate(zip(by, values.shape[1:], strict=True), start=1):
        whole = whole.narrow(axis, max(-step, 0), edge)
    return whole


def _as(numbers: Tensor, image: Tensor) -> Tensor:
    return numbers.view(-1, *([1] * (image.ndim - 1)))
