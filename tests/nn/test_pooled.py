from __future__ import annotations

import numpy as np
import torch

from napari_medai.nn.pooled import BATCH, pooled_activations
from napari_medai.nn.unet import UNet


def net(**options: int) -> UNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return UNet(channels_in=1, widths=(4, 6, 8), **options).eval()


def test_vectors_are_the_means_and_deviations_of_each_level() -> None:
    pictures = np.random.default_rng(0).random((BATCH + 3, 1, 16, 24), dtype=np.float32)
    unet = net(shuffle=2)
    found = pooled_activations(unet, pictures, device=torch.device("cpu"))
    assert found.shape == (BATCH + 3, 2 * (4 + 6 + 8))
    with torch.no_grad():
        levels = [level.numpy() for level in unet.encoded(torch.from_numpy(pictures))]
    wanted = [part for level in levels for part in (level.mean((2, 3)), level.std((2, 3)))]
    np.testing.assert_allclose(found, np.concatenate(wanted, axis=1), atol=1e-5)
    assert found.dtype == np.float32
    assert (found >= 0).all()


def test_a_crop_of_one_deep_pixel_and_volumes() -> None:
    device = torch.device("cpu")
    tiny = np.random.default_rng(0).random((1, 1, 8, 8), dtype=np.float32)
    assert np.isfinite(pooled_activations(net(shuffle=2), tiny, device=device)).all()
    volume = np.random.default_rng(0).random((2, 1, 4, 8, 8), dtype=np.float32)
    assert pooled_activations(net(ndim=3), volume, device=device).shape == (2, 36)
