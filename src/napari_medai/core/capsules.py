"""Distances from and between straight segments; a segment with a radius is a capsule."""

from __future__ import annotations

import numpy as np

_TINY = 1e-12


def segment_distances(
    starts: np.ndarray, ends: np.ndarray, other_starts: np.ndarray, other_ends: np.ndarray
) -> np.ndarray:
    """The least distances between segments, whose ends (..., ndim) are broadcast; 0 if they cross.

    After Ericson, *Real-Time Collision Detection*, 2005, 5.1.9.
    """
    along, other = ends - starts, other_ends - other_starts
    apart = starts - other_starts
    a = np.maximum(_dot(along, along), _TINY)
    e = np.maximum(_dot(other, other), _TINY)
    b, c, f = _dot(along, other), _dot(along, apart), _dot(other, apart)
    across = a * e - b * b
    parallel = across <= _TINY * a * e
    s = np.where(parallel, 0.0, (b * f - c * e) / np.where(parallel, 1.0, across))
    t = (b * np.clip(s, 0, 1) + f) / e
    s = np.clip((b * np.clip(t, 0, 1) - c) / a, 0, 1)
    t = np.clip(t, 0, 1)
    gap = apart + s[..., None] * along - t[..., None] * other
    return np.asarray(np.sqrt(_dot(gap, gap)))


def point_distances(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The distances of points (..., ndim) from segments whose ends are broadcast with them."""
    along, away = end - start, points - start
    share = np.clip(_dot(away, along) / np.maximum(_dot(along, along), _TINY), 0, 1)
    gap = away - share[..., None] * along
    return np.asarray(np.sqrt(_dot(gap, gap)))


def _dot(first: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.asarray((first * other).sum(axis=-1))
