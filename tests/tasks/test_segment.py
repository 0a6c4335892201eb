"""The recipe from array to objects, with a net that makes no mistakes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest

from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.objects import object_features
from napari_medai.core.steps import Step, finished
from napari_medai.tasks.segment import (
    Segmentation,
    SegmentParams,
    redecoded,
    segment_steps,
)

Make = Callable[..., Any]
GIVEN = 12.0
"""The diameter the net knows: no look is taken."""


def segmented(
    image: Any, axes: str, model: Any, *, out: Path | None = None, **params: Any
) -> Segmentation:
    given = AxesArray(image, axes) if not isinstance(image, AxesArray) else image
    return finished(
        segment_steps(
            given, model, SegmentParams(**{"diameter": GIVEN, **params}), out=out, keep_scores=True
        )
    )


# --- what comes out


def test_every_object_is_found_and_numbered(
    model: Make, knowing: Make, discs: Make, draw: Make, same_objects: Make
) -> None:
    net = knowing()
    labels = discs((90, 130))
    found = segmented(draw(labels), "YX", model())
    same_objects(found.labels, labels)
    assert found.axes == "YX"
    assert found.labels.dtype == np.int32
    assert found.count == len(np.unique(labels)) - 1
    assert (found.features["index"] == np.arange(1, found.count + 1)).all()
    assert found.notes == ()
    assert net.closed == [True]


def test_features_are_those_of_the_labels(
    model: Make, knowing: Make, discs: Make, draw: Make
) -> None:
    knowing()
    spacing = {"Y": 0.5, "X": 0.25}
    image = AxesArray(draw(discs((90, 130))), "YX", spacing, {"Y": "micrometer"})
    for block in (0, 48):
        found = segmented(image, "YX", model(), block=block)
        wanted = object_features(
            found.labels, image=image.moved_to("CYX").data, spacing={"Y": 0.5, "X": 0.25}, axes="YX"
        )
        assert list(found.features) == [
            "index", "score", "area", "mean_intensity", "centroid-y", "centroid-x",
        ]  # fmt: skip
        for name, column in wanted.items():
            np.testing.assert_allclose(found.features[name], column, err_msg=name)
        assert (found.features["score"] > 0.8).all()
        assert (found.features["score"] < 1).all()


@pytest.mark.parametrize(
    ("tile", "block"),
    [(16, 0), (50, 0), (0, 48), (32, 64), (17, 90), (64, 200), (400, 33), (8, 24)],
)
def test_tiles_and_blocks_change_nothing(
    model: Make,
    knowing: Make,
    discs: Make,
    draw: Make,
    same_objects: Make,
    tile: int,
    block: int,
) -> None:
    """The same objects, none split at a seam, and the same table."""
    net = knowing()
    image = draw(discs((150, 210), seed=tile))
    whole = segmented(image, "YX", model())
    net.tiles.clear()
    pieces = segmented(image, "YX", model(), tile=tile, block=block)
    assert len(net.tiles) > 1
    same_objects(pieces.labels, whole.labels)
    assert pieces.count == whole.count
    assert pieces.notes == ()
    order = {
        int(a): int(b) for a, b in zip(pieces.labels.flat, whole.labels.flat, strict=True) if a
    }
    row = np.array([order[label] for label in pieces.features["index"]]) - 1
    for name in ("area", "mean_intensity", "centroid-y", "centroid-x", "score"):
        np.testing.assert_allclose(pieces.features[name], whole.features[name][row], rtol=1e-5)


def test_volumes_in_blocks(
    model: Make, knowing: Make, discs: Make, draw: Make, same_objects: Make
) -> None:
    knowing(ndim=3)
    labels = discs((36, 60, 76))
    whole = segmented(draw(labels), "ZYX", model(axes="CZYX"))
    same_objects(whole.labels, labels)
    assert "volume" in whole.features
    pieces = segmented(draw(labels), "ZYX", model(axes="CZYX"), tile=16, block=30)
    same_objects(pieces.labels, labels)


def test_objects_larger_than_the_overlap_are_joined_and_told(
    model: Make, knowing: Make, draw: Make, same_objects: Make
) -> None:
    knowing(slope=0.0)
    labels = np.zeros((260, 260), np.int32)
    labels[20:220, 60:200] = 1
    labels[230:242, 230:242] = 2
    found = segmented(draw(labels), "YX", model(), block=48)
    same_objects(found.labels, labels)
    assert found.count == 2
    assert len(found.notes) == 1
    assert re.match(r"1 objects? .*larger than the overlap", found.notes[0])


def test_minimum_size_is_a_part_of_a_typical_object(model: Make, knowing: Make, draw: Make) -> None:
    knowing()
    labels = np.zeros((40, 60), np.int32)
    labels[5:17, 5:17] = 1
    labels[25:29, 25:30] = 2  # 20 pixels; a disc of 12 has 113
    assert segmented(draw(labels), "YX", model(), min_size=0.1).count == 2
    assert segmented(draw(labels), "YX", model(), min_size=0.2).count == 1


# --- axes


def test_frames_are_worked_through_one_by_one(
    model: Make, knowing: Make, discs: Make, draw_planes: Make, same_objects: Make
) -> None:
    knowing()
    labels = np.stack([discs((40, 60), seed=s) for s in range(3)])
    labels[1] = 0
    found = segmented(draw_planes(labels), "TYX", model())
    for t in (0, 1, 2):
        same_objects(found.labels[t], labels[t])
    ids = [set(np.unique(frame)) - {0} for frame in found.labels]
    assert not ids[0] & ids[2]
    assert found.count == len(ids[0]) + len(ids[2])
    for index, t in zip(found.features["index"], found.features["t"], strict=True):
        assert int(index) in ids[t]
    assert "area" in found.features


def test_slices_are_linked_through_z(
    model: Make, knowing: Make, draw_planes: Make, same_objects: Make
) -> None:
    knowing()
    labels = np.zeros((6, 40, 60), np.int32)
    labels[0:4, 5:17, 5:17] = 1
    labels[2:6, 5:17, 30:42] = 2
    labels[5, 5:17, 5:17] = 3  # above the first, a slice apart
    labels[1:3, 22:34, 20:32] = 4
    found = segmented(draw_planes(labels), "ZYX", model())
    same_objects(found.labels, labels)
    wanted = object_features(np.asarray(found.labels), axes="ZYX")
    for name in ("index", "volume", "centroid-z", "centroid-y", "centroid-x"):
        np.testing.assert_allclose(found.features[name], wanted[name])


@pytest.mark.parametrize("axes", ["TZYX", "ZTYX", "YZXT", "XYZT"])
def test_axes_may_come_in_any_order(
    model: Make, knowing: Make, discs: Make, draw_planes: Make, same_objects: Make, axes: str
) -> None:
    """Slices are linked within a frame, never across; the result has the image's axes."""
    knowing()
    frames = [np.broadcast_to(discs((40, 60), seed=seed), (3, 40, 60)) for seed in (0, 1)]
    labels = np.stack([frames[0], np.where(frames[1] > 0, frames[1] + 100, 0)])
    order = ["TZYX".index(axis) for axis in axes]
    image = draw_planes(labels)
    found = segmented(image.transpose(order), axes, model())
    assert found.axes == axes
    same_objects(found.labels, labels.transpose(order))
    assert set(found.features) >= {"t", "volume", "centroid-z"}


def test_x_before_y(
    model: Make, knowing: Make, discs: Make, draw: Make, same_objects: Make
) -> None:
    knowing()
    labels = discs((40, 60))
    found = segmented(draw(labels).T, "XY", model())
    assert found.axes == "XY"
    same_objects(found.labels, labels.T)
    assert (found.features["area"] == np.bincount(np.asarray(found.labels).ravel())[1:]).all()


@pytest.mark.parametrize("axes", ["YXC", "CYX", "YCX"])
def test_channels_of_the_model_are_taken_from_wherever_they_are(
    model: Make, knowing: Make, discs: Make, draw: Make, same_objects: Make, axes: str
) -> None:
    knowing()
    labels = discs((40, 60))
    image = np.moveaxis(np.stack([draw(labels)] * 3), 0, axes.index("C"))
    found = segmented(image, axes, model(channels=3))
    assert found.axes == "YX"
    same_objects(found.labels, labels)
    np.testing.assert_allclose(
        found.features["mean_intensity"],
        object_features(np.asarray(found.labels), image=draw(labels)[None])["mean_intensity"],
    )


def test_gray_images_suit_a_model_of_three_channels(
    model: Make, knowing: Make, discs: Make, draw: Make, same_objects: Make
) -> None:
    knowing()
    labels = discs((40, 60))
    same_objects(segmented(draw(labels), "YX", model(channels=3)).labels, labels)
    same_objects(segmented(draw(labels)[None], "CYX", model(channels=3)).labels, labels)


# --- large images


@pytest.mark.parametrize("kind", ["dask", "chunked", "plain"])
@pytest.mark.parametrize("axes", ["YX", "XY", "TYX"])
def test_lazy_images_are_read_in_windows(
    model: Make, knowing: Make, discs: Make, draw: Make, counted: Make, axes: str, kind: str
) -> None:
    """Never as a whole, whether they are sliced by dask, like zarr, or by themselves."""
    knowing()
    labels = discs((240, 240))
    piece = draw(labels)
    piece[(labels == 0) & (np.arange(240) % 10 == 0)] = piece[0, 0]  # seen in every sample
    image = np.tile(piece, (5, 5))
    image = {"YX": image, "XY": image.T, "TYX": image[None]}[axes]
    source = counted(image)
    given: Any = source
    if kind == "dask":
        chunks = (1, 100, 100)[-image.ndim :]
        given = dask.array.from_array(source, chunks=chunks, asarray=False, fancy=False)
    elif kind == "chunked":
        source.chunks = (1, 100, 100)[-image.ndim :]
    found = segmented(given, axes, model(), block=200, tile=200)
    assert found.count == 25 * (len(np.unique(labels)) - 1)
    assert max(source.reads) < 0.2 * image.size


def test_an_image_is_never_written_to(model: Make, knowing: Make, discs: Make, draw: Make) -> None:
    knowing()
    image = draw(discs((60, 60)))
    before = image.copy()
    image.flags.writeable = False
    segmented(image, "YX", model(), block=32)
    assert (image == before).all()


@pytest.mark.parametrize("axes", ["YX", "TYX", "ZYX"])
def test_large_results_go_to_zarr(
    model: Make, knowing: Make, discs: Make, draw_planes: Make, tmp_path: Path, axes: str
) -> None:
    import zarr

    knowing()
    labels = discs((70, 90))
    labels = labels if axes == "YX" else np.stack([labels, labels])
    image = draw_planes(labels)
    out = tmp_path / "labels.zarr"
    found = segmented(image, axes, model(), block=32, out=out)
    plain = segmented(image, axes, model(), block=32)
    stored = zarr.open_array(out, mode="r")
    assert (stored[:] == plain.labels).all()
    assert (np.asarray(found.labels[:]) == plain.labels).all()
    for name, column in plain.features.items():
        np.testing.assert_allclose(found.features[name], column)


def test_an_output_that_exists_is_not_overwritten(
    model: Make, knowing: Make, discs: Make, draw: Make, tmp_path: Path
) -> None:
    net = knowing()
    out = tmp_path / "labels.zarr"
    out.mkdir()
    (out / "precious").write_text("mine")
    with pytest.raises(InputError, match="exists and is not overwritten"):
        segmented(draw(discs((40, 40))), "YX", model(), out=out)
    assert (out / "precious").read_text() == "mine"
    assert net.tiles == []  # found before the work starts


@pytest.mark.parametrize("axes", ["YX", "TYX"])
def test_an_unwritable_output_is_found_before_the_work_starts(
    model: Make, knowing: Make, discs: Make, draw_planes: Make, tmp_path: Path, axes: str
) -> None:
    net = knowing()
    (tmp_path / "file").write_text("")
    image = draw_planes(discs((40, 40)) if axes == "YX" else discs((40, 40))[None])
    with pytest.raises(InputError, match="cannot be written"):
        segmented(image, axes, model(), out=tmp_path / "file" / "labels.zarr")
    assert net.tiles == []


@pytest.mark.parametrize("axes", ["YX", "TYX"])
@pytest.mark.parametrize("stop", [3, 6, 12])
def test_cancelling_removes_what_was_written(
    model: Make,
    knowing: Make,
    discs: Make,
    draw_planes: Make,
    tmp_path: Path,
    axes: str,
    stop: int,
) -> None:
    net = knowing()
    labels = discs((120, 160))
    image = AxesArray(draw_planes(labels if axes == "YX" else np.stack([labels] * 2)), axes)
    out = tmp_path / "labels.zarr"
    steps = segment_steps(image, model(), SegmentParams(diameter=12, block=40, tile=40), out=out)
    for _ in range(stop):
        next(steps)
    steps.close()
    assert list(tmp_path.iterdir()) == []
    assert net.closed == [True]


def test_a_run_that_fails_removes_what_was_written(
    model: Make, knowing: Make, discs: Make, draw: Make, tmp_path: Path
) -> None:
    net = knowing(fail_at=3)
    with pytest.raises(RuntimeError, match="the device is lost"):
        segmented(draw(discs((120, 160))), "YX", model(), block=40, out=tmp_path / "labels.zarr")
    assert list(tmp_path.iterdir()) == []
    assert net.closed == [True]


# --- decoding again


@pytest.mark.parametrize("axes", ["YX", "TYX", "ZYX"])
@pytest.mark.parametrize("changes", [{"threshold": 0.9}, {"min_size": 1.0}, {"threshold": 0.3}])
def test_decoding_again_equals_a_fresh_run(
    model: Make,
    knowing: Make,
    discs: Make,
    draw_planes: Make,
    axes: str,
    changes: dict[str, float],
) -> None:
    net = knowing(slope=0.8)
    labels = discs((60, 90))
    image = draw_planes(labels if axes == "YX" else np.stack([labels, labels, 0 * labels]))
    first = segmented(image, axes, model())
    calls = len(net.tiles)
    again = redecoded(first, SegmentParams(diameter=GIVEN, **changes))
    assert len(net.tiles) == calls
    fresh = segmented(image, axes, model(), **changes)
    assert (again.labels == fresh.labels).all()
    assert list(again.features) == list(fresh.features)
    for name, column in fresh.features.items():
        np.testing.assert_array_equal(again.features[name], column)
    assert again.record["parameters"] == fresh.record["parameters"]
    assert again.record["found"] == fresh.record["found"]
    assert again.record["found"]["count"] == again.count
    back = redecoded(again, SegmentParams(diameter=GIVEN))
    assert (back.labels == first.labels).all()


def test_the_threshold_matters_here(model: Make, knowing: Make, discs: Make, draw: Make) -> None:
    knowing(slope=0.8)
    image = draw(discs((60, 90)))
    areas = [
        segmented(image, "YX", model(), threshold=t).features["area"].sum() for t in (0.3, 0.9)
    ]
    assert areas[1] < areas[0]


def test_scores_too_large_to_keep_are_not_decoded_again(
    model: Make, knowing: Make, discs: Make, draw: Make
) -> None:
    knowing()
    found = segmented(draw(discs((90, 130))), "YX", model(), block=40)
    assert found.scores is None
    with pytest.raises(InputError, match="run it again"):
        redecoded(found, SegmentParams())


# --- progress and record


def test_progress_rises_to_its_end(
    model: Make, knowing: Make, discs: Make, draw_planes: Make
) -> None:
    knowing()
    told: list[Step] = []
    image = draw_planes(np.stack([discs((80, 160))] * 2))
    params = SegmentParams(diameter=GIVEN, block=40, tile=24)
    finished(segment_steps(AxesArray(image, "TYX"), model(), params), told.append)
    counted = [step for step in told if step.total]
    assert [s.done for s in counted] == sorted(s.done for s in counted)
    assert {s.total for s in counted} == {counted[0].total}
    assert counted[-1].done == counted[-1].total
    assert all(step.text for step in told)
    assert "t 1, block" in counted[-1].text


def test_the_record_can_be_written_down(
    model: Make, knowing: Make, discs: Make, draw: Make
) -> None:
    knowing()
    image = AxesArray(draw(discs((60, 90))), "YX", {"Y": 0.5, "X": 0.5}, {"X": "micrometer"})
    found = segmented(image, "YX", model(), threshold=0.6)
    record = json.loads(json.dumps(found.record))
    assert record["task"] == "segment"
    assert record["model"] == {"name": "by-heart", "version": "1.0.0", "sha256": "0" * 64}
    assert record["parameters"]["threshold"] == 0.6
    assert record["image"]["shape"] == [60, 90]
    assert record["image"]["spacing"] == {"Y": 0.5, "X": 0.5}
    assert record["found"] == {"diameter": 12.0, "diameter_from": "given", "count": found.count}
    assert record["device"] == "cpu, by heart"
    assert record["seconds"] > 0
    assert record["packages"]["torch"]


# --- bad input


@pytest.mark.parametrize(
    ("image", "axes", "message"),
    [
        (np.zeros((0, 10)), "YX", "the image is empty"),
        (np.zeros((3, 0, 10)), "TYX", "the image is empty"),
        (np.float64(3), "", "set the axes|works on axes Y X"),
        (np.zeros(()), "", "works on axes Y X"),
        (np.zeros(50), "X", "Y is among them"),
        (np.zeros((4, 50)), "TX", "Y is among them"),
        (np.zeros((4, 50)), "TC", "Y and X are among them"),
        (np.zeros((10, 10)), "ZYX", "name 3 dimensions, but the array has 2"),
        (np.zeros((10, 10)), "YY", "different capital letters"),
        (np.zeros((10, 10)), "yx", "different capital letters"),
        (np.zeros((10, 10), complex), "YX", "complex128.*magnitude"),
        (np.zeros((10, 10), object), "YX", "object values"),
        (np.full((10, 10), "a"), "YX", "<U1 values"),
        (np.full((30, 30), np.nan), "YX", "no finite value"),
        (np.full((30, 30), -np.inf), "YX", "no finite value"),
        (np.zeros((2, 30, 30)), "CYX", "takes 1 or 3 channels, but the image has 2"),
        (np.zeros((30, 30, 4)), "YXC", "takes 1 or 3 channels, but the image has 4"),
    ],
)
def test_bad_images_are_refused_in_a_sentence(
    model: Make, knowing: Make, image: Any, axes: str, message: str
) -> None:
    knowing()
    with pytest.raises(InputError, match=message) as caught:
        segmented(image, axes, model(channels=3), diameter=0)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("diameter", [0.0, 12.0])
@pytest.mark.parametrize(
    ("image", "axes"),
    [
        (np.ones((1, 1)), "YX"),
        (np.full((1, 1, 3), 255, np.uint8), "YXC"),
        (np.zeros((3, 2), np.uint8), "YX"),
        (np.ones((1, 300), bool), "YX"),
        (np.full((64, 64), 7, np.uint16), "YX"),
        (np.full((64, 64), np.finfo(np.float64).max), "YX"),
        (np.full((4, 1, 1), 7, np.int8), "ZYX"),
        (np.full((1, 1, 2, 1), 1.5, np.float16), "TZYX"),
        (np.where(np.eye(40) > 0, np.nan, 1.0), "YX"),
        (np.where(np.eye(40) > 0, np.inf, 1.0), "YX"),
    ],
)
def test_images_without_contrast_hold_no_objects(
    model: Make, knowing: Make, image: np.ndarray, axes: str, diameter: float
) -> None:
    knowing()
    found = segmented(image, axes, model(channels=3), diameter=diameter)
    assert found.axes == axes.replace("C", "")
    assert found.labels.shape == image.shape[: len(found.axes)]
    assert not np.asarray(found.labels).any()
    assert found.count == 0
    assert all(len(column) == 0 for column in found.features.values())
    if found.scores is not None:
        assert redecoded(found, SegmentParams(threshold=0.7)).count == 0


def test_nan_in_an_image_leaves_the_rest_as_it_is(
    model: Make, knowing: Make, discs: Make, draw: Make, same_objects: Make
) -> None:
    knowing()
    labels = discs((60, 90))
    image = draw(labels).astype(np.float64)
    image[(labels == 0) & (np.random.default_rng(0).random(labels.shape) < 0.1)] = np.nan
    image[0, 0] = draw(labels)[0, 0]
    same_objects(segmented(image, "YX", model()).labels, labels)


def test_an_image_smaller_than_the_stride(
    model: Make, knowing: Make, draw: Make, same_objects: Make
) -> None:
    knowing()
    labels = np.zeros((3, 3), np.int32)
    labels[1:, 1:] = 1
    same_objects(segmented(draw(labels), "YX", model(), min_size=0.0).labels, labels)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threshold": 0.0}, "threshold must be 0.05 to 0.95, got 0"),
        ({"threshold": 1.0}, "threshold must be 0.05 to 0.95, got 1"),
        ({"threshold": float("nan")}, "threshold must be a number, got nan"),
        ({"min_size": -0.1}, "min_size must be 0 to 1, got -0.1"),
        ({"diameter": -5}, "diameter must be 0 to 10000, got -5"),
        ({"diameter": float("inf")}, "diameter must be a number, got inf"),
        ({"tile": -1}, "tile must be 0 to 65536, got -1"),
        ({"block": 2.5}, "block must be a whole number, got 2.5"),
        ({"device": "gpu"}, "device must be one of auto, cuda, mps, cpu, got 'gpu'"),
    ],
)
def test_bad_parameters_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SegmentParams(**changes)


def test_a_missing_device_is_refused_before_the_work(
    model: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="device 'cuda' is not available"):
        segmented(np.zeros((30, 30)), "YX", model(), device="cuda")
