from __future__ import annotations

import numpy as np
import pytest

from napari_medai.core.errors import InputError
from napari_medai.core.seeds import LARGEST_SEED, generator


def test_a_seed_gives_the_same_numbers_again_and_another_gives_others() -> None:
    first, again, other = (generator(seed).uniform(size=5).tolist() for seed in (3, np.int64(3), 4))
    assert first == again != other


def test_a_generator_goes_on_from_where_it_was() -> None:
    rng = np.random.default_rng(0)
    before = rng.uniform()
    assert generator(rng) is rng
    assert generator(rng).uniform() != before


@pytest.mark.parametrize("seed", [-1, LARGEST_SEED + 1, 1.5, True, "1", None])
def test_seeds_out_of_range_are_refused(seed: object) -> None:
    with pytest.raises(InputError, match="a seed is a whole number from 0 to 2147483647, got"):
        generator(seed)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [0, LARGEST_SEED])
def test_the_ends_of_the_range_are_seeds(seed: int) -> None:
    assert 0 <= generator(seed).uniform() < 1
