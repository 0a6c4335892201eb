from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_medai.models import registry
from napari_medai.models.package import Model, write_model
from napari_medai.models.spec import Architecture, ModelSpec

NET = Architecture(
    "napari_medai.nn.unet",
    "UNet",
    {"ndim": 2, "channels_in": 3, "channels_out": 4, "widths": [8, 16], "shuffle": 2},
)


@pytest.fixture
def spec() -> ModelSpec:
    return ModelSpec(
        name="tiny",
        description="Nuclei in fluorescence images.",
        architecture=NET,
        channels_in=("red", "green", "blue"),
        channels_out=("foreground", "distance", "offset-y", "offset-x"),
        stride=(4, 4),
        halo=(8, 8),
        licence="BSD-3-Clause",
        authors=({"name": "Ada Example"},),
        cite=({"text": "U-Net", "doi": "10.1007/978-3-319-24574-4_28"},),
        tags=("nuclei", "fluorescence"),
        config={
            "decoder": "centre votes",
            "diameter": 21.5,
            "pixel_size": 0.65,
            "recipe": {"seed": 3, "steps": 2000, "rate": 1e-6},
            "scores": {"fluorescence": {"AP@0.5": 0.851}, "histology": {"AP@0.5": 0.62}},
            "training_data": "A few images made by hand.",
        },
    )


@pytest.fixture
def volume(spec: ModelSpec) -> ModelSpec:
    """The same for volumes."""
    kwargs = {**NET.kwargs, "ndim": 3, "channels_out": 5, "shuffle": [1, 2, 2], "pool": [1, 2, 2]}
    return replace(
        spec,
        axes="CZYX",
        architecture=NET._replace(kwargs=kwargs),
        channels_out=("foreground", "distance", "offset-z", "offset-y", "offset-x"),
        stride=(1, 4, 4),
        halo=(),
        config={**spec.config, "pixel_size": [2.0, 0.5, 0.5]},
    )


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "state.pt"
    generator = torch.Generator().manual_seed(0)
    torch.save({"head.weight": torch.rand(4, 3, generator=generator).half()}, path)
    return path


@pytest.fixture
def tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "test_input": rng.integers(0, 255, (1, 3, 32, 32), dtype=np.uint8),
        "test_output": rng.normal(size=(1, 4, 32, 32)).astype(np.float32),
    }


@pytest.fixture
def model(tmp_path: Path, spec: ModelSpec, weights: Path, tensors: dict[str, Any]) -> Model:
    return write_model(tmp_path / "tiny", spec, weights=weights, **tensors)


@pytest.fixture(autouse=True)
def user_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's models are in a folder of the test's own."""
    folder = tmp_path / "user"
    monkeypatch.setenv("MEDAI_MODELS", str(folder))
    return folder


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "zoo"
    folder.mkdir()
    monkeypatch.setattr(registry, "shipped_dir", lambda: folder)
    return folder


@pytest.fixture
def edited(model: Model) -> Callable[[str, str], Path]:
    """Replace a text in the package's description, which must hold it; gives its folder."""

    def edit(old: str, new: str) -> Path:
        path = model.path / "rdf.yaml"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
        return model.path

    return edit
