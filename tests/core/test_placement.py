from __future__ import annotations

import numpy as np
import pytest

from napari_medai.core.blobs import drawn_blobs
from napari_medai.core.canvas import Canvas, Piece
from napari_medai.core.neighbours import clark_evans
from napari_medai.core.placement import Wanted, placed


def _disks(count: int, diameter: float) -> list[Piece]:
    blobs = drawn_blobs(
        np.random.default_rng(0),
        diameters=np.full(count, diameter),
        axes=np.tile(np.eye(2), (count, 1, 1)),
        irregularities=np.zeros(count),
    )
    return [Piece.of(blob, diameter) for blob in blobs]


@pytest.mark.parametrize("clustering", [0.5, 0.8, 1.0, 1.3, 1.6])
@pytest.mark.parametrize("touching", [0.0, 0.3])
def test_small_objects_take_any_pattern(clustering: float, touching: float) -> None:
    canvas = Canvas.empty((500, 500), most=150)
    wanted = Wanted(150, clustering, touching)
    assert placed(canvas, _disks(150, 5), wanted, np.random.default_rng(1)) == []
    # pairs are close, however far they are from others
    reachable = clustering if touching == 0 else min(clustering, 1.3)
    assert clark_evans(canvas.centres, (500, 500)) == pytest.approx(reachable, abs=0.09)
    assert canvas.touching.mean() == pytest.approx(touching, abs=0.02)


def test_a_crowd_finds_the_gaps() -> None:
    canvas = Canvas.empty((100, 100), most=60)
    left = placed(canvas, _disks(60, 10), Wanted(60, 1.2, 0.0), np.random.default_rng(1))
    assert (len(left), canvas.count) == (0, 60)


def test_what_finds_no_room_is_returned() -> None:
    canvas = Canvas.empty((50, 50), most=60)
    pieces = _disks(60, 10)
    left = placed(canvas, pieces, Wanted(60, 1.2, 0.0), np.random.default_rng(1))
    assert canvas.count + len(left) == 60
    assert 12 < canvas.count < 30
    assert {id(piece) for piece in left} < {id(piece) for piece in pieces}
