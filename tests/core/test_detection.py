"""Figures of found boxes: by hand, and against pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

import numpy as np
import pytest

from napari_medai.core.boxes import Boxes
from napari_medai.core.detection import (
    AveragePrecisions,
    average_precisions,
    best_threshold,
    detection_figures,
    froc,
)
from napari_medai.core.errors import InputError

Pairs = list[tuple[Boxes, Boxes]]


def bars(
    *spans: tuple[float, float], kinds: Sequence[str] = (), scores: Sequence[float] | None = None
) -> Boxes:
    """Boxes of 10 rows, so that IoUs are those of their spans along the second axis."""
    corners = [[[0, start], [10, stop]] for start, stop in spans]
    given = [np.nan] * len(spans) if scores is None else scores
    return Boxes.of(corners, kinds or ["cell"] * len(spans), given)


# one found twice, one of two found with an IoU of 8 / 12, one missed, and one found in the empty
TRUE = bars((0, 10), (20, 30), (40, 50))
FOUND = bars((0, 10), (1, 10), (22, 32), (60, 70), scores=[0.9, 0.8, 0.7, 0.6])


def test_average_precision_by_hand() -> None:
    result = average_precisions([(TRUE, FOUND)], classes=["cell"])
    # right, wrong (a double), right, wrong: precision 1 up to a recall of 1/3, 2/3 up to 2/3, 0 on
    at_50 = (34 * 1 + 33 * 2 / 3) / 101
    assert result.map50 == pytest.approx(at_50)
    assert result.ap50 == {"cell": result.map50}
    # 8 / 12 suffices up to 0.65; above, only the first is right
    assert result.map50_95 == pytest.approx((4 * at_50 + 6 * 34 / 101) / 10)
    assert result.values.shape == (1, 10)


def test_all_found_is_1_and_nothing_found_0() -> None:
    same = Boxes.of(TRUE.corners, TRUE.kinds, [0.5, 0.5, 0.5])
    assert average_precisions([(TRUE, same)], classes=["cell"]).map50_95 == pytest.approx(1)
    assert average_precisions([(TRUE, bars())], classes=["cell"]).map50_95 == 0


def test_classes_without_true_boxes_are_left_out_of_means() -> None:
    found = bars((0, 10), (20, 30), kinds=["cell", "dot"], scores=[0.9, 0.8])
    result = average_precisions([(bars((0, 10)), found)], classes=["cell", "dot", "none"])
    assert result.map50 == pytest.approx(1)
    assert result.ap50_95["cell"] == pytest.approx(1)
    assert np.isnan([result.ap50_95["dot"], result.ap50_95["none"]]).all()
    assert np.isnan(average_precisions([], classes=["cell"]).map50)


def test_a_box_of_another_class_is_no_match() -> None:
    pair = (bars((0, 10), kinds=["dot"]), bars((0, 10), kinds=["cell"], scores=[1.0]))
    assert average_precisions([pair], classes=["cell", "dot"]).ap50["dot"] == 0
    assert froc([pair]).mean == 0


def test_ap_at_ious_that_were_not_taken_says_so() -> None:
    result = average_precisions([(TRUE, FOUND)], classes=["cell"], ious=[0.3, 0.5])
    assert result.map50 == pytest.approx(56 / 101)
    with pytest.raises(InputError, match=r"it was taken at \[0\.3, 0\.5\]"):
        _ = result.map50_95


def test_only_the_surest_of_each_image_and_class_are_kept() -> None:
    true = bars((0, 10), (20, 30), kinds=["cell", "dot"])
    found = bars((50, 60), (0, 10), (20, 30), kinds=["cell", "cell", "dot"], scores=[0.9, 0.8, 0.1])
    all_of_them = average_precisions([(true, found)], classes=["cell", "dot"])
    assert all_of_them.ap50 == pytest.approx({"cell": 0.5, "dot": 1})
    one_each = average_precisions([(true, found)], classes=["cell", "dot"], most=1)
    assert one_each.ap50 == pytest.approx({"cell": 0, "dot": 1})


def random_pairs(seed: int) -> Pairs:
    """Images with ties of scores and of IoUs, empty ones, and classes that one side lacks."""
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(int(rng.integers(1, 7))):
        n = int(rng.choice([0, 1, 5, 40, 150]))
        low = rng.integers(0, 60, (n, 2)).astype(float)
        corners = np.stack([low, low + rng.integers(1, 25, (n, 2))], axis=1)
        kinds = rng.choice(["a", "b", "c"][: 1 + seed % 3], n)
        if seed % 2:  # places between pixels that float32 rounds
            corners = (corners + rng.uniform(0, 0.4, corners.shape)).astype(np.float32)
        kept = rng.choice(n, int(n * rng.choice([0, 0.6, 1])), replace=False)
        moved = corners[kept].astype(float)
        moved += rng.integers(-1, 2, moved.shape) * rng.integers(0, 3)
        moved = np.concatenate([np.sort(moved, axis=1), corners[: rng.integers(0, 9)]])
        named = np.concatenate([kinds[kept], rng.choice(["b", "c"], len(moved) - len(kept))])
        scores = rng.random(len(moved))
        scores = scores.round(1) if seed % 5 < 3 else scores
        pairs.append((Boxes.of(corners, kinds), Boxes.of(moved, named, scores)))
    return pairs


def coco_precisions(pairs: Pairs, classes: Sequence[str], most: Sequence[int]) -> np.ndarray:
    """(classes, ious, most), as pycocotools has it."""
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    held = []
    for side in range(2):
        rows = []
        for image, pair in enumerate(pairs):
            boxes = pair[side]
            # x, y, width, height
            low = boxes.corners[:, 0, ::-1].astype(float)
            size = boxes.corners[:, 1, ::-1].astype(float) - low
            for corner, edges, kind, score in zip(
                low, size, boxes.kinds, boxes.scores, strict=True
            ):
                rows.append(
                    {
                        "id": len(rows) + 1,
                        "image_id": image,
                        "category_id": classes.index(kind),
                        "bbox": [*corner.tolist(), *edges.tolist()],
                        "area": float(edges.prod()),
                        "iscrowd": 0,
                        "score": float(score),
                    }
                )
        one = coco.COCO()
        one.dataset = {
            "images": [{"id": image} for image in range(len(pairs))],
            "categories": [{"id": place} for place in range(len(classes))],
            "annotations": rows,
        }
        held.append(one)
    with contextlib.redirect_stdout(io.StringIO()):
        for one in held:
            one.createIndex()
        evaluation = cocoeval.COCOeval(*held, "bbox")
        evaluation.params.maxDets = list(most)
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0]
    precision[precision < 0] = np.nan
    return np.asarray(precision.mean(axis=1).swapaxes(0, 1))


def check_equal(result: AveragePrecisions, coco: np.ndarray) -> None:
    np.testing.assert_allclose(result.values, coco, rtol=0, atol=1e-12, equal_nan=True)
    if np.isfinite(coco).any():
        assert result.map50_95 == pytest.approx(np.nanmean(coco), abs=1e-12)
        assert result.map50 == pytest.approx(np.nanmean(coco[:, 0]), abs=1e-12)


@pytest.mark.parametrize("seed", range(30))
def test_average_precisions_are_those_of_pycocotools(seed: int) -> None:
    pairs, classes = random_pairs(seed), ["a", "b", "c"]
    coco = coco_precisions(pairs, classes, (20, 100, 10_000))
    check_equal(average_precisions(pairs, classes=classes, most=20), coco[..., 0])
    check_equal(average_precisions(pairs, classes=classes, most=100), coco[..., 1])
    check_equal(average_precisions(pairs, classes=classes), coco[..., 2])


def test_the_random_images_hold_what_they_are_meant_to() -> None:
    pairs = [pair for seed in range(30) for pair in random_pairs(seed)]
    counts = np.array([(len(truth), len(found)) for truth, found in pairs])
    assert (counts[:, 1] > 100).any()
    assert (counts.sum(axis=1) == 0).any()
    assert ((counts[:, 0] > 0) & (counts[:, 1] == 0)).any()
    scores = np.concatenate([found.scores for _, found in pairs])
    assert len(np.unique(scores)) < len(scores) / 2


def test_counts_by_hand_at_a_score() -> None:
    true = bars((0, 10), (20, 30), (40, 50), (80, 90), kinds=["cell"] * 3 + ["dot"])
    found = bars(
        (0, 10), (1, 10), (22, 32), (60, 70), (80, 90),
        kinds=["cell"] * 4 + ["dot"],
        scores=[0.9, 0.8, 0.7, 0.6, 0.3],
    )  # fmt: skip
    figures = detection_figures([(true, found)], classes=["cell", "dot"], threshold=0.7)
    cell, dot = figures.by_class["cell"], figures.by_class["dot"]
    assert (cell.true_positives, cell.false_positives, cell.false_negatives) == (2, 1, 1)
    assert cell.precision == pytest.approx(2 / 3)
    assert cell.recall == pytest.approx(2 / 3)
    assert cell.mean_matched_score == pytest.approx((1 + 8 / 12) / 2)
    assert (dot.true_positives, dot.false_positives, dot.false_negatives) == (0, 0, 1)
    assert dot.f1 == 0
    overall = figures.overall
    assert (overall.true_positives, overall.false_positives, overall.false_negatives) == (2, 1, 2)
    assert overall.f1 == pytest.approx(4 / 7)


@pytest.mark.parametrize("seed", range(5))
def test_boxes_below_the_threshold_might_as_well_not_be_there(seed: int) -> None:
    pairs, classes = random_pairs(seed), ["a", "b", "c"]
    above = [(truth, found.at(found.scores >= np.float32(0.7))) for truth, found in pairs]
    counted = detection_figures(pairs, classes=classes, threshold=0.7)
    left = detection_figures(above, classes=classes, threshold=0)
    assert counted.by_class == left.by_class
    assert counted.overall == left.overall


def test_the_best_threshold_by_hand() -> None:
    # F1 after 0.9: 2/4, 0.8: 2/5, 0.7: 4/6, 0.6: 4/7
    best = best_threshold([(TRUE, FOUND)], classes=["cell", "dot"])
    assert best.by_class["cell"] == pytest.approx(0.7)
    assert best.overall == pytest.approx(0.7)
    assert np.isnan(best.by_class["dot"])
    figures = detection_figures([(TRUE, FOUND)], classes=["cell"], threshold=best.overall)
    assert figures.overall.f1 == pytest.approx(4 / 6)


@pytest.mark.parametrize("seed", range(8))
def test_no_threshold_is_better_than_the_best(seed: int) -> None:
    pairs, classes = random_pairs(seed), ["a", "b", "c"]
    best = best_threshold(pairs, classes=classes)
    all_scores = np.unique(np.concatenate([found.scores for _, found in pairs]))
    tried = [
        detection_figures(pairs, classes=classes, threshold=float(score)) for score in all_scores
    ]
    highest = max((one.overall.f1 for one in tried), default=0)
    if highest == 0:
        assert np.isnan(best.overall)
        return
    figures = detection_figures(pairs, classes=classes, threshold=best.overall)
    assert figures.overall.f1 == highest
    for name in classes:
        highest = max(one.by_class[name].f1 for one in tried)
        if highest > 0:
            alone = detection_figures(pairs, classes=[name], threshold=best.by_class[name])
            assert alone.overall.f1 == highest


def test_froc_by_hand() -> None:
    # two images; by score: right, double (neither), wrong, right, wrong, right; one of 4 is missed
    first = bars((0, 10), (1, 10), (60, 70), scores=[0.9, 0.8, 0.7])
    second = bars((0, 10), (60, 70), (20, 30), scores=[0.6, 0.5, 0.4])
    pairs = [(bars((0, 10), (40, 50)), first), (bars((0, 10), (20, 30)), second)]
    result = froc(pairs, per_image=[0, 0.25, 0.5, 1, 8])
    assert result.curve.tolist() == [
        [0, 0], [0, 0.25], [0.5, 0.25], [0.5, 0.5], [1, 0.5], [1, 0.75],
    ]  # fmt: skip
    assert result.sensitivities == pytest.approx((0.25, 0.25, 0.5, 0.75, 0.75))
    assert result.mean == pytest.approx(np.mean([0.25, 0.25, 0.5, 0.75, 0.75]))


def test_froc_interpolates_within_equal_scores() -> None:
    # one right and one wrong share a score: one point, halfway in between half of it
    pair = (bars((0, 10)), bars((0, 10), (60, 70), scores=[0.5, 0.5]))
    result = froc([pair], per_image=[0.5, 1])
    assert result.curve.tolist() == [[0, 0], [1, 1]]
    assert result.sensitivities == pytest.approx((0.5, 1))


def cubes(*places: tuple[float, float, float], edge: float, scores: object = None) -> Boxes:
    low = np.array(places, dtype=float).reshape(-1, 3)
    return Boxes.of(np.stack([low, low + edge], axis=1), ["lesion"] * len(low), scores, ndim=3)


def test_froc_of_volumes_by_centres() -> None:
    true = cubes((0, 0, 0), (50, 50, 50), edge=8)
    # the first shares 6³ of 8³, an IoU of 0.27; the second's centre, 59, lies outside 50..58
    found = cubes((2, 2, 2), (50, 50, 55), edge=8, scores=[0.9, 0.8])
    by_centre = froc([(true, found)], hit="centre")
    assert by_centre.sensitivities == (0.5,) * 7
    assert by_centre.mean == 0.5
    by_iou = froc([(true, found)])
    assert by_iou.mean == 0
    assert froc([(true, found)], iou=0.25).mean == 0.5
    # an empty volume halves the false positives of each
    assert by_centre.curve[-1].tolist() == [1, 0.5]
    assert froc([(true, found), (cubes(edge=8), cubes(edge=8))]).curve[-1].tolist() == [1, 0]


def test_a_large_lesion_is_hit_far_from_its_centre() -> None:
    true = cubes((0, 0, 0), edge=100)
    found = cubes((95, 2, 2), edge=4, scores=[0.9])
    assert froc([(true, found)], hit="centre").mean == 1
    assert froc([(true, found)], iou=0.0001).mean == 0
    assert froc([(true, found)], iou=0.00006).mean == 1


def test_without_anything_to_find_froc_is_nan() -> None:
    result = froc([(bars(), bars((0, 5), scores=[0.5]))])
    assert np.isnan(result.mean)
    assert result.curve[:, 0].tolist() == [0, 1]
    assert np.isnan(froc([]).mean)


def test_precision_of_volumes() -> None:
    true = cubes((0, 0, 0), (50, 50, 50), edge=8)
    # shares 7 · 8 · 8, an IoU of 7 / 9
    found = cubes((0, 0, 1), (50, 50, 59), edge=8, scores=[0.9, 0.8])
    result = average_precisions([(true, found)], classes=["lesion"])
    assert result.ap50 == pytest.approx({"lesion": 51 / 101})
    assert np.flatnonzero(result.values[0]).tolist() == list(range(6))


def test_thresholds_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match=r"0 to 1, got 1\.5"):
        detection_figures([(TRUE, FOUND)], classes=["cell"], threshold=1.5)
    with pytest.raises(InputError, match=r"0 or more, got \[-1\]"):
        froc([(TRUE, FOUND)], per_image=[-1])
