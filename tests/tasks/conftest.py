"""A net that knows the objects: images are drawn so that each pixel tells where its centre is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import log
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from napari_medai.core.scale import Scale
from napari_medai.models.model import Model
from napari_medai.models.spec import Architecture, ModelSpec

KNOWN = 12.0
"""Diameter that the model was trained on."""
REACH = {2: 120, 3: 12}
"""Pixels that a centre may be away along an axis."""


def top(ndim: int) -> int:
    """The brightest value of a drawn image; it codes background."""
    return int((2 * REACH[ndim] + 1) ** ndim + 1)


def drawn(labels: np.ndarray) -> np.ndarray:
    """Labels as an image: background 0, elsewhere a code of the offset to the object's centre."""
    reach = REACH[labels.ndim]
    image = np.zeros(labels.shape, np.uint16)
    for label in np.unique(labels[labels > 0]):
        where = np.nonzero(labels == label)
        code = np.zeros(where[0].size, int)
        for along in where:
            offset = round(float(along.mean())) - along
            assert np.abs(offset).max() <= reach
            code = code * (2 * reach + 1) + offset + reach
        image[where] = code + 1
    assert not image[(0,) * labels.ndim], "the first pixel must be background"
    image[(0,) * labels.ndim] = top(labels.ndim)
    return image


@dataclass
class KnowingNet:
    """Reads the codes. Pixels far from a centre are less sure; objects of unknown size unseen.

    ``diameter`` is that of the objects; ``sees`` the factor within which they must be of the
    known size to be seen.
    """

    ndim: int = 2
    diameter: float = KNOWN
    sees: float = float("inf")
    scales: tuple[Scale, ...] = ()
    batch: int = 2
    slope: float = 0.5
    fail_at: int = -1
    tiles: list[tuple[int, ...]] = field(default_factory=list)
    closed: list[bool] = field(default_factory=list)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    backend: Any = field(default_factory=lambda: SimpleNamespace(name="by heart"))

    def __post_init__(self) -> None:
        self.scales = self.scales or (Scale(),) * self.ndim
        self.halo = (8,) * self.ndim
        self.multiple = (4,) * self.ndim

    def empty(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.full((2 + self.ndim, *shape), torch.nan)

    def __call__(self, tiles: Sequence[np.ndarray]) -> list[torch.Tensor]:
        if len(self.tiles) == self.fail_at:
            raise RuntimeError("the device is lost")
        self.tiles.append(tiles[0].shape[1:])
        return [self.scores(tile[0]) for tile in tiles]

    def scores(self, tile: np.ndarray) -> torch.Tensor:
        code = np.rint(tile * np.float32(top(self.ndim))).astype(int)
        inside = (code > 0) & (code < top(self.ndim))
        code = np.where(inside, code - 1, 0)
        offsets = []
        for _ in range(self.ndim):
            code, along = np.divmod(code, 2 * REACH[self.ndim] + 1)
            offsets.append(np.where(inside, along - REACH[self.ndim], 0))
        offsets.reverse()
        far = np.sqrt(sum(np.square(offset / self.diameter) for offset in offsets))
        seen = abs(log(float(self.scales[-1]) * self.diameter / KNOWN)) <= log(self.sees)
        sure = np.where(inside & seen, 5 - 12 * self.slope * far, -6)
        units = [KNOWN / float(scale) / 4 for scale in self.scales]
        votes = [offset / unit for offset, unit in zip(offsets, units, strict=True)]
        return torch.from_numpy(np.stack([sure, -far, *votes]).astype(np.float32))

    def fallback(self) -> None:
        return None

    def at(self, scales: tuple[Scale, ...]) -> KnowingNet:
        return replace(self, scales=scales)

    def kept(self, scores: np.ndarray) -> np.ndarray:
        return scores

    def close(self) -> None:
        self.closed.append(True)


@pytest.fixture
def model() -> Callable[..., Model]:
    """A model that is nowhere on disk."""

    def make(*, axes: str = "CYX", channels: int = 1, **config: Any) -> Model:
        ndim = len(axes) - 1
        spec = ModelSpec(
            name="by-heart",
            description="Knows the objects.",
            architecture=Architecture("napari_medai.nn.unet", "UNet", {"ndim": ndim}),
            axes=axes,
            channels_in=tuple(f"channel{i}" for i in range(channels)),
            channels_out=tuple(f"map{i}" for i in range(2 + ndim)),
            stride=(4,) * ndim,
            config={
                "decoder": "centre votes",
                "diameter": KNOWN,
                "threshold": 0.5,
                "intensity": {"low": 0, "high": 100},
                **config,
            },
        )
        return Model(spec, Path("nowhere"), Path("nowhere/weights.pt"), "0" * 64, {}, {})

    return make


@pytest.fixture
def knowing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., KnowingNet]:
    """Put a net that knows in the place of every model's."""

    def put(**options: Any) -> KnowingNet:
        net = KnowingNet(**options)
        monkeypatch.setattr("napari_medai.tasks.segment.loaded_net", lambda model, *, device: net)
        return net

    return put


@pytest.fixture
def discs() -> Callable[..., np.ndarray]:
    """Labels of discs (balls) of about the known size, none touching the first pixel."""

    def make(shape: Sequence[int], *, seed: int = 0, scale: float = 1.0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        labels = np.zeros(tuple(shape), np.int32)
        pitch = 16 * scale
        grid = np.indices(tuple(shape))
        corners = np.stack(np.meshgrid(*(np.arange(pitch / 2, n, pitch) for n in shape)), -1)
        for label, centre in enumerate(corners.reshape(-1, len(labels.shape)), start=1):
            middle = centre + rng.uniform(-1.5, 1.5, len(centre)) * scale
            radius = scale * rng.uniform(5.4, 6.4)
            far = sum((g - m) ** 2 for g, m in zip(grid, middle, strict=True))
            labels[far <= radius**2] = label
        return labels

    return make


@pytest.fixture
def draw() -> Callable[[np.ndarray], np.ndarray]:
    return drawn


@pytest.fixture
def draw_planes() -> Callable[[np.ndarray], np.ndarray]:
    """Each plane of the last two axes drawn on its own."""

    def make(labels: np.ndarray) -> np.ndarray:
        planes = labels.reshape(-1, *labels.shape[-2:])
        return np.stack([drawn(plane) for plane in planes]).reshape(labels.shape)

    return make


@pytest.fixture
def same_objects() -> Callable[[Any, np.ndarray], None]:
    """Assert that labels are equal up to renumbering."""

    def check(found: Any, wanted: np.ndarray) -> None:
        found = np.asarray(found)
        assert found.shape == wanted.shape
        pairs = np.unique(np.stack([found.ravel(), wanted.ravel()]), axis=1)
        pairs = pairs[:, (pairs > 0).any(axis=0)]
        assert (pairs > 0).all(), "an object is missing, larger or smaller"
        assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1], pairs

    return check


@pytest.fixture
def counted() -> Callable[[np.ndarray], Any]:
    """An array that counts what is read of it."""

    class Counted:
        def __init__(self, array: np.ndarray) -> None:
            self.array, self.shape, self.dtype = array, array.shape, array.dtype
            self.ndim = array.ndim
            self.reads: list[int] = []

        def __getitem__(self, key: Any) -> np.ndarray:
            part = self.array[key]
            self.reads.append(part.size)
            return part

    return Counted
