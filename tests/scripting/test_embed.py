from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from napari.layers import Image, Labels, Points

import napari_medai as medai
from napari_medai.core.errors import InputError
from napari_medai.nn.runner import seeded_net
from napari_medai.tasks.denoise_models import denoise_spec
from napari_medai.tasks.trained import write_trained


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model with fresh weights."""
    spec = denoise_spec("fresh", {"widths": [8, 12], "shuffle": 2}, space="YX", description="x")
    folder = tmp_path_factory.mktemp("models") / "fresh"
    write_trained(folder, spec, seeded_net(*spec.architecture, seed=0), script=False)
    return folder


def layers() -> tuple[Image, Labels]:
    """Two frames with five squares each, in micrometres; labels of the second frame."""
    rng = np.random.default_rng(0)
    image, labels = rng.normal(100, 3, (2, 96, 160)), np.zeros((96, 160), int)
    for number in range(5):
        part = np.s_[20:50, 5 + 30 * number : 30 + 30 * number]
        image[(slice(None), *part)] += 50 * (number + 1)
        labels[part] = number + 1
    place = {"units": "um", "translate": (0, 7, 9)}
    frames = Image(image, scale=(1, 0.5, 0.25), axis_labels=("t", "y", "x"), name="cells", **place)
    drawn = Labels(labels, scale=(0.5, 0.25), units="um", translate=(7, 9), axis_labels=("y", "x"))
    return frames, drawn


def test_labels_get_the_numbers_as_features(model: Path) -> None:
    image, labels = layers()
    before = labels.features.copy()
    found = medai.embed(image, labels, model, window={"T": slice(1, 2)}, latents=3, patch=32)
    assert isinstance(found, Labels)
    np.testing.assert_array_equal(found.data, labels.data)
    assert found.features["index"].tolist() == [1, 2, 3, 4, 5]
    assert list(found.features)[:3] == ["index", "map_x", "map_y"]
    assert found.features["latent_1"].std() > 0.1
    assert found.scale.tolist() == [0.5, 0.25]
    assert found.translate.tolist() == [7, 9]
    assert [str(unit) for unit in found.units] == ["micrometer", "micrometer"]
    assert found.metadata["medai"]["task"] == "embed"
    assert labels.features.equals(before), "the layer given is left as it is"


def test_without_labels_patches_become_points(model: Path) -> None:
    image, _ = layers()
    found = medai.embed(image, model=model, window={"T": slice(0, 1)}, latents=2, patch=32)
    assert isinstance(found, Points)
    assert found.data.shape == (15, 2)
    assert found.data[1].tolist() == [15.5, 47.5]
    assert found.data_to_world((15.5, 47.5)) == pytest.approx((7 + 15.5 * 0.5, 9 + 47.5 * 0.25))
    assert set(found.features) == {"index", "map_x", "map_y", "latent_1", "latent_2"}


def test_what_does_not_fit_is_refused(model: Path) -> None:
    image, labels = layers()
    with pytest.raises(InputError, match=r"choose a position of T"):
        medai.embed(image, labels, model)
    with pytest.raises(InputError, match="a mask does not tell its objects apart"):
        medai.embed(image, labels.data > 0, model, window={"T": slice(1, 2)})
    with pytest.raises(InputError, match="give those of the same plane"):
        medai.embed(image, labels.data[:50], model, window={"T": slice(1, 2)})
