from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_medai.core.errors import InputError
from napari_medai.core.vessel_masks import (
    branch_labels,
    centre_lines,
    segment_labels,
    vessel_mask,
    volume_fraction,
)
from napari_medai.core.vessel_trees import grown_vessels
from napari_medai.core.vessels import VesselTree


def _line(start: tuple, end: tuple, radius: float, shape: tuple[int, ...]) -> VesselTree:
    nodes, segments = np.array([start, end], float), np.array([[0, 1]])
    return VesselTree(nodes, segments, np.array([radius]), np.array([0]), 3.0, shape)


def _corner() -> VesselTree:
    """A thick segment down, a thin one to the right from its end."""
    nodes = np.array([(4.0, 10), (20, 10), (20, 30)])
    segments = np.array([[0, 1], [1, 2]])
    return VesselTree(nodes, segments, np.array([3.0, 1.0]), np.array([0, 1]), 3.0, (30, 40))


def test_a_straight_vessel_has_the_volume_of_a_capsule() -> None:
    start, end, radius = (10.3, 12.1, 11.7), (40.2, 30.9, 25.4), 5.5
    mask = vessel_mask(_line(start, end, radius, (50, 50, 50)))
    length = float(np.linalg.norm(np.subtract(end, start)))
    volume = np.pi * radius**2 * length + 4 / 3 * np.pi * radius**3
    assert mask.sum() == pytest.approx(volume, rel=0.03)


def test_a_straight_vessel_in_a_plane_has_the_area_of_a_stadium() -> None:
    mask = vessel_mask(_line((10.3, 12.1), (60.4, 40.2), 6.2, (80, 80)))
    length = np.hypot(50.1, 28.1)
    assert mask.sum() == pytest.approx(2 * 6.2 * length + np.pi * 6.2**2, rel=0.03)


def test_pixels_belong_if_their_centre_is_within_the_radius() -> None:
    mask = vessel_mask(_line((2, 2), (2, 5), 1.0, (5, 9)))
    rows = ["000000000", "001111000", "011111100", "001111000", "000000000"]
    assert mask.astype(int).tolist() == [[int(pixel) for pixel in row] for row in rows]


@pytest.mark.parametrize("shape", [(90, 80), (40, 50, 45)])
def test_a_mask_is_exact_for_every_pixel(shape: tuple[int, ...]) -> None:
    tree = grown_vessels(shape, seed=0, segments=25, radius=0.9)
    points = np.moveaxis(np.indices(shape), 0, -1).reshape(-1, 1, len(shape))
    along = tree.ends - tree.starts
    share = ((points - tree.starts) * along).sum(axis=-1) / (along**2).sum(axis=-1)
    nearest = tree.starts + np.clip(share, 0, 1)[..., None] * along
    inside = np.linalg.norm(points - nearest, axis=-1) <= tree.radii
    mask = vessel_mask(tree)
    assert (mask == inside.any(axis=1).reshape(shape)).all()
    assert volume_fraction(tree) == pytest.approx(inside.any(axis=1).mean())
    labels = segment_labels(tree)
    assert ((labels > 0) == mask).all()
    own = labels[labels > 0] - 1
    assert inside[labels.ravel() > 0, own].all()


def test_where_segments_meet_the_deeper_one_has_the_pixel() -> None:
    labels = segment_labels(_corner())
    assert labels.dtype == np.int32
    assert labels[20, 12] == 1  # 1 deep in the thick one, on the axis of the thin one
    assert labels[20, 13] == 2  # on the surface of the thick one
    assert labels[10, 13] == 1
    assert labels[10, 14] == 0
    assert np.unique(labels).tolist() == [0, 1, 2]


def test_every_segment_of_a_tree_has_its_label() -> None:
    tree = grown_vessels((128, 128, 128), seed=1, segments=200)
    assert np.unique(segment_labels(tree)).tolist() == list(range(201))


def test_branches_have_labels_in_one_piece() -> None:
    tree = grown_vessels((200, 200), seed=1, segments=60, tortuosity=0.7, radius=1.5)
    labels = branch_labels(tree)
    assert ((labels > 0) == vessel_mask(tree)).all()
    assert labels.max() == tree.branches.max() + 1 < 60
    assert ((labels > 0) == (segment_labels(tree) > 0)).all()


@pytest.mark.parametrize("shape", [(200, 200), (60, 60, 60)])
def test_centre_lines_are_connected_and_within(shape: tuple[int, ...]) -> None:
    tree = grown_vessels(shape, seed=2, segments=60, radius=1.0)
    lines = centre_lines(tree)
    assert ndimage.label(lines, np.ones([3] * len(shape)))[1] == 1
    assert (lines <= ndimage.binary_dilation(vessel_mask(tree))).all()
    assert lines.sum() < 1.1 * tree.lengths.sum() + len(tree.nodes)


def test_a_vessel_mask_is_in_one_piece() -> None:
    tree = grown_vessels((200, 200), seed=2, segments=80, radius=1.0, tortuosity=0.5)
    assert ndimage.label(vessel_mask(tree), np.ones((3, 3)))[1] == 1


def test_another_shape_shows_a_part() -> None:
    tree = _corner()
    assert (vessel_mask(tree, (12, 12)) == vessel_mask(tree)[:12, :12]).all()
    assert (centre_lines(tree, (12, 12)) == centre_lines(tree)[:12, :12]).all()
    assert not segment_labels(tree, (3, 5)).any()
    with pytest.raises(InputError, match="the tree has 2 axes, but the shape"):
        vessel_mask(tree, (30, 40, 40))


def test_a_segment_covered_by_a_thicker_one_keeps_a_pixel() -> None:
    nodes = np.array([(2.0, 10), (28, 10), (15, 10), (15, 11.5)])
    segments = np.array([[0, 1], [2, 3]])
    radii, branches = np.array([4.0, 0.6]), np.array([0, 1])
    tree = VesselTree(nodes, segments, radii, branches, 3.0, (30, 20))
    labels = segment_labels(tree)
    assert np.argwhere(labels == 2).tolist() == [[15, 10]]
    assert ((labels > 0) == vessel_mask(tree)).all()
