"""Which cells learn a box, and what the loss says of answers known to be right or wrong."""

from __future__ import annotations

import pytest
import torch

from napari_medai.nn.box_net import Level
from napari_medai.nn.box_targets import (
    IGNORED,
    NOTHING,
    Answers,
    answers,
    box_iou,
    detection_loss,
    generalised_iou,
)

LEVELS = (Level((4, 4), (2, 2), slice(0, 24)), Level((8, 8), (1, 1), slice(24, 30)))
"""Of two classes in 2D: 2 + 4 answers a cell."""


def test_answers_are_where_their_cells_are() -> None:
    maps = torch.zeros(1, 30, 2, 3)
    found = answers(maps, LEVELS, kinds=2)
    assert found.logits.shape == (1, 4 * 6 + 2 * 3, 2)
    assert found.centres[:7].tolist() == [
        [2, 2],
        [2, 6],
        [2, 10],
        [2, 14],
        [2, 18],
        [2, 22],
        [6, 2],
    ]
    assert found.centres[24:26].tolist() == [[4, 4], [4, 12]]
    reach = torch.log(torch.tensor(2.0))  # softplus of 0
    torch.testing.assert_close(found.corners[0, 0, 0], torch.full((2,), 2.0) - 4 * reach)
    torch.testing.assert_close(found.corners[0, 24, 1], torch.full((2,), 4.0) + 8 * reach)


def cells(logit: float, corners: torch.Tensor) -> Answers:
    """One row of cells at y 2 and x 2, 6, ..., all with the same answer."""
    centres = torch.stack([torch.full((6,), 2.0), torch.arange(6) * 4.0 + 2], 1)
    return Answers(
        torch.full((1, 6, 2), float(logit)),
        corners.expand(1, 6, 2, 2).clone(),
        centres,
        torch.full((6, 2), 4.0),
    )


BOX = torch.tensor([[0.0, 8.0], [4.0, 16.0]])
"""Around the third and fourth cell."""


def test_right_answers_cost_little_and_wrong_ones_more() -> None:
    boxes, kinds, weights = BOX[None, None], torch.tensor([[1]]), torch.ones(2)
    right = cells(-12, BOX)
    right.logits[0, 2:4, 1] = 12
    loss = detection_loss(right, boxes, kinds, weights)
    assert sum(loss.values()) < 1e-3
    unseen = detection_loss(cells(-12, BOX), boxes, kinds, weights)
    assert unseen["kind"] > 5
    other = cells(-12, BOX)
    other.logits[0, 2:4, 0] = 12
    assert detection_loss(other, boxes, kinds, weights)["kind"] > 10
    shifted = cells(-12, BOX + torch.tensor([0.0, 4.0]))
    shifted.logits[0, 2:4, 1] = 12
    assert detection_loss(shifted, boxes, kinds, weights)["box"] > 1


def test_nobody_learns_from_what_is_cut_off_or_padding() -> None:
    sure = cells(-12, BOX)
    sure.logits[0, 2:4] = 12
    weights = torch.ones(2)
    ignored = detection_loss(sure, BOX[None, None], torch.tensor([[IGNORED]]), weights)
    assert sum(ignored.values()) < 1e-3
    nothing = detection_loss(sure, BOX[None, None], torch.tensor([[NOTHING]]), weights)
    assert nothing["kind"] > 20
    assert nothing["box"] == 0


def test_rare_classes_weigh_more() -> None:
    boxes, kinds = BOX[None, None], torch.tensor([[1]])
    alike = detection_loss(cells(0, BOX), boxes, kinds, torch.tensor([1.0, 1.0]))
    rare = detection_loss(cells(0, BOX), boxes, kinds, torch.tensor([0.1, 1.0]))
    assert rare["kind"] < alike["kind"]  # what is said of the common class counts less beside it
    assert rare["box"] == alike["box"]


def test_a_box_smaller_than_a_cell_is_learned() -> None:
    small = torch.tensor([[1.0, 4.2], [2.0, 5.0]])
    found = cells(-12, small)
    loss = detection_loss(found, small[None, None], torch.tensor([[0]]), torch.ones(2))
    assert loss["kind"] > 5
    assert loss["box"] < 1e-3


def test_overlaps_by_hand() -> None:
    one = torch.tensor([[0.0, 0.0], [2.0, 2.0]])
    beside = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    apart = torch.tensor([[0.0, 4.0], [2.0, 6.0]])
    assert float(box_iou(one, beside)) == pytest.approx(1 / 3)
    assert float(generalised_iou(one, beside)) == pytest.approx(1 / 3)
    assert float(generalised_iou(one, apart)) == pytest.approx(-4 / 12)
    assert float(generalised_iou(one, one)) == pytest.approx(1)
