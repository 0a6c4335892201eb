"""What the encoder of a net sees in pictures, as one vector each: to compare sets of them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from napari_medai.nn.unet import UNet

BATCH = 32


@torch.inference_mode()
def pooled_activations(net: UNet, pictures: np.ndarray, *, device: torch.device) -> np.ndarray:
    """The mean and the standard deviation, over the picture, of every channel of every level.

    Activations are those at the end of each level on the way down, which are 0 or more; they are
    not scaled further. In single precision on every device, so that figures can be compared.

    Parameters
    ----------
    net
        In evaluation mode, on the device.
    pictures
        (n, channels, \\*space) float32, as the net takes them; n is 1 or more, sizes are multiples
        of the net's stride.

    Returns
    -------
    ndarray
        (n, 2 x channels of all levels), float32: means and deviations of the finest level first.
    """
    found = []
    layout = torch.channels_last if net.ndim == 2 else torch.channels_last_3d
    for start in range(0, len(pictures), BATCH):
        batch = np.ascontiguousarray(pictures[start : start + BATCH])
        images = torch.from_numpy(batch).to(device).contiguous(memory_format=layout)
        levels = net.encoded(images)
        found.append(torch.cat([_pooled(level.float()) for level in levels], 1).cpu().numpy())
    return np.concatenate(found)


def _pooled(activations: Tensor) -> Tensor:
    within = activations.flatten(2)
    return torch.cat([within.mean(-1), within.std(-1, correction=0)], 1)
