from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_medai.core.axes import AxesArray
from napari_medai.core.copies import PART
from napari_medai.core.steps import finished
from napari_medai.models.model import Model
from napari_medai.models.package import read_model
from napari_medai.tasks.gallery import Gallery
from napari_medai.tasks.pairs import Pair

SHAPES = ((64, 64), (64, 150), (200, 130))


@pytest.fixture
def model(tiny_package: Path) -> Model:
    return read_model(tiny_package)


@pytest.fixture
def pairs() -> list[Pair]:
    """Images of noise; each object is a square of 8 pixels, in rows from the top left on."""
    rng = np.random.default_rng(0)
    found = []
    for at, (shape, count) in enumerate(zip(SHAPES, (2, 3, 20), strict=True)):
        labels = np.zeros(shape, np.int32)
        for number in range(count):
            row, column = divmod(number, 5)
            labels[12 * row : 12 * row + 8, 12 * column : 12 * column + 8] = number + 1
        image = rng.integers(0, 200, shape).astype(np.uint8)
        found.append(Pair(AxesArray(image, "YX"), labels, f"image {at}"))
    return found


def test_crops_lie_from_end_to_end(pairs: list[Pair], model: Model) -> None:
    gallery = Gallery.of(pairs, model, edge=64)
    assert gallery.corners.tolist() == [
        *([0, 0, 0], [1, 0, 0], [1, 0, 86]),
        *([2, row, column] for row in (0, 68, 136) for column in (0, 66)),
    ]
    assert gallery.full.tolist() == [False, True, False, True, *[False] * 5]
    assert gallery.names == ("image 0", "image 1", "image 2")


def test_crops_are_as_the_model_sees_the_whole_image(pairs: list[Pair], model: Model) -> None:
    gallery = Gallery.of(pairs, model, edge=64)
    found = gallery.crops(np.array([2, 5]))
    assert found.shape == (2, 3, 64, 64)
    for crop, at, window in (
        (found[0], 1, np.s_[0:64, 86:150]),
        (found[1], 2, np.s_[68:132, 0:64]),
    ):
        image = np.asarray(pairs[at].image.data)
        low, high = np.percentile(image, [1, 99.8], method="nearest")
        wanted = (image[window] - float(low)) / (float(high) - low)
        np.testing.assert_allclose(crop, np.stack([wanted] * 3), atol=0.02)


def test_every_image_has_its_turn(pairs: list[Pair], model: Model) -> None:
    gallery = Gallery.of(pairs, model, edge=64)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        images = gallery.corners[gallery.drawn(9, rng), 0].tolist()
        assert sorted(images[:3]) == [0, 1, 2]
        assert sorted(images[3:5]) == [1, 2]
        assert images[5:] == [2] * 4
        assert sorted(gallery.drawn(9, rng, full=True).tolist()) == [1, 3]
    once, again = (gallery.drawn(4, np.random.default_rng(7)).tolist() for _ in range(2))
    assert once == again


def test_parts_show_what_crops_show(pairs: list[Pair], model: Model) -> None:
    gallery = Gallery.of(pairs[2:], model, edge=128)
    small = gallery.shrunken()
    assert small[0].shape == (100, 65)
    (part,) = gallery.parts(small, np.array([0]))
    assert part.shape == (PART, PART)
    (crop,) = gallery.crops(np.array([0]))
    smooth = ndimage.gaussian_filter(crop[0].clip(0, 1), 1.5)
    inner = np.s_[4:-4, 4:-4]
    cells = smooth.reshape(PART, 2, PART, 2).mean((1, 3))
    np.testing.assert_allclose(part[inner], cells[inner], atol=1e-5)
    # an edge whose last pixel is left out
    odd = Pair(AxesArray(np.asarray(pairs[2].image.data)[:131], "YX"), pairs[2].labels[:131])
    gallery = Gallery.of([odd], model, edge=128)
    assert gallery.parts(gallery.shrunken(), np.arange(1)).shape == (1, PART, PART)


def test_features_of_turned_crops_are_those_of_turned_images(
    pairs: list[Pair], model: Model
) -> None:
    from napari_medai.nn.runner import built_net, load_weights

    net = built_net(*model.architecture)
    load_weights(net, model.weights_path)
    net.eval()
    turned = [
        Pair(AxesArray(np.rot90(np.asarray(p.image.data)).copy(), "YX"), np.rot90(p.labels).copy())
        for p in pairs[:1]
    ]
    views, plain = (
        finished(
            Gallery.of(images, model, edge=64).features(
                net, np.array([0]), device=torch.device("cpu"), views=count
            )
        )
        for images, count in ((pairs[:1], 8), (turned, 1))
    )
    assert views.shape == (1, 8, 2 * (4 + 8))
    np.testing.assert_allclose(views[0, 1], plain[0, 0], atol=1e-5)
    gaps = np.abs(views[0][:, None] - views[0]).max(2)
    assert (gaps[~np.eye(8, dtype=bool)] > 1e-4).all(), "each view is another"
