"""Tiled equals whole, bit for bit; and what happens when memory is short."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medai.core.errors import OutOfMemoryError
from napari_medai.core.predict import predict
from napari_medai.core.steps import Step, finished


class Box:
    """Sums over a box of ``halo`` around each pixel, zeros outside; halo 0: the identity.

    Then means over cells of ``multiple`` pixels, as pooling sees them, if ``pooled``.
    """

    def __init__(
        self,
        halo: tuple[int, ...],
        multiple: tuple[int, ...] | None = None,
        *,
        batch: int = 1,
        room: float = np.inf,
        pooled: bool = False,
        behind: Box | None = None,
        buffers: bool = True,
    ) -> None:
        self.halo = halo
        self.multiple = multiple or (1,) * len(halo)
        self.batch = batch
        self.room = room
        self.pooled = pooled
        self.behind = behind
        self.buffers = buffers
        self.calls: list[tuple[int, tuple[int, ...]]] = []

    def empty(self, shape: tuple[int, ...]) -> np.ndarray:
        if not self.buffers:
            raise OutOfMemoryError("no room for scores")
        return np.full((2, *shape), np.nan, np.float32)

    def __call__(self, tiles: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        assert len({tile.shape for tile in tiles}) == 1
        if sum(prod(tile.shape[1:]) for tile in tiles) > self.room:
            raise OutOfMemoryError("no room for tiles")
        self.calls.append((len(tiles), tiles[0].shape[1:]))
        return [np.concatenate([self.sums(tile), -self.sums(tile)]) for tile in tiles]

    def fallback(self) -> Box | None:
        return self.behind

    def sums(self, tile: np.ndarray) -> np.ndarray:
        shape = tile.shape[1:]
        result = np.zeros_like(tile)
        padded = np.pad(tile, [(0, 0), *((h, h) for h in self.halo)])
        for shift in product(*(range(2 * h + 1) for h in self.halo)):
            window = (slice(s, s + n) for s, n in zip(shift, shape, strict=True))
            result += padded[(slice(None), *window)]
        return self.pool(result) if self.pooled else result

    def pool(self, tile: np.ndarray) -> np.ndarray:
        """Sums over cells; the last ones are filled up with zeros."""
        shape = tile.shape[1:]
        for axis, m in enumerate(self.multiple, start=1):
            rest = [(0, 0)] * tile.ndim
            rest[axis] = (0, -tile.shape[axis] % m)
            tile = np.pad(tile, rest)
            starts = range(0, tile.shape[axis], m)
            tile = np.repeat(np.add.reduceat(tile, starts, axis=axis), m, axis=axis)
        return tile[(slice(None), *(slice(0, n) for n in shape))]


def picture(shape: tuple[int, ...]) -> np.ndarray:
    """One channel of whole numbers, which float32 adds without rounding."""
    return np.random.default_rng(0).integers(0, 256, (1, *shape)).astype(np.float32)


def predicted(
    net: Box, image: np.ndarray, tile: int | tuple[int, ...]
) -> tuple[np.ndarray, tuple[str, ...], list[Step]]:
    steps: list[Step] = []
    job = predict(
        net, lambda window: image[(slice(None), *window)], image.shape[1:], tile=tile, text="net"
    )
    scores, notes, _ = finished(job, steps.append)
    return scores, notes, steps


@st.composite
def cases(draw: st.DrawFn) -> dict[str, tuple[int, ...]]:
    ndim = draw(st.integers(2, 3))
    longest, widest = (50, 4) if ndim == 2 else (20, 2)

    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(ndim))

    return {
        "shape": each(1, longest),
        "tile": each(1, 24),
        "halo": each(0, widest),
        "multiple": each(1, 5),
    }


@settings(max_examples=100, deadline=None)
@given(case=cases(), batch=st.integers(1, 5))
def test_identity_gives_the_input(case: dict[str, tuple[int, ...]], batch: int) -> None:
    net = Box((0,) * len(case["shape"]), case["multiple"], batch=batch)
    image = picture(case["shape"])
    read = np.zeros(case["shape"], int)

    def window(key: tuple[slice, ...]) -> np.ndarray:
        read[key] += 1
        return image[(slice(None), *key)]

    scores, _, _ = finished(predict(net, window, case["shape"], tile=case["tile"]))
    np.testing.assert_array_equal(scores, np.concatenate([image, -image]))
    assert read.min() >= 1


@settings(max_examples=100, deadline=None)
@given(case=cases(), batch=st.integers(1, 5), pooled=st.booleans())
def test_tiled_equals_whole(case: dict[str, tuple[int, ...]], batch: int, pooled: bool) -> None:
    net = Box(case["halo"], case["multiple"], batch=batch, pooled=pooled)
    image = picture(case["shape"])
    scores, notes, steps = predicted(net, image, case["tile"])
    (whole,) = Box(case["halo"], case["multiple"], pooled=pooled)([image])
    np.testing.assert_array_equal(scores, whole)
    assert notes == ()
    assert steps[-1].done == steps[-1].total == sum(count for count, _ in net.calls)
    assert [step.text for step in steps] == ["net"] * len(net.calls)


def test_batches_are_full() -> None:
    net = Box((2, 2), batch=3)
    _, _, steps = predicted(net, picture((40, 40)), 12)
    assert [count for count, _ in net.calls] == [3, 3, 3]
    assert [(step.done, step.total) for step in steps] == [(3, 9), (6, 9), (9, 9)]


def test_tiles_of_other_shapes_go_apart() -> None:
    net = Box((2, 2), (4, 4), batch=16)
    predicted(net, picture((41, 41)), 12)
    assert sorted(count for count, _ in net.calls) == [1, 2, 2, 4]


def test_only_one_batch_is_read_ahead() -> None:
    read = []

    def window(key: tuple[slice, ...]) -> np.ndarray:
        read.append(key)
        return picture((40, 40))[(slice(None), *key)]

    job = predict(Box((2, 2), batch=2), window, (40, 40), tile=12)
    next(job)
    assert len(read) == 2
    job.close()


@pytest.mark.parametrize("tile", [12, 32, 100])
@pytest.mark.parametrize("room", [400, 256, 150])
def test_short_memory_changes_nothing_but_the_tiles(tile: int, room: int) -> None:
    image = picture((50, 60))
    (whole,) = Box((3, 2), (2, 4), pooled=True)([image])
    net = Box((3, 2), (2, 4), pooled=True, batch=8, room=room)
    scores, notes, steps = predicted(net, image, tile)
    np.testing.assert_array_equal(scores, whole)
    assert all(count * prod(shape) <= room for count, shape in net.calls)
    assert any("tiles were reduced to" in note or "in batches of" in note for note in notes)
    assert len(notes) == len(set(notes)) <= 2
    assert [s.done for s in steps] == sorted(s.done for s in steps)
    assert steps[-1].done == steps[-1].total


def test_the_batch_gives_way_first() -> None:
    net = Box((2, 2), batch=8, room=300)
    _, notes, _ = predicted(net, picture((40, 40)), 12)
    assert notes == ("Device memory was short: tiles ran in batches of 1.",)
    assert {count for count, _ in net.calls} == {1}


def test_the_fallback_takes_over_what_is_left() -> None:
    image = picture((40, 40))
    # with a halo of 6 on either side, no tile becomes as small as 100 pixels
    behind = Box((6, 6))
    scores, notes, _ = predicted(Box((6, 6), batch=4, room=100, behind=behind), image, 16)
    np.testing.assert_array_equal(scores, behind([image])[0])
    assert notes[-1] == "Device memory did not suffice: the run continued on the CPU."


def test_scores_move_to_the_fallback() -> None:
    image = picture((8, 40))
    behind = Box((0, 0))
    net = Box((0, 0), behind=behind)
    job = predict(net, lambda key: image[(slice(None), *key)], (8, 40), tile=8)
    next(job)
    net.room = 0
    scores, _, _ = finished(job)
    np.testing.assert_array_equal(scores, np.concatenate([image, -image]))
    assert len(net.calls) == 1


def test_no_room_for_the_scores() -> None:
    image = picture((20, 20))
    net = Box((1, 1), buffers=False, behind=Box((1, 1)))
    scores, notes, _ = predicted(net, image, 8)
    np.testing.assert_array_equal(scores, Box((1, 1))([image])[0])
    assert notes == ("Device memory did not suffice: the run continued on the CPU.",)


@pytest.mark.parametrize("behind", [None, Box((1, 1), room=0), Box((1, 1), buffers=False)])
def test_no_room_at_all(behind: Box | None) -> None:
    with pytest.raises(OutOfMemoryError, match=r"no room for 20 x 30 pixels.*use smaller blocks"):
        predicted(Box((1, 1), room=0, behind=behind), picture((20, 30)), 8)


def test_other_errors_pass() -> None:
    def broken(_: tuple[slice, ...]) -> np.ndarray:
        raise ValueError("broken file")

    with pytest.raises(ValueError, match="broken file"):
        finished(predict(Box((1, 1)), broken, (20, 20), tile=8))
