from __future__ import annotations

import errno
import hashlib
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_medai.core.errors import InputError, RunError
from napari_medai.models import package
from napari_medai.models.folder import new_folder
from napari_medai.models.package import Export, Model, read_model, write_model
from napari_medai.models.spec import ModelSpec

Edit = Callable[[str, str], Path]


def test_what_is_written_is_read_back(
    model: Model, spec: ModelSpec, weights: Path, tensors: dict[str, np.ndarray]
) -> None:
    assert replace(model.spec, card="") == spec
    assert read_model(model.path) == model
    assert read_model(model.path / "rdf.yaml") == model
    assert model.sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
    state = torch.load(model.weights_path, weights_only=True)
    assert torch.equal(state["head.weight"], torch.load(weights)["head.weight"])
    kept = model.test_tensors()
    assert kept is not None
    np.testing.assert_array_equal(kept[0], tensors["test_input"])
    np.testing.assert_array_equal(kept[1], tensors["test_output"])


def test_a_volume_model_is_read_back(tmp_path: Path, volume: ModelSpec, weights: Path) -> None:
    model = write_model(tmp_path / "volume", volume, weights=weights)
    assert replace(model.spec, card="") == volume
    assert model.axes == "CZYX"
    assert model.test_tensors() is None


def test_the_model_says_what_it_is(model: Model) -> None:
    assert model.name == "tiny"
    assert model.task == "segment"
    assert model.channels == 3
    assert model.architecture.kwargs["widths"] == [8, 16]
    assert model.config["diameter"] == 21.5
    assert model.config["intensity"] == {"low": 1.0, "high": 99.8}
    assert model.summary == (
        "tiny 1.0.0 · segment · 2D · 3 channels · objects about 21.5 px: "
        "Nuclei in fluorescence images."
    )
    described = model.describe()
    assert described["decoder"] == "centre votes"
    assert described["sha256"] == model.sha256
    assert described["authors"] == ["Ada Example"]


def test_the_card_tells_the_scores_and_the_data(model: Model) -> None:
    assert "## Validation\n\n| images | AP@0.5 |\n|---|---|\n| fluorescence | 0.851 |" in model.card
    assert "A few images made by hand." in model.card
    assert "https://doi.org/10.1007/978-3-319-24574-4_28" in model.card


def test_a_card_of_ones_own_is_kept(tmp_path: Path, spec: ModelSpec, weights: Path) -> None:
    own = replace(spec, card="# Mine\n\nµm\n")
    model = write_model(tmp_path / "own", own, weights=weights)
    assert model.spec == own


def test_exports_are_kept_and_named(tmp_path: Path, spec: ModelSpec, weights: Path) -> None:
    exports = [Export("torchscript", weights, torch.__version__), Export("onnx", weights, "17")]
    model = write_model(tmp_path / "both", spec, weights=weights, exports=exports)
    assert {kind: path.name for kind, path in model.exports.items()} == {
        "torchscript": "weights.torchscript.pt",
        "onnx": "weights.onnx",
    }
    assert model.describe()["exports"] == ["onnx", "torchscript"]


@pytest.mark.parametrize("place", [0, 100, -1])
def test_one_changed_byte_is_found(model: Model, place: int) -> None:
    content = bytearray(model.weights_path.read_bytes())
    content[place] ^= 1
    model.weights_path.write_bytes(content)
    with pytest.raises(InputError, match=r"weights\.pt is corrupt or was tampered .* install"):
        read_model(model.path)


def test_nothing_is_unpickled(tmp_path: Path, spec: ModelSpec) -> None:
    ran = tmp_path / "ran"

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (ran,))

    evil = tmp_path / "evil.pt"
    evil.write_bytes(pickle.dumps(Trap(), protocol=2))
    model = write_model(tmp_path / "evil", spec, weights=evil)
    read_model(model.path)
    assert not ran.exists()
    with pytest.raises(pickle.UnpicklingError):
        torch.load(model.weights_path, weights_only=True)
    assert not ran.exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("source: weights.pt", "source: ../state.pt", "leads out of the package"),
        ("source: weights.pt", "source: /etc/passwd", "leads out of the package"),
        ("source: weights.pt", "source: C:\\state.pt", "leads out of the package"),
        ("source: test_input.npy", "source: a/../../state.pt", "leads out of the package"),
        ("source: README.md", "source: ../state.pt", "leads out of the package"),
        ("source: weights.pt", "source: https://example.org/w.pt", "is missing|leads out"),
        ("source: weights.pt", "source: other.pt", "other.pt' is missing"),
        ("format_version: 0.5.12", "format_version: 0.4.10", "0.4.10 .* is not supported"),
        ("format_version: 0.5.12", "format_version: 0.6.0", "0.6.0 .* is not supported"),
        ("type: model", "type: dataset", "describes a dataset"),
        ("callable: UNet", "callable: Block", "unet.Block is not one that napari-medai may load"),
        ("import_from: napari_medai.nn.unet", "import_from: os", "os.UNet is not one that"),
        ("import_from: napari_medai.nn.unet", "source: net.py", "its own code|is missing"),
        ("pytorch_state_dict", "keras_hdf5", "lacks 'weights.pytorch_state_dict"),
        ("  medai:", "  other:", "lacks 'config.medai'"),
        ("diameter: 21.5", "diameters: 21.5", "lack diameter"),
        ("diameter: 21.5", "diameter: large", "diameter must be a positive number"),
        ("diameter: 21.5", "diameter: .nan", "diameter must be a positive number"),
        ("diameter: 21.5", "diameter: null", "lack diameter"),
        ("decoder: centre votes", "decoder: star rays", "decoder must be 'centre votes'"),
        ("pixel_size: 0.65", "pixel_size: [0.4]", "pixel_size must be 1 or 2 positive"),
        ("pixel_size: 0.65", "pixel_size: -1", "pixel_size must be 1 or 2 positive"),
        ("pixel_size: 0.65", "zoom_range: x", "zoom_range must be a factor of 1 or more"),
        ("pixel_size: 0.65", "zoom_range: 0", "zoom_range must be a factor of 1 or more"),
        ("pixel_size: 0.65", "anisotropy: 0", "anisotropy must be a positive number"),
        ("pixel_size: 0.65", "threshold: 1", "threshold must be above 0 and below 1"),
        ("pixel_size: 0.65", "min_size: 2", "min_size must be between 0 and 1"),
        ("pixel_size: 0.65", "min_score: true", "min_score must be between 0 and 1"),
        ("pixel_size: 0.65", "classes: 3", "classes must be a list"),
        ("low: 1.0", "low: 1.0\n      middle: 50", "intensity must be percentiles"),
        ("ndim: 2", "ndim: 5", "the net's ndim must be 2 or 3, got 5"),
        ("ndim: 2", "ndim: 3", "the net's ndim is 3, but .* ask for 2"),
        ("ndim: 2", "depth: 2", "the net takes ndim, .* but no argument 'depth'"),
        ("channels_in: 3", "channels_in: 1", "the net's channels_in is 1, but .* ask for 3"),
        ("        channels_in: 3\n", "", "the net's channels_in is 1, but .* ask for 3"),
        ("channels_out: 4", "channels_out: 400", "channels_out must be 1 to 64"),
        ("- 16", "- 160000", "widths must be 2 to 6 whole numbers from 1 to 1024"),
        ("shuffle: 2", "shuffle: x", "shuffle must be 1 or 2 whole numbers from 1 to 8"),
        ("shuffle: 2", "shuffle: [1, 2, 2]", "shuffle must be 1 or 2 whole numbers"),
        ("shuffle: 2", "pool: 0", "pool must be 1 or 2 whole numbers from 1 to 4"),
        ("low: 1.0", "low: 99.9", "intensity must be percentiles"),
        ("step: 4", "step: 0", "stride must be 2 whole numbers"),
        ("id: y", "id: t", "axes must be CYX or CZYX, got 'CTX'"),
        ("type: space", "type: time", "time axis"),
        ("name: tiny\n", "name: Tiny Model\n", "'Tiny Model' is not a model name"),
        ("authors:", "authors: 3\nothers:", "'authors' .* must be a list|cannot be"),
        ("inputs:", "inputs: {\nold:", r"not valid yaml in line \d+"),
        ("version: 1.0.0", "version: *other", "not valid yaml|aliases"),
        ("version: 1.0.0", "version: 2024-13-45", "broken value|version"),
    ],
)
def test_a_bad_description_is_refused(edited: Edit, old: str, new: str, message: str) -> None:
    folder = edited(old, new)
    with pytest.raises(InputError, match=message) as caught:
        read_model(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty or no yaml mapping"),
        ("- a\n- b\n", "empty or no yaml mapping"),
        ("a: &a [1]\nb: [*a, *a]\n", "aliases"),
        ("a: " + "[" * 3000 + "]" * 3000, "nested too deep"),
        ("a: " + "x" * 2_000_000, "characters"),
        ("a: !!python/object/apply:os.system ['true']\n", "not valid yaml"),
        ("a: \0", "not valid yaml"),
        ("type: model\n", "lacks 'format_version'"),
    ],
)
def test_broken_yaml_is_refused(model: Model, text: str, message: str) -> None:
    (model.path / "rdf.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_model(model.path)


def test_a_description_that_is_not_text_is_refused(model: Model) -> None:
    (model.path / "rdf.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(InputError, match="is not text"):
        read_model(model.path)


def test_what_is_no_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no rdf\.yaml"):
        read_model(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        read_model(tmp_path / "nowhere")
    (tmp_path / "file.txt").write_text("hello")
    with pytest.raises(InputError, match="is no model package"):
        read_model(tmp_path / "file.txt")


@pytest.mark.parametrize("name", ["weights.pt", "rdf.yaml", "README.md"])
def test_a_link_out_of_the_package_is_refused(model: Model, tmp_path: Path, name: str) -> None:
    (model.path / name).rename(tmp_path / "elsewhere")
    (model.path / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="link that leads out"):
        read_model(model.path)


def test_an_existing_package_is_kept(model: Model, spec: ModelSpec, weights: Path) -> None:
    with pytest.raises(InputError, match="exists"):
        write_model(model.path, replace(spec, version="2.0.0"), weights=weights)
    assert read_model(model.path).version == "1.0.0"
    again = replace(spec, version="2.0.0")
    assert write_model(model.path, again, weights=weights, overwrite=True).version == "2.0.0"


def test_a_folder_of_something_else_is_never_overwritten(
    tmp_path: Path, spec: ModelSpec, weights: Path
) -> None:
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter.txt").write_text("years of work")
    with pytest.raises(InputError, match="is not a model package"):
        write_model(thesis, spec, weights=weights, overwrite=True)
    assert (thesis / "chapter.txt").read_text() == "years of work"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_full_disk_leaves_everything_as_it_was(
    model: Model,
    spec: ModelSpec,
    weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    overwrite: bool,
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(package, "written", full)
    before = sorted(model.path.parent.iterdir())
    target = model.path if overwrite else model.path.with_name("other")
    with pytest.raises(RunError, match="the disk is full"):
        write_model(target, spec, weights=weights, overwrite=overwrite)
    assert sorted(model.path.parent.iterdir()) == before
    assert read_model(model.path) == model


def test_a_package_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "tiny"

    def write() -> None:
        with new_folder(target) as made:
            (made / "mine").touch()
            target.mkdir()
            (target / "theirs").touch()

    with pytest.raises(InputError, match="exists"):
        write()
    assert [path.name for path in target.iterdir()] == ["theirs"]
    assert list(tmp_path.iterdir()) == [target]


def test_an_interrupt_leaves_nothing(
    tmp_path: Path, spec: ModelSpec, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(package, "written", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_model(tmp_path / "new" / "tiny", spec, weights=weights)
    assert list((tmp_path / "new").iterdir()) == []


def test_missing_weights_are_refused(tmp_path: Path, spec: ModelSpec) -> None:
    with pytest.raises(InputError, match=r"nowhere\.pt does not exist"):
        write_model(tmp_path / "tiny", spec, weights=tmp_path / "nowhere.pt")
    assert not (tmp_path / "tiny").exists()


def test_test_tensors_must_fit(
    tmp_path: Path, spec: ModelSpec, weights: Path, tensors: dict[str, Any]
) -> None:
    tensors["test_input"] = tensors["test_input"][:, :2]
    with pytest.raises(InputError, match=r"3 channels.*got the shape \(1, 2, 32, 32\)"):
        write_model(tmp_path / "tiny", spec, weights=weights, **tensors)
