"""Files that are either whole or not there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from napari_medai.core.errors import InputError, RunError


@contextmanager
def replacing(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside ``path``, moved there when the block ends well.

    The temporary name is hidden and keeps the suffix. Whatever goes wrong, also Ctrl-C, it is
    removed and what was at ``path`` stays as it was. A folder may be written as well as a file.

    Raises
    ------
    InputError
        If ``path`` exists and ``overwrite`` is false, or its folder does not exist.
    RunError
        If writing fails (disk full, device gone, ...).
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already; choose another name or allow overwriting")
    if not path.parent.is_dir():
        raise InputError(f"the folder {path.parent} does not exist; create it or choose another")
    partial = path.with_name(f".{uuid4().hex[:8]}-{path.name[-200:]}")
    try:
        yield partial
        if overwrite and path.is_dir():
            shutil.rmtree(path)
        os.replace(partial, path)
    except OSError as error:
        raise RunError(
            f"{path} could not be written ({error.strerror or error}); nothing was left "
            "behind, so make room or choose another folder and try again"
        ) from error
    finally:
        _remove(partial)


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


def _remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
