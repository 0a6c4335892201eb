"""Blocks joined: the same objects as in the whole image, wherever it is cut."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medai.core.errors import InputError, RunError
from napari_medai.core.stitch import LabelCanvas
from napari_medai.core.tiling import Block, plan_blocks


def balls(
    shape: Sequence[int], *, count: int, radius: tuple[float, float], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Labels 1 to n of balls that may touch, and their centres; hidden ones are left out."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int32)
    grid = np.indices(shape)
    centres = []
    for _ in range(count):
        centre = rng.uniform(0, shape)
        distance = np.sqrt(sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)))
        ball = distance <= rng.uniform(*radius)
        # an object that exists stays whole, so that every object is connected
        if ball.any() and not labels[ball].any():
            centres.append(centre)
            labels[ball] = len(centres)
    return labels, np.array(centres).reshape(-1, len(shape))


def seen(
    labels: np.ndarray, centres: np.ndarray, block: Block, rng: np.random.Generator, jitter: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a decoder finds in a block, in an order of its own, and the true labels in that order.

    Centres outside the read window are moved to its border, as votes are.
    """
    part = labels[block.read]
    found = rng.permutation(np.unique(part[part > 0]))
    table = np.zeros(labels.max() + 1, np.int32)
    table[found] = np.arange(1, found.size + 1)
    inside = centres[found - 1] - [r.start for r in block.read]
    inside = inside + rng.uniform(-jitter, jitter, inside.shape)
    return table[part], np.clip(inside, 0, np.array(part.shape) - 1), found


def stitched(
    labels: np.ndarray,
    centres: np.ndarray,
    blocks: list[Block],
    *,
    jitter: float = 0.0,
    seed: int = 0,
    out: Path | None = None,
) -> LabelCanvas:
    canvas = LabelCanvas(labels.shape, out=out, chunks=(16,) * labels.ndim)
    rng = np.random.default_rng(seed)
    for block in blocks:
        local, inside, found = seen(labels, centres, block, rng, jitter)
        before = canvas.count
        table = canvas.add(block, local, inside)
        assert table.shape == (found.size + 1,)
        assert table[0] == 0
        assert canvas.count <= before + np.count_nonzero(table > before)
    return canvas


def assert_same_objects(got: np.ndarray, true: np.ndarray) -> None:
    """Equal up to renumbering, and numbered without gaps."""
    np.testing.assert_array_equal(got > 0, true > 0)
    pairs = np.unique(np.stack([got[true > 0], true[true > 0]]), axis=1)
    count = np.unique(true[true > 0]).size
    assert pairs.shape[1] == count, "an object is split, or two are one"
    np.testing.assert_array_equal(pairs[0], np.arange(1, count + 1))


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(30, 90), st.integers(30, 90)),
    size=st.integers(4, 40),
    multiple=st.integers(1, 4),
    jitter=st.sampled_from([0.0, 1.0]),
    seed=st.integers(0, 1000),
)
def test_blocks_give_the_whole(
    shape: tuple[int, int], size: int, multiple: int, jitter: float, seed: int
) -> None:
    labels, centres = balls(shape, count=60, radius=(1, 6), seed=seed)
    # diameter 13, the tolerance on top
    blocks = plan_blocks(shape, size=size, overlap=16, multiple=multiple)
    canvas = stitched(labels, centres, blocks, jitter=jitter, seed=seed)
    assert_same_objects(canvas.result(), labels)
    assert canvas.count == labels.max()
    assert canvas.oversized == 0


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(40, 100), st.integers(40, 100)),
    size=st.integers(8, 40),
    overlap=st.integers(3, 8),
    order=st.booleans(),
    jitter=st.sampled_from([0.0, 1.0]),
    seed=st.integers(0, 1000),
)
def test_objects_larger_than_the_overlap_are_joined(
    shape: tuple[int, int], size: int, overlap: int, order: bool, jitter: float, seed: int
) -> None:
    labels, centres = balls(shape, count=8, radius=(4, 40), seed=seed)
    blocks = plan_blocks(shape, size=size, overlap=overlap)
    if order:
        blocks = [blocks[i] for i in np.random.default_rng(seed).permutation(len(blocks))]
    canvas = stitched(labels, centres, blocks, jitter=jitter, seed=seed)
    assert_same_objects(canvas.result(), labels)


def test_volumes() -> None:
    shape = (24, 40, 40)
    labels, centres = balls(shape, count=60, radius=(2, 5), seed=1)
    blocks = plan_blocks(shape, size=(10, 16, 12), overlap=(12, 12, 12))
    canvas = stitched(labels, centres, blocks, jitter=1.0)
    assert_same_objects(canvas.result(), labels)
    large, middles = balls(shape, count=8, radius=(3, 14), seed=2)
    canvas = stitched(large, middles, plan_blocks(shape, size=8, overlap=4))
    assert_same_objects(canvas.result(), large)
    assert canvas.oversized > 0


def test_a_large_object_by_hand() -> None:
    labels = np.zeros((8, 60), np.int32)
    labels[2:6, 5:55] = 1
    labels[0, 0:3] = 2
    centres = np.array([[3.5, 29.5], [0.0, 1.0]])
    canvas = stitched(labels, centres, plan_blocks(labels.shape, size=20, overlap=4))
    assert (canvas.count, canvas.oversized) == (2, 1)
    assert_same_objects(canvas.result(), labels)


@pytest.mark.parametrize("order", [1, -1])
def test_an_object_reaches_deeper_than_its_owner_sees(order: int) -> None:
    # centred in the first block, which sees up to 24; the second sees it whole
    labels = np.zeros((4, 40), np.int32)
    labels[1:3, 17:30] = 1
    blocks = [
        Block((slice(0, 4), slice(0, 20)), (slice(0, 4), slice(0, 24))),
        Block((slice(0, 4), slice(20, 40)), (slice(0, 4), slice(16, 40))),
    ]
    canvas = stitched(labels, np.array([[1.5, 17.0]]), blocks[::order])
    np.testing.assert_array_equal(canvas.result(), labels)
    assert (canvas.count, canvas.oversized) == (1, 1)


@pytest.mark.parametrize("seed", range(5))
def test_blocks_may_differ_on_where_a_centre_is(seed: int) -> None:
    labels, centres = balls((80, 80), count=60, radius=(1, 6), seed=seed)
    blocks = plan_blocks(labels.shape, size=12, overlap=16)
    canvas = stitched(labels, centres, blocks, jitter=1.0, seed=seed)
    assert_same_objects(canvas.result(), labels)


def test_pieces_that_meet_late_get_one_label() -> None:
    # a U: the first two blocks hold an arm each, the third the bend
    labels = np.zeros((40, 60), np.int32)
    labels[0:40, 5:10] = labels[0:40, 50:55] = labels[35:40, 5:55] = 1
    corners = [(slice(0, 20), slice(0, 30)), (slice(0, 20), slice(30, 60))]
    reads = [(slice(0, 24), slice(0, 34)), (slice(0, 24), slice(26, 60))]
    bottom = Block((slice(20, 40), slice(0, 60)), (slice(16, 40), slice(0, 60)))
    blocks = [*(Block(c, r) for c, r in zip(corners, reads, strict=True)), bottom]
    canvas = stitched(labels, np.array([[37.0, 30.0]]), blocks)
    assert (canvas.count, canvas.oversized) == (1, 1)
    np.testing.assert_array_equal(canvas.final_labels(), [0, 1, 1])
    np.testing.assert_array_equal(canvas.result(), labels)
    np.testing.assert_array_equal(canvas.final_labels(), [0, 1, 1])


def test_features_can_follow() -> None:
    labels, centres = balls((80, 80), count=40, radius=(2, 6), seed=3)
    canvas = LabelCanvas(labels.shape)
    rng = np.random.default_rng(0)
    column = np.zeros(labels.max() + 1, int)
    for block in plan_blocks(labels.shape, size=20, overlap=16):
        local, inside, found = seen(labels, centres, block, rng, 0.0)
        column[canvas.add(block, local, inside)[1:]] = found
    column[0] = 0
    np.testing.assert_array_equal(column[canvas.final_labels()][canvas.result()], labels)


def test_one_block_is_kept_as_it_is() -> None:
    labels, centres = balls((40, 40), count=10, radius=(2, 6), seed=0)
    canvas = LabelCanvas(labels.shape)
    (block,) = plan_blocks(labels.shape, size=64, overlap=8)
    table = canvas.add(block, labels, centres)
    assert canvas.result() is labels
    np.testing.assert_array_equal(table, np.arange(labels.max() + 1))
    np.testing.assert_array_equal(canvas.final_labels(), table)


def test_a_series_axis_is_not_stitched() -> None:
    labels, centres = balls((40, 40), count=20, radius=(2, 6), seed=0)
    frames = np.stack([labels, labels[::-1]])
    canvas = LabelCanvas(frames.shape)
    rng = np.random.default_rng(0)
    for t, middles in enumerate([centres, [39, 0] + centres * [-1, 1]]):
        for block in plan_blocks(labels.shape, size=20, overlap=16):
            local, inside, _ = seen(frames[t], np.asarray(middles), block, rng, 0.0)
            frame = slice(t, t + 1)
            inside = np.insert(inside, 0, 0, axis=1)
            canvas.add(Block((frame, *block.core), (frame, *block.read)), local[None], inside)
    second = np.where(frames[1] > 0, frames[1] + labels.max(), 0)
    assert_same_objects(canvas.result(), np.stack([labels, second]))
    assert canvas.oversized == 0


def test_nothing_found() -> None:
    canvas = LabelCanvas((50, 50))
    for block in plan_blocks((50, 50), size=20, overlap=4):
        table = canvas.add(block, np.zeros(block.shape, np.int32), np.zeros((0, 2)))
        np.testing.assert_array_equal(table, [0])
    assert canvas.count == 0
    assert not canvas.result().any()
    assert not LabelCanvas((3, 4)).result().any()


def test_on_disk(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    labels, centres = balls((90, 70), count=30, radius=(3, 25), seed=5)
    out = tmp_path / "labels.zarr"
    canvas = stitched(labels, centres, plan_blocks(labels.shape, size=24, overlap=8), out=out)
    assert canvas.result().chunks == (16, 16)
    stored = zarr.open_array(out, mode="r")
    assert stored.dtype == np.int32
    assert_same_objects(stored[:], labels)
    with pytest.raises(InputError, match=r"labels\.zarr exists and is not overwritten"):
        LabelCanvas(labels.shape, out=out)
    canvas.discard()
    assert not out.exists()


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zarr = pytest.importorskip("zarr")
    canvas = LabelCanvas((20, 20), out=tmp_path / "labels.zarr")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zarr.Array, "__setitem__", full)
    (block,) = plan_blocks((20, 20), size=20, overlap=0)
    with pytest.raises(RunError, match=r"could not be written.*No space left.*another folder"):
        canvas.add(block, np.ones((20, 20), np.int32), np.array([[9.5, 9.5]]))
