"""OME-Zarr as we write it: read back by us, by ome-zarr-py, and against its models."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import zarr

from napari_medai.core.errors import InputError, RunError
from napari_medai.core.space import Grid
from napari_medai.io.image_data import ImageData
from napari_medai.io.images import read_image
from napari_medai.io.ome_zarr import pyramid, writer
from napari_medai.io.ome_zarr.writer import finish_labels, write_zarr

RNG = np.random.default_rng(0)
MICROMETERS = dict.fromkeys("ZYX", "micrometer")
STACK = ImageData(
    (RNG.integers(0, 4000, (2, 5, 21, 30)).astype(np.uint16),),
    "CZYX",
    {"Z": 2.0, "Y": 0.5, "X": 0.25},
    MICROMETERS,
    names=("DNA", "actin"),
    name="gel",
    origin={"Z": 100.0, "Y": -3.0},
)
CELLS = ImageData(
    (RNG.integers(0, 9, (5, 21, 30)).astype(np.int32),),
    "ZYX",
    {"Z": 2.0, "Y": 0.5, "X": 0.25},
    MICROMETERS,
    name="cells",
    labels=True,
    origin={"Z": 100.0, "Y": -3.0},
    features={"index": [1, 7], "class": ["cell", "debris"], "area": [2.5, np.nan]},
    colours={1: (1.0, 0.0, 0.0, 1.0), 7: (0.0, 0.0, 1.0, 0.2)},
)


@pytest.fixture(autouse=True)
def small_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pyramids of small pictures."""
    monkeypatch.setattr(pyramid, "SMALLEST_EDGE", 8)


def told_of(path: Path) -> dict[str, Any]:
    """The metadata of a group, as JSON."""
    found = json.loads((path / "zarr.json").read_text(encoding="utf-8"))
    assert found["zarr_format"] == 3
    return dict(found["attributes"]["ome"])


def same(found: ImageData, given: ImageData) -> None:
    """Whether an image came back as it was."""
    np.testing.assert_array_equal(np.asarray(found.levels[0]), np.asarray(given.levels[0]))
    assert np.dtype(found.levels[0].dtype) == np.dtype(given.levels[0].dtype)
    for name in ("axes", "units", "names", "name", "labels", "rgb"):
        assert getattr(found, name) == getattr(given, name), name
    assert found.spacing == pytest.approx(dict(given.spacing))
    assert found.origin == pytest.approx({a: n for a, n in given.origin.items() if n})


def files(folder: Path) -> list[str]:
    """All files below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("lazy", [False, True])
def test_an_image_and_labels_come_back(tmp_path: Path, lazy: bool) -> None:
    given = STACK
    if lazy:
        given = replace(STACK, levels=(dask.array.from_array(STACK.levels[0], chunks=7),))
    path = tmp_path / "a.ome.zarr"
    assert write_zarr(path, given, labels=[CELLS]) == path
    image, labels = read_image(path)
    same(image, STACK)
    same(labels, CELLS)
    assert labels.features == {**CELLS.features, "area": [2.5, None]}
    assert labels.colours == CELLS.colours
    # 21 rows: 21, 11, 6; planes are as far apart as columns of the second level
    assert [level.shape for level in image.levels] == [(2, 5, 21, 30), (2, 5, 11, 15), (2, 5, 6, 8)]
    first = np.asarray(STACK.levels[0][:, :, :2, :2], float).mean((2, 3))
    assert np.abs(np.asarray(image.levels[1])[:, :, 0, 0] - first).max() <= 0.5
    np.testing.assert_array_equal(labels.levels[1], CELLS.levels[0][:, ::2, ::2])
    assert [path.name for path in tmp_path.iterdir()] == ["a.ome.zarr"]


def test_every_level_lies_where_its_samples_do(tmp_path: Path) -> None:
    """A ramp whose values are the places of its pixels stays one on every level."""
    z, y, x = np.meshgrid(np.arange(8.0), np.arange(32.0), np.arange(64.0), indexing="ij")
    ramp = np.stack([10 + 2 * z, 5 + 0.5 * y, -7 + 0.5 * x])
    given = ImageData((ramp,), "CZYX", {"Z": 2, "Y": 0.5, "X": 0.5}, {}, origin={"Z": 10})
    given = replace(given, origin={"Z": 10.0, "Y": 5.0, "X": -7.0})
    write_zarr(tmp_path / "a.zarr", given)
    scale = told_of(tmp_path / "a.zarr")["multiscales"][0]
    assert len(scale["datasets"]) == 3
    for dataset in scale["datasets"]:
        values = np.asarray(zarr.open_array(tmp_path / "a.zarr" / dataset["path"], mode="r"))
        steps, start = (dataset["coordinateTransformations"][n] for n in (0, 1))
        index = np.stack(np.meshgrid(*map(np.arange, values.shape[1:]), indexing="ij"))
        for row in range(3):
            places = start["translation"][row + 1] + steps["scale"][row + 1] * index[row]
            np.testing.assert_allclose(values[row], places)


def test_samples_of_labels_lie_on_their_own_place(tmp_path: Path) -> None:
    write_zarr(tmp_path / "a.zarr", CELLS)
    (scale,) = told_of(tmp_path / "a.zarr")["multiscales"]
    assert [one["coordinateTransformations"][1]["translation"] for one in scale["datasets"]] == [
        [100.0, -3.0, 0.0]
    ] * 3


def test_the_metadata_say_what_the_standard_asks(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "a.zarr", STACK, labels=[CELLS])
    told = told_of(path)
    assert told["version"] == "0.5"
    (scale,) = told["multiscales"]
    assert scale["axes"] == [
        {"name": "c", "type": "channel"},
        *({"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"),
    ]
    assert scale["datasets"][1]["coordinateTransformations"] == [
        {"type": "scale", "scale": [1.0, 2.0, 1.0, 0.5]},
        {"type": "translation", "translation": [0.0, 100.0, -2.75, 0.125]},
    ]
    first, second = told["omero"]["channels"]
    assert (first["label"], second["label"]) == ("DNA", "actin")
    assert 0 <= first["window"]["min"] <= first["window"]["start"] < first["window"]["end"]
    assert told_of(path / "labels") == {"version": "0.5", "labels": ["cells"]}
    described = told_of(path / "labels" / "cells")["image-label"]
    assert described["source"] == {"image": "../../"}
    assert described["properties"][1] == {"label-value": 7, "class": "debris", "area": None}
    for dataset in scale["datasets"]:
        array = json.loads((path / dataset["path"] / "zarr.json").read_text(encoding="utf-8"))
        assert array["dimension_names"] == ["c", "z", "y", "x"]


def test_other_programs_models_take_it(tmp_path: Path) -> None:
    models = pytest.importorskip("ome_zarr_models.v05", reason="the models of OME-Zarr are missing")
    path = write_zarr(tmp_path / "a.zarr", STACK, labels=[CELLS])
    write_zarr(path, replace(CELLS, name="more"))
    models.Image.from_zarr(zarr.open_group(path, mode="r"))
    models.Labels.from_zarr(zarr.open_group(path / "labels", mode="r"))
    alone = write_zarr(tmp_path / "b.zarr", CELLS)
    models.ImageLabel.from_zarr(zarr.open_group(alone, mode="r"))


def _nodes(path: Path, caplog: pytest.LogCaptureFixture) -> list[Any]:
    """What ome-zarr-py, and so napari-ome-zarr, finds."""
    io = pytest.importorskip("ome_zarr.io", reason="ome-zarr is missing")
    reader = pytest.importorskip("ome_zarr.reader")
    with caplog.at_level(logging.ERROR):
        nodes = list(reader.Reader(io.parse_url(path))())
    assert not caplog.records
    return [node for node in nodes if node.data]


@pytest.mark.parametrize("added", [False, True])
def test_ome_zarr_py_reads_it(
    tmp_path: Path, added: bool, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_zarr(tmp_path / "a.zarr", STACK, labels=() if added else [CELLS])
    if added:
        write_zarr(path, CELLS)
    image, labels = _nodes(path, caplog)
    for node, given in ((image, STACK), (labels, CELLS)):
        np.testing.assert_array_equal(node.data[0], given.levels[0])
        scale, translation = node.metadata["coordinateTransformations"][0]
        assert scale["scale"][-3:] == [2.0, 0.5, 0.25]
        assert translation["translation"][-3:] == [100.0, -3.0, 0.0]
        assert len(node.data) == 3
    assert image.metadata["channel_names"] == ["DNA", "actin"]
    assert labels.metadata["properties"][1] == {"class": "cell", "area": 2.5}
    assert labels.metadata["color"][7] == pytest.approx([0, 0, 1, 0.2])


@pytest.mark.parametrize("version", ["v04", "v05"])
def test_labels_join_an_image_in_its_version(
    data: Path, tmp_path: Path, version: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = shutil.copytree(data / "ome_zarr" / f"{version}.zarr", tmp_path / "a.zarr")
    before = {name: (path / name).read_bytes() for name in files(path) if "labels/" not in name}
    assert write_zarr(path, replace(CELLS, name="new ones")) == path / "labels" / "new ones"
    assert write_zarr(path / "labels" / "third", CELLS) == path / "labels" / "third"
    image, *found = read_image(path)
    assert [one.name for one in found] == ["cells", "new ones", "cells"]
    same(found[1], replace(CELLS, name="new ones"))
    assert {name: (path / name).read_bytes() for name in before} == before
    assert (path / "labels" / "third" / "zarr.json").exists() == (version == "v05")
    assert not image.notes
    with pytest.raises(InputError, match="exists already"):
        write_zarr(path / "labels" / "third", CELLS)
    write_zarr(path / "labels" / "third", replace(CELLS, name="again"), overwrite=True)
    assert [one.name for one in read_image(path)[1:]] == ["cells", "new ones", "again"]
    try:
        import ome_zarr.reader  # noqa: F401
    except ImportError:
        return
    assert len(_nodes(path, caplog)) == 4


@pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part")
@pytest.mark.parametrize("version", ["v04", "v05"])
def test_the_copy_of_all_metadata_is_renewed(data: Path, tmp_path: Path, version: str) -> None:
    path = shutil.copytree(data / "ome_zarr" / f"{version}.zarr", tmp_path / "a.zarr")
    zarr.consolidate_metadata(path)
    write_zarr(path, replace(CELLS, name="new"))
    assert "labels/new/0" in zarr.open_group(path, mode="r", use_consolidated=True)


def test_labels_of_an_unknown_version_are_refused(data: Path, tmp_path: Path) -> None:
    path = shutil.copytree(data / "ome_zarr" / "v05.zarr", tmp_path / "a.zarr")
    group = zarr.open_group(path, mode="r+")
    group.attrs["ome"] = {**group.attrs.asdict()["ome"], "version": "0.7"}
    before = files(path)
    with pytest.raises(InputError, match=r"version 0\.7, but labels are added to"):
        write_zarr(path, CELLS)
    assert files(path) == before


@pytest.mark.parametrize("first", [np.uint8, np.bool_, np.float32, ">u2", np.int64, np.float16])
def test_dtypes(tmp_path: Path, first: Any) -> None:
    values = RNG.integers(0, 2, (20, 30)).astype(first)
    (back,) = read_image(write_zarr(tmp_path / "a.zarr", ImageData((values,), "YX")))
    assert np.dtype(back.levels[0].dtype).kind == ("u" if first == np.bool_ else values.dtype.kind)
    np.testing.assert_array_equal(back.levels[0], values)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_colours_come_back(tmp_path: Path, dtype: Any) -> None:
    values = (RNG.integers(0, 255, (20, 30, 4)) / (1 if dtype == np.uint8 else 255)).astype(dtype)
    (back,) = read_image(write_zarr(tmp_path / "a.zarr", ImageData((values,), "YXC", rgb=True)))
    assert back.rgb
    assert back.axes == "YXC"
    np.testing.assert_array_equal(back.levels[0], values[..., :3])


@pytest.mark.parametrize("axes", ["YX", "TYX", "XYZ", "ZCTYX", "QYX"])
def test_axes_are_written_in_the_order_of_the_standard(tmp_path: Path, axes: str) -> None:
    values = RNG.integers(0, 9, range(2, 2 + len(axes))).astype(np.uint8)
    units = {"T": "second", **MICROMETERS}
    given = ImageData(
        (values,),
        axes,
        {axis: 0.5 + n for n, axis in enumerate(axes) if axis != "C"},
        {axis: unit for axis, unit in units.items() if axis in axes},
        origin={axis: 3.0 * n for n, axis in enumerate(axes) if axis != "C"},
        name="a",
    )
    (back,) = read_image(write_zarr(tmp_path / "a.zarr", given))
    order = "".join(axis for axis in "TQCZYX" if axis in axes)
    moved = values.transpose([axes.index(axis) for axis in order])
    same(back, replace(given, axes=order, levels=(moved,)))


def test_a_volume_of_a_patient_lies_at_its_place(tmp_path: Path) -> None:
    affine = np.diag([3.0, 0.5, 0.25, 1])
    affine[:3, 3] = (40, -110, -120)
    volume = ImageData(
        (RNG.integers(-1000, 1000, (3, 4, 5)).astype(np.int16),),
        "ZYX",
        {"Z": 3.0, "Y": 0.5, "X": 0.25},
        dict.fromkeys("ZYX", "millimeter"),
        grid=Grid(affine),
        contrast=(-160.0, 240.0),
    )
    path = write_zarr(tmp_path / "a.zarr", volume)
    (scale,) = told_of(path)["multiscales"]
    (changes,) = (one["coordinateTransformations"] for one in scale["datasets"])
    assert changes[1] == {"type": "translation", "translation": [40, -110, -120]}
    assert [axis["orientation"]["value"] for axis in scale["axes"]] == [
        "inferior-to-superior",
        "anterior-to-posterior",
        "right-to-left",
    ]
    (back,) = read_image(path)
    assert back.grid is not None
    np.testing.assert_allclose(back.grid.affine, affine)
    np.testing.assert_array_equal(back.levels[0], volume.levels[0])
    assert back.contrast == (-160, 240)
    turned = affine.copy()
    turned[:2, :2] = np.array([[0.8, -0.6], [0.6, 0.8]]) @ affine[:2, :2]
    with pytest.raises(InputError, match="lies obliquely"):
        write_zarr(tmp_path / "b.zarr", replace(volume, grid=Grid(turned)))
    assert not (tmp_path / "b.zarr").exists()


@pytest.mark.parametrize(
    ("image", "labels", "complaint"),
    [
        (replace(STACK, axes="ABYX"), [], "room for the axes"),
        (replace(STACK, axes="CZTX"), [], "needs rows Y and columns X"),
        (ImageData((np.zeros((0, 5)),), "YX"), [], "no empty axis"),
        (ImageData((np.zeros((4, 5)),), "YX", labels=True), [], "labels must be whole numbers"),
        (ImageData((np.zeros((4, 5), complex),), "YX"), [], "real numbers are needed"),
        (CELLS, [CELLS], "rename or leave out"),
        (STACK, [CELLS, CELLS], "each by a name of its own"),
        (STACK, [STACK], "beside an image its labels"),
    ],
)
def test_what_it_cannot_hold_is_refused(
    tmp_path: Path, image: ImageData, labels: list[ImageData], complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        write_zarr(tmp_path / "a.zarr", image, labels=labels)
    assert not list(tmp_path.iterdir())


def _failing(error: BaseException) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    return fail


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
@pytest.mark.parametrize("stage", ["copy_level", "halve_level", "described_scale"])
def test_a_failed_write_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, stage: str
) -> None:
    old = write_zarr(tmp_path / "old.zarr", STACK, labels=[CELLS])
    standing = write_zarr(tmp_path / "alone.zarr", CELLS)
    before = files(tmp_path)
    monkeypatch.setattr(writer, stage, _failing(error))
    expected = RunError if isinstance(error, OSError) else KeyboardInterrupt
    for path, image, overwrite in (
        (tmp_path / "a.zarr", STACK, False),
        (standing, CELLS, True),
        (old, replace(CELLS, name="new"), False),
        (old, CELLS, True),
    ):
        with pytest.raises(expected):
            write_zarr(path, image, overwrite=overwrite)
        assert files(tmp_path) == before


def test_labels_that_cannot_be_listed_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_zarr(tmp_path / "a.zarr", STACK, labels=[CELLS])
    before = files(tmp_path)
    monkeypatch.setattr(zarr.core.attributes.Attributes, "update", _failing(OSError(28, "full")))
    with pytest.raises(RunError, match="full"):
        write_zarr(path, replace(CELLS, name="new"))
    assert files(tmp_path) == before


def test_a_folder_that_is_no_group_of_labels_is_kept(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "a.zarr", STACK)
    (path / "labels").mkdir()
    with pytest.raises(InputError, match="labels exists already"):
        write_zarr(path, CELLS)


@pytest.mark.parametrize("scales", ["[{}]", '[{"datasets": null}]', "null"])
def test_broken_metadata_do_not_hold_up_replacing(tmp_path: Path, scales: str) -> None:
    path = tmp_path / "a.zarr"
    zarr.create_group(path, attributes={"ome": {"version": "0.5", "multiscales": "here"}})
    file = path / "zarr.json"
    file.write_text(file.read_text(encoding="utf-8").replace('"here"', scales), encoding="utf-8")
    write_zarr(path, STACK, overwrite=True)
    same(read_image(path)[0], STACK)


def test_names_are_kept_but_for_their_folders(tmp_path: Path) -> None:
    cells = replace(CELLS, name="a/b: c.")
    path = write_zarr(tmp_path / "a.zarr", replace(STACK, name="DNA/actin"), labels=[cells])
    image, labels = read_image(path)
    assert (image.name, labels.name) == ("DNA/actin", "a/b: c.")
    assert told_of(path / "labels")["labels"] == ["a_b_ c"]
    (nameless,) = read_image(write_zarr(tmp_path / "b.v2.ome.zarr", replace(STACK, name="")))
    assert nameless.name == "b.v2"


def test_what_exists_is_kept(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "a.zarr", STACK)
    with pytest.raises(InputError, match="exists already"):
        write_zarr(path, STACK)
    write_zarr(path, replace(STACK, name="other"), overwrite=True)
    assert read_image(path)[0].name == "other"
    write_zarr(path, CELLS)
    with pytest.raises(InputError, match=r"holds more than one image \(labels\)"):
        write_zarr(path, STACK, overwrite=True)
    assert len(read_image(path)) == 2
    write_zarr(path, replace(STACK, name="third"), labels=[CELLS], overwrite=True)
    assert [image.name for image in read_image(path)] == ["third", "cells"]
    alone = write_zarr(tmp_path / "b.zarr", CELLS)
    with pytest.raises(InputError, match="exists already"):
        write_zarr(alone, CELLS)
    write_zarr(alone, replace(CELLS, name="other"), overwrite=True)
    assert read_image(alone)[0].name == "other"


def test_labels_written_block_by_block_are_finished(tmp_path: Path) -> None:
    values: Any = CELLS.levels[0]
    zarr.create_array(tmp_path / "a.zarr" / writer.FINEST, data=values)
    finish_labels(tmp_path / "a.zarr", CELLS)
    (back,) = read_image(tmp_path / "a.zarr")
    same(back, CELLS)
    assert len(back.levels) == 3


@pytest.mark.parametrize("oblique", [False, True])
def test_finished_labels_of_a_patient_lie_on_the_volume(tmp_path: Path, oblique: bool) -> None:
    affine = np.diag([2.0, 0.5, 0.5, 1])
    affine[:3, 3] = (40, -110, -120)
    if oblique:
        affine[:2, :2] = np.array([[0.8, -0.6], [0.6, 0.8]]) @ affine[:2, :2]
    grid = Grid(affine)
    spacing = dict(zip("ZYX", grid.spacing, strict=True))
    units = dict.fromkeys("ZYX", "millimeter")
    labels = np.asarray(CELLS.levels[0])
    zarr.create_array(tmp_path / "a.zarr" / writer.FINEST, data=labels)
    given = ImageData((labels,), "ZYX", spacing, units, name="cells", labels=True, grid=grid)
    finish_labels(tmp_path / "a.zarr", given)
    (back,) = read_image(tmp_path / "a.zarr")
    assert back.spacing == pytest.approx(spacing)
    assert (back.grid is None) == oblique
    if back.grid is not None:
        np.testing.assert_allclose(back.grid.affine, affine)
