from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from napari_medai.core.errors import InputError, RunError
from napari_medai.io.atomic import check_writable, replacing, swap


def test_the_file_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "a.ome.tif"
    with replacing(target) as partial:
        partial.write_text("done")
        assert partial.name.endswith(".ome.tif")
        assert not target.exists()
    assert target.read_text() == "done"
    assert list(tmp_path.iterdir()) == [target]


def test_an_existing_file_is_kept_unless_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    target.write_text("old")
    with pytest.raises(InputError, match="exists already"), replacing(target):
        pass
    assert target.read_text() == "old"
    with replacing(target, overwrite=True) as partial:
        partial.write_text("new")
    assert target.read_text() == "new"


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_a_failure_leaves_what_was_there(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "a.csv"
    target.write_text("old")
    expected = RunError if isinstance(error, OSError) else type(error)

    def fail_halfway() -> None:
        with replacing(target, overwrite=True) as partial:
            partial.write_text("half")
            raise error

    with pytest.raises(expected):
        fail_halfway()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def write_zarr(target: Path, text: str) -> None:
    with replacing(target, overwrite=True) as partial:
        partial.mkdir()
        (partial / "zarr.json").write_text(text)


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "a.zarr"
    for text in ("old", "new"):
        write_zarr(target, text)
    assert (target / "zarr.json").read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_stays_if_the_new_one_cannot_take_its_place(tmp_path: Path, monkeypatch) -> None:
    target = tmp_path / "a.zarr"
    write_zarr(target, "old")
    rename = os.rename

    def fail(old: Path, new: Path) -> None:
        if new == target and (old / "zarr.json").read_text() == "new":
            raise OSError(errno.EIO, "Input/output error")
        rename(old, new)

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(RunError, match="Input/output error"):
        write_zarr(target, "new")
    assert (target / "zarr.json").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("mark", ["zarr.json", "mine.txt"])
def test_a_folder_makes_no_room_for_a_file(tmp_path: Path, mark: str) -> None:
    target = tmp_path / "a.csv"
    target.mkdir()
    (target / mark).write_text("mine")

    def write() -> None:
        with replacing(target, overwrite=True) as partial:
            partial.write_text("table")

    with pytest.raises(InputError, match="is a folder"):
        write()
    assert (target / mark).read_text() == "mine"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_is_no_zarr_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "a.zarr"
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="is a folder"):
        write_zarr(target, "new")
    assert (target / "mine.txt").read_text() == "mine"


def test_what_is_swapped_is_swapped_whole(tmp_path: Path) -> None:
    a, b, gone = (tmp_path / name for name in ("a", "b", "gone"))
    for path in (a, b, gone):
        path.write_text("old")
        path.with_suffix(".new").write_text("new")
    with pytest.raises(FileNotFoundError):
        swap({a.with_suffix(".new"): a, tmp_path / "none": b}, gone=[gone])
    assert {path.read_text() for path in (a, b, gone)} == {"old"}
    swap({path.with_suffix(".new"): path for path in (a, b)}, gone=[gone, a])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "gone.new"]
    assert {path.read_text() for path in (a, b)} == {"new"}


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"), replacing(tmp_path / "b" / "a.csv"):
        pass


def test_check_writable(tmp_path: Path) -> None:
    assert check_writable(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        check_writable(tmp_path / "file" / "a")
    with pytest.raises(InputError, match="cannot be written"):
        check_writable(tmp_path / "file")
