"""What the encoder of a net makes of small patches: a vector each."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_medai.nn.device import mixed_precision
from napari_medai.nn.unet import UNet

BATCH = 32


@torch.inference_mode()
def patch_latents(
    net: UNet, patches: np.ndarray, masks: np.ndarray, *, device: torch.device
) -> np.ndarray:
    """The mean of the deepest level of an encoder over the masked part of each patch.

    Averaged over the patch turned by right angles and mirrored, so that how an object lies makes
    no difference.

    Parameters
    ----------
    patches
        (n, channels, size, size) float32, as the net takes them; n is 1 or more, size a multiple of
        the net's stride.
    masks
        (n, size, size) bool, none of them empty.

    Returns
    -------
    ndarray
        (n, channels of the deepest level), float32.
    """
    found = []
    for start in range(0, len(patches), BATCH):
        images = torch.from_numpy(patches[start : start + BATCH]).to(device)
        shown = torch.from_numpy(masks[start : start + BATCH]).to(device)[:, None].float()
        views = []
        for turns in range(4):
            for mirrored in (False, True):
                image, mask = (_seen(x, turns, mirrored=mirrored) for x in (images, shown))
                views.append(_pooled(net, image, mask))
        found.append(torch.stack(views).mean(0).cpu().numpy())
    return np.concatenate(found)


def _pooled(net: UNet, images: Tensor, masks: Tensor) -> Tensor:
    with mixed_precision(images.device, net):
        deepest = net.encoded(images.contiguous())[-1].float()
    rows, columns = deepest.shape[2:]
    share = functional.adaptive_avg_pool2d(masks, (rows, columns))
    return (deepest * share).sum((2, 3)) / share.sum((2, 3))


def _seen(images: Tensor, turns: int, *, mirrored: bool) -> Tensor:
    turned = torch.rot90(images, turns, (2, 3))
    return turned.flip(-1) if mirrored else turned
