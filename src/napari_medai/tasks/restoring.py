"""One plane restored, block by block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from scipy.fft import dctn, idctn

from napari_medai.core.axes import AxesArray
from napari_medai.core.memory import give_back
from napari_medai.core.noise import CameraNoise
from napari_medai.core.predict import predict
from napari_medai.core.steps import Step, Steps, as_part
from napari_medai.core.tiling import Block, Window, plan_blocks
from napari_medai.tasks.lost_pixels import lost_pixels

if TYPE_CHECKING:
    from napari_medai.nn.runner import ScoreNet

TILE = {2: 512, 3: 64}
BLOCK: dict[int, tuple[int, ...]] = {2: (2048, 2048), 3: (64, 320, 320)}
"""Wide enough in the plane that what is read around a block, and thrown away, is less than it."""
SLOW = 10.0
"""Pixels (the sigma of a Gaussian): changes slower than this are given back."""
NEAR = 13
"""Edge in pixels of the square over which a residual is compared with noise."""
TOLERATED = 1.4
"""Times the variance of the noise that a residual may have by chance, and by noise misjudged."""
REACH = 30
"""Pixels beyond which that Gaussian ends."""


@dataclass(frozen=True, slots=True, eq=False)
class Restorer:
    """Takes noise out of planes; without a net, or without noise, leaves them as they are.

    The mean of noise over many pixels is nothing. So what the net took away is averaged over
    `SLOW` pixels and given back: brightness is kept everywhere, whatever the net believes, at the
    price of a thousandth of the noise. And where what it took away is more than noise explains, as
    in images with hardly any, that is given back too.
    """

    net: ScoreNet | None
    noise: CameraNoise | None
    strength: float = 1.0
    tile: int = 0
    block: int = 0

    def steps(
        self, plane: AxesArray, write: Callable[[Window, np.ndarray], None]
    ) -> Steps[tuple[tuple[str, ...], ScoreNet | None]]:
        """Restore a plane (\\*space) and write it; returns notes and the net that it ended with."""
        ndim = len(plane.shape)
        net, noise = self.net, self.noise
        halo = (0,) * ndim if net is None else net.halo
        reach = (0,) * (ndim - 2) + (REACH, REACH)
        blocks = plan_blocks(
            plane.shape,
            size=self.block or BLOCK[ndim],
            overlap=tuple(h + r for h, r in zip(halo, reach, strict=True)),
            multiple=1 if net is None else net.multiple,
        )
        notes: dict[str, None] = {}
        for done, block in enumerate(blocks):
            values = np.asarray(plane.data[block.read])
            if net is None or noise is None or self.strength == 0:
                write(block.core, values[block.inner])
            else:
                work = self._restored(values, block, net, noise)
                restored, said, net = yield from as_part(work, done=done, total=len(blocks))
                write(block.core, restored[block.inner])
                notes |= dict.fromkeys(said)
            if len(blocks) > 1:
                give_back()
            yield Step(done + 1, len(blocks))
        return tuple(notes), net

    def _restored(
        self, values: np.ndarray, block: Block, net: ScoreNet, noise: CameraNoise
    ) -> Steps[tuple[np.ndarray, tuple[str, ...], ScoreNet]]:
        """The values of a block less noise, float32, or float64 where those may need its digits."""
        known = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, bool)
        # what is saturated is bright, and stays so
        sound = known & ~lost_pixels(values, noise, saturated=np.inf)
        # above the dark level, since float32 has too few digits for noise far from 0
        dark, noise = noise.offset, replace(noise, offset=0.0)
        filled = _filled(values, sound, dark)
        root = noise.stabilised(filled)[None]
        level = np.float32(max(1.0, self.strength))

        def read(window: Window) -> np.ndarray:
            part = root[(slice(None), *window)]
            return np.concatenate([part, np.full_like(part, level)])

        tile = self.tile or TILE[values.ndim]
        scores, notes, net = yield from predict(net, read, values.shape, tile=tile)
        restored = noise.expected(np.asarray(net.kept(scores))[0])
        if self.strength <= 1:
            residual = filled - restored
            restored += _unexplained(residual, restored, sound, noise) * residual
        restored += _slow(filled - restored, sound)
        if self.strength < 1:
            restored += np.float32(1 - self.strength) * (filled - restored)
        found = np.add(restored, dark, dtype=np.result_type(values.dtype, np.float32))
        found[~known] = values[~known]
        return found, notes, net


def _filled(values: np.ndarray, sound: np.ndarray, dark: float) -> np.ndarray:
    """Values above the dark as float32, those that say nothing replaced by the mean of the others
    around.
    """
    filled = np.subtract(values, dark, dtype=np.float64).astype(np.float32)
    if sound.all():
        return filled
    filled = np.where(sound, filled, 0)
    size = (1,) * (values.ndim - 2) + (3, 3)
    counts = ndimage.uniform_filter(sound.astype(np.float32), size, mode="nearest")
    sums = ndimage.uniform_filter(filled, size, mode="nearest")
    near = np.where(counts > 0.01, sums / np.maximum(counts, 0.01), np.float32(0))
    return np.where(sound, filled, near.astype(np.float32))


def _unexplained(
    residual: np.ndarray, restored: np.ndarray, sound: np.ndarray, noise: CameraNoise
) -> np.ndarray:
    """The part of a residual, 0 to 1, to be given back because it is larger than noise: structure.

    Where the net errs by ``e`` times the variance of the noise, the residual has 1 + e times it,
    and the best mixture of the noisy and the restored image takes e / (1 + e) of the noisy one.
    """
    variance = np.maximum(noise.variance(restored), noise.floor).astype(np.float32)
    size = (1,) * (residual.ndim - 2) + (NEAR, NEAR)
    # what says nothing counts as noise does
    power = np.where(sound, residual**2 / variance, np.float32(1))
    power = ndimage.uniform_filter(power, size, mode="reflect")
    return np.asarray(np.clip(1 - TOLERATED / np.maximum(power, TOLERATED), 0, 1), np.float32)


def _slow(values: np.ndarray, sound: np.ndarray) -> np.ndarray:
    """The slow changes of values in the plane, over pixels that are sound; float32."""
    responses = [_response(n) for n in values.shape[-2:]]

    def smooth(part: np.ndarray) -> np.ndarray:
        # mirrored at the edges, so that sums stay; repeated, pixels at the edge would count tenfold
        waves = dctn(part.astype(np.float32, copy=False), axes=(-2, -1), workers=-1)
        waves *= responses[0][:, None] * responses[1]
        return np.asarray(idctn(waves, axes=(-2, -1), workers=-1, overwrite_x=True))

    if sound.all():
        return np.asarray(smooth(values))
    shown = smooth(sound.astype(np.float32))
    return np.asarray(smooth(np.where(sound, values, 0)) / np.maximum(shown, 0.01))


def _response(count: int) -> np.ndarray:
    """What the Gaussian, cut at `REACH`, leaves of each cosine of a line of so many pixels."""
    away = np.arange(-REACH, REACH + 1)
    weights = np.exp(-0.5 * (away / SLOW) ** 2)
    cosines = np.cos(np.pi / count * np.arange(count)[:, None] * away)
    return np.asarray(cosines @ (weights / weights.sum()), np.float32)
