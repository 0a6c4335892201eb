"""Where an image is cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medai.core.errors import InputError
from napari_medai.core.tiling import Tile, halved, plan_blocks, plan_tiles


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Any]:
    """Shape, size, margin and multiple of a 1D to 3D image."""
    ndim = draw(st.integers(1, 3))
    each = [
        (
            draw(st.integers(1, 60)),
            draw(st.integers(1, 30)),
            draw(st.integers(0, 9)),
            draw(st.integers(1, 5)),
        )
        for _ in range(ndim)
    ]
    shape, size, margin, multiple = zip(*each, strict=True)
    return {"shape": shape, "size": size, "margin": margin, "multiple": multiple}


def up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple


def assert_margins(plan: dict[str, Any], read: tuple[slice, ...], core: tuple[slice, ...]) -> None:
    """A read window starts on the grid, ends on it or with the image, and holds the margin."""
    each = zip(plan["shape"], plan["margin"], plan["multiple"], read, core, strict=True)
    for n, margin, multiple, r, c in each:
        assert 0 <= r.start <= max(0, c.start - margin)
        assert min(n, c.stop + margin) <= r.stop <= n
        assert r.start % multiple == 0
        assert r.stop % multiple == 0 or r.stop == n
        assert c.start % multiple == 0
        assert c.start < c.stop


@settings(max_examples=200, deadline=None)
@given(plan=plans())
def test_tiles_write_every_pixel_once(plan: dict[str, Any]) -> None:
    written = np.zeros(plan["shape"], int)
    tiles = plan_tiles(
        plan["shape"], size=plan["size"], halo=plan["margin"], multiple=plan["multiple"]
    )
    for tile in tiles:
        written[tile.write] += 1
        assert_margins(plan, tile.read, tile.write)
        own = np.arange(np.prod(plan["shape"])).reshape(plan["shape"])
        np.testing.assert_array_equal(own[tile.read][tile.keep], own[tile.write])
        longest = [
            up(size, m) + 2 * up(margin, m)
            for size, margin, m in zip(plan["size"], plan["margin"], plan["multiple"], strict=True)
        ]
        assert all(n <= most for n, most in zip(tile.shape, longest, strict=True))
    assert (written == 1).all()
    # padded to the net's stride, tiles that are not the only one along an axis read alike
    padded = {
        tuple(up(n, m) for n, m in zip(tile.shape, plan["multiple"], strict=True)) for tile in tiles
    }
    assert len(padded) == 1


@settings(max_examples=200, deadline=None)
@given(plan=plans())
def test_blocks_own_every_pixel_once(plan: dict[str, Any]) -> None:
    owned = np.zeros(plan["shape"], int)
    for block in plan_blocks(
        plan["shape"], size=plan["size"], overlap=plan["margin"], multiple=plan["multiple"]
    ):
        owned[block.core] += 1
        assert_margins(plan, block.read, block.core)
        assert block.shape == owned[block.read].shape
        each = zip(plan["shape"], plan["margin"], plan["multiple"], strict=True)
        for (n, margin, m), core, read in zip(each, block.core, block.read, strict=True):
            assert read.start == max(0, core.start - up(margin, m))
            assert read.stop == min(n, core.stop + up(margin, m))
    assert (owned == 1).all()


def test_tiles_by_hand() -> None:
    cuts = [(t.read, t.write, t.keep) for t in plan_tiles((20,), size=4, halo=3, multiple=2)]
    assert cuts == [
        ((slice(0, 12),), (slice(0, 8),), (slice(0, 8),)),
        ((slice(4, 16),), (slice(8, 12),), (slice(4, 8),)),
        ((slice(8, 20),), (slice(12, 20),), (slice(4, 12),)),
    ]
    assert plan_tiles((5, 7), size=64, halo=16, multiple=16) == [
        Tile(*[(slice(0, 5), slice(0, 7))] * 3)
    ]


@settings(max_examples=200, deadline=None)
@given(plan=plans())
def test_halves_are_the_tile(plan: dict[str, Any]) -> None:
    how = {"halo": plan["margin"], "multiple": plan["multiple"]}
    tiles = plan_tiles(plan["shape"], size=plan["size"], **how)
    for _ in range(3):
        parts = [halved(tile, **how) or (tile,) for tile in tiles]
        for tile, halves in zip(tiles, parts, strict=True):
            for half in halves:
                assert_margins(plan, half.read, half.write)
                assert np.prod(half.shape) <= np.prod(tile.shape) * (7 / 8 if half != tile else 1)
        tiles = [half for halves in parts for half in halves]
    written = np.zeros(plan["shape"], int)
    for tile in tiles:
        written[tile.write] += 1
    assert (written == 1).all()


def test_half_a_tile_is_cut_where_it_saves_most() -> None:
    (tile,) = plan_tiles((64, 100), size=100, halo=30)
    halves = halved(tile, halo=(30, 30), multiple=(1, 1))
    assert halves is not None
    assert [half.shape for half in halves] == [(64, 80), (64, 80)]
    assert halved(tile, halo=(60, 60), multiple=(1, 1)) is None
    assert halved(Tile(*[(slice(0, 1),)] * 3), halo=(0,), multiple=(1,)) is None


@pytest.mark.parametrize(
    ("shape", "wrong", "text"),
    [
        ((0, 4), {}, r"shape \(0, 4\) has no pixels"),
        ((), {}, r"shape \(\) has no pixels"),
        ((4, 4), {"size": 0}, "tile size must be a whole number of at least 1"),
        ((4, 4), {"size": (4,)}, r"one for each of the 2 axes, got \(4,\)"),
        ((4, 4), {"halo": -1}, "margin must be a whole number of at least 0"),
        ((4, 4), {"multiple": 0}, "multiple must be a whole number of at least 1"),
    ],
)
def test_wrong_numbers(shape: tuple[int, ...], wrong: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        plan_tiles(shape, **{"size": 4, "halo": 1, "multiple": 1, **wrong})
