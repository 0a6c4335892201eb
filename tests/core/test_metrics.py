"""Matching against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from napari_medai.core.errors import InputError
from napari_medai.core.metrics import Matching, matching, matchings, mean_average_precision


def bars(*spans: tuple[int, int], length: int = 100) -> np.ndarray:
    """A label image of one row pair, an object for each span."""
    labels = np.zeros((2, length), dtype=np.int32)
    for number, (start, stop) in enumerate(spans, start=1):
        labels[:, start:stop] = number
    return labels


TRUE = bars((0, 10), (20, 30), (40, 50))
# IoU 1; 8 / 12; none
PREDICTED = bars((0, 10), (22, 32), (60, 70))


def test_counts_and_ratios_by_hand() -> None:
    result = matching(TRUE, PREDICTED, iou=0.5)
    assert (result.true_positives, result.false_positives, result.false_negatives) == (2, 1, 1)
    assert result.precision == pytest.approx(2 / 3)
    assert result.recall == pytest.approx(2 / 3)
    assert result.accuracy == pytest.approx(2 / 4)
    assert result.f1 == pytest.approx(4 / 6)
    assert result.mean_matched_score == pytest.approx((1 + 2 / 3) / 2)
    assert result.mean_true_score == pytest.approx((1 + 2 / 3) / 3)
    assert result.panoptic_quality == pytest.approx((1 + 2 / 3) / (2 + 0.5 + 0.5))


def test_a_pair_at_the_threshold_counts() -> None:
    # 5 of 10 pixels: IoU exactly 0.5
    assert matching(bars((0, 10)), bars((0, 5)), iou=0.5).true_positives == 1
    assert matching(bars((0, 10)), bars((0, 5)), iou=0.51).true_positives == 0


def test_an_object_is_matched_once_even_by_two_exact_halves() -> None:
    result = matching(bars((0, 10)), bars((0, 5), (5, 10)), iou=0.5)
    assert (result.true_positives, result.false_positives, result.false_negatives) == (1, 1, 0)
    assert result.mean_matched_score == pytest.approx(0.5)


def test_below_a_half_the_assignment_matches_as_many_as_possible() -> None:
    # true A = 0..10, B = 10..14; predicted P = 4..14 (A: 6/14, B: 4/10), Q = 0..4 (A: 4/10).
    # The best single pair is A-P (0.43), but A-Q and P-B match both.
    result = matching(bars((0, 10), (10, 14)), bars((4, 14), (0, 4)), iou=0.3)
    assert result.true_positives == 2
    assert result.mean_matched_score == pytest.approx(0.4)


def test_among_equally_many_pairs_the_higher_iou_wins() -> None:
    # one true object, two predictions above the threshold: 6/10 and 4/10
    result = matching(bars((0, 10)), bars((0, 4), (4, 10)), iou=0.3)
    assert result.true_positives == 1
    assert result.mean_matched_score == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("true", "predicted", "counts"),
    [
        (bars(), bars(), (0, 0, 0)),
        (bars((0, 5)), bars(), (0, 0, 1)),
        (bars(), bars((0, 5)), (0, 1, 0)),
    ],
)
def test_without_matches_all_ratios_are_zero(
    true: np.ndarray, predicted: np.ndarray, counts: tuple[int, int, int]
) -> None:
    result = matching(true, predicted)
    found = (result.true_positives, result.false_positives, result.false_negatives)
    assert found == counts
    assert result.accuracy == result.precision == result.recall == result.f1 == 0
    assert result.panoptic_quality == result.mean_true_score == result.mean_matched_score == 0


def test_numbering_shape_and_type_do_not_matter() -> None:
    numbers = np.array([0, 7, 2**40, 3], dtype=np.int64)
    assert matching(numbers[TRUE], PREDICTED.astype(np.uint8)) == matching(TRUE, PREDICTED)
    cube = np.stack([TRUE, TRUE])
    assert matching(cube, np.stack([PREDICTED, PREDICTED])) == matching(TRUE, PREDICTED)


def test_pooling_adds_counts_over_images() -> None:
    low, high = matchings(
        ((TRUE, PREDICTED), (bars((0, 10)), bars()), (bars(), bars())), ious=(0.5, 0.7)
    )
    assert low == Matching(0.5, 2, 1, 2, pytest.approx(5 / 3))
    assert high == Matching(0.7, 1, 2, 3, 1.0)
    assert mean_average_precision([low, high]) == pytest.approx((2 / 5 + 1 / 6) / 2)


def test_a_real_mask_matches_itself(nuclei_masks: list[np.ndarray]) -> None:
    for mask in nuclei_masks:
        result = matching(mask, mask, iou=1.0)
        assert result.accuracy == result.panoptic_quality == 1
        assert result.true_positives == len(np.unique(mask)) - 1


@pytest.mark.parametrize(
    ("true", "predicted", "iou", "words"),
    [
        (TRUE, TRUE[:1], 0.5, "same pixels"),
        (TRUE.astype(float), TRUE, 0.5, "whole numbers"),
        (-TRUE, TRUE, 0.5, "negative"),
        (TRUE, TRUE, 0.0, "threshold"),
    ],
)
def test_unfit_input(true: np.ndarray, predicted: np.ndarray, iou: float, words: str) -> None:
    with pytest.raises(InputError, match=words):
        matching(true, predicted, iou=iou)


@pytest.fixture
def nuclei_masks() -> list[np.ndarray]:
    from pathlib import Path

    from PIL import Image

    folder = Path(__file__).parent.parent / "data" / "nuclei" / "masks"
    masks = []
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as file:
            masks.append(np.asarray(file))
    return masks
