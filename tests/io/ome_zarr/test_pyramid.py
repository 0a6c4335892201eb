from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_medai.io.ome_zarr import pyramid
from napari_medai.io.ome_zarr.pyramid import (
    chunk_shape,
    copy_level,
    halve_level,
    halvings,
    mean_of_pairs,
    windows,
)


class Stored:
    """An array with chunks that counts how often each value is written."""

    def __init__(self, shape: tuple[int, ...], chunks: tuple[int, ...], dtype: Any) -> None:
        self.values = np.zeros(shape, dtype)
        self.times = np.zeros(shape, int)
        self.largest = 0
        self.shape, self.chunks, self.dtype = shape, chunks, np.dtype(dtype)

    def __setitem__(self, window: Any, values: np.ndarray) -> None:
        self.values[window] = values
        self.times[window] += 1
        self.largest = max(self.largest, values.nbytes)
        for part, chunk, n in zip(window, self.chunks, self.shape, strict=True):
            assert part.start % chunk == 0, "a chunk is written once"
            assert part.stop % chunk == 0 or part.stop == n, "a chunk is written once"


@pytest.mark.parametrize(
    ("sizes", "spacing", "expected"),
    [
        ({"Y": 512, "X": 9999}, {}, []),
        ({"Y": 513, "X": 513}, {}, ["YX"]),
        ({"Y": 2100, "X": 3000}, {}, ["YX", "YX", "YX"]),
        ({"Z": 100, "Y": 1100, "X": 1100}, {}, ["ZYX", "ZYX"]),
        ({"Z": 100, "Y": 1100, "X": 1100}, {"Z": 3.0}, ["YX", "ZYX"]),
        ({"Z": 100, "Y": 1100, "X": 1100}, {"Z": 0.003, "Y": 1, "X": 1}, ["YX", "ZYX"]),
        ({"Z": 1, "Y": 1100, "X": 1100}, {}, ["YX", "YX"]),
        ({"T": 100, "C": 3, "Y": 600, "X": 600}, {}, ["YX"]),
    ],
)
def test_voxels_become_cubes(
    sizes: dict[str, int], spacing: dict[str, float], expected: list[str]
) -> None:
    mixed = spacing.get("Z") == 0.003
    units = {"Z": "millimeter", "Y": "micrometer", "X": "micrometer"} if mixed else {}
    assert halvings(sizes, spacing, units) == expected


@pytest.mark.parametrize("most", [1, 50, 700, 10**6])
def test_windows_cover_all_once_and_cut_no_chunk(most: int) -> None:
    target = Stored((3, 10, 13), (2, 4, 5), np.uint16)
    source = np.arange(390, dtype=np.uint16).reshape(3, 10, 13)
    for window in windows(target.shape, target.chunks, itemsize=2, most=most):
        target[window] = source[window]
    np.testing.assert_array_equal(target.values, source)
    assert (target.times == 1).all()
    assert target.largest <= max(most, 2 * 4 * 5 * 2)


def test_whole_planes_are_read_together() -> None:
    found = list(windows((64, 512, 512), (16, 256, 256), itemsize=1, most=2**23))
    assert [window[0] for window in found] == [slice(0, 32), slice(32, 64)]
    assert found[0][1:] == (slice(0, 512), slice(0, 512))


def test_copies_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyramid, "COPIED_BYTES", 64)
    target = Stored((9, 9), (2, 3), np.uint8)
    source = np.arange(81).reshape(9, 9) > 40
    copy_level(source, target)
    np.testing.assert_array_equal(target.values, source)
    assert target.largest <= 64


@pytest.mark.parametrize("shape", [(4, 6, 8), (5, 7, 9), (1, 1, 3)])
@pytest.mark.parametrize("halved", [(1, 2), (0, 1, 2)])
def test_means_and_samples(
    shape: tuple[int, ...], halved: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyramid, "AVERAGED_BYTES", 100)
    source = np.random.default_rng(0).integers(0, 2**16, shape).astype(np.uint16)
    half = tuple(-(-n // 2) if axis in halved else n for axis, n in enumerate(shape))
    means, samples = (Stored(half, (1, 2, 2), np.uint16) for _ in range(2))
    halve_level(source, means, halved, labels=False)
    halve_level(source, samples, halved, labels=True)
    for index in np.ndindex(half):
        window = tuple(
            slice(2 * n, 2 * n + 2) if axis in halved else slice(n, n + 1)
            for axis, n in enumerate(index)
        )
        assert abs(float(means.values[index]) - source[window].mean()) <= 0.5
        assert samples.values[index] == source[window].flat[0]
    assert (means.times == 1).all()


def test_means_keep_their_dtype_and_do_not_overflow() -> None:
    for dtype in (np.uint8, np.int16, np.int64, np.float32, np.float64):
        top = np.iinfo(dtype).max // 2 if np.dtype(dtype).kind in "iu" else 1e30
        block = np.full((3, 3), top, dtype)
        found = mean_of_pairs(block, (0, 1))
        assert found.dtype == dtype
        np.testing.assert_allclose(found, block[:2, :2], rtol=1e-6)
    assert mean_of_pairs(np.array([[-3, -4]], np.int16), (1,)).tolist() == [[-4]]


def test_chunks() -> None:
    assert chunk_shape("TCYX", (5, 3, 2000, 300)) == (1, 1, 1024, 300)
    assert chunk_shape("ZYX", (40, 2000, 300)) == (16, 256, 256)
    assert chunk_shape("ZYX", (1, 2000, 300)) == (1, 1024, 300)
    assert chunk_shape("ZYX", (40, 3000, 2000)) == (1, 1024, 1024)
