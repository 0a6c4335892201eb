"""All that a net that paints objects is given: labels, traits, and chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_medai.core.label_maps import MAPS, label_maps, painted
from napari_medai.core.looks import OBJECT_TRAITS, TRAITS
from napari_medai.core.textures import slow_texture

NOISES = ("white", "fine", "coarse")
"""Maps of random numbers, of mean 0 and standard deviation 1: each pixel's own, and smooth ones."""
SMOOTH = (3.0, 16.0)
"""Distance in pixels between the knots of the smooth ones."""
GIVEN = (*MAPS, *OBJECT_TRAITS, *TRAITS)
"""The channels of `given_maps`."""
CHANNELS = (*GIVEN, *NOISES)
"""What a painter takes."""


def given_maps(labels: np.ndarray, objects: np.ndarray, traits: np.ndarray) -> np.ndarray:
    """What a painter is told beside noise: float32 (`GIVEN`, \\*space).

    Parameters
    ----------
    labels
        int (\\*space), of 0 to n.
    objects, traits
        (n + 1, 2) and (5,), normal, see `napari_medai.core.looks.TraitScale`.
    """
    whole = np.broadcast_to(
        np.reshape(traits, (-1,) + (1,) * labels.ndim), (len(traits), *labels.shape)
    )
    own = painted(labels, np.concatenate([np.zeros_like(objects[:1]), objects[1:]]))
    return np.concatenate([label_maps(labels), own, whole.astype(np.float32)])


def noise_maps(shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Random maps (`NOISES`), float32 (3, \\*space)."""
    white = rng.standard_normal(tuple(shape), dtype=np.float32)
    smooth = [slow_texture(shape, size=size, rng=rng) for size in SMOOTH]
    return np.stack([white, *smooth])
