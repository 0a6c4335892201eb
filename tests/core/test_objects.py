from __future__ import annotations

import numpy as np
import pytest

from napari_medai.core.errors import InputError
from napari_medai.core.objects import compact_labels, object_features

LABELS = np.array(
    [
        [0, 3, 3, 0],
        [0, 3, 3, 9],
        [0, 0, 0, 9],
    ]
)
IMAGE = np.arange(12, dtype=np.uint8).reshape(3, 4)


def test_columns_by_hand() -> None:
    table = object_features(
        LABELS, image=IMAGE[None], score=[0.5, 0.25], spacing={"Y": 2.0, "X": 0.5}
    )
    assert list(table) == [
        "index",
        "score",
        "area",
        "mean_intensity",
        "centroid-y",
        "centroid-x",
    ]
    np.testing.assert_array_equal(table["index"], [3, 9])
    np.testing.assert_array_equal(table["score"], [0.5, 0.25])
    np.testing.assert_array_equal(table["area"], [4.0, 2.0])  # 4 and 2 pixels of 2 x 0.5
    np.testing.assert_array_equal(table["mean_intensity"], [(1 + 2 + 5 + 6) / 4, (7 + 11) / 2])
    np.testing.assert_array_equal(table["centroid-y"], [0.5, 1.5])
    np.testing.assert_array_equal(table["centroid-x"], [1.5, 3.0])


def test_volume_and_centroid_in_3d() -> None:
    labels = np.zeros((4, 3, 4), dtype=np.uint16)
    labels[2] = LABELS
    labels[3, 0, 0] = 9
    table = object_features(labels, spacing={"Z": 3}, axes="ZYX")
    np.testing.assert_array_equal(table["volume"], [12, 9])
    np.testing.assert_array_equal(table["centroid-z"], [2, 7 / 3])
    np.testing.assert_array_equal(table["centroid-x"], [1.5, 2])
    assert "score" not in table


def test_colours_are_averaged() -> None:
    table = object_features(LABELS, image=np.stack([IMAGE, IMAGE, IMAGE + 3]))
    np.testing.assert_allclose(table["mean_intensity"], [4.5, 10])


def test_nothing_gives_empty_columns() -> None:
    table = object_features(np.zeros((3, 3), dtype=np.int32), image=np.zeros((1, 3, 3)), score=[])
    assert {name: len(column) for name, column in table.items()} == dict.fromkeys(table, 0)


@pytest.mark.parametrize("values", [[5, 5, 6, 7], [2**40, 5, 5, 2**40], [-3, 5, 5], [True, True]])
def test_compact_labels(values: list[int]) -> None:
    array = np.array(values)
    index, row = compact_labels(array)
    np.testing.assert_array_equal(index[row], array)
    np.testing.assert_array_equal(index, np.unique(array))


def test_labels_that_are_not_contiguous_in_memory() -> None:
    table = object_features(np.asfortranarray(LABELS)[::-1], image=IMAGE[None, ::-1])
    np.testing.assert_array_equal(table["mean_intensity"], [3.5, 9])
    np.testing.assert_array_equal(table["centroid-y"], [1.5, 0.5])


def test_unfit_input() -> None:
    with pytest.raises(InputError, match="whole numbers"):
        object_features(LABELS.astype(float))
    with pytest.raises(InputError, match="as many scores"):
        object_features(LABELS, score=[1.0])
    with pytest.raises(InputError, match="do not fit"):
        object_features(LABELS, image=IMAGE[None, :2])


def test_pixels_without_a_value_do_not_count() -> None:
    image = IMAGE.astype(float)[None].copy()
    image[0, 0, 1] = np.nan
    table = object_features(LABELS, image=image)
    np.testing.assert_allclose(table["mean_intensity"], [(2 + 5 + 6) / 3, 9])
