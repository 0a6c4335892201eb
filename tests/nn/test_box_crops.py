"""Crops take their boxes along, whichever way they are cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_medai.core.boxes import Boxes
from napari_medai.core.intensity import FixedWindow
from napari_medai.nn.box_crops import BoxExample, Crop, cropped, mosaic, parts
from napari_medai.nn.box_targets import IGNORED
from napari_medai.nn.crops import Geometry

STILL = Geometry(zoom=1.0, stretch=1.0, turn=False, flip=False)


def example(shape: tuple[int, ...] = (60, 80)) -> BoxExample:
    """Two bright rectangles on black, and their boxes."""
    image = np.zeros((1, *shape), np.uint8)
    image[0, ..., 10:20, 30:50] = 255
    image[0, ..., 38:46, 6:14] = 255
    boxes = np.array([[[9.5, 29.5], [19.5, 49.5]], [[37.5, 5.5], [45.5, 13.5]]])
    if len(shape) == 3:
        deep = np.broadcast_to([[[-0.5], [shape[0] - 0.5]]], (2, 2, 1))
        boxes = np.concatenate([deep, boxes], axis=2)
    return BoxExample.of(
        image,
        Boxes.of(boxes, ["long", "small"]),
        classes=("long", "small"),
        intensity=FixedWindow(low=0, high=255),
    )


def bright(crop: Crop, box: np.ndarray) -> float:
    """Mean brightness of the pixels that lie wholly in a box."""
    low, high = np.ceil(box[0]).astype(int), np.floor(box[1]).astype(int)
    inside = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    return float(crop.image[(0, *inside)].mean())


@pytest.mark.parametrize("shape", [(60, 80), (6, 60, 80)])
@pytest.mark.parametrize("seed", range(6))
def test_boxes_lie_on_their_objects(shape: tuple[int, ...], seed: int) -> None:
    """Zoomed, stretched, flipped and turned by right angles, boxes stay around what they hold."""
    geometry = Geometry(zoom=1.5, stretch=1.2, turn=False, quarter=True)
    size = (8, 96, 96)[-len(shape) :]
    found = cropped(example(shape), np.random.default_rng(seed), size=size, geometry=geometry)
    assert len(found.kinds)
    for box, kind in zip(found.corners, found.kinds, strict=True):
        if kind != IGNORED:
            assert bright(found, box) > 0.8
    inside = torch.zeros(size, dtype=torch.bool)
    for box in found.corners:
        low, high = np.floor(box[0]).astype(int) - 1, np.ceil(box[1]).astype(int) + 1
        inside[tuple(slice(max(0, a), b) for a, b in zip(low, high, strict=True))] = True
    lit = (found.image[0] > 0.9) & (found.image[0] != found.image[0].flatten()[0])
    assert int((lit & ~inside).sum()) <= 0.02 * inside.numel()


def test_turned_by_a_little_boxes_grow_as_ellipses_do() -> None:
    geometry = Geometry(zoom=1.0, stretch=1.0, turn=False, flip=False, tilt=0.3)
    found = cropped(example(), np.random.default_rng(0), size=(120, 120), geometry=geometry)
    edges = found.corners[:, 1] - found.corners[:, 0]
    height, width = edges[found.kinds == 0][0]
    assert height > 10  # a long ellipse is higher when it leans
    assert width < 20
    # An ellipse's box keeps the sum of its squared edges.
    assert height**2 + width**2 == pytest.approx(10**2 + 20**2, rel=1e-4)


def test_what_is_cut_off_is_clipped_ignored_or_gone() -> None:
    # Of an image of 60 x 80 pixels, 75 x 100 lie around its middle, from -10.5 along X.
    edges = {
        4.0: 0,  # 14.5 of 20 columns are left
        -0.5: IGNORED,  # 10 columns
        -4.0: None,  # 6.5 columns
    }
    for right, kind in edges.items():
        whole = example()
        shifted = BoxExample(
            whole.image, whole.corners[:1] - [0, 29.5 - right + 20], whole.kinds[:1]
        )
        found = cropped(shifted, np.random.default_rng(0), size=(75, 100), geometry=STILL)
        assert found.kinds.tolist() == ([] if kind is None else [kind]), right


def test_beyond_the_image_there_is_nothing() -> None:
    """One even colour, not the edge drawn out."""
    lit = BoxExample(np.ones((1, 20, 20), np.float16), np.zeros((0, 2, 2)), np.zeros(0, np.int64))
    lit.image[0, 0] = 0.3
    found = cropped(lit, np.random.default_rng(0), size=(40, 40), geometry=STILL)
    border = torch.cat([found.image[0, 0], found.image[0, -1], found.image[0, :, 0]])
    assert len(border.unique()) == 1


def test_a_mosaic_is_its_parts_side_by_side() -> None:
    sizes = list(parts((10, 8), (4, 5)))
    assert sizes == [(4, 5), (4, 3), (6, 5), (6, 3)]
    crops = [
        Crop(
            torch.full((1, *size), float(at)),
            np.array([[[0, 0], [1, 2]]], np.float32),
            np.array([at]),
        )
        for at, size in enumerate(sizes)
    ]
    whole = mosaic(crops, (10, 8))
    assert whole.image[0, 3, 4] == 0
    assert whole.image[0, 3, 5] == 1
    assert whole.image[0, 4, 4] == 2
    assert whole.image[0, 9, 7] == 3
    assert whole.kinds.tolist() == [0, 1, 2, 3]
    assert whole.corners[:, 0].tolist() == [[0, 0], [0, 5], [4, 0], [4, 5]]
    assert whole.corners[3].tolist() == [[4, 5], [5, 7]]


def test_boxes_of_other_classes_are_left_out() -> None:
    boxes = Boxes.of([[[0, 0], [4, 4]], [[1, 1], [3, 3]]], ["other", "long"])
    found = BoxExample.of(
        np.zeros((1, 8, 8), np.uint8),
        boxes,
        classes=("small", "long"),
        intensity=FixedWindow(low=0, high=255),
    )
    assert found.kinds.tolist() == [1]
    assert found.corners.tolist() == [[[1, 1], [3, 3]]]
