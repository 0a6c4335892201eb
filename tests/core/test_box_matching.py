"""Which found box gets which true one."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from napari_medai.core import box_matching
from napari_medai.core.box_matching import match_boxes
from napari_medai.core.boxes import Boxes, box_ious
from napari_medai.core.errors import InputError

TRUE = Boxes.of([[[0, 0], [4, 4]]], ["cell"])
FOUND = Boxes.of([[[0, 0], [4, 4]]], ["cell"], [0.5])
CUBE = Boxes.of([[[0, 0, 0], [4, 4, 4]]], ["cell"], [0.5])
ENDLESS = Boxes.of([[[0, 0], [4, np.inf]]], ["cell"], [0.5])


def test_the_surer_box_chooses_first_and_takes_the_best_that_is_free() -> None:
    # A = 0..10, B = 4..14. The surer, 3..13, shares 7 / 13 with A and 9 / 11 with B, the other,
    # 4..13, 6 / 13 with A and 9 / 10 with B: at 0.5 the second goes without, at 0.4 it gets A.
    true = Boxes.of([[[0, 0], [10, 10]], [[0, 4], [10, 14]]])
    found = Boxes.of([[[0, 4], [10, 13]], [[0, 3], [10, 13]]], scores=[0.5, 0.6])
    matches = match_boxes([(true, found)], classes=[""], ious=[0.4, 0.5])
    np.testing.assert_allclose(matches.matched, [[9 / 11, 9 / 11], [6 / 13, np.nan]])
    assert matches.scores.tolist() == pytest.approx([0.6, 0.5])
    assert matches.near.tolist() == [True, True]


def test_of_equally_good_true_boxes_the_last_is_taken() -> None:
    # 4..14 shares 6 / 14 with both; the other fits the first alone
    true = Boxes.of([[[0, 0], [10, 10]], [[0, 8], [10, 18]]])
    found = Boxes.of([[[0, 4], [10, 14]], [[0, 0], [10, 10]]], scores=[0.9, 0.8])
    matched = match_boxes([(true, found)], classes=[""], ious=[0.4]).matched
    assert matched[:, 0].tolist() == pytest.approx([6 / 14, 1])


def test_more_thresholds_than_a_number_of_the_machine_has_bits() -> None:
    found = Boxes.of([[[0, 0], [4, 3]]], ["cell"], [0.5])
    ious = np.linspace(0.01, 1, 100)
    matches = match_boxes([(TRUE, found)], classes=["cell"], ious=ious.tolist())
    assert np.isfinite(matches.matched[0]).tolist() == (np.arange(1, 101) <= 75).tolist()


def test_an_iou_of_1_is_reached_by_equal_boxes() -> None:
    corners = np.array([[[0.1, 0.2], [3.3, 1e5 / 3]]])
    pair = (Boxes.of(corners), Boxes.of(corners, scores=[0.5]))
    assert match_boxes([pair], classes=[""], ious=[1]).matched.tolist() == [[1]]


def test_boxes_come_by_image_and_score_and_of_the_classes_asked_for() -> None:
    spots = [[[0, n], [2, n + 2]] for n in range(4)]
    one = Boxes.of(spots, ["b", "a", "x", "a"], [0.25, 0.5, 1, 0.75])
    matches = match_boxes([(one, one), (one.at([2]), one.at([0, 2]))], classes=["a", "b"], ious=[1])
    assert matches.kinds.tolist() == [0, 0, 1, 1]
    assert matches.scores.tolist() == [0.75, 0.5, 0.25, 0.25]
    assert np.isfinite(matches.matched[:, 0]).tolist() == [True, True, True, False]
    assert matches.truths.tolist() == [2, 1]


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("iou", [0.05, 0.3, 0.7])
def test_no_partner_is_overlooked_among_boxes_of_all_sizes(
    ndim: int, iou: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(box_matching, "_AT_ONCE", 100)
    rng = np.random.default_rng(ndim)
    low = rng.uniform(0, 100, (400, ndim))
    truth = Boxes.of(np.stack([low, low + np.exp(rng.uniform(0, 4, low.shape))], axis=1))
    corners = truth.corners + 0.1 * truth.sizes[:, None] * rng.uniform(-1, 1, truth.corners.shape)
    # the furthest that share enough: an end of a true box
    corners[:200] = truth.corners[:200]
    corners[:200, 0, 0] = corners[:200, 1, 0] - 1.01 * iou * truth.sizes[:200, 0]
    found = Boxes.of(corners, scores=rng.random(400))
    table = box_ious(found.corners.astype(float), truth.corners.astype(float))
    free, expected = np.ones(400, dtype=bool), []
    for row in np.argsort(-found.scores):
        shared = np.where(free, table[row], 0)
        if shared.max() >= iou:
            free[shared.argmax()] = False
        expected.append(shared.max() if shared.max() >= iou else np.nan)
    matches = match_boxes([(truth, found)], classes=[""], ious=[iou])
    np.testing.assert_allclose(matches.matched[:, 0], expected)
    assert np.isfinite(expected).sum() > 50
    assert np.array_equal(matches.near, (table.max(axis=1) >= iou)[np.argsort(-found.scores)])


def test_a_plane_of_many_boxes_needs_no_table_of_all_pairs() -> None:
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 4000, (20_000, 2))
    truth = Boxes.of(np.stack([low, low + 30], axis=1))
    found = Boxes.of(truth.corners + 1, scores=rng.random(20_000))
    tracemalloc.start()
    try:
        matches = match_boxes([(truth, found)], classes=[""], ious=[0.5, 0.75])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.isfinite(matches.matched).mean(axis=0).min() > 0.9
    assert peak < 100e6  # all pairs, a byte each, would be 400 MB


@pytest.mark.parametrize(
    ("found", "changed", "message"),
    [
        (TRUE, {}, r"1 of 1 have none \(image 1\)"),
        (FOUND, {"classes": []}, "classes must be named"),
        (FOUND, {"classes": ["a", "a"]}, "each once"),
        (FOUND, {"ious": [0.0]}, "above 0 and at most at 1"),
        (FOUND, {"ious": [np.nan]}, "above 0 and at most at 1"),
        (FOUND, {"ious": []}, "above 0 and at most at 1"),
        (FOUND, {"ious": [0.7, 0.5]}, "and rise"),
        (FOUND, {"most": 0}, "at least 1 box"),
        (CUBE, {}, "2 axes and found ones of 3"),
        (ENDLESS, {}, "finite numbers"),
    ],
)
def test_what_cannot_be_scored_says_why(
    found: Boxes, changed: dict[str, object], message: str
) -> None:
    given: dict[str, object] = {"classes": ["cell"], "ious": [0.5], **changed}
    with pytest.raises(InputError, match=message):
        match_boxes([(TRUE, found)], **given)  # type: ignore[arg-type]
