from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

from napari_medai.core.errors import InputError
from napari_medai.core.realism import frechet_distance, kernel_distance


def normal(count: int, features: int = 6, *, seed: int = 0, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixed = np.random.default_rng(99).normal(size=(features, features))
    return rng.normal(size=(count, features)) @ mixed + shift


def test_the_frechet_distance_is_the_formula_of_fid() -> None:
    first, second = normal(300), normal(200, seed=1, shift=0.3) * 1.2
    covariances = np.cov(first.T), np.cov(second.T)
    root = linalg.sqrtm(covariances[0] @ covariances[1]).real
    wanted = np.square(first.mean(0) - second.mean(0)).sum()
    wanted += np.trace(covariances[0] + covariances[1] - 2 * root)
    found = frechet_distance(first, second)
    assert found.value == pytest.approx(wanted, rel=1e-9)
    assert (found.counts, found.features) == ((300, 200), 6)
    assert not found.biased
    assert frechet_distance(second, first).value == pytest.approx(wanted, rel=1e-9)


def test_of_normal_distributions_it_is_known() -> None:
    """Along one axis: the squared difference of the means and that of the deviations."""
    values = np.array([[-1.0], [1.0]]) / np.sqrt(2)  # deviation 1
    found = frechet_distance(3 * values + 5, values + 1)
    assert found.value == pytest.approx(4**2 + (3 - 1) ** 2)


def test_fewer_samples_than_features_are_stable_and_said() -> None:
    few = normal(10, 40)
    assert frechet_distance(few, few).value == pytest.approx(0, abs=1e-9)
    found = frechet_distance(few, normal(12, 40, seed=1))
    assert found.biased
    assert "too high, since 40 features need more samples" in found.sentence
    # of the same distribution, and nearer to 0 the more samples there are
    assert found.value > 3 * frechet_distance(normal(2000, 40), normal(2000, 40, seed=1)).value > 0
    assert "too high" not in frechet_distance(normal(50), normal(50)).sentence


def by_hand(first: np.ndarray, second: np.ndarray) -> float:
    """The unbiased estimate, written out."""

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return float((x @ y / len(x) + 1) ** 3)

    total = 0.0
    for values in (first, second):
        n = len(values)
        pairs = [kernel(values[i], values[j]) for i in range(n) for j in range(n) if i != j]
        total += sum(pairs) / len(pairs)
    return total - 2 * float(np.mean([kernel(x, y) for x in first for y in second]))


def test_the_kernel_distance_is_that_of_kid() -> None:
    first, second = normal(9), normal(7, seed=1, shift=0.5)
    found = kernel_distance(first, second, subsets=5)
    assert found.value == pytest.approx(by_hand(first, second), rel=1e-9)
    assert (found.counts, found.subsets) == ((9, 7), 5)


def test_it_is_without_bias_and_its_error_is_the_scatter() -> None:
    """Over many draws: 0 on average for the same distribution, and as far off as is said."""
    found = [
        kernel_distance(normal(40, seed=2 * n), normal(40, seed=2 * n + 1), subsets=50)
        for n in range(60)
    ]
    values, errors = np.array([(one.value, one.error) for one in found]).T
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(60)
    assert 0.8 * values.std() < errors.mean() < 2 * values.std()
    apart = [
        kernel_distance(normal(40, seed=2 * n), normal(40, seed=2 * n + 1, shift=2), subsets=50)
        for n in range(60)
    ]
    values, errors = np.array([(one.value, one.error) for one in apart]).T
    assert 0.7 * values.std() < errors.mean() < 1.5 * values.std()
    assert values.min() > 0
    assert "no difference is to be seen" not in apart[0].sentence


def test_crops_of_one_image_do_not_make_a_set_more_distant() -> None:
    """Samples of one source are alike; counted against each other they would add to it."""
    values = []
    for n in range(40):
        sets, sources = [], np.repeat(np.arange(10), 4)
        for seed in (2 * n, 2 * n + 1):
            spread = np.random.default_rng(seed).normal(0, 0.1, (40, 6))
            sets.append(np.repeat(normal(10, seed=seed), 4, axis=0) + spread)
        told = kernel_distance(*sets, sources=(sources, sources), subsets=20)
        values.append((told.value, kernel_distance(*sets, subsets=20).value))
    known, unknown = np.array(values).T
    assert abs(known.mean()) < 3 * known.std() / np.sqrt(40)
    assert unknown.mean() > 3 * unknown.std() / np.sqrt(40)


def test_sources_may_come_in_any_order() -> None:
    first, second = normal(12), normal(12, seed=1)
    sources = np.repeat([3, 1, 7, 5], 3)
    order = np.random.default_rng(0).permutation(12)
    told = kernel_distance(first, second, sources=(sources, sources))
    mixed = kernel_distance(first[order], second[order], sources=(sources[order], sources[order]))
    assert told.value == pytest.approx(mixed.value, rel=1e-9)


def test_the_seed_decides_on_the_error_alone() -> None:
    first, second = normal(20), normal(20, seed=1)
    one, again, other = (kernel_distance(first, second, seed=seed) for seed in (0, 0, 1))
    assert one == again
    assert one.value == other.value
    assert one.error != other.error


def test_what_cannot_be_compared() -> None:
    with pytest.raises(InputError, match="of 6 and of 5 features cannot be compared"):
        frechet_distance(normal(9), normal(9, 5))
    with pytest.raises(InputError, match="sets of 2 samples or more"):
        frechet_distance(normal(1), normal(9))
    with pytest.raises(InputError, match="some are not finite"):
        frechet_distance(normal(9), np.full((9, 6), np.nan))
    sources = np.repeat([0, 1, 2], 3)
    with pytest.raises(InputError, match="9 samples of 3 images were given; 4 images at least"):
        kernel_distance(normal(9), normal(9), sources=(sources, np.arange(9)))
    with pytest.raises(InputError, match="2 subsets or more, got 1"):
        kernel_distance(normal(9), normal(9), subsets=1)
