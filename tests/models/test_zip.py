from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from napari_medai.core.errors import InputError
from napari_medai.models import folder
from napari_medai.models.package import Model, export_zip, read_model


@pytest.fixture
def packed(model: Model, tmp_path: Path) -> Path:
    return export_zip(model, tmp_path / "tiny.zip")


def test_a_zip_is_read_like_its_folder(packed: Path, model: Model, user_models: Path) -> None:
    found = read_model(packed)
    assert found.spec == model.spec
    assert found.sha256 == model.sha256
    assert found.path.is_relative_to(user_models)
    assert read_model(packed) == found


def test_the_same_model_gives_the_same_zip(packed: Path, model: Model, tmp_path: Path) -> None:
    assert export_zip(model, tmp_path / "again.zip").read_bytes() == packed.read_bytes()


def test_stray_files_are_not_packed(model: Model, tmp_path: Path) -> None:
    (model.path / "diary.txt").write_text("private")
    with zipfile.ZipFile(export_zip(model, tmp_path / "out.zip")) as file:
        assert sorted(file.namelist()) == sorted(["rdf.yaml", *model.files])


def test_a_damaged_unpacked_copy_is_made_anew(packed: Path) -> None:
    found = read_model(packed)
    found.weights_path.write_bytes(b"broken")
    assert read_model(packed) == found


def test_a_zip_with_one_folder_in_it_is_read(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "wrapped.zip"
    with zipfile.ZipFile(path, "w") as file:
        for child in model.path.iterdir():
            file.write(child, f"tiny/{child.name}")
        file.writestr("__MACOSX/tiny/._rdf.yaml", "x")
    assert read_model(path).spec == model.spec


def test_an_existing_zip_is_kept(packed: Path, model: Model) -> None:
    before = packed.read_bytes()
    with pytest.raises(InputError, match="exists"):
        export_zip(model, packed)
    assert packed.read_bytes() == before
    export_zip(model, packed, overwrite=True)


@pytest.mark.parametrize(
    "name", ["../evil.txt", "/tmp/evil.txt", "a/../../evil", "C:\\evil", "\\x"]
)
def test_an_entry_outside_the_folder_is_refused(
    packed: Path, tmp_path: Path, user_models: Path, name: str
) -> None:
    with zipfile.ZipFile(packed, "a") as file:
        file.writestr(name, "evil")
    before = {path for path in tmp_path.rglob("*") if not path.is_relative_to(user_models)}
    with pytest.raises(InputError, match="leads out of the package"):
        read_model(packed)
    assert {p for p in tmp_path.rglob("*") if not p.is_relative_to(user_models)} == before
    assert list((user_models / ".unpacked").iterdir()) == []


def test_a_link_in_a_zip_is_refused(packed: Path) -> None:
    entry = zipfile.ZipInfo("link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(packed, "a") as file:
        file.writestr(entry, "/etc/passwd")
    with pytest.raises(InputError, match="is a link"):
        read_model(packed)


def test_a_zip_bomb_is_refused(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("zeros", bytes(5 << 20))
    monkeypatch.setattr(folder, "MAX_BYTES", 4 << 20)
    with pytest.raises(InputError, match="more than 4 MB"):
        read_model(packed)


def test_a_zip_bomb_that_lies_about_its_size_is_refused(
    packed: Path, monkeypatch: pytest.MonkeyPatch, user_models: Path
) -> None:
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("zeros", bytes(5 << 20))
    size = (5 << 20).to_bytes(4, "little")
    packed.write_bytes(packed.read_bytes().replace(size, (100).to_bytes(4, "little")))
    monkeypatch.setattr(folder, "MAX_BYTES", 4 << 20)
    with pytest.raises(InputError, match=r"more than 4 MB|damaged"):
        read_model(packed)
    assert list((user_models / ".unpacked").iterdir()) == []


def test_too_many_entries_are_refused(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "MAX_ENTRIES", 2)
    with pytest.raises(InputError, match="or 2 files"):
        read_model(packed)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_entry_that_comes_twice_is_refused(packed: Path) -> None:
    with zipfile.ZipFile(packed, "a") as file:
        file.writestr("RDF.yaml", "x")
    with pytest.raises(InputError, match="twice"):
        read_model(packed)


@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_a_truncated_zip_is_refused(packed: Path, cut: float) -> None:
    content = packed.read_bytes()
    packed.write_bytes(content[: int(len(content) * cut)])
    with pytest.raises(InputError, match=r"is no model package|damaged"):
        read_model(packed)


def test_a_zip_with_damaged_data_is_refused(packed: Path) -> None:
    content = bytearray(packed.read_bytes())
    content[2000:2200] = bytes(200)
    packed.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged|corrupt"):
        read_model(packed)


def test_a_zip_without_a_model_is_refused(tmp_path: Path, user_models: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as file:
        file.writestr("photo.png", "x")
    with pytest.raises(InputError, match=r"there is no rdf\.yaml"):
        read_model(tmp_path / "photos.zip")
    assert list((user_models / ".unpacked").iterdir()) == []
