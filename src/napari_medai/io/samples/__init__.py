"""Sample images that come with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.intensity import intensity_range
from napari_medai.io.layer_data import LayerData

_FOLDER = Path(__file__).parent


def nuclei_fluorescence() -> list[LayerData]:
    """Stained nuclei of cultured cells, fluorescence, 520 x 696."""
    return _sample("nuclei_fluorescence.png", title="Nuclei (fluorescence)")


def nuclei_histology() -> list[LayerData]:
    """Stained nuclei in a tissue section, RGB, 256 x 320."""
    return _sample("nuclei_histology.png", title="Nuclei (histology)")


def blood_smear() -> list[LayerData]:
    """Red cells, a white cell and platelets on a stained blood smear, RGB, 480 x 640."""
    return _sample("blood_smear.jpg", title="Blood smear")


def mitochondria() -> list[LayerData]:
    """Mitochondria of a living cell, 384 x 512, in a short exposure and, not shown, a long one."""
    (long,) = _sample("mitochondria_long.png", title="Mitochondria (long exposure)")
    (short,) = _sample("mitochondria_short.png", title="Mitochondria (noisy)")
    long[1]["visible"] = False
    return [long, short]


def ct_abdomen() -> list[LayerData]:
    """A CT of the upper abdomen, 30 x 101 x 122 voxels of 3 mm, and its organs as labels."""
    from napari_medai.io.dicom.volume import SOFT_TISSUE

    (image,), (labels,) = (
        _sample(f"{name}.nii.gz", title=title)
        for name, title in (("ct_abdomen", "CT (abdomen)"), ("ct_abdomen_labels", "Organs"))
    )
    image[1]["contrast_limits"] = SOFT_TISSUE
    return [image, labels]


def _sample(name: str, *, title: str) -> list[LayerData]:
    from napari_medai.io.layer_data import read_layers

    layers = read_layers(_FOLDER / name)
    return [
        (data, {**options, "name": title, **_display(data, options, kind)}, kind)
        for data, options, kind in layers
    ]


def _display(data: Any, options: dict[str, Any], kind: str) -> dict[str, Any]:
    """Contrast limits that show a dim gray image; colours are shown as they are."""
    if kind == "labels" or options.get("rgb"):
        return {}
    bright = intensity_range(np.asarray(data))
    return {"contrast_limits": (bright.low, bright.high)}
