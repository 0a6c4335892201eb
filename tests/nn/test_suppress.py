"""Suppression is that of the textbook, at any size and any threshold."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_medai.core.boxes import box_ious
from napari_medai.nn import suppress
from napari_medai.nn.suppress import overlaps


def crowd(count: int, *, ndim: int = 2, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Boxes of many sizes in a crowd, some of them the same, of three classes, scores with ties."""
    rng = np.random.default_rng(seed)
    middle = rng.uniform(0, 100, (count, ndim))
    half = np.exp(rng.uniform(np.log(0.4), np.log(30), (count, 1))) * rng.uniform(
        0.7, 1.4, (count, ndim)
    )
    corners = np.stack([middle - half, middle + half], axis=1)
    corners[count // 2 :] = corners[: count - count // 2] + rng.normal(
        0, 1, (count - count // 2, 1, ndim)
    ) * (rng.random((count - count // 2, 1, 1)) < 0.8)
    scores = rng.uniform(0, 1, count).round(2)
    kinds = rng.integers(0, 3, count)
    return (
        torch.from_numpy(corners).float(),
        torch.from_numpy(scores).float(),
        torch.from_numpy(kinds),
    )


def greedy(
    corners: torch.Tensor,
    scores: torch.Tensor,
    kinds: torch.Tensor,
    *,
    threshold: float,
    most: float,
) -> list[int]:
    """One box after the other, surest first."""
    iou = box_ious(corners.numpy(), corners.numpy())
    kept: list[int] = []
    for at in np.argsort(-scores.numpy(), kind="stable"):
        if scores[at] < threshold:
            continue
        if all(kinds[k] != kinds[at] or iou[k, at] <= most for k in kept):
            kept.append(int(at))
    return sorted(kept)


@pytest.fixture(params=["a grid", "all pairs at once"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of finding pairs."""
    monkeypatch.setattr(suppress, "CHUNK", 500)  # pairs come in many parts
    if request.param == "a grid":
        monkeypatch.setattr(suppress, "FEW", 0)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_it_is_greedy_suppression(ndim: int, seed: int) -> None:
    boxes = crowd(300, ndim=ndim, seed=seed)
    pairs = overlaps(*boxes, least=0.1)
    for threshold, most in ((0.0, 0.5), (0.3, 0.5), (0.3, 0.1), (0.7, 0.8)):
        kept = pairs.kept(threshold=threshold, overlap=most)
        wanted = greedy(*boxes, threshold=threshold, most=most)
        assert kept.nonzero()[:, 0].tolist() == wanted
        assert 0 < len(wanted) < 300


@pytest.mark.usefixtures("way")
def test_all_pairs_are_found_once() -> None:
    corners, scores, kinds = crowd(400)
    pairs = overlaps(corners, scores, kinds, least=0.2)
    iou = torch.from_numpy(box_ious(corners.numpy(), corners.numpy()))
    alike = kinds[:, None] == kinds[None]
    wanted = torch.triu((iou > 0.2) & alike, 1).nonzero().tolist()
    found = [sorted(p) for p in zip(pairs.strong.tolist(), pairs.weak.tolist(), strict=True)]
    assert sorted(found) == wanted
    torch.testing.assert_close(pairs.iou, iou[pairs.strong, pairs.weak].float(), atol=1e-5, rtol=0)
    assert (scores[pairs.strong] >= scores[pairs.weak]).all()


@pytest.mark.usefixtures("way")
def test_a_chain_lets_every_other_box_live() -> None:
    """The second falls to the first, so that the third stays, and so on."""
    start = torch.arange(9) * 4.0
    corners = torch.stack(
        [torch.stack([start, start], 1), torch.stack([start + 10, start + 10], 1)], dim=1
    )
    corners[:, 1, 0] = 10
    corners[:, 0, 0] = 0
    pairs = overlaps(
        corners, torch.linspace(1, 0.5, 9), torch.zeros(9, dtype=torch.long), least=0.1
    )
    kept = pairs.kept(threshold=0, overlap=0.4)
    assert kept.nonzero()[:, 0].tolist() == [0, 2, 4, 6, 8]
    without = pairs.kept(threshold=0, overlap=0.5)
    assert without.all()


@pytest.mark.usefixtures("way")
def test_nothing_is_nothing() -> None:
    none = torch.zeros(0)
    pairs = overlaps(none.reshape(0, 2, 2), none, none.long(), least=0.1)
    assert pairs.kept(threshold=0, overlap=0.5).tolist() == []
