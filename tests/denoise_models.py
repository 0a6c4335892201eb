"""Noisy pictures whose clean versions are known, and small models that take noise out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.models.model import Model
from napari_medai.tasks.denoise_models import denoise_spec
from napari_medai.tasks.trained import write_trained

KWARGS: dict[int, dict[str, Any]] = {
    2: {"ndim": 2, "widths": [8, 12], "shuffle": 2},
    3: {"ndim": 3, "widths": [6, 8], "pool": [1, 2, 2]},
}


KINDS = ("identity", "random", "constant")


def scene(*shape: int, seed: int = 0) -> np.ndarray:
    """Smooth blobs, 0 to 1, float64, in the last two axes; other axes move them about."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(shape[-2:])
    planes = np.zeros(shape)
    for plane in planes.reshape(-1, *shape[-2:]):
        for _ in range(12):
            middle, radius = rng.uniform(0, shape[-2:]), rng.uniform(3, 9)
            far = (y - middle[0]) ** 2 + (x - middle[1]) ** 2
            plane += rng.uniform(0.2, 1) * np.exp(-far / 2 / radius**2)
    return planes / planes.max()


def noisy(
    clean: np.ndarray,
    *,
    seed: int = 0,
    peak: float = 40.0,
    gain: float = 2.0,
    read: float = 3.0,
    dark: float = 100.0,
) -> np.ndarray:
    """As a camera takes it, uint16: Poisson and read noise about a dark level."""
    rng = np.random.default_rng(seed)
    values = gain * rng.poisson(clean * peak) + rng.normal(dark, read, clean.shape)
    return np.rint(values).clip(0, 65535).astype(np.uint16)


def denoiser(folder: Path, *, ndim: int = 2, space: str = "YX", what: str = "identity") -> Model:
    """A package whose net gives back its input, or is ``random``, or adds a ``constant``."""
    import torch

    from napari_medai.nn.unet import UNet

    kwargs = KWARGS[ndim]
    spec = denoise_spec(folder.name, kwargs, space=space, description="For tests.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = UNet(**spec.architecture.kwargs).eval()
    with torch.no_grad():
        if what == "identity":
            net.head.weight.zero_()
        elif what == "random":
            net.head.weight.mul_(3)
        else:
            _add_level(net)
    return write_trained(folder, spec, net)


def _add_level(net: Any) -> None:
    """Let a net add the level of the noise, 1, to what it is given."""
    for block in (net.stem, *net.down, *net.up):
        block.conv2.weight.zero_()  # what is left goes straight through
    for lateral in net.lateral:
        lateral.weight.zero_()
    net.head.weight.zero_()
    # folded channels: first those of the values, then those of the level
    net.head.weight[:, net.head.weight.shape[0]] = 1
