"""Where chance comes from: a seed that a user may give, or a generator that goes on."""

from __future__ import annotations

from operator import index

import numpy as np

from napari_medai.core.errors import InputError

LARGEST_SEED = 2**31 - 1

Seed = int | np.random.Generator


def generator(seed: Seed) -> np.random.Generator:
    """The generator of a seed, the same numbers for the same seed; a generator is itself.

    Raises
    ------
    InputError
        If the seed is no whole number from 0 to `LARGEST_SEED`.
    """
    if isinstance(seed, np.random.Generator):
        return seed
    try:
        number = -1 if isinstance(seed, bool) else index(seed)
    except TypeError:
        number = -1
    if not 0 <= number <= LARGEST_SEED:
        raise InputError(f"a seed is a whole number from 0 to {LARGEST_SEED}, got {seed!r}")
    return np.random.default_rng(number)
