from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_medai.core.errors import InputError
from napari_medai.core.measures import Measurements, measure_steps
from napari_medai.core.steps import finished
from napari_medai.ui.going import go_to
from napari_medai.ui.headings import headings_of, spacing_text
from napari_medai.ui.measured import (
    MOST_LINES,
    diameters_layer,
    merged_features,
    problem_of,
    subject_of,
    table_of,
)


def box(**options: object) -> Labels:
    data = np.zeros((6, 10, 12), np.uint8)
    data[2:5, 1:3, 4:9] = 3
    return Labels(data, name="lesions", **options)


def measured(labels: Labels) -> Measurements:
    subject = subject_of(labels)
    return finished(measure_steps(subject.labels, subject.ruler))


def test_a_layer_is_measured_in_the_world() -> None:
    subject = subject_of(box(scale=(2, 0.5, 0.5), units="cm"))
    assert subject.ruler.unit == "mm"
    np.testing.assert_allclose(subject.ruler.edges, np.diag([20, 5, 5]))
    assert spacing_text(subject.ruler) == "20 × 5 × 5 mm"
    assert spacing_text(subject_of(box(scale=(2, 1, 1))).ruler) == "2 × 1 × 1, without a unit"


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
def test_leaning_and_turned_layers_are_measured_along_their_axes() -> None:
    turned = np.eye(4)
    turned[:3, :3] = [[0, 1, 0], [-1, 0, 0], [0, 0, 1]]
    turned[2, 0] = 0.75  # slices lean by atan(0.75) towards X
    table = measured(box(affine=turned, scale=(2, 1, 1), units="mm")).features
    assert table["volume_ml"][0] == pytest.approx(30 * 2 / 1000)
    assert table["longest_diameter_mm"][0] == pytest.approx(np.hypot(5, 1))
    sheared = measured(box(shear=[0.75, 0, 0], scale=(2, 1, 1), units="mm")).features
    assert sheared["volume_ml"][0] == pytest.approx(30 * 2 / 1000)


def test_pyramids_are_measured_at_full_resolution() -> None:
    data = box().data
    layer = Labels([data, data[::2, ::2, ::2]], multiscale=True)
    assert measured(layer).features["volume"] == 30


def test_an_image_must_lie_on_the_labels() -> None:
    labels = box(units="mm")
    image = Image(
        np.zeros((6, 10, 12)), name="CT", units="mm", metadata={"medai": {"values": "HU"}}
    )
    subject = subject_of(labels, image)
    assert (subject.image_unit, subject.note) == ("HU", "")
    image.translate = (0.2, 0, 0)
    assert subject_of(labels, image).note == ""
    image.translate = (3, 0, 0)
    assert subject_of(labels, image).note == "The image 'CT' lies elsewhere in the world."
    other = Image(np.zeros((6, 10, 13)), translate=(0, 0, 1), units="mm")
    assert problem_of(labels, None) == ""
    assert problem_of(labels, other) == (
        "the labels have 6 × 10 × 12 (Z Y X) but the image has 6 × 10 × 13 (Z Y X) pixels; "
        "choose the image that the labels were made on"
    )
    with pytest.raises(InputError, match="choose the image"):
        subject_of(labels, other)


def test_labels_on_a_part_of_an_image_get_that_part() -> None:
    values = np.random.default_rng(0).normal(size=(9, 12, 12))
    image = Image(values, scale=(2, 1, 1), units="mm")
    labels = box(scale=(2, 1, 1), translate=(4, 1, 0), units="mm")
    subject = subject_of(labels, image)
    assert subject.image is not None
    assert (subject.note, subject.image.shape) == ("", (6, 10, 12))
    found = finished(measure_steps(subject.labels, subject.ruler, image=subject.image))
    expected = values[2:8, 1:11][labels.data == 3].mean()
    assert found.features["mean_intensity"] == pytest.approx(expected)
    labels.translate = (4, 4, 0)
    assert "but the image has 9 × 12 × 12" in problem_of(labels, image)


def test_colours_and_channels_are_no_other_grid() -> None:
    labels = Labels(np.ones((8, 9), np.uint8))
    colours = Image(np.zeros((8, 9, 3), np.uint8), rgb=True)
    subject = subject_of(labels, colours)
    assert subject.image is not None
    assert subject.image.axes == "YXC"


def test_classes_come_from_the_features() -> None:
    found = measured(box())
    features = pd.DataFrame({"index": [1, 3], "class": ["liver", "cyst"], "area": [4, 5]})
    table = table_of(found, features)
    assert list(table)[:3] == ["index", "class", "volume"]
    assert table["class"].tolist() == ["cyst"]
    unknown = pd.DataFrame({"index": [1], "class": ["liver"]})
    assert table_of(found, unknown)["class"].tolist() == [""]
    assert "class" not in table_of(found, pd.DataFrame())


TABLE = {
    "index": np.array([3, 8]),
    "class": np.array(["cyst", ""], dtype=object),
    "volume_ml": np.array([1.5, 2.5]),
    "diameter-z": np.array([4, 5]),
}


def test_columns_join_those_that_were_there() -> None:
    features = pd.DataFrame(
        {"class": ["liver", "cyst"], "index": [5, 3], "volume_ml": [9.0, 9.0], "note": ["a", "b"]}
    )
    before = features.copy()
    merged = merged_features(features, TABLE)
    assert merged is not None
    assert list(merged) == ["index", "class", "note", "volume_ml", "diameter-z"]
    assert merged["index"].tolist() == [5, 3, 8]
    assert merged["class"].tolist()[:2] == ["liver", "cyst"]
    assert merged["note"].tolist()[:2] == ["a", "b"]
    np.testing.assert_array_equal(merged["volume_ml"], [np.nan, 1.5, 2.5])
    pd.testing.assert_frame_equal(features, before)
    again = merged_features(merged, TABLE)
    assert again is not None
    pd.testing.assert_frame_equal(again, merged)


def test_rows_without_labels_count_from_0() -> None:
    merged = merged_features(pd.DataFrame({"note": ["none", "a", "b", "c"]}), TABLE)
    assert merged is not None
    assert merged["index"].tolist() == [0, 1, 2, 3, 8]
    assert merged["note"].tolist()[:4] == ["none", "a", "b", "c"]
    np.testing.assert_array_equal(merged["volume_ml"], [np.nan] * 3 + [1.5, 2.5])


def test_a_layer_without_features_gets_the_table() -> None:
    merged = merged_features(Labels(np.ones((2, 2), int)).features, TABLE)
    assert merged is not None
    assert {name: merged[name].tolist() for name in merged} == {
        name: column.tolist() for name, column in TABLE.items()
    }
    assert merged["diameter-z"].dtype.kind == "i"


def test_several_rows_a_label_are_not_joined() -> None:
    twice = {name: np.repeat(column, 2) for name, column in TABLE.items()}
    assert merged_features(pd.DataFrame({"index": [1]}), twice) is None
    assert merged_features(pd.DataFrame({"index": [1, 1]}), TABLE) is None


def test_diameters_lie_on_the_labels() -> None:
    labels = box(scale=(2, 0.5, 0.5), translate=(7, 8, 9), units="mm", axis_labels=("z", "y", "x"))
    found, place = measured(labels), subject_of(labels).place
    lines = diameters_layer(found, place)
    assert lines.name == "lesions diameters"
    assert list(lines.shape_type) == ["line"]
    ends = np.array([lines.data_to_world(end) for end in lines.data[0]])
    length = np.linalg.norm(ends[1] - ends[0])
    assert length == pytest.approx(np.hypot(5, 1) / 2)
    np.testing.assert_allclose(ends.mean(axis=0), labels.data_to_world((2, 1.5, 6)))
    assert lines.text.values.tolist() == [f"{length:.1f} mm"]
    assert lines.units == labels.units


def test_only_the_longest_of_many_are_drawn() -> None:
    data = np.zeros((3, 2 * MOST_LINES + 40), np.int32)
    data[1, ::2] = np.arange(1, MOST_LINES + 21)
    data[2, 10] = 6
    labels = Labels(data)
    lines = diameters_layer(measured(labels), subject_of(labels).place)
    assert lines.nshapes == MOST_LINES
    assert lines.features["longest_diameter"][5] == 2
    nothing = Labels(np.zeros((3, 3), int))
    assert diameters_layer(measured(nothing), subject_of(nothing).place).nshapes == 0


def test_titles_tell_the_units() -> None:
    found = measured(box(units="mm"))
    table = {**found.features, "t": np.zeros(1), "mean_intensity": np.zeros(1)}
    titles = {h.name: h.title for h in headings_of(table, found.ruler, image_unit="HU")}
    assert titles == {
        "index": "Label",
        "volume_ml": "Volume (ml)",
        "surface_mm2": "Surface (mm²)",
        "longest_diameter_mm": "Diameter (mm)",
        "diameter-z": "Plane",
        "t": "T",
        "mean_intensity": "Mean (HU)",
    }
    (surface,) = (h for h in headings_of(table, found.ruler, image_unit="") if "mm2" in h.name)
    # the figures of core.surface, which its tests hold
    assert "2 % with 40 voxels on each side, by up to 21 % with 3 or fewer" in surface.help
    flat = measured(Labels(np.ones((2, 2), int)))
    plain = {h.name: h.title for h in headings_of(flat.features, flat.ruler, image_unit="")}
    assert plain == {"index": "Label", "area": "Area", "longest_diameter": "Diameter"}


def test_the_viewer_goes_to_a_point_of_a_layer() -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((3, 20, 40, 50)), units=("s", "mm", "mm", "mm"))
    labels = viewer.add_labels(
        np.zeros((10, 20, 30), np.uint8), scale=(200, 50, 50), translate=(1000, 0, 500), units="um"
    )
    viewer.dims.set_current_step(0, 2)
    zoom = viewer.scene.camera.zoom
    go_to(viewer, labels, (4, 8, 10))
    units = [str(unit) for unit in viewer.dims.units or ()]
    in_mm = 1 if units[-1] == "millimeter" else 1000
    place = np.array([1.8, 0.4, 1.0]) * in_mm
    np.testing.assert_allclose(viewer.dims.point[1:], place, atol=0.5 * in_mm)
    assert viewer.dims.current_step[0] == 2
    np.testing.assert_allclose(viewer.scene.camera.center[1:], place[1:])
    assert viewer.scene.camera.zoom == zoom
    viewer.dims.ndisplay = 3
    go_to(viewer, labels, (4, 8, 10))
    np.testing.assert_allclose(viewer.scene.camera.center, place)
