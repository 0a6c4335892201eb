"""A model made ready to score tiles: built, loaded, put on a device, looking at one zoom."""

from __future__ import annotations

import importlib
from ast import literal_eval
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_medai.core.errors import InputError
from napari_medai.core.scale import Scale
from napari_medai.nn.backends import (
    Backend,
    TorchBackend,
    backend_for,
    is_out_of_memory,
    short_of_memory,
)
from napari_medai.nn.decode import decode
from napari_medai.nn.device import chosen_device, device_for, emptied_cache

BATCH = {"cpu": 1, "mps": 4, "cuda": 8}


@dataclass(frozen=True, slots=True)
class ScoreNet:
    """A net that scores tiles of images whose objects are ``1 / scales`` of the trained size.

    It fits `napari_medai.core.predict.Net`: zooming in and out and padding to the stride happen
    here, so that everyone else counts in pixels of the image alone.
    """

    net: nn.Module
    backend: Backend
    scales: tuple[Scale, ...]
    batch: int

    @property
    def device(self) -> torch.device:
        return self.backend.device

    @property
    def halo(self) -> tuple[int, ...]:
        """Pixels of the image around a tile that its scores depend on."""
        reach: tuple[int, ...] = self.net.halo  # type: ignore[assignment]
        return tuple(s.source_halo(n) for s, n in zip(self.scales, reach, strict=True))

    @property
    def multiple(self) -> tuple[int, ...]:
        """Tiles must begin at multiples of this, so that their grids of cells agree."""
        stride: tuple[int, ...] = self.net.stride  # type: ignore[assignment]
        return tuple(s.multiple(n) for s, n in zip(self.scales, stride, strict=True))

    def empty(self, shape: tuple[int, ...]) -> Tensor:
        """Room for the scores of an image of this shape, on the device."""
        channels = int(self.net.channels_out)  # type: ignore[arg-type]
        with short_of_memory((channels, *shape)):
            return torch.empty((channels, *shape), device=self.device)

    def __call__(self, tiles: Sequence[np.ndarray]) -> list[Tensor]:
        """Scores (channels_out, \\*space) of each tile (channels, \\*space), on the device."""
        # A gray image repeated in all channels is repeated again after zooming: less to copy.
        gray = all(tile.strides[0] == 0 for tile in tiles)
        stacked = np.stack([tile[:1] for tile in tiles] if gray else tiles)
        return list(self.scores(torch.from_numpy(stacked.astype(np.float32, copy=False))))

    def scores(self, images: Tensor) -> Tensor:
        """Scores (batch, channels_out, \\*space) of images (batch, channels, \\*space), there."""
        with short_of_memory(images.shape):
            return self._scores(images.to(self.device))

    def _scores(self, images: Tensor) -> Tensor:
        zoomed = self._zoomed(images)
        scores = cropped(self._maps(zoomed), zoomed.shape[2:])
        return self._unzoomed(scores, images.shape[2:])

    def maps(self, images: Tensor) -> Tensor:
        """What the net says of images (batch, channels, \\*space), zoomed and padded, raw."""
        with short_of_memory(images.shape):
            return self._maps(self._zoomed(images.to(self.device)))

    def answered(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """`maps` of images (channels, \\*space) of one size, in main memory."""
        return np.asarray(self.maps(torch.from_numpy(np.stack(images))).cpu().numpy())

    def _maps(self, zoomed: Tensor) -> Tensor:
        images = zoomed.expand(-1, int(self.net.channels_in), *zoomed.shape[2:])  # type: ignore[arg-type]
        return self.backend(_padded(images, self.net.stride))  # type: ignore[arg-type]

    def fallback(self) -> ScoreNet | None:
        """The same on the CPU, which has more memory than a GPU; None if it is there already."""
        if self.device.type == "cpu":
            return None
        emptied_cache(self.device)
        backend = TorchBackend(self.net, torch.device("cpu"))
        return replace(self, backend=backend, batch=BATCH["cpu"])

    def at(self, scales: tuple[Scale, ...]) -> ScoreNet:
        """The same net looking at another zoom."""
        return replace(self, scales=scales)

    @staticmethod
    def kept(scores: Tensor) -> Tensor:
        """Scores as they may be kept after a run: in main memory, so that the device is free."""
        return scores.cpu()

    def close(self) -> None:
        """Give the device's memory back."""
        emptied_cache(self.device)

    @property
    def _is_zoomed(self) -> bool:
        return any(float(scale) != 1 for scale in self.scales)

    def _whole(self, size: Sequence[int]) -> list[int]:
        """Sides rounded up so that they zoom to whole pixels."""
        return [
            -(-n // s.multiple(1)) * s.multiple(1) for n, s in zip(size, self.scales, strict=True)
        ]

    def _zoomed(self, images: Tensor) -> Tensor:
        if not self._is_zoomed:
            return images
        whole = self._whole(images.shape[2:])
        ends = [n - m for n, m in zip(whole, images.shape[2:], strict=True)]
        images = functional.pad(images, _ends(ends), mode="replicate")
        target = [round(n * float(s)) for n, s in zip(whole, self.scales, strict=True)]
        return _resized(images, target, smooth=min(map(float, self.scales)) < 1)

    def _unzoomed(self, scores: Tensor, size: torch.Size) -> Tensor:
        if not self._is_zoomed:
            return scores
        scores = _resized(scores, self._whole(size), smooth=False)
        return cropped(scores, size)


def score_net(
    weights: Path,
    sha256: str,
    import_from: str,
    name: str,
    kwargs: Mapping[str, Any],
    *,
    device: str = "auto",
) -> ScoreNet:
    """A net with the weights of a state-dict file, at its own zoom, on a device.

    Nets stay loaded: the second call for the same weights and device takes no time.

    Raises
    ------
    InputError
        If the device is missing or the weights do not fit the architecture.
    """
    architecture = (import_from, name, repr(dict(kwargs)))
    return _loaded(weights, sha256, architecture, chosen_device(device).name)


@lru_cache(maxsize=4)
def _loaded(
    weights: Path, sha256: str, architecture: tuple[str, str, str], device: str
) -> ScoreNet:
    import_from, name, kwargs = architecture
    net = built_net(import_from, name, literal_eval(kwargs))
    load_weights(net, weights)
    return scorer_of(net, backend_for(net, device_for(int(net.ndim), device).torch))  # type: ignore[arg-type]


def scorer_of(net: nn.Module, backend: Backend) -> ScoreNet:
    """A net at its own zoom, run by a backend."""
    one = Scale.nearest(1.0)
    return ScoreNet(net, backend, (one,) * int(net.ndim), BATCH[backend.device.type])  # type: ignore[arg-type]


def built_net(import_from: str, name: str, kwargs: Mapping[str, Any]) -> nn.Module:
    """A net with fresh weights from this package's own architectures."""
    if not import_from.startswith("napari_medai.nn."):
        raise InputError(
            f"the model wants the architecture {import_from}.{name}, but only those of "
            "napari_medai.nn are run; convert the model to one of them"
        )
    net: nn.Module = getattr(importlib.import_module(import_from), name)(**kwargs)
    return net


def seeded_net(import_from: str, name: str, kwargs: Mapping[str, Any], *, seed: int) -> nn.Module:
    """`built_net` with fresh weights by the seed; the caller's random numbers stay as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return built_net(import_from, name, kwargs)


def score_maps(net: nn.Module, image: Tensor, scale: Scale) -> Tensor:
    """Scores (channels_out, \\*space) of one image (channels_in, \\*space), on its device."""
    backend = TorchBackend(net, image.device)
    scorer = ScoreNet(net, backend, (scale,) * (image.ndim - 1), 1)
    return scorer.scores(image[None])[0]


def load_weights(net: nn.Module, path: Path) -> None:
    """Fill a net from a state-dict file, without running anything in it."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        net.load_state_dict({name: _float32(value) for name, value in state.items()})
    except Exception as error:
        raise InputError(
            f"the weights {path.name} do not fit the model's architecture "
            f"({type(error).__name__}); install the model again"
        ) from error


def decoded_objects(
    scores: Tensor,
    *,
    threshold: float,
    diameter: Sequence[float],
    min_size: float,
    min_score: float = 0.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`decode` with results as numpy: labels, centres, scores.

    It runs where the scores are; where that device lacks room or an operation, on the CPU.
    """
    decoded = partial(
        decode, threshold=threshold, diameter=diameter, min_size=min_size, min_score=min_score
    )
    with torch.inference_mode():
        try:
            found = decoded(scores)
        except RuntimeError as error:  # NotImplementedError is one
            lacking = isinstance(error, NotImplementedError) or is_out_of_memory(error)
            if scores.device.type == "cpu" or not lacking:
                raise
            found = decoded(scores.cpu())
        return found.labels.cpu().numpy(), found.centres.cpu().numpy(), found.scores.cpu().numpy()


def _padded(images: Tensor, stride: Sequence[int]) -> Tensor:
    """The far edges repeated up to multiples of the stride."""
    ends = [(-n) % s for n, s in zip(images.shape[2:], stride, strict=True)]
    return functional.pad(images, _ends(ends), mode="replicate") if any(ends) else images


def cropped(images: Tensor, size: Sequence[int]) -> Tensor:
    """The near corner of this size along the last axes."""
    for axis, n in enumerate(size, start=images.ndim - len(size)):
        images = images.narrow(axis, 0, n)
    return images


def _ends(counts: Sequence[int]) -> list[int]:
    """Padding at the far end of each axis, as torch wants it: last axis first."""
    return [n for count in reversed(counts) for n in (0, count)]


def _resized(images: Tensor, size: Sequence[int], *, smooth: bool) -> Tensor:
    """Linear interpolation; ``smooth`` averages over what shrinking would step over."""
    if not smooth:
        mode = {4: "bilinear", 5: "trilinear"}[images.ndim]
        return functional.interpolate(images, size=list(size), mode=mode, align_corners=False)
    flat = partial(functional.interpolate, mode="bilinear", align_corners=False, antialias=True)
    if images.ndim == 4:
        return flat(images, size=list(size))
    # PyTorch averages in planes only, so volumes are resized within slices, then across.
    batch, channels, depth = images.shape[:3]
    within = flat(images.flatten(0, 2)[:, None], size=list(size[1:]))
    upright = within.reshape(batch * channels, depth, -1)[:, None]
    across = flat(upright, size=[size[0], upright.shape[-1]])
    return across.reshape(batch, channels, *size)


def _float32(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value
