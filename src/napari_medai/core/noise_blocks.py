"""Small blocks of an image, and of each the noise in it apart from the structure.

Of the cosine transform of a block, the highest frequencies hold noise and hardly any structure,
since a microscope resolves none that fine; the others tell how much structure there is. White noise
is alike and independent in all, so blocks may be chosen by the one and measured by the other.

Source: Ponomarenko et al. 2007, as described by Colom and Buades (IPOL 2013).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import dct

EDGE = 8
SMALL = 128 * 128
"""Of an image with fewer pixels than this the blocks lie closer."""

_ORDER = np.add.outer(np.arange(EDGE), np.arange(EDGE)).ravel()
FINE = _ORDER >= EDGE
COARSE = (_ORDER > 0) & ~FINE
VARYING = _ORDER > 0
"""Frequencies of a block, flat: those without structure, those with, and both."""

_COSINES = dct(np.eye(EDGE), norm="ortho", axis=0)
_WAVES = np.kron(_COSINES, _COSINES).T.astype(np.float32)
"""The cosine transform of blocks as a product: for so small ones the fastest way."""


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Figures of n blocks.

    Parameters
    ----------
    mean
        Mean value, float64 (n,).
    powers
        Squares of the cosine transform, float32 (n, 64); without noise or structure 0.
    clipped
        Share of pixels at the floor, float64 (n,).
    noise
        Which of the 64 frequencies hold noise alone.
    """

    mean: np.ndarray
    powers: np.ndarray
    clipped: np.ndarray
    noise: np.ndarray

    def __len__(self) -> int:
        return len(self.mean)

    @property
    def freedom(self) -> int:
        """Degrees of freedom of each variance."""
        return int(self.noise.sum())

    @property
    def variance(self) -> np.ndarray:
        """The variance of the noise in each block."""
        return self._sums(self.noise) / np.count_nonzero(self.noise)

    @property
    def structure(self) -> np.ndarray:
        """Grows with what else is in a block; independent of the variance where there is none."""
        return self._sums(VARYING & ~self.noise)

    def varying(self) -> Blocks:
        """Those that are not of one value, such as what surrounds a masked image."""
        some = np.asarray(self.powers.any(axis=1))
        return self if some.all() else self.chosen(some)

    def _sums(self, which: np.ndarray) -> np.ndarray:
        """Of these frequencies, in each block."""
        return np.asarray(self.powers @ which.astype(np.float32), np.float64)

    def chosen(self, which: np.ndarray) -> Blocks:
        """Some of them, by index or mask."""
        return Blocks(self.mean[which], self.powers[which], self.clipped[which], self.noise)

    @staticmethod
    def joined(parts: Sequence[Blocks]) -> Blocks:
        """All of them in a row; there must be one part at least."""
        return Blocks(
            np.concatenate([part.mean for part in parts]),
            np.concatenate([part.powers for part in parts]),
            np.concatenate([part.clipped for part in parts]),
            parts[0].noise,
        )


def blocks_of_plane(plane: np.ndarray, usable: np.ndarray, floored: np.ndarray) -> Blocks:
    """The blocks of a plane (Y, X), float64, that hold usable pixels alone.

    ``usable`` and ``floored`` (which pixels are at the floor) are bool (Y, X).
    """
    whole = _tiled(usable).all(axis=(1, 2))
    tiles = _tiled(plane)[whole]
    return Blocks(
        tiles.mean(axis=(1, 2)), _powers(tiles), _tiled(floored)[whole].mean(axis=(1, 2)), FINE
    )


def blocks_of_frames(
    first: np.ndarray, second: np.ndarray, usable: np.ndarray, floored: np.ndarray
) -> Blocks:
    """The blocks of two frames of a scene that stands still: what differs within one is noise."""
    whole = _tiled(usable).all(axis=(1, 2))
    one, two = _tiled(first)[whole], _tiled(second)[whole]
    return Blocks(
        (one.mean(axis=(1, 2)) + two.mean(axis=(1, 2))) / 2,
        _powers(one - two) / 2,
        _tiled(floored)[whole].mean(axis=(1, 2)),
        VARYING,
    )


def _powers(tiles: np.ndarray) -> np.ndarray:
    flat = tiles.reshape(-1, EDGE * EDGE)
    # what is of one value has no other wave than its mean, to the last digit
    waves = (flat - flat[:, :1]).astype(np.float32) @ _WAVES
    waves[:, 0] = EDGE * flat.mean(axis=1)
    return np.asarray(np.square(waves, out=waves))


def _tiled(plane: np.ndarray) -> np.ndarray:
    step = EDGE // 4 if plane.size < SMALL else EDGE // 2
    views = sliding_window_view(plane, (EDGE, EDGE))[::step, ::step]
    return views.reshape(-1, EDGE, EDGE)
