"""The full check of a package: its files and description, and its net on its test tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.models.model import Model
from napari_medai.models.registry import find_model
from napari_medai.models.verify import verify_model
from napari_medai.tasks.suitable import image_range, loaded_net

TOLERANCE = 1e-2
"""Largest difference from the stated output, relative to the largest value in it."""


def full_check(path_or_name: Path | str) -> list[str]:
    """What is wrong with a package, one sentence each; empty when all is well.

    Where its files are sound, the net is built, loaded, and run on the CPU.

    Raises
    ------
    InputError
        If there is no such package.
    """
    return verify_model(path_or_name) or net_problems(find_model(path_or_name))


def net_problems(model: Model) -> list[str]:
    """What is wrong with a model's net; without test tensors, only whether it can be loaded."""
    try:
        net = loaded_net(model, device="cpu")
    except InputError as error:
        return [str(error)]
    tensors = model.test_tensors()
    if tensors is None:
        return []
    images, expected = tensors
    ready = [image_range(image, model).scaled(image).astype(np.float32) for image in images]
    found = net.answered(ready)
    if found.shape != expected.shape:
        return [f"the net gives the shape {found.shape}, but test_output.npy has {expected.shape}"]
    difference = float(np.abs(found - expected).max()) / max(float(np.abs(expected).max()), 1e-6)
    if difference <= TOLERANCE:
        return []
    return [f"the net's answer to test_input.npy differs by {difference:.1%} from test_output.npy"]
