"""Volumes whose axes say how they run in a patient: every way to the same place."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from napari_medai.core.space import Grid
from napari_medai.io.images import read_image

PAIRS = (
    ("inferior-to-superior", "superior-to-inferior"),
    ("anterior-to-posterior", "posterior-to-anterior"),
    ("right-to-left", "left-to-right"),
)
# (S, P, L) in mm of the upright volume that all are.
UPRIGHT = Grid(np.array([[3.0, 0, 0, 40], [0, 0.5, 0, -110], [0, 0, 0.25, -12], [0, 0, 0, 1]]))
VALUES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def _write(path: Path, order: Any, flips: Any, names: str = "zyx", **axis: Any) -> None:
    """The same volume with its axes in another order, some running the other way."""
    grid = UPRIGHT
    step, last = np.array(grid.spacing), np.array(VALUES.shape) - 1
    signs = np.where(flips, -1, 1)
    values = VALUES[tuple(slice(None, None, int(sign)) for sign in signs)].transpose(order)
    start = np.where(flips, -(grid.origin + step * last), grid.origin)
    levels = [values, values[::2, ::2, ::2]]
    group = zarr.create_group(path)
    datasets = []
    for number, level in enumerate(levels):
        group.create_array(str(number), data=np.ascontiguousarray(level))
        scale = (step[list(order)] * 2**number).tolist()
        changes: list[Any] = [{"type": "scale", "scale": scale}]
        changes += [{"type": "translation", "translation": start[list(order)].tolist()}]
        datasets.append({"path": str(number), "coordinateTransformations": changes})
    ways = [PAIRS[world][int(flips[world])] for world in order]
    axes = [
        {
            "name": name,
            "type": "space",
            "unit": "millimeter",
            "orientation": {"type": "anatomical", "value": way},
            **axis,
        }
        for name, way in zip(names, ways, strict=True)
    ]
    scale = {"axes": axes, "datasets": datasets}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [scale]}


@pytest.mark.parametrize("flips", list(product([False, True], repeat=3)))
@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("names", ["zyx", "xyz"])
def test_every_orientation_lies_upright(
    tmp_path: Path, order: tuple[int, ...], flips: tuple[bool, ...], names: str
) -> None:
    _write(tmp_path / "a.zarr", order, flips, names)
    (image,) = read_image(tmp_path / "a.zarr")
    assert image.axes == "ZYX"
    assert image.grid is not None
    np.testing.assert_allclose(image.grid.affine, UPRIGHT.affine)
    np.testing.assert_array_equal(image.levels[0], VALUES)
    assert image.levels[1].shape == (1, 2, 2)
    assert image.spacing == pytest.approx({"Z": 3, "Y": 0.5, "X": 0.25})


@pytest.mark.parametrize(
    "axis",
    [
        {"unit": None},
        {"orientation": None},
        {"orientation": "up"},
        {"orientation": {"type": "anatomical", "value": "dorsal-to-palmar"}},
        {"orientation": {"type": "anatomical", "value": "right-to-left"}},
        {"orientation": {"type": "anatomical", "value": []}},
    ],
)
def test_what_does_not_say_all_lies_in_no_patient(tmp_path: Path, axis: dict[str, Any]) -> None:
    _write(tmp_path / "a.zarr", (0, 1, 2), (False, True, False), **axis)
    (image,) = read_image(tmp_path / "a.zarr")
    assert image.grid is None
    assert image.origin == {"Z": 40, "Y": 109, "X": -12}
    np.testing.assert_array_equal(image.levels[0], VALUES[:, ::-1])
