from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
from napari.layers import Image, Labels
from napari.utils.colormaps import DirectLabelColormap
from pydicom.sr.coding import Code

from napari_medai.core.errors import RunError
from napari_medai.core.space import carried
from napari_medai.io.dicom.layer_writer import write_labels_seg
from napari_medai.io.dicom.reader import read_dicom
from napari_medai.io.layer_data import read_layers
from napari_medai.io.layer_grid import SOURCE

SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
TURNED = (0.8, 0.6, 0.0, -0.6, 0.8, 0.0)
pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")


def _drawn_on(folder: Path, **changes: Any) -> Labels:
    """Labels on the bright voxels of a series, as the widget makes them."""
    ((data, options, _),) = read_layers(folder)
    image = Image(data, **options)
    labels = (np.asarray(image.data) > 1000).astype(np.int32)
    labels[np.asarray(image.data) > 3000] = 5
    place = {name: options[name] for name in ("scale", "translate", "affine") if name in options}
    return Labels(
        labels,
        name="found",
        units=image.units,
        features={"index": [1, 5], "class": ["letter", "dot"]},
        metadata={SOURCE: str(folder), "medai": {"model": {"name": "letters", "version": "2.0"}}},
        **{**place, **changes},
    )


@pytest.mark.parametrize(
    "orientation", [None, SAGITTAL, TURNED], ids=["axial", "sagittal", "oblique"]
)
def test_labels_on_an_opened_series_are_saved_on_it(
    series: Callable[..., Path], make: Any, tmp_path: Path, orientation: Any
) -> None:
    turned = {} if orientation is None else {"orientation": orientation}
    folder = series(make.phantom(), **turned)
    layer = _drawn_on(folder)
    data, attributes, _ = layer.as_layer_data_tuple()
    (path,) = write_labels_seg(str(tmp_path / "a.dcm"), data, attributes)
    (image,), (again,) = read_dicom(folder), read_dicom(path)
    assert list(again.features["class"]) == ["letter", "dot"]
    assert image.grid is not None
    assert again.grid is not None
    found = carried(np.asarray(again.levels[0]), again.grid, image.grid, layer.data.shape)
    assert np.array_equal(found, layer.data)
    assert list(again.features["index"]) == [1, 5]
    assert [s.SegmentNumber for s in pydicom.dcmread(path).SegmentSequence] == [1, 2]


def _saved_and_read(layer: Labels, path: Path) -> Any:
    data, attributes, _ = layer.as_layer_data_tuple()
    (written,) = write_labels_seg(str(path), data, attributes)
    (again,) = read_dicom(written)
    return again


def test_a_class_that_was_not_found_keeps_its_number(
    series: Callable[..., Path], make: Any, tmp_path: Path
) -> None:
    layer = _drawn_on(series(make.phantom()))
    layer.data = np.where(layer.data == 5, 2, 0)
    layer.features = {"index": [1, 2, 3], "class": ["front", "back", "rest"]}
    again = _saved_and_read(layer, tmp_path / "a.dcm")
    assert set(np.unique(again.levels[0])) == {0, 2}
    assert again.features["index"] == [1, 2, 3]
    assert again.features["class"] == ["front", "back", "rest"]
    seg = highdicom.seg.segread(tmp_path / "a.dcm")
    assert list(seg.segment_numbers) == [1, 2, 3]
    volume = seg.get_volume(combine_segments=True, allow_missing_positions=True)
    assert set(np.unique(volume.array)) == {0, 2}


def test_classes_keep_their_colours_and_terms(
    series: Callable[..., Path], make: Any, tmp_path: Path
) -> None:
    layer = _drawn_on(series(make.phantom()))
    layer.data = np.minimum(layer.data, 2)
    layer.features = {"index": [1, 2], "class": ["front", "back"]}
    layer.colormap = DirectLabelColormap(
        color_dict={None: "white", 0: "transparent", 1: "#e69f00", 2: (0, 0.2, 1, 0.5)}
    )
    liver = {"scheme": "SCT", "value": "10200004", "meaning": "Liver"}
    organ = {"scheme": "SCT", "value": "91723000", "meaning": "Anatomical Structure"}
    layer.metadata["medai"]["classes"] = [
        {"name": "front", "code": liver, "category": organ},
        {"name": "back", "colour": "#000000"},
    ]
    again = _saved_and_read(layer, tmp_path / "a.dcm")
    assert again.features["type"] == ["Liver", "Tissue"]
    assert again.features["category"] == ["Anatomical Structure", "Tissue"]
    told = highdicom.seg.segread(tmp_path / "a.dcm").get_segment_description(1)
    assert told.segmented_property_type == Code("10200004", "SCT", "Liver")
    assert {label: [round(255 * n) for n in rgba] for label, rgba in again.colours.items()} == {
        1: [0xE6, 0x9F, 0x00, 255],
        2: [0, 51, 255, 255],
    }
    ((data, options, _),) = read_layers(tmp_path / "a.dcm")
    shown = Labels(data, **options).colormap.color_dict
    assert np.allclose(shown[1], [0xE6 / 255, 0x9F / 255, 0, 1])


def test_colours_by_turns_are_not_written(
    series: Callable[..., Path], make: Any, tmp_path: Path
) -> None:
    assert not _saved_and_read(_drawn_on(series(make.phantom())), tmp_path / "a.dcm").colours


@pytest.mark.parametrize("most", [70, 70_000], ids=["map", "renumbered map"])
def test_many_labels_with_gaps_keep_their_numbers(
    series: Callable[..., Path], make: Any, tmp_path: Path, most: int
) -> None:
    layer = _drawn_on(series(make.phantom()))
    labels = np.arange(layer.data.size).reshape(layer.data.shape) % 67 * (most // 60)
    layer.data = labels.astype(np.int32)
    again = _saved_and_read(layer, tmp_path / "a.dcm")
    assert np.array_equal(again.levels[0], labels)
    assert again.features["index"] == np.unique(labels)[1:].tolist()


def test_labels_of_nobody_knows_what_are_refused(tmp_path: Path) -> None:
    layer = Labels(np.ones((3, 4, 5), np.uint8))
    data, attributes, _ = layer.as_layer_data_tuple()
    with pytest.raises(RunError, match="segment an opened series, or save the labels as NIfTI"):
        write_labels_seg(str(tmp_path / "a.dcm"), data, attributes)


def test_labels_moved_off_their_series_are_refused(
    series: Callable[..., Path], make: Any, tmp_path: Path
) -> None:
    layer = _drawn_on(series(make.phantom()), translate=(0.3, 0, 0))
    data, attributes, _ = layer.as_layer_data_tuple()
    with pytest.raises(RunError, match="do not lie on each other"):
        write_labels_seg(str(tmp_path / "a.dcm"), data, attributes)
    assert not (tmp_path / "a.dcm").exists()


def test_several_times_are_refused(tmp_path: Path) -> None:
    layer = Labels(np.ones((2, 3, 4, 5), np.uint8), metadata={SOURCE: str(tmp_path)})
    data, attributes, _ = layer.as_layer_data_tuple()
    with pytest.raises(RunError, match="save one time at a time"):
        write_labels_seg(str(tmp_path / "a.dcm"), data, attributes)
