from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.layers import Image, Labels

from napari_medai.core.axes import AxesArray
from napari_medai.core.space import Grid
from napari_medai.io.image_data import ImageData
from napari_medai.io.layer_data import (
    get_reader,
    layer_data,
    read_layers,
    write_image,
    write_labels,
)
from napari_medai.io.ome_tiff import write_tiff
from napari_medai.io.samples import (
    blood_smear,
    ct_abdomen,
    mitochondria,
    nuclei_fluorescence,
    nuclei_histology,
)

RNG = np.random.default_rng(0)


def noise(*shape: int) -> np.ndarray:
    return RNG.integers(0, 200, shape).astype(np.uint8)


def layers_of(data: Any, options: dict[str, Any], kind: str) -> list[Any]:
    from napari.layers import Layer

    if "channel_axis" not in options:
        return [Layer.create(data, options, kind)]
    from napari.components import ViewerModel

    return list(ViewerModel().add_image(data, **options))


@pytest.mark.parametrize(
    "path", [None, 3, "", [], ["a.tif", "b.tif"], "a.txt", "missing.tif", "\0.tif", "/", object()]
)
def test_strange_paths_have_no_reader(path: Any) -> None:
    assert get_reader(path) is None


def test_a_reader_for_images(tmp_path: Path) -> None:
    path = tmp_path / "a.TIF"
    tifffile.imwrite(path, noise(5, 6))
    for given in (path, str(path), [str(path)]):
        reader = get_reader(given)
        assert reader is not None
        assert reader(given)[0][2] == "image"
    assert get_reader(tmp_path) is None


def test_channels_come_apart_with_their_names(tmp_path: Path) -> None:
    image = AxesArray(
        noise(2, 3, 20, 30),
        "CZYX",
        {"Z": 2.0, "Y": 0.5, "X": 0.25},
        dict.fromkeys("ZYX", "micrometer"),
    )
    path = write_tiff(tmp_path / "a.tif", image, names=("DNA", "actin"))
    ((data, options, kind),) = read_layers(path)
    first, second = layers_of(data, options, kind)
    assert (first.name, second.name) == ("DNA", "actin")
    assert first.axis_labels == ("z", "y", "x")
    np.testing.assert_array_equal(first.scale, [2.0, 0.5, 0.25])
    assert [str(unit) for unit in first.units] == ["micrometer"] * 3
    np.testing.assert_array_equal(second.data, image.data[1])


def test_colours_stay_together_and_unknown_units_are_pixels(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(20, 30, 3), photometric="rgb")
    ((data, options, kind),) = read_layers(tmp_path / "a.tif")
    (layer,) = layers_of(data, options, kind)
    assert layer.rgb
    assert layer.axis_labels == ("y", "x")
    assert [str(unit) for unit in layer.units] == ["pixel"] * 2


def test_a_narrow_stack_is_not_taken_for_colours(tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.tif", AxesArray(noise(5, 6, 3), "ZYX"))
    ((data, options, kind),) = read_layers(tmp_path / "a.tif")
    (layer,) = layers_of(data, options, kind)
    assert not layer.rgb
    assert layer.ndim == 3


@pytest.mark.parametrize("axes", ["TYX", "ZYX", "YX"])
def test_labels_layer_to_file_to_labels_layer(tmp_path: Path, axes: str) -> None:
    from napari.layers import Labels

    layer = Labels(
        noise(4, 20, 30)[(0,) * (3 - len(axes))].astype(np.int32),
        scale=(3.0, 0.5, 0.25)[-len(axes) :],
        units=("second" if axes[0] == "T" else "micrometer", "micrometer", "micrometer")[
            -len(axes) :
        ],
        axis_labels=tuple(axes.lower()),
    )
    path = str(tmp_path / "result.tif")
    data, attributes, _ = layer.as_layer_data_tuple()
    assert write_labels(path, data, attributes) == [path]
    ((data, options, kind),) = read_layers(path)
    assert kind == "labels"
    (back,) = layers_of(data, options, kind)
    assert back.axis_labels == layer.axis_labels
    assert back.units == layer.units
    np.testing.assert_array_equal(back.scale, layer.scale)
    np.testing.assert_array_equal(back.data, layer.data)


def test_image_layer_to_file(tmp_path: Path) -> None:
    from napari.layers import Image

    path = str(tmp_path / "a.tif")
    pyramid = [noise(40, 60, 3), noise(20, 30, 3)]
    data, attributes, _ = Image(pyramid, rgb=True, multiscale=True).as_layer_data_tuple()
    write_image(path, data, attributes)
    write_image(path, data, attributes)  # the dialog has asked
    ((back, options, _),) = read_layers(path)
    assert options["rgb"]
    np.testing.assert_array_equal(back, pyramid[0])
    data, attributes, _ = Image(noise(4, 5, 6)).as_layer_data_tuple()
    write_image(path, data, attributes)
    assert read_layers(path)[0][1]["axis_labels"] == ("z", "y", "x")


def test_bool_masks_become_labels(tmp_path: Path) -> None:
    mask = noise(5, 6) > 100
    np.save(tmp_path / "mask.npy", mask)
    ((data, options, kind),) = read_layers(tmp_path / "mask.npy")
    assert kind == "labels"
    np.testing.assert_array_equal(layers_of(data, options, kind)[0].data, mask)


def test_samples() -> None:
    for function, shape, rgb, name in (
        (nuclei_fluorescence, (520, 696), False, "Nuclei (fluorescence)"),
        (nuclei_histology, (256, 320, 3), True, "Nuclei (histology)"),
        (blood_smear, (480, 640, 3), True, "Blood smear"),
    ):
        ((data, options, kind),) = function()
        assert data.shape == shape
        (layer,) = layers_of(data, options, kind)
        assert layer.rgb == rgb
        assert layer.name == name


def test_the_noisy_sample_has_its_long_exposure_behind_it() -> None:
    long, short = (layers_of(*layer)[0] for layer in mitochondria())
    assert short.data.shape == long.data.shape == (384, 512)
    assert short.visible
    assert not long.visible
    assert np.corrcoef(short.data.ravel(), long.data.ravel())[0, 1] > 0.9
    steps = [np.diff(layer.data.astype(float)).std() / layer.data.std() for layer in (short, long)]
    assert steps[0] > 1.5 * steps[1], "the short exposure is the noisy one"


def test_the_sample_ct_has_its_organs_on_its_grid() -> None:
    ct, organs = (layers_of(*layer)[0] for layer in ct_abdomen())
    assert (type(ct), type(organs)) == (Image, Labels)
    assert ct.data.shape == organs.data.shape == (30, 101, 122)
    assert ct.contrast_limits == [-160, 240]  # soft tissue, in HU
    for corner in ((0, 0, 0), (29, 100, 121)):
        assert organs.data_to_world(corner) == pytest.approx(ct.data_to_world(corner), abs=1e-6)
    assert ct.units == organs.units
    assert str(ct.units[0]) == "millimeter"
    names = dict(zip(organs.features["class"], organs.features["index"], strict=True))
    assert set(names.values()) == set(np.unique(organs.data)) - {0}
    assert 30 < ct.data[organs.data == names["liver"]].mean() < 180
    assert ct.data[organs.data == names["lung_lower_lobe_right"]].mean() < -500
    # Up is towards the head, and the patient's right is at the left.
    liver, spleen = (np.argwhere(organs.data == names[n]).mean(0) for n in ("liver", "spleen"))
    assert liver[2] < spleen[2]


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
@pytest.mark.parametrize("oblique", [False, True])
def test_a_volume_of_a_patient_lies_in_millimetres(oblique: bool) -> None:
    turn = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]]) if oblique else np.eye(3)
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([3.0, 0.5, 0.25])
    affine[:3, 3] = (40, -110, -120)
    volume = ImageData(
        (noise(2, 3, 4, 5),),
        "TZYX",
        {"T": 2.0, "Z": 3.0, "Y": 0.5, "X": 0.25},
        {"T": "second", **dict.fromkeys("ZYX", "millimeter")},
        grid=Grid(affine),
        contrast=(-10.0, 90.0),
        metadata={"modality": "MR"},
    )
    (layer,) = layers_of(*layer_data(volume))
    index = np.array([1, 2, 1, 3])
    place = affine[:3, :3] @ index[1:] + affine[:3, 3]
    assert layer.data_to_world(index) == pytest.approx([2.0, *place])
    assert tuple(layer.scale) == (2.0, 3.0, 0.5, 0.25)
    assert [str(unit) for unit in layer.units] == ["second", *["millimeter"] * 3]
    assert layer.contrast_limits == [-10, 90]
    assert layer.metadata["medai"] == {"modality": "MR"}
