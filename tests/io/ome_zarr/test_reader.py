"""OME-Zarr by other programs: values, axes, place, labels, and what is broken."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import zarr

from napari_medai.core.errors import InputError
from napari_medai.io.images import read_image
from napari_medai.io.layer_data import read_layers
from napari_medai.io.ome_zarr.reader import read_zarr

SHARED = Path(os.environ.get("MEDAI_TEST_DATA") or Path(__file__).parents[4] / "shared/data")
VERSIONS = pytest.mark.parametrize("version", ["v04", "v05"])
IMAGE = np.arange(2 * 4 * 12 * 10, dtype=np.uint16).reshape(2, 4, 12, 10)
LABELS = np.zeros((4, 12, 10), np.int32)
LABELS[1:3, 2:6, 3:7] = 1
LABELS[3, 8:, 6:] = 5


@pytest.fixture
def sample(data: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of an image with labels that ome-zarr-py wrote."""

    def copied(version: str) -> Path:
        return Path(shutil.copytree(data / "ome_zarr" / f"{version}.zarr", tmp_path / "a.zarr"))

    return copied


def _change(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the metadata of a group, whatever its version."""
    group = zarr.open_group(path, mode="r+")
    attributes = group.attrs.asdict()
    change(attributes.get("ome", attributes))
    group.attrs.put(attributes)


@VERSIONS
def test_an_image_and_its_labels(sample: Callable[[str], Path], version: str) -> None:
    image, labels = read_image(sample(version))
    assert (image.axes, image.names, image.name) == ("CZYX", ("DNA", "actin"), "cells in a gel")
    assert not image.labels
    assert isinstance(image.levels[0], dask.array.Array)
    np.testing.assert_array_equal(image.levels[0], IMAGE)
    assert [level.shape for level in image.levels] == [(2, 4, 12, 10), (2, 4, 6, 5)]
    # The level's scale and translation, then those of the whole.
    assert image.spacing == {"Z": 2.0, "Y": 1.0, "X": 0.5}
    assert image.origin == {"Z": 110.0, "Y": -6.0, "X": 7.0}
    assert image.units == dict.fromkeys("ZYX", "micrometer")
    assert labels.labels
    assert (labels.axes, labels.name) == ("ZYX", "cells")
    np.testing.assert_array_equal(labels.levels[0], LABELS)
    assert [level.shape for level in labels.levels] == [(4, 12, 10), (4, 6, 5)]
    assert labels.spacing == {"Z": 2.0, "Y": 0.5, "X": 0.25}
    assert labels.origin == {"Z": 10.0, "Y": -3.0}
    assert labels.features == {
        "index": [1, 5],
        "class": ["cell", "debris"],
        "area": [None, 2.5],
    }
    assert labels.colours == {1: (1, 0, 0, 1), 5: (0, 0, 1, 0.2)}


@VERSIONS
@pytest.mark.parametrize("inside", ["labels", "labels/cells"])
def test_labels_open_by_themselves(
    sample: Callable[[str], Path], version: str, inside: str
) -> None:
    (labels,) = read_image(sample(version) / inside)
    assert labels.labels
    assert labels.name == "cells"
    np.testing.assert_array_equal(labels.levels[0], LABELS)


def test_labels_need_no_description(sample: Callable[[str], Path]) -> None:
    path = sample("v05")
    _change(path / "labels" / "cells", lambda told: told.pop("image-label"))
    for found in (read_image(path)[1], *read_image(path / "labels" / "cells")):
        assert found.labels
        assert not found.features


def test_a_folder_of_any_files_may_be_called_labels(
    sample: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "labels").mkdir()
    path = shutil.move(sample("v05"), tmp_path / "labels" / "raw.zarr")
    assert [image.labels for image in read_image(path)] == [False, True]


@VERSIONS
def test_layers_lie_where_the_file_says(sample: Callable[[str], Path], version: str) -> None:
    from napari.components import ViewerModel
    from napari.layers import Layer

    (data, options, kind), (labels, told, labels_kind) = read_layers(sample(version))
    assert (kind, labels_kind) == ("image", "labels")
    layers = [*ViewerModel().add_image(data, **options), Layer.create(labels, told, "labels")]
    for layer, scale, start in (
        (layers[0], (2, 1, 0.5), (110, -6, 7)),
        (layers[1], (2, 1, 0.5), (110, -6, 7)),
        (layers[2], (2, 0.5, 0.25), (10, -3, 0)),
    ):
        assert layer.multiscale
        for index in ((0, 0, 0), (3, 11, 9), (2, 5, 1)):
            assert layer.data_to_world(index) == pytest.approx(
                np.array(start) + np.array(scale) * index
            )
        assert [str(unit) for unit in layer.units] == ["micrometer"] * 3
    np.testing.assert_array_equal(layers[1].data[0], IMAGE[1])
    assert layers[2].features["class"].tolist() == ["cell", "debris"]
    np.testing.assert_allclose(layers[2].get_color(5), (0, 0, 1, 0.2))
    assert layers[2].get_color(2)[3] == 1, "a label without a colour can be seen"


def test_the_order_of_transformations_counts(sample: Callable[[str], Path]) -> None:
    path = sample("v05")

    def turned(told: dict[str, Any]) -> None:
        told["multiscales"][0]["datasets"][0]["coordinateTransformations"].reverse()

    _change(path, turned)
    assert read_image(path)[0].origin == {"Z": 120.0, "Y": -3.0, "X": 7.0}


def test_axes_of_space_come_as_zyx(tmp_path: Path) -> None:
    group = zarr.create_group(tmp_path / "a.zarr")
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    group.create_array("s", data=values)
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [
            {
                "axes": [{"name": name, "type": "space"} for name in "xyz"],
                "datasets": [
                    {
                        "path": "s",
                        "coordinateTransformations": [
                            {"type": "scale", "scale": [1, 2, 3]},
                            {"type": "translation", "translation": [4, 5, 6]},
                        ],
                    }
                ],
            }
        ],
    }
    (image,) = read_zarr(tmp_path / "a.zarr")
    assert image.axes == "ZYX"
    assert image.spacing == {"X": 1, "Y": 2, "Z": 3}
    assert image.origin == {"X": 4, "Y": 5, "Z": 6}
    np.testing.assert_array_equal(image.levels[0], values.transpose())


def _scaled(*factors: Any) -> Callable[[dict[str, Any]], None]:
    def change(told: dict[str, Any]) -> None:
        dataset = told["multiscales"][0]["datasets"][0]
        dataset["coordinateTransformations"] = [{"type": "scale", "scale": list(factors)}]

    return change


def _of_type(kind: str, **more: Any) -> Callable[[dict[str, Any]], None]:
    def change(told: dict[str, Any]) -> None:
        told["multiscales"][0]["coordinateTransformations"] = [{"type": kind, **more}]

    return change


def _without_changes(told: dict[str, Any]) -> None:
    (scale,) = told["multiscales"]
    for one in (*scale["datasets"], scale):
        del one["coordinateTransformations"]
    scale["axes"].pop()


@VERSIONS
@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (_scaled(1, 2, 0, 1), "steps are positive numbers"),
        (_scaled(1, 2, -1, 1), "steps are positive numbers"),
        (_scaled(1, 2), "needs a number for each of its 4 axes"),
        (_scaled("a", "b", "c", "d"), "needs a number for each of its 4 axes"),
        (_without_changes, "dimensions, but 3 axes are named"),
        (_of_type("translation", path="where"), "needs a number for each of its 4 axes"),
        (_of_type("translation", translation=[0, 1e999, 0, 0]), "no place"),
        (lambda told: told["multiscales"][0].pop("datasets"), "write it again"),
        (lambda told: told["multiscales"][0]["datasets"].reverse(), "larger than the one before"),
        (lambda told: told["multiscales"][0]["axes"].pop(), "for each of its 3 axes"),
        (lambda told: told["multiscales"][0]["axes"].append({"name": "x"}), "different capital"),
        (lambda told: told["multiscales"][0]["datasets"][0].update(path="no"), "write it again"),
        (lambda told: told.update(multiscales="x"), "write it again"),
    ],
)
def test_broken_metadata_are_one_error(
    sample: Callable[[str], Path],
    version: str,
    change: Callable[[dict[str, Any]], None],
    complaint: str,
) -> None:
    path = sample(version)
    _change(path, change)
    with pytest.raises(InputError, match=complaint) as caught:
        read_image(path)
    assert str(path) in str(caught.value)


def test_json_that_is_none_is_one_error(sample: Callable[[str], Path]) -> None:
    path = sample("v05")
    (path / "labels" / "cells" / "zarr.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be read as Zarr"):
        read_image(path)


@pytest.mark.parametrize(
    ("shape", "chunk"), [([2, 4, 12, 10**12], [1, 4, 12, 10]), ([10**4] * 4, [10**3] * 4)]
)
def test_an_array_that_no_memory_holds_is_refused(
    sample: Callable[[str], Path], shape: list[int], chunk: list[int]
) -> None:
    path = sample("v05")
    file = path / "s0" / "zarr.json"
    told = json.loads(file.read_text(encoding="utf-8"))
    told["shape"] = shape
    told["chunk_grid"]["configuration"]["chunk_shape"] = chunk
    file.write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(InputError, match="s0 claims to be"):
        read_image(path)


def test_what_is_not_as_it_should_be_is_told(sample: Callable[[str], Path]) -> None:
    path = sample("v04")
    _change(path / "labels", lambda told: told["labels"].append("gone"))
    _change(path, _of_type("affine", affine=[]))
    image, labels = read_image(path)
    assert image.notes == (
        "a transformation of type affine is not applied",
        "its labels gone are missing in the file",
    )
    assert labels.name == "cells"


def test_strange_tables_and_colours_are_left_out(sample: Callable[[str], Path]) -> None:
    path = sample("v05")

    def strange(told: dict[str, Any]) -> None:
        told["image-label"] = {
            "colors": [{"label-value": 1, "rgba": "red"}, {"label-value": 2, "rgba": [1, 2]}, 3],
            "properties": {"label-value": 1},
        }

    _change(path / "labels" / "cells", strange)
    _, labels = read_image(path)
    assert not labels.colours
    assert not labels.features


def test_the_copy_of_all_metadata_may_be_old(sample: Callable[[str], Path]) -> None:
    path = sample("v04")
    shutil.move(path / "labels", path.parent / "aside")
    zarr.consolidate_metadata(path)
    shutil.move(path.parent / "aside", path / "labels")
    assert len(read_image(path)) == 2


@pytest.mark.filterwarnings("ignore:Found an empty list of filters")  # as the test reads it
@pytest.mark.parametrize(
    ("name", "axes", "shape", "first"),
    [
        ("viv/ome-zarr/blobs_image_v04.ome.zarr", "CYX", (3, 12, 12), {}),
        ("viv/ome-zarr/blobs_image_v05.ome.zarr", "CYX", (3, 12, 12), {}),
        ("viv/bioformats-zarr/data.zarr", "TCZYX", (1, 3, 1, 167, 439), {}),
        (
            "niivue/mni152_axial.ome.zarr",
            "ZYX",
            (1, 256, 207),
            {"Z": 7.146018, "Y": -110.762535, "X": -75.762535},
        ),
    ],
)
def test_real_files(name: str, axes: str, shape: tuple[int, ...], first: dict[str, float]) -> None:
    path = SHARED / "fixtures_ome" / name
    if not path.exists():
        pytest.skip("the folder shared/data is not beside the repository; set MEDAI_TEST_DATA")
    (image,) = read_image(path)
    assert image.axes == axes
    assert image.levels[0].shape == shape
    assert image.origin == pytest.approx(first)
    inner = {"viv/bioformats-zarr/data.zarr": "0/0"}.get(name)
    attributes = {} if inner else _plain_attributes(path)
    inner = inner or attributes["multiscales"][0]["datasets"][0]["path"]
    stored: Any = np.asarray(dask.array.from_zarr(str(path), component=inner))
    expected = stored.transpose() if "niivue" in name else stored
    np.testing.assert_array_equal(image.levels[0], expected)
    assert expected.std() > 0


def _plain_attributes(path: Path) -> Any:
    if (path / ".zattrs").exists():
        return json.loads((path / ".zattrs").read_text(encoding="utf-8"))
    return json.loads((path / "zarr.json").read_text(encoding="utf-8"))["attributes"]["ome"]
