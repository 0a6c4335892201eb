"""Files of a package on disk: kept inside their folder, written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from napari_medai.core.errors import InputError, MedaiError, RunError

RDF = "rdf.yaml"
MAX_BYTES = 2 << 30
MAX_ENTRIES = 1000
_CHUNK = 1 << 20


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inside(folder: Path, name: str) -> Path:
    """The file of this name in the folder, links followed.

    Raises
    ------
    InputError
        If the name leads out of the folder, or there is no such file.
    """
    check_inside(name)
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise InputError(f"{name!r} is a link that leads out of the package; do not use it")
    if not path.is_file():
        raise InputError(f"the file {name!r} is missing; install the model again")
    return path


def check_inside(name: str) -> None:
    """Refuse a file name that is not relative or climbs out of its folder, on any system."""
    parts = PurePosixPath(name).parts
    if not parts or set(name) & set("\\:\0") or name.startswith("/") or ".." in parts:
        raise InputError(f"{name!r} leads out of the package; do not use it")


def package_root(folder: Path) -> Path:
    """The folder that holds ``rdf.yaml``: this one, or the only one in it."""
    if not (folder / RDF).exists():
        inner = [child for child in folder.iterdir() if (child / RDF).exists()]
        if len(inner) == 1:
            return inner[0]
    return folder


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip into an empty folder.

    Raises
    ------
    InputError
        If it is damaged, larger than `MAX_BYTES` when unpacked, or an entry is a link, is
        encrypted, comes twice or leads out of the folder.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            entries = [entry for entry in file.infolist() if not entry.is_dir()]
            _check_entries(entries)
            left = MAX_BYTES
            for entry in entries:
                left -= _unpack_entry(file, entry, folder, left=left)
    except (zipfile.BadZipFile, zlib.error, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"the zip is damaged ({error}); download it again") from None


def pack(folder: Path, names: list[str], archive: Path) -> None:
    """Write files of a folder to a zip: the same files give the same bytes."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name in sorted(names):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            with inside(folder, name).open("rb") as source, file.open(entry, "w") as target:
                shutil.copyfileobj(source, target, _CHUNK)


@contextmanager
def new_folder(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A folder to fill, which becomes ``target`` when the block ends well.

    Until then, and if anything goes wrong, ``target`` stays as it was and nothing is left behind.

    Raises
    ------
    InputError
        If the target exists (with ``overwrite``: and is no package), or cannot be written to.
    RunError
        If the disk is full or fails.
    """
    _check_free(target, overwrite=overwrite)
    with _explained(target), _spare_folder(target) as spare:
        made = spare / "new"
        made.mkdir()
        yield made
        _check_free(target, overwrite=overwrite)
        old = spare / "old"
        if target.exists():
            target.rename(old)
        try:
            made.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise


@contextmanager
def new_file(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A path to write to, which becomes ``target`` when the block ends well; as `new_folder`."""
    if target.is_dir() or (target.exists() and not overwrite):
        raise InputError(f"{target} exists; choose another name or allow it to be overwritten")
    with _explained(target), _spare_folder(target) as spare:
        made = spare / "new"
        yield made
        made.replace(target)


@contextmanager
def _spare_folder(target: Path) -> Iterator[Path]:
    """A hidden folder beside the target, on the same disk, gone when the block ends."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=target.parent, prefix=f".{target.name}-", ignore_cleanup_errors=True
    ) as spare:
        yield Path(spare)


def _check_free(target: Path, *, overwrite: bool) -> None:
    if not os.path.lexists(target):
        return
    if not overwrite:
        raise InputError(f"{target} exists; choose another name or allow it to be overwritten")
    # never replace a folder that holds something else
    if target.is_symlink() or not (target / RDF).is_file():
        raise InputError(f"{target} is not a model package, so it is not overwritten")


@contextmanager
def _explained(target: Path) -> Iterator[None]:
    try:
        yield
    except MedaiError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunError(
                f"the disk is full, so {target} was not written; free some space and try again"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
            raise InputError(
                f"{target} cannot be written ({error.strerror}); choose another folder"
            ) from error
        raise RunError(f"{target} was not written ({error}); try again") from error


def _check_entries(entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MAX_ENTRIES or sum(entry.file_size for entry in entries) > MAX_BYTES:
        raise InputError(
            f"the zip unpacks to more than {MAX_BYTES >> 20} MB or {MAX_ENTRIES} files, "
            "which no model needs; do not use it"
        )
    seen = set()
    for entry in entries:
        check_inside(entry.orig_filename)
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise InputError(f"{entry.filename!r} in the zip is a link; do not use it")
        if entry.flag_bits & 0x1:
            raise InputError("the zip is encrypted; unpack it first and use the folder")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError("the zip is packed in an unusual way; unpack it and use the folder")
        if entry.filename.casefold() in seen:
            raise InputError(f"the zip holds {entry.filename!r} twice; do not use it")
        seen.add(entry.filename.casefold())


def _unpack_entry(file: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path, *, left: int) -> int:
    """Unpack one entry; the bytes written, counted rather than believed."""
    target = folder / entry.filename
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with file.open(entry) as source, target.open("xb") as sink:
        while chunk := source.read(_CHUNK):
            written += len(chunk)
            if written > left:
                raise InputError(f"the zip unpacks to more than {MAX_BYTES >> 20} MB")
            sink.write(chunk)
    return written
