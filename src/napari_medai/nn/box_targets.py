"""Which cell answers for which box, and how wrong its answer is.

Cells whose centre lies in a box compete for it by how well they answer already: class probability
times overlap, each to a power. The best few learn it, their class towards their share of the best
overlap, so that scores rank boxes by how well they fit.

Sources: Feng et al. 2021 (TOOD: task-aligned assignment), Li et al. 2020 (overlap as the target of
the class), Rezatofighi et al. 2019 (generalised IoU).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from napari_medai.nn.box_net import Level, answers_of

MOST_CELLS = 10
"""Cells that learn one box."""
SURE, FIT = 0.5, 6.0
"""Powers of the probability and of the overlap, when cells compete."""
NOTHING, IGNORED = -1, -2
"""Classes of padding, and of boxes that are cut so far that nobody could say what they are."""


class Answers(NamedTuple):
    """What all cells of all levels say: ``logits`` (batch, cells, kinds), ``corners``
    (batch, cells, 2, ndim) in pixels counted from the first pixel's corner; and where they are:
    ``centres`` (cells, ndim) and ``strides`` (cells, ndim).
    """

    logits: Tensor
    corners: Tensor
    centres: Tensor
    strides: Tensor


def answers(maps: Tensor, levels: Sequence[Level], *, kinds: int) -> Answers:
    """The answers in a net's output (batch, channels_out, \\*cells)."""
    logits, corners, centres, strides = [], [], [], []
    for level, said in zip(levels, answers_of(maps, levels), strict=True):
        stride = torch.tensor(level.stride, dtype=torch.float32, device=maps.device)
        axes = [torch.arange(n, device=maps.device, dtype=torch.float32) for n in said.shape[2:]]
        grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))
        middle = (grid + 0.5) * stride
        flat = said.flatten(2).transpose(1, 2)
        reach = functional.softplus(flat[..., kinds:].float())
        reach = reach.reshape(*reach.shape[:2], 2, len(axes))
        sides = torch.stack([-reach[:, :, 0], reach[:, :, 1]], 2) * stride
        logits.append(flat[..., :kinds].float())
        corners.append(middle[:, None] + sides)
        centres.append(middle)
        strides.append(stride.expand_as(middle))
    return Answers(
        torch.cat(logits, 1), torch.cat(corners, 1), torch.cat(centres), torch.cat(strides)
    )


def detection_loss(
    found: Answers, boxes: Tensor, kinds: Tensor, weights: Tensor
) -> dict[str, Tensor]:
    """How wrong the answers are.

    Parameters
    ----------
    boxes, kinds
        What is there, (batch, m, 2, ndim) and (batch, m): classes from 0, `NOTHING` or `IGNORED`.
    weights
        Of each class, (kinds,): rare ones count more.
    """
    with torch.no_grad():
        probability = torch.sigmoid(found.logits)
        owner, share = _assigned(found, probability, boxes, kinds)
        ignored = _within(found.centres, boxes, kinds == IGNORED, 0.0).any(-1) & (owner < 0)
    count = found.logits.shape[-1]
    mine = owner.clamp(min=0)
    kind = torch.gather(kinds, 1, mine).clamp(min=0)
    wanted = functional.one_hot(kind, count) * share[..., None]
    entropy = functional.binary_cross_entropy_with_logits(found.logits, wanted, reduction="none")
    entropy = (entropy * weights).sum(-1) * ~ignored
    total = (share * weights[kind]).sum().clamp(min=1)
    there = owner >= 0
    truth = torch.gather(boxes, 1, mine[..., None, None].expand_as(found.corners))
    miss = 1 - generalised_iou(found.corners[there], truth[there])
    weight = share[there] * weights[kind[there]]
    return {"kind": entropy.sum() / total, "box": 5.0 * (miss * weight).sum() / total}


def _assigned(
    found: Answers, probability: Tensor, boxes: Tensor, kinds: Tensor
) -> tuple[Tensor, Tensor]:
    """For each cell (batch, cells): the box it learns, -1 for none, and the class score (0 to 1)
    it should have.
    """
    real = kinds >= 0
    if not real.any():
        none = torch.full(found.logits.shape[:2], -1, dtype=torch.long, device=boxes.device)
        return none, torch.zeros(none.shape, device=boxes.device)
    # Of a box smaller than a cell, the cell around it may lie outside: it is taken for larger.
    inside = _within(found.centres, boxes, real, float(found.strides.min()) / 2)
    overlap = box_iou(found.corners[:, :, None], boxes[:, None]) * inside
    index = kinds.clamp(min=0)[:, None].expand(-1, probability.shape[1], -1)
    aligned = torch.gather(probability, 2, index) ** SURE * overlap**FIT + inside * 1e-9
    aligned = aligned * inside
    best = aligned.topk(min(MOST_CELLS, aligned.shape[1]), dim=1)
    chosen = torch.zeros_like(aligned, dtype=torch.bool)
    chosen.scatter_(1, best.indices, best.values > 0)
    rated = torch.where(chosen, overlap + 1e-6, torch.zeros_like(overlap))
    fit, owner = rated.max(-1)
    owner = torch.where(fit > 0, owner, -1)
    kept = chosen & (torch.arange(boxes.shape[1], device=boxes.device) == owner[..., None])
    aligned = aligned * kept
    top = aligned.amax(1, keepdim=True).clamp(min=1e-12)
    most = (overlap * kept).amax(1, keepdim=True)
    share = (aligned / top * most).amax(-1)
    return owner, share


def _within(centres: Tensor, boxes: Tensor, which: Tensor, margin: float) -> Tensor:
    """(batch, cells, m): whether a cell's centre lies in one of these boxes, made larger."""
    low, high = boxes[:, None, :, 0], boxes[:, None, :, 1]
    grown = torch.clamp(margin - (high - low) / 2, min=0)
    at = centres[None, :, None]
    return ((at >= low - grown) & (at <= high + grown)).all(-1) & which[:, None]


def box_iou(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union of corners (..., 2, ndim), pair by pair."""
    shared, union, _ = _areas(one, other)
    return shared / union


def generalised_iou(one: Tensor, other: Tensor) -> Tensor:
    """IoU less the share of the hull of both that neither fills: -1 to 1."""
    shared, union, hull = _areas(one, other)
    return shared / union - (hull - union) / hull


def _areas(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What two boxes share, what they fill together, and what their hull fills."""
    later, sooner = torch.maximum(one, other), torch.minimum(one, other)
    shared = (sooner[..., 1, :] - later[..., 0, :]).clamp(min=0).prod(-1)
    sizes = [(box[..., 1, :] - box[..., 0, :]).prod(-1) for box in (one, other)]
    hull = (later[..., 1, :] - sooner[..., 0, :]).prod(-1)
    return shared, (sizes[0] + sizes[1] - shared).clamp(min=1e-6), hull.clamp(min=1e-6)
