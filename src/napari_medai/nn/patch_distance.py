"""How far two sets of images are from each other, by their patches at several scales."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

SCALES = 3
EDGE = {2: 7, 3: 3}
"""Of a patch, in pixels."""
PATCHES = 64
"""Of each image and scale."""
DIRECTIONS = 128


def patch_distance(first: np.ndarray, second: np.ndarray, *, seed: int = 0) -> float:
    """Sliced Wasserstein distance of patches of images (n, \\*space), the mean over 3 scales.

    Patches are taken at the same places of both sets and of what is new at each scale of a
    Laplacian pyramid (Karras et al. 2018); every scale counts alike: distances are in parts of
    the standard deviation of the first set there. 0 for sets that are alike.
    """
    rng = np.random.default_rng(seed)
    distances = []
    for one, other in zip(_scales(first), _scales(second), strict=True):
        places = rng.integers(0, 2**31, (len(one), PATCHES, one.ndim - 1))
        a, b = (_patches(images, places) for images in (one, other))
        unit = max(float(a.std()), 1e-6)
        along = rng.standard_normal((a.shape[1], DIRECTIONS))
        along /= np.linalg.norm(along, axis=0)
        ranked = [np.sort(patches @ along / unit, axis=0) for patches in (a, b)]
        distances.append(float(np.abs(ranked[0] - ranked[1]).mean()))
    return float(np.mean(distances))


def _scales(images: np.ndarray) -> Iterator[np.ndarray]:
    """What is new at each scale, finest first, the last one whole."""
    for scale in range(SCALES):
        if scale == SCALES - 1:
            yield images
            return
        sigma = (0.0,) + (1.0,) * (images.ndim - 1)
        smooth = ndimage.gaussian_filter(images, sigma)
        yield images - smooth
        images = smooth[(slice(None), *(slice(None, None, 2),) * (images.ndim - 1))]


def _patches(images: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Patches at places (n, m, ndim), which count around: (n * m, pixels), float64."""
    ndim = images.ndim - 1
    edge = min(EDGE[ndim], *images.shape[1:])
    found = []
    for image, where in zip(images, places, strict=True):
        room = np.array(image.shape) - edge + 1
        for corner in where % room:
            part = tuple(slice(int(c), int(c) + edge) for c in corner)
            found.append(image[part].ravel())
    return np.stack(found).astype(np.float64)
