from __future__ import annotations

import errno
from pathlib import Path

import pytest

from napari_medai.core.errors import InputError, RunError
from napari_medai.io.atomic import check_writable, replacing


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


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "a.zarr"
    for text in ("old", "new"):
        with replacing(target, overwrite=True) as partial:
            partial.mkdir()
            (partial / text).write_text(text)
    assert [p.name for p in target.iterdir()] == ["new"]


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
