from __future__ import annotations

import numpy as np
import pytest

from napari_medai.core.blobs import drawn_blobs
from napari_medai.core.canvas import Canvas, Piece

RIGHT = np.array([0.0, 1.0])


def _disk(diameter: float = 12, seed: int = 0) -> Piece:
    (blob,) = drawn_blobs(
        np.random.default_rng(seed),
        diameters=np.array([diameter]),
        axes=np.eye(2)[None],
        irregularities=np.zeros(1),
    )
    return Piece.of(blob, diameter)


def _at(row: float, column: float) -> np.ndarray:
    return np.array([row, column], float)


def test_a_halo_is_the_pixels_and_those_around() -> None:
    piece = _disk()
    grown = np.zeros_like(piece.mask)
    for row, column in np.argwhere(piece.mask):
        grown[row - 1 : row + 2, column - 1 : column + 2] = True
    assert (piece.halo == grown).all()
    assert piece.size == piece.mask.sum() == pytest.approx(36 * np.pi, abs=5)


def test_objects_apart_have_a_pixel_between_them() -> None:
    canvas = Canvas.empty((40, 60), most=3)
    assert canvas.put_apart(_disk(), _at(20, 20))
    for column in (20, 26, 31):
        assert not canvas.put_apart(_disk(), _at(20, column))
    assert canvas.put_apart(_disk(), _at(20, 35))
    assert canvas.labels.max() == canvas.count == 2
    assert not canvas.touching.any()
    assert canvas.centres == pytest.approx(np.array([[20, 20], [20, 35]]), abs=0.6)
    between = canvas.labels[20, 20:35]
    assert between.tolist() == sorted(between.tolist(), key=lambda label: [1, 0, 2].index(label))


def test_the_border_cuts_an_object_but_does_not_hide_it() -> None:
    canvas = Canvas.empty((30, 30), most=2)
    assert canvas.put_apart(_disk(), _at(-1, 15))
    assert 0 < (canvas.labels == 1).sum() < 0.5 * _disk().size
    assert not canvas.put_apart(_disk(), _at(33.5, 15))
    assert not canvas.put_apart(_disk(), _at(15, 200))


@pytest.mark.parametrize("press", [0.0, 0.15, 0.3])
def test_an_object_leans_on_another(press: float) -> None:
    canvas = Canvas.empty((40, 60), most=2)
    assert canvas.put_apart(_disk(), _at(20, 20))
    assert canvas.put_against(_disk(12, 1), 0, direction=RIGHT, press=press)
    assert canvas.touching.tolist() == [True, True]
    first, second = ((canvas.labels == label).sum() for label in (1, 2))
    pairs = (canvas.labels[:, :-1] == 1) & (canvas.labels[:, 1:] == 2)
    assert pairs.any()
    assert min(first, second) > 0.88 * _disk().size
    # what both want is shared, so the border lies halfway
    border = np.argwhere(pairs)[:, 1].mean() + 0.5
    assert border == pytest.approx(canvas.centres[:, 1].mean(), abs=1)


def test_pressed_objects_meet_along_a_longer_border() -> None:
    def border(press: float) -> int:
        canvas = Canvas.empty((60, 80), most=2)
        canvas.put_apart(_disk(24), _at(30, 25))
        canvas.put_against(_disk(24, 1), 0, direction=RIGHT, press=press)
        return int(((canvas.labels[:, :-1] == 1) & (canvas.labels[:, 1:] == 2)).sum())

    assert border(0.15) > border(0.0) + 2


def test_there_is_no_room_beyond_the_border() -> None:
    canvas = Canvas.empty((20, 20), most=2)
    assert canvas.put_apart(_disk(), _at(10, 14))
    assert not canvas.put_against(_disk(), 0, direction=RIGHT, press=0.0)
    assert canvas.count == 1
    assert canvas.labels.max() == 1
