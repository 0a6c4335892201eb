"""Files that are either whole or not there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from napari_medai.core.errors import InputError, RunError


@contextmanager
def replacing(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside ``path``, moved there when the block ends well.

    The temporary name is hidden and keeps the suffix. Whatever goes wrong, also Ctrl-C, it is
    removed and what was at ``path`` stays as it was. A folder may be written as well as a file;
    of folders, only Zarr ones are replaced, and only by another.

    Raises
    ------
    InputError
        If ``path`` exists and ``overwrite`` is false or it is another folder, or its own folder
        does not exist.
    RunError
        If writing fails (disk full, device gone, ...).
    """
    path = Path(path)
    check_free(path, overwrite=overwrite)
    if not path.parent.is_dir():
        raise InputError(f"the folder {path.parent} does not exist; create it or choose another")
    partial = _hidden(path)
    try:
        yield partial
        check_free(path, overwrite=overwrite, file=partial.is_file())
        if partial.is_dir() or path.is_dir():
            swap({partial: path})
        else:
            os.replace(partial, path)
    except OSError as error:
        raise RunError(
            f"{path} could not be written ({error.strerror or error}); nothing was left "
            "behind, so make room or choose another folder and try again"
        ) from error
    finally:
        _remove(partial)


def check_free(path: Path, *, overwrite: bool, file: bool = False) -> None:
    """Refuse to write to what exists: all without ``overwrite``, else folders but Zarr ones.

    A ``file`` does not take the place of a folder at all.
    """
    from napari_medai.io.images import is_zarr

    if not os.path.lexists(path):
        return
    if not overwrite:
        raise InputError(f"{path} exists already; choose another name or allow overwriting")
    if path.is_dir() and (file or not is_zarr(path)):
        raise InputError(f"{path} is a folder, which is not overwritten; choose another name")


def swap(moves: Mapping[Path, Path], *, gone: Iterable[Path] = ()) -> None:
    """Move files or folders to their places, in order, all of them or none.

    What is there is taken aside first, as is what should be ``gone``, the first the first; it is
    removed at the end, and put back on failure. All places are on one disk.
    """
    done: list[tuple[Path, Path]] = []
    old = [path for path in (*gone, *moves.values()) if os.path.lexists(path)]
    aside = {path: _hidden(path) for path in old}
    try:
        for path, spare in aside.items():
            done.append((path, spare))
            os.rename(path, spare)
        for new, path in moves.items():
            done.append((new, path))
            os.rename(new, path)
    except BaseException:
        for before, now in reversed(done):
            with suppress(OSError):
                os.rename(now, before)
        raise
    for spare in aside.values():
        _remove(spare)


def check_writable(folder: str | Path) -> Path:
    """Create a folder if need be and make sure that files can be written into it.

    Raises
    ------
    InputError
        If it cannot be created or written to.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"results cannot be written to {folder} ({error.strerror or error}); "
            "choose another output folder"
        ) from error
    return folder


def _hidden(path: Path) -> Path:
    return path.with_name(f".{uuid4().hex[:8]}-{path.name[-200:]}")


def _remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
