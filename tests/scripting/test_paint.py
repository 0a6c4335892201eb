"""Objects painted by a script: labels, styles and models go in, layers come out."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels

import napari_medai as medai
from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.models.model import Model
from napari_medai.scripting.synthesize import order_of
from napari_medai.tasks import synthetic

Painters = dict[int, Model]


@pytest.fixture
def disks(painting: ModuleType) -> np.ndarray:
    return np.asarray(painting.disks((48, 64)))


def test_a_model_gives_an_image_and_its_labels(painters: Painters) -> None:
    image, labels = medai.synthesize(painters[2], shape=(48, 64), count=4, seed=2, scale=0.5)
    assert (type(image), type(labels)) == (Image, Labels)
    assert np.unique(labels.data).tolist() == [0, 1, 2, 3, 4]
    assert labels.features["index"].tolist() == [1, 2, 3, 4]
    sizes = np.bincount(labels.data.ravel())[1:]
    assert labels.features["area"].tolist() == (0.25 * sizes).tolist()
    assert image.scale.tolist() == labels.scale.tolist() == [0.5, 0.5]
    assert image.data.dtype == np.uint8
    (again, _) = medai.synthesize(painters[2].path, shape=(48, 64), count=4, seed=2)
    assert (again.data == image.data).all()


def test_without_a_shape_a_model_paints_in_its_own_dimension(
    painters: Painters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(synthetic.SHAPES, 3, (32, 40, 48))
    monkeypatch.setitem(synthetic.SHAPES, 2, (40, 48))
    assert order_of(painters[3], shape=None, ndim=None).ground.shape == (32, 40, 48)
    assert order_of(painters[2], shape=None, ndim=None).ground.shape == (40, 48)
    with pytest.raises(InputError, match=r"dots-3d paints images of 3 axes .* have 2; give 3"):
        medai.synthesize(painters[3], ndim=2)


def test_images_are_stacked_and_do_not_depend_on_how_many_there_are(painters: Painters) -> None:
    stack, labels = medai.synthesize(painters[2], shape=(48, 64), images=3, seed=7, count=3)
    assert stack.axis_labels == labels.axis_labels == ("n", "y", "x")
    (one, first) = medai.synthesize(painters[2], shape=(48, 64), seed=7, count=3)
    assert (stack.data[0] == one.data).all()
    assert (labels.data[0] == first.data).all()
    # each has its own numbers
    assert [np.unique(plane)[1:].tolist() for plane in labels.data] == [
        [1, 2, 3], [4, 5, 6], [7, 8, 9],
    ]  # fmt: skip
    assert labels.features["n"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_labels_may_be_an_array(painters: Painters, disks: np.ndarray) -> None:
    labels = disks * 10
    before = labels.copy()
    image, found = medai.synthesize(painters[2], labels=labels, scale=2)
    assert (found.data == labels).all()
    assert (labels == before).all()
    assert found.scale.tolist() == [2, 2]
    (same, _) = medai.synthesize(painters[2], labels=labels.tolist(), shape=(48, 64), ndim=2)
    assert (same.data == image.data).all()


@pytest.mark.parametrize("images", [1, 2])
def test_what_is_painted_lies_on_its_labels(
    painters: Painters, disks: np.ndarray, images: int
) -> None:
    drawn = Labels(
        disks * 3,
        name="drawn",
        scale=(2, 3),
        translate=(5, 7),
        affine=[[1, 0, 9], [0, 2, 0], [0, 0, 1]],
        units=("um", "um"),
        axis_labels=("y", "x"),
    )
    image, labels = medai.synthesize(painters[2], labels=drawn, images=images)
    assert (labels.data.reshape(-1, 48, 64)[0] == drawn.data).all()
    for layer in (image, labels):
        assert layer.data.shape[-2:] == (48, 64)
        corner = [0] * (images > 1) + [10, 20]
        assert layer.data_to_world(corner)[-2:] == drawn.data_to_world((10, 20))
        assert [str(u) for u in layer.units][-2:] == ["micrometer", "micrometer"]
        assert layer.axis_labels[-2:] == ("y", "x")
    sizes = np.bincount(disks.ravel())[1:]
    assert labels.features["area"][: len(sizes)].tolist() == (12 * sizes).tolist()  # 2 * 2 by 3
    with pytest.raises(InputError, match="scale and units are those of layer 'drawn'"):
        medai.synthesize(painters[2], labels=drawn, scale=2)


def test_large_numbers_have_room_in_a_stack(painters: Painters) -> None:
    drawn = np.zeros((40, 40), np.int32)
    drawn[5:20, 5:20] = 2_000_000_000
    _, labels = medai.synthesize(painters[2], labels=drawn, images=2)
    assert np.unique(labels.data).tolist() == [0, 2_000_000_000, 4_000_000_000]
    assert labels.features["index"].tolist() == [2_000_000_000, 4_000_000_000]
    _, one = medai.synthesize(painters[2], labels=drawn)
    assert one.data.dtype == np.int32


def test_a_style_is_followed(painters: Painters, painting: ModuleType, disks: np.ndarray) -> None:
    photograph = painting.photograph(disks).astype(np.uint16) * 7 + 400
    plain, _ = medai.synthesize(painters[2], labels=disks)
    image, _ = medai.synthesize(painters[2], labels=disks, style=photograph)
    layer, _ = medai.synthesize(painters[2], labels=disks, style=Image(photograph))
    assert (image.data == layer.data).all()
    assert (plain.data.dtype, image.data.dtype) == (np.uint8, np.uint16)
    assert plain.data.max() <= 255 < image.data.max()


@pytest.mark.parametrize("images", [1, 2])
def test_a_script_makes_all_of_it_again(
    painters: Painters,
    painting: ModuleType,
    disks: np.ndarray,
    images: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MEDAI_MODELS", str(tmp_path))
    painting.painter(tmp_path, name="cells")
    viewer = ViewerModel()
    monkeypatch.setattr("napari.current_viewer", lambda: viewer)
    viewer.add_labels(disks * 3, name="drawn", scale=(2, 3), axis_labels=("y", "x"))
    for given in ({"labels": viewer.layers["drawn"]}, {"shape": (48, 64), "scale": 2}):
        layers = medai.synthesize("cells", images=images, seed=3, **given)
        exec(medai.script(layers[1]), {})
        for layer, again in zip(layers, viewer.layers[-2:], strict=True):
            assert layer.data.tobytes() == again.data.tobytes()
            assert layer.scale.tolist() == again.scale.tolist()


def test_a_script_says_which_arrays_are_to_be_put_in(
    painters: Painters, painting: ModuleType, disks: np.ndarray
) -> None:
    style = painting.photograph(disks)
    (image, _) = medai.synthesize(painters[2], labels=disks, style=style)
    text = medai.script(image)
    assert "\nlabels = ...  # it was an array: put it here\n" in text
    assert "\nstyle = ...  # it was an array: put it here\n" in text
    assert "    labels=labels,\n    style=style,\n" in text
    compile(text, "script", "exec")


def test_what_finds_no_room_is_a_warning(painters: Painters) -> None:
    with pytest.warns(UserWarning, match=r"^\d+ of 900 objects found room; enlarge") as caught:
        medai.synthesize(painters[2], shape=(48, 48), count=900)
    assert caught[0].filename == __file__


def test_what_means_nothing_is_a_warning(painters: Painters, disks: np.ndarray) -> None:
    with pytest.warns(UserWarning, match="^count means nothing where labels are given"):
        medai.synthesize(painters[2], labels=disks, count=3)


def test_too_large_labels_are_refused_before_they_are_read(painters: Painters) -> None:
    class Unread:
        shape, dtype, ndim = (30_000, 30_000), np.dtype(np.int32), 2

        def __getitem__(self, key: Any) -> np.ndarray:
            raise AssertionError("it was read")

        def __array__(self, *_: Any, **__: Any) -> np.ndarray:
            raise AssertionError("it was read")

    with pytest.raises(InputError, match=r"may have 134.217.728 pixels, but the shape \(30000,"):
        medai.synthesize(painters[2], labels=Unread())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "^count must be 1 or more, got 0; leave it out for as many as usual$"),
        ({"count": -3}, "^count must be 0 to 1000000, got -3$"),
        ({"count": 2, "density": 1}, "a count of 2 and a density of 1 were given; give one"),
        ({"segments": 3}, "there is no parameter 'segments'; "),
        ({"seed": 2**31}, "^seed must be 0 to 2147483647, got 2147483648$"),
        ({"shape": (16, 64)}, r"2 or 3 whole numbers of 32 or more, got \(16, 64\)"),
        ({"shape": (40, 40, 40)}, "dots-2d paints images of 2 axes"),
        ({"labels": np.ones((40, 40))}, "labels must be whole numbers, got float64"),
        ({"labels": np.full((40, 40), -1)}, r"must be 0 \(background\) or more, got -1"),
        ({"labels": np.zeros((40, 40), int)}, "the labels are empty"),
        (
            {"labels": np.ones((20, 40), int)},
            r"32 pixels or more along each axis, got .*\(20, 40\)",
        ),
        ({"labels": np.ones((2, 3, 40, 40), int)}, "lie in a plane or a volume, got axes"),
        (
            {"labels": AxesArray(np.ones((40, 40, 40), int), "TYX")},
            "got axes T Y X; choose one point in time",
        ),
        ({"labels": np.ones((40, 40, 40), int)}, "dots-2d paints images of 2 axes"),
        ({"labels": np.ones((40, 40), int), "shape": (40, 41)}, r"\(40, 40\), but \(40, 41\) was"),
        ({"labels": np.ones((40, 40), int), "shape": 40}, r"\(40, 40\), but 40 was asked for"),
        ({"labels": np.ones((40, 40), int), "ndim": 3}, "2 axes, but an ndim of 3 was asked for"),
        ({"labels": "labels.tif"}, "'labels.tif' is a path; open it first, or give the array"),
        ({"labels": Image(np.ones((40, 40)), name="a")}, "'a' is a Image layer; choose a labels"),
        ({"style": np.ones((40, 40, 3))}, "one channel, got axes Y X C; choose one channel"),
        ({"style": np.ones((40, 40))}, "nothing stands out in the style image"),
        ({"style": np.full((40, 40), np.nan)}, "an image of finite numbers"),
        (
            {"style": Labels(np.ones((40, 40), int), name="b")},
            "'b' is a Labels layer; choose an im",
        ),
    ],
)
def test_what_does_not_fit_is_answered_with_what_to_do(
    painters: Painters, options: dict[str, Any], message: str
) -> None:
    usual = {} if "labels" in options else {"shape": (48, 64)}
    with pytest.raises(InputError, match=message) as caught:
        medai.synthesize(painters[2], **usual | options)
    assert "\n" not in str(caught.value)


def test_a_style_of_another_dimension_is_refused(painters: Painters, painting: ModuleType) -> None:
    volume = painting.photograph(painting.disks((24, 40, 40)))
    with pytest.raises(InputError, match="but the style has 3 \\(Z Y X\\); choose an image of 2"):
        medai.synthesize(painters[2], shape=(40, 40), style=volume)


def test_vessels_have_no_use_for_labels_or_a_style(painting: ModuleType, disks: np.ndarray) -> None:
    for given in ({"labels": disks}, {"style": painting.photograph(disks)}):
        with pytest.raises(InputError, match="vessels are grown, not painted: leave out"):
            medai.synthesize("vessels", **given)


def test_an_alias_and_a_name_are_the_same_model(
    painting: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDAI_MODELS", str(tmp_path))
    painting.painter(tmp_path, name="cells-painter", alias="cells")
    one, other = (
        medai.synthesize(name, shape=(48, 64), count=2)[0] for name in ("cells", "cells-painter")
    )
    assert (one.data == other.data).all()
    with pytest.raises(InputError, match="to synthesize there are vessels, nuclei, cells"):
        medai.synthesize("rings", shape=(48, 64))


def test_pages_without_a_word_are_slices(painters: Painters, painting: ModuleType) -> None:
    labels = painting.disks((32, 40, 48))
    pages = AxesArray(labels, "QYX", {"Q": 2.0, "Y": 0.5, "X": 0.5})
    image, drawn = medai.synthesize(painters[3], labels=pages)
    assert image.scale.tolist() == [2.0, 0.5, 0.5]
    assert drawn.features["volume"][0] == pytest.approx((labels == 1).sum() * 0.5)


def test_a_painter_is_not_called_vessels(painting: ModuleType) -> None:
    with pytest.raises(InputError, match="'vessels' is the word for growing vessels"):
        medai.train(
            "synthesize", [np.ones((64, 64))] * 5, [np.eye(64, dtype=int)] * 5, name="vessels"
        )
