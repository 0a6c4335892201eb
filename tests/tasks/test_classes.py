"""The recipe from volume to classes, with random weights that find something everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest

from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.steps import Step, finished
from napari_medai.models.model import Model
from napari_medai.models.package import read_model
from napari_medai.tasks import classes
from napari_medai.tasks.segment import SegmentParams, redecoded, segment_steps
from napari_medai.tasks.segmentation import Segmentation

MM = dict.fromkeys("ZYX", "millimeter")
ONE = dict.fromkeys("ZYX", 1.0)


@pytest.fixture
def model(class_package: Path) -> Model:
    return read_model(class_package)


def volume(shape: tuple[int, ...] = (30, 37, 44), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(200, 40, shape).astype(np.float32)


def segmented(
    data: Any, model: Model, *, axes: str = "ZYX", out: Path | None = None, **params: Any
) -> Segmentation:
    image = data if isinstance(data, AxesArray) else AxesArray(data, axes, ONE, MM)
    given = SegmentParams(device="cpu", **params)
    return finished(segment_steps(image, model, given, out=out, keep_scores=True))


def told(data: Any, model: Model, **params: Any) -> list[Step]:
    """The steps of a run."""
    image = AxesArray(data, "ZYX", ONE, MM)
    return list(segment_steps(image, model, SegmentParams(device="cpu", **params)))


def test_every_voxel_gets_a_class(model: Model) -> None:
    data = volume()
    found = segmented(data, model)
    labels = np.asarray(found.labels)
    assert (labels.shape, labels.dtype, found.axes) == (data.shape, np.uint8, "ZYX")
    assert found.classes == ("front", "back")
    assert set(found.colours) == {1, 2}
    assert found.notes == ()
    assert list(found.features["index"]) == [1, 2]
    assert list(found.features["class"]) == ["front", "back"]
    for row, number in enumerate((1, 2)):
        inside = labels == number
        assert found.features["voxels"][row] == inside.sum() > 0
        assert found.features["mean_intensity"][row] == pytest.approx(data[inside].mean(), rel=1e-4)
    assert found.record["found"] == {"zoom": [1.0, 1.0, 1.0], "count": 2}
    assert found.record["classes"] == model.config["classes"]
    assert found.told.startswith("front ")
    assert found.told.endswith(" ml")


def test_tiles_and_blocks_change_nothing(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    data = volume((48, 52, 150))
    whole = np.asarray(segmented(data, model).labels)
    tiled = np.asarray(segmented(data, model, tile=16).labels)
    assert (tiled != whole).mean() < 1e-4
    monkeypatch.setattr(classes, "LARGEST_HELD", 0)
    lazy = dask.array.from_array(data, chunks=(5, 52, 150))
    blocks = np.asarray(segmented(lazy, model, tile=16, block=24).labels)
    assert len(told(data, model, tile=16)) > 2
    assert (blocks != whole).mean() < 1e-4


def test_axes_may_come_in_any_order(model: Model) -> None:
    data = volume()
    whole = np.asarray(segmented(data, model).labels)
    turned = segmented(data.transpose(2, 0, 1), model, axes="XZY")
    assert turned.axes == "XZY"
    assert np.array_equal(np.asarray(turned.labels).transpose(1, 2, 0), whole)


def test_frames_are_seen_one_by_one(model: Model) -> None:
    frames = np.stack([volume(seed=1), volume(seed=2) * 3])
    found = segmented(frames, model, axes="TZYX")
    for at in range(2):
        alone = np.asarray(segmented(frames[at], model).labels)
        assert np.array_equal(np.asarray(found.labels)[at], alone)
    assert found.features["voxels"].sum() == np.count_nonzero(found.labels)
    assert list(found.features["t"]) == [0, 0, 1, 1]
    assert list(found.features["index"]) == [1, 2, 1, 2]
    second = np.asarray(found.labels)[1]
    assert list(found.features["voxels"][2:]) == [(second == n).sum() for n in (1, 2)]
    assert found.told == "front, back in 2 frames"
    assert found.record["found"]["count"] == 2


def test_a_lazy_volume_is_read_once_and_can_be_stopped_meanwhile(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, read = volume((40, 30, 30)), []

    def slices(block_info: Any) -> np.ndarray:
        (start, stop), *_ = block_info[None]["array-location"]
        read.append(start)
        return data[start:stop]

    lazy = dask.array.map_blocks(slices, chunks=((2,) * 20, 30, 30), dtype=data.dtype, meta=data)
    monkeypatch.setattr(classes, "SLAB", 2 * 900)
    steps = told(lazy, model)
    assert sorted(read) == list(range(0, 40, 2))
    assert [step.text for step in steps].count("reading") == 20


def test_a_leaning_volume_holds_less(model: Model) -> None:
    data = volume()
    upright = segmented(data, model)
    leaning = segmented(AxesArray(data, "ZYX", ONE, MM, slant=0.9397), model)
    assert leaning.features["volume_ml"] == pytest.approx(0.9397 * upright.features["volume_ml"])


def test_other_spacings_come_back_on_their_own_grid(model: Model) -> None:
    spacing = {"Z": 2.0, "Y": 0.5, "X": 0.75}
    image = AxesArray(volume((20, 70, 51)), "ZYX", spacing, MM)
    found = segmented(image, model)
    assert np.asarray(found.labels).shape == (20, 70, 51)
    assert found.record["found"]["zoom"] == [2.0, 0.5, 0.7273]
    assert found.features["volume_ml"] == pytest.approx(found.features["voxels"] * 0.75e-3)
    micro = AxesArray(
        image.data,
        "ZYX",
        {a: 1e3 * s for a, s in spacing.items()},
        dict.fromkeys("ZYX", "micrometer"),
    )
    assert np.array_equal(np.asarray(segmented(micro, model).labels), np.asarray(found.labels))
    assert not np.array_equal(np.asarray(segmented(image.data, model).labels), found.labels)


def test_an_unknown_spacing_is_told(model: Model) -> None:
    (note,) = segmented(AxesArray(volume(), "ZYX"), model).notes
    assert "taken to be 1 x 1 x 1 mm" in note
    assert segmented(AxesArray(volume(), "ZYX"), model).told.endswith("pixels")
    far = AxesArray(volume(), "ZYX", dict.fromkeys("ZYX", 100.0), MM)
    with pytest.raises(InputError, match="step along Z is 100 mm, but halves was trained at 1 mm"):
        segmented(far, model)


def test_mirroring_is_for_models_that_know_it(model: Model, tmp_path: Path) -> None:
    data = volume()
    plain, mirrored = segmented(data, model), segmented(data, model, mirror="on")
    assert not np.array_equal(plain.labels, mirrored.labels)
    flipped = segmented(data[..., ::-1].copy(), model, mirror="on")
    assert (np.asarray(flipped.labels)[..., ::-1] != mirrored.labels).mean() < 0.02
    assert mirrored.record["parameters"]["mirror"] == "on"


def test_a_model_may_be_best_used_mirrored(model: Model) -> None:
    data = volume()
    mirrored = segmented(data, model, mirror="on").labels
    assert not np.array_equal(segmented(data, model).labels, mirrored)
    model.spec.config["mirrored"] = True  # type: ignore[index]
    assert np.array_equal(segmented(data, model).labels, mirrored)
    assert not np.array_equal(segmented(data, model, mirror="off").labels, mirrored)


def test_without_mirrored_training_there_is_no_mirroring(model: Model) -> None:
    del model.spec.config["mirror"]  # type: ignore[attr-defined]
    found = segmented(volume(), model, mirror="on")
    assert found.notes == ("halves was not trained on mirrored images, so none were looked at.",)
    assert np.array_equal(found.labels, segmented(volume(), model).labels)


def test_large_results_go_to_zarr(model: Model, tmp_path: Path) -> None:
    import zarr

    data = volume()
    out = tmp_path / "labels.zarr"
    found = segmented(data, model, out=out)
    assert np.array_equal(zarr.open_array(out, mode="r")[...], segmented(data, model).labels)
    assert found.scores is None
    with pytest.raises(InputError, match="not kept"):
        redecoded(found, SegmentParams())


def test_a_cancelled_run_leaves_nothing(model: Model, tmp_path: Path) -> None:
    out = tmp_path / "labels.zarr"
    image = AxesArray(volume(), "ZYX", ONE, MM)
    job = segment_steps(image, model, SegmentParams(device="cpu", tile=16), out=out)
    for step in job:
        if step.total:
            break
    assert out.exists()
    job.close()
    assert not out.exists()


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (AxesArray(np.zeros((0, 4, 4)), "ZYX"), "the image is empty"),
        (AxesArray(np.zeros((4, 4)), "YX"), "works on axes Z Y X"),
        (AxesArray(np.zeros((2, 4, 4, 4)), "CZYX"), "takes 1 channel, but the image has 2"),
        (AxesArray(np.full((4, 4, 4), np.nan), "ZYX"), "no finite value"),
    ],
)
def test_bad_input_gets_one_sentence(model: Model, image: AxesArray, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        segmented(image, model)


@pytest.mark.parametrize(
    "data", [np.zeros((1, 1, 1)), np.full((9, 3, 5), 7.0), np.ones((5, 6, 7), bool)]
)
def test_small_and_constant_volumes_are_no_problem(model: Model, data: np.ndarray) -> None:
    assert np.asarray(segmented(data, model).labels).shape == data.shape
