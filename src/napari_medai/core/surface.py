"""The surface area of an object of voxels, by integrating normals.

Every side of a voxel on the surface counts by the cosine between its own normal and that of the
object there, which is taken from the object blurred (Coeurjolly, Flin, Teytaud and Tougne,
Multigrid convergence and surface area estimation, LNCS 2616, 2003). Ellipsoids come out 2 to 4 %
too large; the mesh of marching cubes that PyRadiomics takes is 8 to 23 % too large on the same
ones, most where slices are thick. Boxes come out too small, the more the fewer voxels they have
across: 2 % with 40 on each side, 10 % with 6 x 8 x 8, 15 to 21 % with 1 to 3 thick slices.
Thin objects are not lost, as they are when a blurred object is meshed.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

BLUR = 1.2
"""Standard deviation in voxels, along the axis with the longest steps."""
_REACH = 3.0
"""Standard deviations after which the blur is cut off."""
_FLATTEST = 16.0
"""The ratio of the longest to the shortest step up to which the blur follows it."""


def surface_area(mask: np.ndarray, edges: np.ndarray, *, planes: slice | None = None) -> float:
    """The area of the surface of an object (z, y, x), of which the mask ends where the object does.

    Parameters
    ----------
    edges
        (3, 3): the edges of a voxel in the world, a column an axis.
    planes
        Only the voxel sides in and before these planes (and after the last of all): parts add up
        to the whole, and need little memory.
    """
    start, stop, _ = (planes or slice(None)).indices(len(mask))
    steps = np.linalg.norm(edges, axis=0)
    sigma = BLUR * np.sqrt(np.minimum(steps.max() / steps, _FLATTEST))
    halo = np.ceil(_REACH * sigma).astype(int) + 2
    low, high = max(0, start - halo[0]), min(len(mask), stop + halo[0])
    around = [(halo[0] - start + low, halo[0] - high + stop), *((n, n) for n in halo[1:])]
    block = np.pad(mask[low:high], around)
    soft = ndimage.gaussian_filter(block.astype(np.float32), sigma, truncate=_REACH)
    # the first plane of the part lies at the halo; the side behind the last belongs to the next
    last = int(stop == len(mask))
    sides = [slice(halo[0] - 1, halo[0] + stop - start - 1 + last)]
    sides += [slice(halo[0], halo[0] + stop - start)] * 2
    edges = np.asarray(edges, dtype=float)
    parts = (_sides_along(axis, block, soft, edges, within) for axis, within in enumerate(sides))
    return sum(parts)


def _sides_along(
    axis: int, block: np.ndarray, soft: np.ndarray, edges: np.ndarray, planes: slice
) -> float:
    """What the sides between voxels and their next ones along an axis add, of some planes."""
    jump = [stride // block.itemsize for stride in block.strides]
    flat = block.reshape(-1)
    begin, end = planes.start * jump[0], planes.stop * jump[0]
    here = begin + np.flatnonzero(flat[begin:end] != flat[begin + jump[axis] : end + jump[axis]])
    values, own = soft.reshape(-1), jump[axis]
    slope = np.empty((3, len(here)))
    for other, step in enumerate(jump):
        if other == axis:
            slope[other] = values[here + own] - values[here]
        else:
            ahead = values[here + step] + values[here + own + step]
            behind = values[here - step] + values[here + own - step]
            slope[other] = (ahead - behind) / 4
    back = np.linalg.inv(edges).T
    normal = back @ slope
    side = back[:, axis] * abs(np.linalg.det(edges))
    length = np.linalg.norm(normal, axis=0)
    cosines = np.abs(side @ normal)[length > 0] / length[length > 0]
    return float(cosines.sum())
