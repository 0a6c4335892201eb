from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from napari_medai.core.errors import InputError
from napari_medai.models import places, registry
from napari_medai.models.package import Model, export_zip, write_model
from napari_medai.models.registry import (
    broken_models,
    find_model,
    install_model,
    list_models,
    own_folder,
    remove_model,
)
from napari_medai.models.spec import ModelSpec


@pytest.fixture
def zoo(shipped: Path, user_models: Path, spec: ModelSpec, weights: Path) -> Path:
    """Shipped: nuclei. Own: my-cells and denoiser (another task)."""
    write_model(shipped / "nuclei", replace(spec, name="nuclei"), weights=weights)
    write_model(user_models / "my-cells", replace(spec, name="my-cells"), weights=weights)
    other = replace(
        spec,
        name="denoiser",
        task="denoise",
        architecture=spec.architecture._replace(kwargs={"ndim": 2, "channels_in": 2}),
        channels_in=("stabilised values", "noise level"),
        channels_out=("stabilised values",),
        config={"decoder": "light"},
    )
    write_model(user_models / "denoiser", other, weights=weights)
    return shipped


def names(task: str | None = None) -> list[str]:
    return [model.name for model in list_models(task)]


def test_shipped_models_come_first(zoo: Path) -> None:
    assert names() == ["nuclei", "denoiser", "my-cells"]
    assert names("segment") == ["nuclei", "my-cells"]
    assert broken_models() == []


def test_without_any_folder_there_are_none(shipped: Path) -> None:
    shipped.rmdir()
    assert names() == []
    with pytest.raises(InputError, match="Available: none"):
        find_model("nuclei")


def test_models_are_found_by_name_and_path(zoo: Path, user_models: Path, tmp_path: Path) -> None:
    nuclei = find_model("nuclei")
    assert nuclei.path == zoo / "nuclei"
    assert find_model("my-cells", "segment").path == user_models / "my-cells"
    assert find_model(zoo / "nuclei") == nuclei
    assert find_model(str(zoo / "nuclei" / "rdf.yaml")) == nuclei
    assert find_model(export_zip(nuclei, tmp_path / "n.zip")).spec == nuclei.spec


def test_an_unknown_name_gets_the_nearest(zoo: Path) -> None:
    with pytest.raises(InputError) as caught:
        find_model("Nucle")
    assert str(caught.value) == (
        "there is no model named 'Nucle'; did you mean nuclei? "
        "Available: nuclei, denoiser, my-cells"
    )


def test_a_folder_that_is_no_package_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"the folder empty here holds no rdf\.yaml"):
        find_model("empty")


@pytest.mark.parametrize("name", ["", ".", "..", "zzz", ".unpacked", "con:", "a\0b"])
def test_odd_names_are_unknown(zoo: Path, name: str) -> None:
    with pytest.raises(InputError, match="there is no model named"):
        find_model(name)


def test_a_model_of_another_task_is_refused(zoo: Path) -> None:
    with pytest.raises(InputError, match=r"made to denoise, not to segment; .*: nuclei, my-cells"):
        find_model("denoiser", "segment")


def test_a_broken_package_is_reported_not_raised(zoo: Path, user_models: Path) -> None:
    (user_models / "my-cells" / "weights.pt").write_bytes(b"x")
    (user_models / "empty").mkdir()
    assert names() == ["nuclei", "denoiser"]
    problems = {broken.name: broken.problem for broken in broken_models()}
    assert "tampered" in problems["my-cells"]
    assert "there is no rdf.yaml" in problems["empty"]
    with pytest.raises(InputError, match="tampered"):
        find_model("my-cells")


def test_a_folder_of_another_name_is_reported(zoo: Path, user_models: Path) -> None:
    (user_models / "my-cells").rename(user_models / "renamed")
    assert [broken.name for broken in broken_models()] == ["renamed"]
    with pytest.raises(InputError, match="holds a model named 'my-cells'"):
        find_model("renamed")


def test_an_own_model_does_not_shadow_a_shipped_one(
    zoo: Path, user_models: Path, spec: ModelSpec, weights: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="'nuclei' is the name of a model that ships"):
        own_folder("nuclei", overwrite=True)
    impostor = replace(spec, name="nuclei", version="9.0.0")
    with pytest.raises(InputError, match="'nuclei' is the name of a model that ships"):
        install_model(write_model(tmp_path / "n", impostor, weights=weights).path)
    write_model(user_models / "nuclei", impostor, weights=weights)
    assert find_model("nuclei").version == "1.0.0"
    assert [broken.name for broken in broken_models()] == ["nuclei"]


def test_a_taken_name_is_refused_before_the_work(zoo: Path, user_models: Path) -> None:
    with pytest.raises(InputError, match="there is a model 'my-cells' already"):
        own_folder("my-cells")
    assert own_folder("my-cells", overwrite=True) == user_models / "my-cells"
    assert own_folder("new-cells") == user_models / "new-cells"
    with pytest.raises(InputError, match="is not a model name"):
        own_folder("New Cells")


@pytest.mark.parametrize("zipped", [False, True])
def test_a_package_is_installed(
    shipped: Path, model: Model, tmp_path: Path, user_models: Path, zipped: bool
) -> None:
    (model.path / "stray.txt").write_text("x")
    source = export_zip(model, tmp_path / "t.zip") if zipped else model.path
    installed = install_model(source)
    assert installed.path == user_models / "tiny"
    assert installed.spec == model.spec
    assert find_model("tiny") == installed
    assert not (installed.path / "stray.txt").exists()
    with pytest.raises(InputError, match="already"):
        install_model(source)
    install_model(source, overwrite=True)
    assert [path.name for path in user_models.iterdir()] == ["tiny"]


def test_a_damaged_package_is_not_installed(shipped: Path, model: Model, user_models: Path) -> None:
    (model.path / "README.md").write_text("another card")
    with pytest.raises(InputError, match=r"README\.md is corrupt or was tampered"):
        install_model(model.path)
    assert not user_models.exists()


def test_models_are_removed(zoo: Path, user_models: Path) -> None:
    remove_model("my-cells")
    assert not (user_models / "my-cells").exists()
    with pytest.raises(InputError, match="ships with napari-medai"):
        remove_model("nuclei")
    with pytest.raises(InputError, match="there is no model named 'my-cells'"):
        remove_model("my-cells")
    with pytest.raises(InputError, match="is not a model name"):
        remove_model("../zoo")
    assert names() == ["nuclei", "denoiser"]


def test_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEDAI_MODELS", str(tmp_path))
    assert registry.user_models_dir() == tmp_path
    monkeypatch.delenv("MEDAI_MODELS")
    assert registry.user_models_dir().parts[-2:] == ("napari-medai", "models")
    assert places.shipped_dir().parts[-3:] == ("napari_medai", "models", "zoo")
