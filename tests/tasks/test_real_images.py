"""The shipped model on a few real images; the figures of the model are in its card."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from skimage import io

from napari_medai.core.axes import AxesArray
from napari_medai.core.metrics import matching, matchings
from napari_medai.core.steps import finished
from napari_medai.models.model import Model
from napari_medai.models.registry import find_model
from napari_medai.tasks.segment import SegmentParams, segment_steps
from napari_medai.tasks.segmentation import Segmentation

FLUORESCENCE = ("fluorescence-256", "fluorescence-260x347", "fluorescence-360")

# OpenVINO traces nets, which this PyTorch calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


@pytest.fixture(scope="module")
def nuclei() -> Model:
    return find_model("nuclei", "segment")


def image(data: Path, name: str) -> np.ndarray:
    return io.imread(data / "nuclei" / "images" / f"{name}.png")


def segmented(pixels: np.ndarray, model: Model, **params: int) -> Segmentation:
    axes = "YX" if pixels.ndim == 2 else "YXC"
    return finished(segment_steps(AxesArray(pixels, axes), model, SegmentParams(**params)))


def accuracy(data: Path, model: Model, *names: str) -> float:
    pairs = [
        (
            io.imread(data / "nuclei" / "masks" / f"{name}.png"),
            np.asarray(segmented(image(data, name), model).labels),
        )
        for name in names
    ]
    return matchings(pairs, ious=(0.5,))[0].accuracy


def test_fluorescence(data: Path, nuclei: Model) -> None:
    assert accuracy(data, nuclei, *FLUORESCENCE) >= 0.75


def test_histology(data: Path, nuclei: Model) -> None:
    assert accuracy(data, nuclei, "histology") >= 0.4


def test_brightfield(data: Path, nuclei: Model) -> None:
    assert accuracy(data, nuclei, "brightfield") >= 0.4


@pytest.mark.parametrize("name", [*FLUORESCENCE, "histology"])
def test_tiled_equals_whole(data: Path, nuclei: Model, name: str) -> None:
    """Of an image large enough to be cut: the same objects, none split."""
    pixels = image(data, name)
    pixels = np.concatenate([pixels, pixels[::-1]])
    pixels = np.concatenate([pixels, pixels[:, ::-1]], axis=1)
    whole = segmented(pixels, nuclei)
    diameter = whole.record["found"]["diameter"]
    tiled = segmented(pixels, nuclei, tile=128, block=160, diameter=diameter)
    same = matching(np.asarray(whole.labels), np.asarray(tiled.labels), iou=0.99)
    assert same.true_positives >= 0.999 * max(whole.count, tiled.count)
    assert whole.count > 50


@pytest.mark.parametrize("zoom", [2.0, 0.5])
@pytest.mark.parametrize("name", ["fluorescence-256", "fluorescence-360"])
def test_another_magnification_finds_as_many(
    data: Path, nuclei: Model, name: str, zoom: float
) -> None:
    pixels = image(data, name)
    zoomed = ndimage.zoom(pixels.astype(np.float32), zoom, order=1, grid_mode=True, mode="nearest")
    whole, other = segmented(pixels, nuclei), segmented(zoomed, nuclei)
    assert other.count == pytest.approx(whole.count, rel=0.15)
