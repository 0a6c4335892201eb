"""The longest diameter of an object in a plane, as radiologists measure lesions.

RECIST 1.1 (Eisenhauer et al., Eur J Cancer 45:228, 2009) takes the longest diameter in the plane
of measurement, which is axial in CT. A diameter here runs between the middles of two outer pixel
sides of one connected part (corners connect too) of one plane: a square pixel is as long as its
side, a row of n as n sides. PyRadiomics's Maximum2DDiameterSlice measures between the same points,
but also from one part to another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

_IN_PLANE = np.zeros((3, 3, 3), dtype=bool)
_IN_PLANE[1] = True
_DIRECTIONS = 16
"""In which the width of a part is taken, to leave out those that are too small."""


@dataclass(frozen=True, slots=True, eq=False)
class Diameter:
    """A length, and its ends (2, 3): plane, y and x in pixels, whose centres are whole numbers."""

    length: float
    ends: np.ndarray

    def moved(self, by: np.ndarray) -> Diameter:
        """The same from another origin."""
        return Diameter(self.length, self.ends + by)


def longest_diameter(mask: np.ndarray, edges: np.ndarray, *, above: float = 0.0) -> Diameter | None:
    """The longest diameter in any of some planes.

    Parameters
    ----------
    mask
        (planes, y, x), bool.
    edges
        (n, n): the edges of a pixel in the world, a column an axis, y and x last.
    above
        Only a longer one is looked for; None is returned if there is none.
    """
    parts, count = ndimage.label(mask, structure=_IN_PLANE)
    if not count:
        return None
    points, begins, plane_of = _outer_points(mask, parts, count)
    # lengths in the plane, whichever way it lies in the world
    flat = np.linalg.qr(np.asarray(edges, dtype=float)[:, -2:])[1]
    limits = _limits(points @ flat.T, begins)
    of_parts = np.split(points, begins[1:])
    best, length = None, above
    for part in np.argsort(-limits, kind="stable"):
        if limits[part] <= length:
            break
        ends, found = _farthest(of_parts[part], flat)
        if found > length:
            length = found
            best = Diameter(length, np.insert(ends, 0, plane_of[part], axis=1))
    return best


def _outer_points(
    planes: np.ndarray, parts: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The middles (y, x) of the outer sides of the parts' rows, where each part begins among
    them, and its plane.

    What lies between the ends of a row is never an end of the longest diameter.
    """
    starts, stops = planes.copy(), planes.copy()
    starts[..., 1:] &= ~planes[..., :-1]
    stops[..., :-1] &= ~planes[..., 1:]
    owners, middles, levels = [], [], []
    for ends, side in ((starts, -0.5), (stops, 0.5)):
        plane, y, x = np.nonzero(ends)
        for dy, dx in ((0.0, side), (-0.5, 0.0), (0.5, 0.0)):
            owners.append(parts[plane, y, x])
            middles.append(np.stack([y + dy, x + dx], axis=1))
            levels.append(plane)
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    begins = np.searchsorted(owner[order], np.arange(1, count + 1))
    return np.concatenate(middles)[order], begins, np.concatenate(levels)[order][begins]


def _limits(points: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """What the diameter of each part cannot exceed.

    Its width in the direction next to the diameter's is at least the diameter's shadow.
    """
    angles = np.arange(_DIRECTIONS) * np.pi / _DIRECTIONS
    along = points @ np.stack([np.cos(angles), np.sin(angles)])
    widths = np.maximum.reduceat(along, begins) - np.minimum.reduceat(along, begins)
    return np.asarray(widths.max(axis=1) / np.cos(np.pi / (2 * _DIRECTIONS)))


def _farthest(points: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, float]:
    """The two points that lie farthest apart in the world, and how far."""
    from scipy.spatial import ConvexHull

    hull = points[ConvexHull(points).vertices]
    placed = hull @ edges.T
    apart = np.linalg.norm(placed[:, None] - placed, axis=-1)
    one, other = np.unravel_index(int(apart.argmax()), apart.shape)
    return hull[[one, other]], float(apart[one, other])
