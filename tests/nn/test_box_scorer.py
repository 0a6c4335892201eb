"""From tiles to candidates: the same however the image is cut, whatever the zoom."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch

from napari_medai.core.predict import predict
from napari_medai.core.scale import Scale
from napari_medai.core.steps import finished
from napari_medai.nn.backends import TorchBackend
from napari_medai.nn.box_net import BoxNet
from napari_medai.nn.box_scorer import BoxScorer, Candidates, distinct, joined, put_together
from napari_medai.nn.runner import ScoreNet
from napari_medai.nn.unet import folded

NETS = {
    "2D": {"ndim": 2, "kinds": 2, "widths": [4, 5, 6], "finest": 0, "coarsest": 1},
    "3D": {
        "ndim": 3, "kinds": 2, "widths": [3, 4], "finest": 0, "coarsest": 1,
        "shuffle": [1, 2, 2], "pool": 2,
    },
}  # fmt: skip
SHAPES = {"2D": (150, 211), "3D": (20, 45, 52)}


@pytest.fixture
def scorer(lively_boxes: Callable[..., BoxNet]) -> Callable[..., BoxScorer]:
    def make(name: str, scale: Scale) -> BoxScorer:
        net = lively_boxes(**NETS[name])
        backend = TorchBackend(net, torch.device("cpu"))
        return BoxScorer(ScoreNet(net, backend, (scale,) * net.ndim, 1))

    return make


def answered(scorer: BoxScorer, image: np.ndarray, *, tile: int) -> torch.Tensor:
    """The answers of all units of an image (channels, \\*space)."""
    shape = image.shape[1:]
    read = scorer.reader(lambda window: image[(slice(None), *window)], shape)
    return finished(predict(scorer, read, scorer.grid(shape), tile=tile)).scores


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("scale", [Scale(1, 1), Scale(1, 2), Scale(5, 8), Scale(9, 8)], ids=str)
def test_tiled_is_untiled(name: str, scale: Scale, scorer: Callable[..., BoxScorer]) -> None:
    net = scorer(name, scale)
    image = np.random.default_rng(0).random((1, *SHAPES[name]), dtype=np.float32)
    whole, tiled = (answered(net, image, tile=tile) for tile in (1000, 1))
    assert float(whole.std()) > 0.1
    torch.testing.assert_close(tiled, whole, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", NETS)
def test_boxes_end_where_the_image_does(name: str, scorer: Callable[..., BoxScorer]) -> None:
    net = scorer(name, Scale(1, 2))
    shape = SHAPES[name]
    maps = answered(net, np.ones((1, *shape), np.float32), tile=1000)
    candidates = net.candidates(maps, shape, least=0.05)
    assert len(candidates.scores) > 20
    assert (candidates.corners[:, 0] >= -0.5).all()
    assert (candidates.corners[:, 1] <= torch.tensor(shape) - 0.5).all()
    assert (candidates.corners[:, 1] > candidates.corners[:, 0]).all()


@pytest.mark.parametrize(
    ("scale", "zoom"), [(Scale(1, 1), 1), (Scale(1, 2), 0.5), (Scale(3, 2), 1.5)]
)
def test_a_box_is_where_its_cell_says(
    scale: Scale, zoom: float, scorer: Callable[..., BoxScorer]
) -> None:
    """One sure cell of the finest level, whose stride is 2 pixels of the net."""
    net = scorer("2D", scale)
    shape = (64, 96)
    sizes = [n * c * 2 for n, c in zip(net.grid(shape), net.cells, strict=True)]
    said = torch.full((1, 6, *sizes), -20.0)
    said[0, 1, 4, 6] = 2.0
    said[0, 2:, 4, 6] = torch.tensor([1.0, 2.0, 3.0, 4.0]).expm1().log()  # softplus of this
    coarse = torch.full((1, 6, *(n // 2 for n in sizes)), -20.0)
    cells = torch.cat([folded(said, (2, 2)), coarse], dim=1)
    found = net.candidates(folded(cells, net.cells)[0], shape, least=0.5)
    assert found.kinds.tolist() == [1]
    assert found.scores.tolist() == pytest.approx([1 / (1 + np.exp(-2))])
    middle = np.array([4.5, 6.5]) * 2
    reach = np.array([[-2, -4], [6, 8]])
    wanted = (middle + reach) / zoom - 0.5
    np.testing.assert_allclose(found.corners[0], wanted, rtol=1e-5)


def test_a_part_of_the_answers_knows_where_it_is(scorer: Callable[..., BoxScorer]) -> None:
    net = scorer("2D", Scale(5, 8))
    image = np.random.default_rng(2).random((1, 150, 211), dtype=np.float32)
    maps = answered(net, image, tile=1000)
    found = partial(net.candidates, shape=image.shape[1:], least=0.05)
    halves = put_together([found(maps[:, :2], corner=(0, 0)), found(maps[:, 2:], corner=(2, 0))])
    one, other = (rows(part) for part in (found(maps), halves))
    assert len(one) > 20
    np.testing.assert_allclose(one, other, atol=1e-3)


def rows(found: Candidates) -> np.ndarray:
    """One row a candidate, in an order of their own."""
    table = np.column_stack([found.scores, found.kinds, found.corners.flatten(1)])
    return table[np.lexsort(table.round(2).T)]


def test_planes_are_joined_with_their_overlaps() -> None:
    box = torch.tensor([[[0.0, 0.0], [4.0, 4.0]], [[0.0, 1.0], [4.0, 5.0]]])
    first = distinct(Candidates(box, torch.tensor([0, 0]), torch.tensor([0.4, 0.9])), least=0.1)
    second = distinct(
        Candidates(box + 1, torch.tensor([1, 1]), torch.tensor([0.8, 0.5])), least=0.1
    )
    boxes, overlaps, planes = joined([first, second], ["cell", "dot"])
    assert planes.tolist() == [0, 0, 1, 1]
    assert boxes.kinds.tolist() == ["cell", "cell", "dot", "dot"]
    assert boxes.scores.tolist() == pytest.approx([0.9, 0.4, 0.8, 0.5])
    assert overlaps.kept(threshold=0, overlap=0.5).tolist() == [True, False, True, False]
    assert overlaps.kept(threshold=0, overlap=0.7).all()


def test_the_same_box_seen_twice_is_one_candidate() -> None:
    box = torch.tensor([[[0.0, 0.0], [10.0, 10.0]], [[0.0, 0.2], [10.0, 10.2]]])
    scores, kinds = torch.tensor([0.3, 0.6]), torch.tensor([0, 0])
    alike, _ = distinct(Candidates(box, kinds, scores), least=0.1)
    assert alike.scores.tolist() == pytest.approx([0.6])
    other, _ = distinct(Candidates(box, torch.tensor([0, 1]), scores), least=0.1)
    assert len(other.scores) == 2
