"""Training crops with classes, their loss and score, and the net that answers with classes."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from napari_medai.core.errors import InputError
from napari_medai.core.intensity import Percentiles, ZScore
from napari_medai.core.predict import predict
from napari_medai.core.scale import Scale
from napari_medai.core.steps import finished
from napari_medai.core.tiling import plan_tiles
from napari_medai.nn.backends import TorchBackend
from napari_medai.nn.class_net import ClassNet
from napari_medai.nn.classes import VOID, ClassExample, ClassObjective, checked_classes
from napari_medai.nn.crops import Appearance, Geometry, random_window
from napari_medai.nn.runner import ScoreNet
from napari_medai.nn.unet import AUXILIARY, UNet

STILL = Geometry(zoom=1, stretch=1, turn=False, flip=False)
PLAIN = Appearance(gain=0, gamma=0, blur=0, noise=0, invert=0, gray=0, colour=0, shade=0)
CPU = torch.device("cpu")


def halves(shape: tuple[int, ...] = (12, 16, 20)) -> ClassExample:
    """Class 1 in the near half of the last axis, class 2 in the far quarter; brightness follows."""
    labels = np.zeros(shape, np.int16)
    labels[..., : shape[-1] // 2] = 1
    labels[..., 3 * shape[-1] // 4 :] = 2
    return ClassExample.of(labels[None] * 100.0, labels, intensity=Percentiles(), classes=3)


def objective(example: ClassExample, **options: object) -> ClassObjective:
    given = {"crop": (12, 16, 20), "geometry": STILL, "appearance": PLAIN, **options}
    return ClassObjective([example], [example], classes=("near", "far"), **given)  # type: ignore[arg-type]


def test_an_example_knows_where_its_classes_are() -> None:
    example = halves()
    assert example.labels.dtype == np.uint8
    for number, places in enumerate(example.places, 1):
        assert (example.labels[tuple(places.T)] == number).all()
        assert len(places) == (example.labels == number).sum()


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (np.array([[0, 3]]), "from 0 to 2 for 2? ?3 classes"),
        (np.array([[0, -1]]), "got -1"),
        (np.array([[0, 0.5]]), "must be whole numbers"),
        (np.array([[0, 1j]]), "must be whole numbers"),
    ],
)
def test_labels_of_other_classes_are_refused(labels: np.ndarray, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        checked_classes(labels, 3)


def test_a_crop_shows_the_classes_where_the_image_has_them() -> None:
    example = halves()
    images, targets = objective(example).batch(np.random.default_rng(0), 3)
    assert images.shape == (3, 1, 12, 16, 20)
    for image, labels in zip(images, targets["classes"], strict=True):
        level = (image[0] * 2).round()
        seen = (labels != VOID) & ((image[0] * 2 - level).abs() < 0.1)  # not between two of them
        assert seen.sum() > labels.numel() / 2
        assert torch.equal(level[seen].long(), labels[seen])


def test_beyond_the_image_nothing_counts() -> None:
    example = halves((4, 4, 4))
    _, targets = objective(example, crop=(8, 8, 8)).batch(np.random.default_rng(1), 1)
    assert (targets["classes"] == VOID).sum() > 8**3 - 5**3
    outputs = torch.randn(1, 3, 8, 8, 8)
    void = {"classes": torch.full((1, 8, 8, 8), VOID)}
    losses = objective(example).loss(outputs, void)
    assert float(losses["entropy"]) == 0
    assert torch.isfinite(losses["dice"])


def test_the_loss_of_certain_answers() -> None:
    labels = torch.from_numpy(halves().labels.astype(np.int64))[None]
    sure = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1) * 50.0
    right = objective(halves()).loss(sure, {"classes": labels})
    assert float(right["dice"]) == pytest.approx(0, abs=1e-6)
    assert float(right["entropy"]) == pytest.approx(0, abs=1e-6)
    wrong = objective(halves()).loss(sure.roll(1, dims=1), {"classes": labels})
    assert float(wrong["dice"]) > 0.99
    assert float(wrong["entropy"]) == pytest.approx(50, rel=1e-3)


def test_dice_as_worked_out_by_hand() -> None:
    labels = torch.tensor([[[1, 1, 2, 0]]])
    probability = torch.tensor([[[[0.1, 0.2, 0.2, 0.9]], [[0.8, 0.5, 0.1, 0.05]]]])
    far = 1 - probability.sum(1, keepdim=True)
    logits = torch.log(torch.cat([probability, far], dim=1).clamp(min=1e-9))
    found = objective(halves()).loss(logits, {"classes": labels})["dice"]
    near = (2 * 1.3 + 1) / (1.45 + 2 + 1)
    other = (2 * 0.7 + 1) / (0.1 + 0.3 + 0.7 + 0.05 + 1 + 1)
    assert float(found) == pytest.approx(1 - (near + other) / 2, abs=1e-4)


def test_coarser_levels_answer_in_training_alone() -> None:
    net = UNet(ndim=3, channels_out=3, widths=(4, 6, 8), auxiliary=1)
    image = torch.randn(1, 1, 16, 16, 16)
    assert net.train()(image).shape == (1, 6, 16, 16, 16)
    assert net.eval()(image).shape == (1, 3, 16, 16, 16)
    heads = [name for name in net.state_dict() if name.startswith(AUXILIARY)]
    plain = UNet(ndim=3, channels_out=3, widths=(4, 6, 8))
    assert set(net.state_dict()) - set(heads) == set(plain.state_dict())
    with pytest.raises(ValueError, match="auxiliary must be from 0 to 1"):
        UNet(ndim=3, channels_out=3, widths=(4, 6, 8), auxiliary=2)


def test_every_weight_learns_and_classes_are_told_apart() -> None:
    torch.manual_seed(0)
    net = UNet(ndim=3, channels_out=3, widths=(6, 8, 10), auxiliary=1)
    goal = objective(halves((12, 16, 24)), crop=(8, 8, 24))
    optimiser = torch.optim.Adam(net.parameters(), lr=0.02)
    rng = np.random.default_rng(0)
    for _ in range(40):
        images, targets = goal.batch(rng, 2)
        loss = torch.stack(list(goal.loss(net.train()(images), targets).values())).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())
    figures = finished(goal.validate(net, CPU))
    assert figures["score"] == pytest.approx((figures["Dice near"] + figures["Dice far"]) / 2)
    assert figures["score"] > 0.9


def test_a_class_that_is_nowhere_does_not_count() -> None:
    labels = np.zeros((8, 8, 8), np.uint8)
    labels[:4] = 1
    example = ClassExample.of(labels[None] + 1.0, labels, intensity=ZScore(), classes=3)

    class Right(torch.nn.Module):
        channels_in, channels_out, stride, halo, ndim = 1, 3, (1, 1, 1), (0, 0, 0), 3

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            near = (image > 0).float()
            return torch.cat([1 - near, near, near * 0 - 1], dim=1)

    figures = finished(objective(example).validate(Right(), CPU))
    assert figures == {"score": 1.0, "Dice near": 1.0}


# --- the net that answers with classes


def class_net(*, scale: float = 1.0, mirror: tuple[int, ...] = (), ndim: int = 3) -> ClassNet:
    torch.manual_seed(5)
    net = UNet(ndim=ndim, channels_out=3, widths=(4, 8), shuffle=2).eval()
    with torch.no_grad():
        net.head.weight.mul_(20)
    scales = (Scale.nearest(scale),) * ndim
    return ClassNet(ScoreNet(net, TorchBackend(net, CPU), scales, 2), mirror)


@pytest.mark.parametrize(("scale", "mirror"), [(1.0, ()), (0.5, ()), (1.5, ()), (1.0, (0, 2))])
def test_tiles_give_what_the_whole_gives(scale: float, mirror: tuple[int, ...]) -> None:
    net = class_net(scale=scale, mirror=mirror)
    image = np.random.default_rng(0).normal(size=(1, 50, 41, 150)).astype(np.float32)

    def read(window: tuple[slice, ...]) -> np.ndarray:
        return image[(slice(None), *window)]

    tiles = plan_tiles(image.shape[1:], size=16, halo=net.halo, multiple=net.multiple)
    assert len(tiles) > 1
    whole = net([image])[0][0].numpy()
    found = finished(predict(net, read, image.shape[1:], tile=16)).scores[0].numpy()
    assert found.dtype == np.uint8
    assert set(np.unique(whole)) == {0, 1, 2}
    # A tie between two classes may fall either way after sums in another order.
    assert (found != whole).mean() < 1e-4


def test_mirrored_views_are_averaged() -> None:
    plain, image = class_net(), torch.randn(1, 1, 16, 16, 16)
    views = []
    for flips in product((False, True), repeat=2):
        axes = [axis + 2 for axis, flip in zip((0, 2), flips, strict=True) if flip]
        views.append(torch.softmax(plain.scorer.scores(image.flip(axes)), 1).flip(axes))
    expected = torch.stack(views).mean(0).argmax(1).to(torch.uint8)
    found = class_net(mirror=(0, 2))([image[0].numpy()])[0]
    assert (found != expected[0]).float().mean() < 1e-4
    assert (found != plain([image[0].numpy()])[0]).any()


def test_turns_keep_lengths_and_angles_in_the_world() -> None:
    """Thin slices are tilted as a body is; thick ones stay planes."""
    steps = np.array([1.5, 1.0, 0.8])
    for seed in range(20):
        geometry = Geometry(zoom=1, stretch=1, flip=False, turn=False, tilt=0.4, spacing=(*steps,))
        window = random_window(
            np.random.default_rng(seed), (40, 40, 40), size=(8, 8, 8), zoom=1, geometry=geometry
        )
        world = np.diag(steps) @ window.matrix @ np.diag(1 / steps)
        np.testing.assert_allclose(world @ world.T, np.eye(3), atol=1e-9)
        assert np.abs(world - np.eye(3)).max() > 0.01
        thick = replace(geometry, spacing=(5.0, 1.0, 1.0))
        window = random_window(
            np.random.default_rng(seed), (40, 40, 40), size=(8, 8, 8), zoom=1, geometry=thick
        )
        np.testing.assert_allclose(window.matrix[0], [1, 0, 0], atol=1e-9)
        np.testing.assert_allclose(window.matrix[:, 0], [1, 0, 0], atol=1e-9)


def test_checking_a_large_image_can_be_stopped() -> None:
    labels = np.zeros((8, 16, 400), np.uint8)
    labels[..., :200] = 1
    example = ClassExample.of(labels[None] * 1.0, labels, intensity=Percentiles(), classes=3)
    torch.manual_seed(0)
    net = UNet(ndim=3, channels_out=3, widths=(2, 4))
    steps = list(objective(example).validate(net, CPU))
    assert len(steps) > 2
