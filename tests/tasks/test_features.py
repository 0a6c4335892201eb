"""What is measured of objects agrees with the labels that are returned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.objects import object_features
from napari_medai.core.steps import finished
from napari_medai.tasks import assembly
from napari_medai.tasks.segment import SegmentParams, segment_steps
from napari_medai.tasks.segmentation import Segmentation

Make = Callable[..., Any]


def segmented(image: Any, axes: str, model: Any, **params: Any) -> Segmentation:
    params = {"diameter": 12.0, **params}
    return finished(segment_steps(AxesArray(image, axes), model, SegmentParams(**params)))


def assert_same(found: Segmentation, wanted: dict[str, np.ndarray]) -> None:
    for name, column in wanted.items():
        np.testing.assert_allclose(found.features[name], column, err_msg=name)


@pytest.mark.parametrize("block", [0, 32])
def test_x_before_y(model: Make, knowing: Make, discs: Make, draw: Make, block: int) -> None:
    knowing()
    found = segmented(draw(discs((90, 130))).T, "XY", model(), block=block)
    assert found.count > 10
    assert_same(found, object_features(np.asarray(found.labels), axes="XY"))


@pytest.mark.parametrize("axes", ["ZYX", "YZX", "XYZ"])
def test_slices_in_any_order(
    model: Make, knowing: Make, discs: Make, draw_planes: Make, axes: str
) -> None:
    knowing()
    stack = draw_planes(np.stack([discs((40, 60))] * 3))
    found = segmented(stack.transpose(["ZYX".index(a) for a in axes]), axes, model())
    assert_same(found, object_features(np.asarray(found.labels), axes=axes))


@pytest.mark.parametrize("band", [1 << 22, 2000])
def test_objects_joined_from_pieces(
    model: Make, knowing: Make, draw: Make, band: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly, "BAND", band)
    monkeypatch.setattr(assembly, "CHUNK", 32)
    knowing(slope=0.0)
    labels = np.zeros((260, 260), np.int32)
    labels[20:220, 60:200] = 1
    labels[230:242, 230:242] = 2
    found = segmented(draw(labels), "YX", model(), block=48)
    assert any("joined" in note for note in found.notes)
    wanted = object_features(np.asarray(found.labels), image=draw(labels)[None])
    assert_same(found, wanted)


@pytest.mark.parametrize("depth", [1, 2])
def test_thin_volumes_hold_nothing_and_break_nothing(
    model: Make, knowing: Make, depth: int
) -> None:
    knowing(ndim=3)
    assert segmented(np.zeros((depth, 30, 30)), "ZYX", model(axes="CZYX")).count == 0


@pytest.mark.parametrize("axes", ["YX", "XY"])
def test_zarr_is_an_image_like_any(
    model: Make, knowing: Make, discs: Make, draw: Make, tmp_path: Path, axes: str
) -> None:
    import zarr

    knowing()
    image = draw(discs((100, 100)))
    stored = zarr.create_array(store=str(tmp_path / "a.zarr"), data=image, chunks=(50, 50))
    found = segmented(stored, axes, model())
    np.testing.assert_array_equal(found.labels, segmented(image, axes, model()).labels)
    assert found.count > 10


def test_a_frame_without_values_is_left_empty_and_named(
    model: Make, knowing: Make, discs: Make, draw: Make
) -> None:
    knowing()
    frame = draw(discs((60, 60))).astype(float)
    movie = np.stack([frame, np.full_like(frame, np.nan), frame])
    found = segmented(movie, "TYX", model())
    assert found.notes == ("t 1 holds no finite value and was left empty",)
    labels = np.asarray(found.labels)
    assert not labels[1].any()
    assert set(found.features["t"]) == {0, 2}
    with pytest.raises(InputError, match="no finite value"):
        segmented(movie[1], "YX", model())


@pytest.mark.parametrize("axes", ["TZYX", "TYX"])
def test_axes_of_length_one_stay(
    model: Make, knowing: Make, discs: Make, draw: Make, tmp_path: Path, axes: str
) -> None:
    knowing()
    plane = draw(discs((90, 130)))
    image = plane[(None,) * (len(axes) - 2)]
    whole = segmented(plane, "YX", model())
    found = segmented(image, axes, model(), block=32)
    assert np.asarray(found.labels).shape == image.shape
    assert found.count == whole.count
    steps = segment_steps(
        AxesArray(image, axes), model(), SegmentParams(diameter=12, block=32), out=tmp_path / "z"
    )
    stored = finished(steps)
    np.testing.assert_array_equal(np.asarray(stored.labels), np.asarray(found.labels))
    assert_same(stored, object_features(np.asarray(found.labels), axes=axes))
