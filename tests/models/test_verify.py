from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_medai.core.errors import InputError
from napari_medai.core.intensity import Percentiles
from napari_medai.models.package import Export, Model, write_model
from napari_medai.models.spec import ModelSpec
from napari_medai.models.verify import verify_model
from napari_medai.nn.export import exported
from napari_medai.nn.unet import UNet
from napari_medai.tasks.verify import full_check


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_a_sound_package_has_no_problems(model: Model) -> None:
    assert verify_model(model.path) == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # left open there
def test_the_description_is_a_bioimageio_model(model: Model) -> None:
    from bioimageio.spec import load_model_description
    from bioimageio.spec.model.v0_5 import ModelDescr

    found = load_model_description(model.path / "rdf.yaml", perform_io_checks=False)
    assert isinstance(found, ModelDescr)
    assert [axis.id for axis in found.inputs[0].axes] == ["batch", "channel", "y", "x"]
    size: Any = found.inputs[0].axes[2].size
    assert (size.min, size.step) == (20, 4)  # the least multiple of 4 above two halos of 8
    assert found.outputs[0].axes[2].halo == 8  # type: ignore[union-attr]
    assert found.inputs[0].axes[2].scale == 0.65
    assert found.inputs[0].axes[2].unit == "micrometer"  # type: ignore[union-attr]
    step: Any = next(p for p in found.inputs[0].preprocessing if p.id == "scale_range")
    assert (step.kwargs.min_percentile, step.kwargs.max_percentile) == (1.0, 99.8)
    assert list(step.kwargs.axes) == ["channel", "y", "x"]  # each sample by itself
    assert found.weights.pytorch_state_dict is not None
    assert found.config.medai["diameter"] == 21.5  # type: ignore[attr-defined]


def test_variants_are_valid(
    tmp_path: Path, spec: ModelSpec, volume: ModelSpec, weights: Path
) -> None:
    bare = replace(spec, licence="", authors=(), cite=(), tags=(), halo=())
    exports = [Export("torchscript", weights, "2.4"), Export("onnx", weights, "17")]
    for number, variant in enumerate((volume, bare)):
        model = write_model(tmp_path / str(number), variant, weights=weights, exports=exports)
        assert verify_model(model.path) == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # left open there
def test_other_programs_can_check_the_tensors(model: Model) -> None:
    from bioimageio.spec import load_model_description

    load_model_description(model.path / "rdf.yaml", perform_io_checks=True)


def test_each_changed_file_is_named(model: Model) -> None:
    (model.path / "README.md").write_text("another card")
    (model.path / "test_output.npy").write_bytes(b"x")
    problems = verify_model(model.path)
    assert any("README.md is corrupt" in problem for problem in problems)
    assert any("test_output.npy is corrupt" in problem for problem in problems)
    assert any("test tensors cannot be read" in problem for problem in problems)


def test_pickled_test_tensors_are_not_loaded(model: Model) -> None:
    np.save(model.path / "test_input.npy", np.array([object()], dtype=object), allow_pickle=True)
    assert any("allow_pickle=False" in problem for problem in verify_model(model.path))


def test_a_broken_package_is_a_problem_an_unknown_one_an_error(
    shipped: Path, model: Model, tmp_path: Path
) -> None:
    model.weights_path.write_bytes(b"x")
    assert ["tampered" in problem for problem in verify_model(model.path)] == [True]
    with pytest.raises(InputError, match="no model named"):
        verify_model("nothing-here")


def test_what_the_format_forbids_is_found(edited: Callable[[str, str], Path]) -> None:
    folder = edited("license: BSD-3-Clause", "license: none-of-your-business")
    assert any("license" in problem for problem in verify_model(folder))


@pytest.fixture
def sound(tmp_path: Path, spec: ModelSpec) -> Model:
    """A package whose weights and tensors belong to its net."""
    net = UNet(**spec.architecture.kwargs)
    files = exported(net, tmp_path, intensity=Percentiles())
    return write_model(
        tmp_path / "sound",
        spec,
        weights=files.weights,
        test_input=files.test_input,
        test_output=files.test_output,
    )


def test_the_full_check_runs_the_net(sound: Model, tmp_path: Path) -> None:
    assert full_check(sound.path) == []
    raw, output = sound.test_tensors() or ()
    other = output + np.abs(output).max() * 0.05
    package = {"weights": sound.weights_path, "test_input": raw}
    wrong = write_model(tmp_path / "wrong", sound.spec, test_output=other, **package)
    assert [re.sub(r"[\d.]+%", "N", problem) for problem in full_check(wrong.path)] == [
        "the net's answer to test_input.npy differs by N from test_output.npy"
    ]
    small = write_model(tmp_path / "small", sound.spec, test_output=output[..., 4:], **package)
    assert ["gives the shape" in problem for problem in full_check(small.path)] == [True]


def test_the_full_check_finds_weights_of_another_net(model: Model) -> None:
    (problem,) = full_check(model.path)
    assert "do not fit the model's architecture" in problem


def test_the_full_check_tells_broken_files_first(model: Model) -> None:
    (model.path / "README.md").write_text("another card")
    assert ["README.md is corrupt" in problem for problem in full_check(model.path)] == [True]


def test_importing_models_needs_neither_torch_nor_bioimageio() -> None:
    code = (
        "import sys, napari_medai.models.registry, napari_medai.models.verify\n"
        "print([m for m in ('torch', 'napari', 'bioimageio', 'qtpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
