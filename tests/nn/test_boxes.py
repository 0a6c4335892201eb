"""Detection can be learned, in 2D and 3D from one code, and rare classes are looked for."""

from __future__ import annotations

import numpy as np
import torch

from napari_medai.core.boxes import Boxes
from napari_medai.core.intensity import FixedWindow
from napari_medai.core.steps import finished
from napari_medai.nn.box_crops import BoxExample
from napari_medai.nn.box_net import BoxNet
from napari_medai.nn.boxes import BoxObjective
from napari_medai.nn.crops import Geometry
from napari_medai.nn.training import Run, Schedule

GEOMETRY = Geometry(zoom=1.1, stretch=1.05, turn=False, quarter=True)
CLASSES = ("cube", "plate")


def volume(seed: int) -> BoxExample:
    """Bright cubes and dim plates in noise, one of each in turn, (1, 24, 48, 48)."""
    rng = np.random.default_rng(seed)
    image = rng.normal(20, 5, (24, 48, 48))
    corners, kinds = [], []
    for at, (top, left) in enumerate([(4, 4), (4, 28), (28, 4), (28, 28)]):
        edges = np.array([10, 12, 12]) if at % 2 else np.array([6, 16, 16])
        low = np.array([rng.integers(2, 10), top, left]) + rng.integers(0, 3, 3)
        where = tuple(slice(a, a + n) for a, n in zip(low, edges, strict=True))
        image[where] += 200 if at % 2 else 90
        corners.append([low - 0.5, low + edges - 0.5])
        kinds.append(CLASSES[0 if at % 2 else 1])
    values = image.clip(0, 255).astype(np.uint8)[None]
    return BoxExample.of(
        values,
        Boxes.of(corners, kinds, ndim=3),
        classes=CLASSES,
        intensity=FixedWindow(low=0, high=255),
    )


def test_boxes_of_volumes_are_learned() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = BoxNet(ndim=3, kinds=2, widths=[8, 16, 16], finest=1, coarsest=1, shuffle=2)
    objective = BoxObjective(
        [volume(seed) for seed in range(4)],
        [volume(9)],
        net.levels,
        CLASSES,
        channels=1,
        crop=(24, 48, 48),
        geometry=GEOMETRY,
        mosaics=0.2,
    )
    schedule = Schedule(steps=120, batch=2, learning_rate=5e-3, validate_every=120)
    trained = finished(Run(net, objective, schedule, device=torch.device("cpu")).steps())
    assert trained.best["mAP50"] > 0.8, trained.history


def example(kinds: list[int], seed: int = 0) -> BoxExample:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 40, (len(kinds), 2))
    return BoxExample(
        rng.random((1, 64, 64)).astype(np.float16),
        np.stack([low, low + 10], axis=1).astype(np.float32),
        np.array(kinds, dtype=np.int64),
    )


def objective(training: list[BoxExample], **more: object) -> BoxObjective:
    levels = BoxNet(kinds=2, widths=[4, 4, 4], finest=1, coarsest=1).levels
    return BoxObjective(
        training,
        training,
        levels,
        ("common", "rare"),
        channels=1,
        **more,  # type: ignore[arg-type]
    )


def test_a_rare_class_is_seen_more_often() -> None:
    """One image in a hundred has it; crops hold it more often than that."""
    training = [example([0] * 8, seed) for seed in range(99)] + [example([1], 99)]
    crops = objective(training, crop=(32, 32), mosaics=0.0)
    rng = np.random.default_rng(0)
    batches = [crops.batch(rng, 50)[1]["kinds"] for _ in range(40)]
    share = np.mean([float((kinds == 1).any(1).float().mean()) for kinds in batches])
    assert 0.014 < share < 0.1


def test_batches_are_repeatable_and_padded() -> None:
    training = [example([0, 1, 0]), example([])]
    crops = objective(training, crop=(48, 48))
    (one, first), (other, second) = (crops.batch(np.random.default_rng(3), 6) for _ in range(2))
    assert torch.equal(one, other)
    assert torch.equal(first["boxes"], second["boxes"])
    assert one.shape == (6, 1, 48, 48)
    padding = first["kinds"] == -1
    assert (first["boxes"][padding] == 0).all()
    inside = first["boxes"][~padding]
    assert ((inside >= 0) & (inside <= 48)).all()
    assert (inside[:, 1] > inside[:, 0]).all()


def test_images_without_objects_can_be_learned_from() -> None:
    crops = objective([example([]), example([])], crop=(32, 32))
    images, targets = crops.batch(np.random.default_rng(0), 4)
    maps = torch.zeros(4, 6, 4, 4, requires_grad=True)
    losses = crops.loss(maps, targets)
    assert images.shape == (4, 1, 32, 32)
    assert float(losses["box"].detach()) == 0
    sum(losses.values()).backward()
    assert torch.isfinite(maps.grad).all()
    assert maps.grad[:, :2].any()


def test_calibration_moves_the_best_threshold_to_a_half() -> None:
    training = [volume(seed) for seed in range(2)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        net = BoxNet(ndim=3, kinds=2, widths=[4, 6], finest=0, coarsest=0, shuffle=2)
    crops = BoxObjective(training, training, net.levels, CLASSES, channels=1, crop=(24, 48, 48))
    before = [head.to_kind.bias.detach().clone() for head in net.heads]
    found = crops.calibrate(net)
    for head, bias in zip(net.heads, before, strict=True):
        scores = torch.tensor([found["thresholds"][name] for name in CLASSES])
        torch.testing.assert_close(
            head.to_kind.bias.detach(), bias - torch.logit(scores), atol=1e-2, rtol=0
        )
