from __future__ import annotations

import numpy as np
import pytest

from napari_medai.core.errors import InputError
from napari_medai.core.memorisation import Nearest, memorised, nearest


def points(count: int, *, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 5)).astype(np.float32)


def test_the_nearest_is_that_of_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_medai.core.memorisation.AT_ONCE", 7)
    samples, references = points(20, seed=0), points(30, seed=1)
    found = nearest(samples, references)
    gaps = np.linalg.norm(samples[:, None] - references, axis=2)
    assert found.indices.tolist() == gaps.argmin(1).tolist()
    np.testing.assert_allclose(found.distances, gaps.min(1), rtol=1e-5)


def test_those_of_one_source_are_kept_apart() -> None:
    values, sources = points(12, seed=0), np.repeat(np.arange(4), 3)
    found = nearest(values, values, apart=(sources, sources))
    gaps = np.linalg.norm(values[:, None] - values, axis=2)
    gaps[sources[:, None] == sources] = np.inf
    np.testing.assert_allclose(found.distances, gaps.min(1), rtol=1e-5)
    assert (sources[found.indices] != sources).all()
    alone = nearest(values, values, apart=(np.zeros(12), np.zeros(12)))
    assert np.isinf(alone.distances).all()


def test_the_nearest_view_counts_and_a_copy_has_no_distance() -> None:
    references = 1000 + points(9, seed=0)
    views = np.stack([points(9, seed=1), references[::-1], points(9, seed=2)], axis=1)
    found = nearest(views, references)
    assert found.indices.tolist() == list(range(9))[::-1]
    assert found.distances.tolist() == [0] * 9


def at(*distances: float) -> Nearest:
    return Nearest(np.array(distances), np.arange(len(distances))[::-1])


def test_made_samples_nearer_than_real_ones_are_counted() -> None:
    real = Nearest(np.linspace(1, 2, 101), np.zeros(101, np.int64))
    found = memorised(at(1.5, 0.4, 1.009, 3.0), real)
    assert found.limit == pytest.approx(1.01)
    assert (found.below, found.samples, found.references) == (2, 4, 101)
    assert found.share == 0.5
    assert (found.smallest, found.real_smallest, found.closest) == (0.4, 1, (1, 2))
    assert found.medians == pytest.approx((1.2545, 1.5))
    assert found.sentence.startswith("2 of 4 are nearer to a training image than the nearest 1 %")
    none = memorised(at(1.5, 1.02), real)
    assert none.below == 0
    assert none.sentence.startswith("none of 2 is nearer")
    assert "(0.02 of as many real ones would be): 1.02 at the least, 1 among real" in none.sentence
    assert memorised(at(1.5, 1.02), real, percent=50).below == 1


def test_real_samples_without_another_do_not_count() -> None:
    found = memorised(at(1.0), at(2.0, np.inf, 4.0), percent=50)
    assert (found.limit, found.references) == (3.0, 2)
    for ours, theirs in ((at(), at(1.0)), (at(1.0), at(np.inf))):
        with pytest.raises(InputError, match="give images that show something, two at least"):
            memorised(ours, theirs)


def test_what_real_samples_would_hardly_be_is_suspicious() -> None:
    real = Nearest(np.linspace(1, 2, 101), np.zeros(101, np.int64))

    def suspicious(below: int, at_least: float = 1.0) -> bool:
        far = np.full(200 - below, 1.5)
        return memorised(at(*np.full(below, at_least), *far), real).suspicious

    # of 200 real ones 2 are below on average, 7 or more in one of 200 sets, 6 in one of 60
    assert [suspicious(below) for below in (0, 2, 6, 7, 60)] == [False] * 3 + [True] * 2
    assert suspicious(1, 0.49)
    assert not suspicious(1, 0.51)
