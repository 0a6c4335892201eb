"""Smooth irregular objects: disks and balls with low harmonics, stretched and turned.

The harmonics are cosines in a plane and Legendre polynomials about random axes in space, which
spherical harmonics are sums of. Size and second moments are set afterwards, so that an object is
as large and as long as it should be, whatever its outline.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from napari_medai.core.neighbours import ball_size

# Row n holds the polynomial of an order, by rising power.
_COSINES = np.array(
    [
        [0, -3, 0, 4, 0, 0, 0],
        [1, 0, -8, 0, 8, 0, 0],
        [0, 5, 0, -20, 0, 16, 0],
        [-1, 0, 18, 0, -48, 0, 32],
    ],
    float,
)
_LEGENDRE = np.array(
    [
        [0, -1.5, 0, 2.5, 0, 0],
        [0.375, 0, -3.75, 0, 4.375, 0],
        [0, 1.875, 0, -8.75, 0, 7.875],
    ],
    float,
)
_LOWEST = 3
"""Order 1 only moves an object, and order 2 only stretches it."""
_FALL = 1.5
"""How fast harmonics fall with their order."""
_AXES = 3
"""Random axes of each order, in space."""
_TOGETHER = 256
"""Outlines that are worked out at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Blob:
    """One object: ``level`` float32 is 0 at its centre and 1 on its outline, more at all borders.

    ``centre`` is where its centroid lies among the pixels of ``level``.
    """

    level: np.ndarray
    centre: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """Its pixels, at least one."""
        return np.asarray(self.level <= 1)


def drawn_blobs(
    rng: np.random.Generator,
    *,
    diameters: np.ndarray,
    axes: np.ndarray,
    irregularities: np.ndarray,
) -> Iterator[Blob]:
    """Objects, one after another, each at a random place between pixels.

    Parameters
    ----------
    diameters
        (n,): of the disk or ball of the same size, in pixels.
    axes
        (n, ndim, ndim): columns are half axes; only their directions and their ratios count.
    irregularities
        (n,): the share that lies outside the ellipse with the same moments; 0 is an ellipse.
    """
    for start in range(0, len(diameters), _TOGETHER):
        part = slice(start, start + _TOGETHER)
        before = _before_pixels(irregularities[part], diameters[part])
        outlines = _Outlines.drawn(rng, axes.shape[-1], before)
        matrices = _stretched(outlines, diameters[part], axes[part])
        inverses = np.linalg.inv(matrices).astype(np.float32)
        shifts = rng.uniform(0, 1, (len(before), axes.shape[-1]))
        for one in range(len(before)):
            yield _rastered(outlines, one, matrices[one], inverses[one], shifts[one])


def _before_pixels(irregularities: np.ndarray, diameters: np.ndarray) -> np.ndarray:
    """What to draw, so that so much is measured after stretching, in pixels: found by trying."""
    small = 1.6 / diameters**2 * np.minimum(1, irregularities / 0.02)
    return np.asarray(1.1 * irregularities + 2 * irregularities**2 + small)


@dataclass(frozen=True, slots=True, eq=False)
class _Outlines:
    """Star-shaped outlines about 0, of radius about 1.

    ``axes`` (n, k, ndim) and ``coefficients`` (n, powers, k) are those of the polynomials whose
    sum is the logarithm of the radius; ``radius`` (n, directions) is it in `_DIRECTIONS`;
    ``size``, ``centre`` and ``second`` moments are of what is within.
    """

    axes: np.ndarray
    coefficients: np.ndarray
    radius: np.ndarray
    size: np.ndarray
    centre: np.ndarray
    second: np.ndarray

    @classmethod
    def drawn(cls, rng: np.random.Generator, ndim: int, irregularities: np.ndarray) -> _Outlines:
        polynomials, copies = (_COSINES, 1) if ndim == 2 else (_LEGENDRE, _AXES)
        order = np.repeat(np.arange(len(polynomials)) + _LOWEST, copies)
        axes = rng.normal(size=(len(irregularities), len(order), ndim))
        axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
        weights = rng.normal(size=(len(irregularities), 1, len(order))) / order**_FALL
        coefficients = np.repeat(polynomials, copies, axis=0).T * weights
        deviation = _polynomials(axes @ _DIRECTIONS[ndim].T, coefficients)
        around = np.abs(deviation - deviation.mean(axis=1, keepdims=True)).mean(axis=1)
        scale = (2 * irregularities / (ndim * np.maximum(around, 1e-9)))[:, None]
        # once more, since large deviations are no longer in proportion
        size = np.exp(ndim * scale * deviation)
        outside = np.maximum(size / size.mean(axis=1, keepdims=True) - 1, 0).mean(axis=1)
        scale *= np.minimum(irregularities / np.maximum(outside, 1e-9), 1.5)[:, None]
        radius = np.exp(scale * deviation)
        coefficients = (coefficients * scale[:, :, None]).astype(np.float32)
        return cls(axes.astype(np.float32), coefficients, radius, *_moments(radius, ndim))


def _polynomials(along: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """The sum over axes k of polynomials (..., powers, k) of ``along`` (..., k, points)."""
    powers = coefficients[..., None]
    total = powers[..., -1, :, :] * along
    for power in range(coefficients.shape[-2] - 2, 0, -1):
        total += powers[..., power, :, :]
        total *= along
    return np.asarray((total + powers[..., 0, :, :]).sum(axis=-2))


def _moments(radius: np.ndarray, ndim: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Size (n,), centroid (n, ndim) and second moments (n, ndim, ndim) within outlines."""
    directions = _DIRECTIONS[ndim]
    volume = (radius**ndim).mean(axis=1)
    count = radius.shape[1]
    centre = radius ** (ndim + 1) @ directions / count * ndim / (ndim + 1) / volume[:, None]
    squares = (directions[:, :, None] * directions[:, None]).reshape(count, -1)
    second = radius ** (ndim + 2) @ squares / count * ndim / (ndim + 2) / volume[:, None]
    second = second.reshape(-1, ndim, ndim) - centre[:, :, None] * centre[:, None]
    return volume * ball_size(ndim), centre, second


def _stretched(outlines: _Outlines, diameters: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Matrices (n, ndim, ndim) that give outlines their size and their axes, in pixels."""
    ndim = axes.shape[-1]
    values, vectors = np.linalg.eigh(outlines.second)
    matrices = axes @ (vectors / np.sqrt(values)[:, None]).transpose(0, 2, 1)
    wanted = ball_size(ndim) * (diameters / 2) ** ndim
    scale = (wanted / (outlines.size * np.abs(np.linalg.det(matrices)))) ** (1 / ndim)
    return np.asarray(matrices * scale[:, None, None])


def _rastered(
    outlines: _Outlines, one: int, matrix: np.ndarray, inverse: np.ndarray, shift: np.ndarray
) -> Blob:
    ndim = len(matrix)
    radius, middle = outlines.radius[one], outlines.centre[one]
    outline = matrix @ (radius * _DIRECTIONS[ndim].T - middle[:, None])
    centre = np.ceil(0.5 - outline.min(axis=1)) + shift
    edges = (np.ceil(centre + outline.max(axis=1) + 0.5) + 1).astype(int)
    grid = np.indices(edges, np.float32).reshape(ndim, -1)
    inside = inverse @ grid + (middle - inverse @ centre).astype(np.float32)[:, None]
    length = np.sqrt(np.einsum("in,in->n", inside, inside))
    low, high = float(radius.min()), float(radius.max())
    level = length / (low * high) ** 0.5
    # the outline is costly, and there is no doubt about what lies well within or beyond it
    shell = np.flatnonzero((length > 0.9 * low) & (length < 1.1 * high))
    near = length[shell]
    along = outlines.axes[one] @ (inside[:, shell] / near)
    level[shell] = near * np.exp(-_polynomials(along, outlines.coefficients[one]))
    if level.min() > 1:
        level[level.argmin()] = 1
    return Blob(level.reshape(edges), centre)


def _circle(count: int) -> np.ndarray:
    angles = np.arange(count) * 2 * np.pi / count
    return np.stack([np.sin(angles), np.cos(angles)], axis=1)


def _sphere(count: int) -> np.ndarray:
    """Directions evenly over a sphere, along a spiral."""
    height = 1 - (2 * np.arange(count) + 1) / count
    turn = np.arange(count) * np.pi * (3 - 5**0.5)
    across = np.sqrt(1 - height**2)
    return np.stack([height, across * np.sin(turn), across * np.cos(turn)], axis=1)


_DIRECTIONS = {2: _circle(64), 3: _sphere(400)}
