from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_medai.core.blobs import Blob, drawn_blobs
from napari_medai.core.layout_statistics import ImageLayout


def _blobs(count: int, axes: np.ndarray, *, diameter: float, irregularity: float) -> list[Blob]:
    return list(
        drawn_blobs(
            np.random.default_rng(0),
            diameters=np.full(count, diameter),
            axes=np.tile(axes, (count, 1, 1)),
            irregularities=np.full(count, irregularity),
        )
    )


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("irregularity", [0.0, 0.02, 0.06])
def test_size_elongation_and_outline_are_as_asked(ndim: int, irregularity: float) -> None:
    axes = np.diag([1.6, 1.0, 1.0][:ndim])
    blobs = _blobs(40, axes, diameter=18, irregularity=irregularity)
    found = [ImageLayout.of(blob.mask.astype(int)) for blob in blobs]
    assert np.mean([image.diameter for image in found]) == pytest.approx(18, rel=0.005)
    assert np.mean([image.elongations[0] for image in found]) == pytest.approx(1.6, rel=0.01)
    outside = np.mean([image.irregularities[0] for image in found])
    assert outside == pytest.approx(irregularity, rel=0.15, abs=0.003)
    assert abs(np.mean([image.direction[0] for image in found])) > 0.99


def test_the_centre_is_the_centroid() -> None:
    for blob in _blobs(20, np.eye(2), diameter=15, irregularity=0.05):
        assert np.argwhere(blob.mask).mean(axis=0) == pytest.approx(blob.centre, abs=0.25)


def test_objects_are_in_one_piece_and_free_of_the_borders() -> None:
    for blob in _blobs(300, np.diag([2.0, 1.0]), diameter=9, irregularity=0.1):
        assert ndimage.label(blob.mask)[1] == 1
        assert not blob.mask[[0, -1]].any()
        assert not blob.mask[:, [0, -1]].any()


def test_the_smallest_object_is_a_pixel() -> None:
    assert all(b.mask.sum() == 1 for b in _blobs(30, np.eye(3), diameter=0.2, irregularity=0.0))
