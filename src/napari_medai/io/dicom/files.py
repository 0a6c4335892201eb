"""Finding DICOM files: by what they hold, never by their names alone.

Readers look for pictures: other formats' suffixes are not opened, and what cannot be read is left
out. De-identification must miss nothing: it opens every file, and says where it cannot.
"""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any, Literal

from napari_medai.core.errors import InputError
from napari_medai.io.dicom.tags import items, words

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
DICOMDIR = "DICOMDIR"
DIRECTORY = "1.2.840.10008.1.3.10"
"""The class of DICOMDIRs."""

_OTHER_SUFFIXES = frozenset(
    (
        *(".tif", ".tiff", ".btf", ".tf8", ".lsm", ".svs", ".png", ".jpg", ".jpeg", ".bmp", ".gif"),
        *(".npy", ".npz", ".zarr", ".nii", ".gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".mgz", ".mgh"),
        *(".zip", ".tar", ".tgz", ".7z", ".rar", ".txt", ".md", ".csv", ".tsv", ".json", ".xml"),
        *(".yaml", ".yml", ".toml", ".ini", ".cfg", ".html", ".pdf", ".py", ".pyc", ".sh", ".exe"),
        *(".raw", ".bval", ".bvec", ".log", ".js", ".css", ".inf", ".dll", ".so", ".h5", ".pt"),
    )
)
_LOOKED_AT = 2000
_OPENED = 32


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file, and what it is called before the user: relative to the folder that was given."""

    path: Path
    shown: str


@dataclass(frozen=True, slots=True)
class Found:
    """The DICOM files, and how many other files and DICOMDIRs lay among them."""

    files: tuple[FoundFile, ...]
    others: int
    directories: int


def is_dicom(path: Any) -> bool:
    """Whether a file is DICOM, or a folder holds some among its first files; never raises.

    Files with another format's suffix are not opened, and of a folder few.
    """
    try:
        path = Path(path)
        if not path.is_dir():
            return path.is_file() and holds_dicom(path)
        opened = 0
        for number, file in enumerate(_walk(path)):
            if number >= _LOOKED_AT or opened >= _OPENED:
                return False
            if _may_be(file):
                opened += 1
                if holds_dicom(file):
                    return True
    except (OSError, TypeError, ValueError):
        pass
    return False


def holds_dicom(path: Path) -> bool:
    """Whether a file has DICOM's mark, or begins as a data set without it does."""
    if not _may_be(path):
        return False
    try:
        return _begins_as_dicom(path)
    except OSError:
        return False


def find_files(folder: Path) -> list[Path]:
    """The DICOM files in a folder and its subfolders, without directory files."""
    return sorted(
        path for path in _walk(folder) if path.name.upper() != DICOMDIR and holds_dicom(path)
    )


def find_all(given: Iterable[str | Path], *, out: Path) -> Found:
    """The DICOM files in files, folders (with all in them) and ``*`` patterns, in order.

    Other files in folders, DICOMDIRs, hidden files, and all in ``out`` are left out.

    Raises
    ------
    InputError
        If a path is missing, cannot be read, or is a file that is not DICOM, if there is no DICOM
        file at all, or if ``out`` is one of the folders.
    """
    files: dict[Path, FoundFile] = {}
    others = directories = 0
    for one in _matches(given):
        inside = one.is_dir()
        if inside and one.resolve() == out.resolve():
            raise InputError(f"{one} is both input and output; choose another folder with --out")
        for path in _walk(one, without=out, strict=True) if inside else [one]:
            if not _is_dicom_for_sure(path):
                if not inside:
                    raise InputError(f"{path} is not a DICOM file; name DICOM files or a folder")
                others += 1
            elif path.name.upper() == DICOMDIR or _is_directory(path):
                directories += 1
            else:
                shown = Path(one.name) / path.relative_to(one) if inside else Path(one.name)
                files.setdefault(path.resolve(), FoundFile(path, shown.as_posix()))
    if not files:
        raise InputError(
            f"there is no DICOM file to de-identify ({others} other files were found); "
            "name DICOM files or a folder that holds some"
        )
    return Found(tuple(files.values()), others, directories)


def referenced_files(directory: Path, header: Any) -> tuple[list[Path], int]:
    """The files that a DICOMDIR names and that are there, and how many are missing."""
    folder = directory.parent
    found: dict[Path, None] = {}
    missing = 0
    for record in items(header, "DirectoryRecordSequence"):
        parts = words(record, "ReferencedFileID")
        if not parts:
            continue
        path = _beneath(folder, parts)
        if path is None:
            missing += 1
        else:
            found[path] = None
    return list(found), missing


def check_no_archive(path: Path) -> None:
    """Refuse a zip, gzip or the like."""
    with path.open("rb") as file:
        start = file.read(6)
    marks = {b"PK\x03\x04": "zip", b"\x1f\x8b": "gzip", b"7z\xbc\xaf": "7z", b"Rar!": "RAR"}
    for mark, kind in marks.items():
        if start.startswith(mark):
            raise InputError(f"{path} is a {kind} archive; unpack it and open the folder")


def _matches(given: Iterable[str | Path]) -> list[Path]:
    found: list[Path] = []
    for one in map(Path, given):
        matches = [one] if one.exists() else [Path(name) for name in sorted(glob(str(one)))]
        if not matches:
            raise InputError(f"{one} does not exist; check the path")
        found.extend(matches)
    return found


def _walk(folder: Path, *, without: Path | None = None, strict: bool = False) -> Iterator[Path]:
    """Files, those of a folder before those of its subfolders; hidden ones are left out.

    ``strict`` refuses folders that cannot be read, and looks into those that hold other formats.
    """
    todo = deque([folder])
    seen = set() if without is None else {os.path.realpath(without)}
    while todo:
        here = todo.popleft()
        real = os.path.realpath(here)
        if real in seen:
            continue
        seen.add(real)
        try:
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError as error:
            if strict:
                raise _unreadable(here, error) from error
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                if strict or not entry.name.lower().endswith(".zarr"):
                    todo.append(Path(entry.path))
            elif entry.is_file():
                yield Path(entry.path)


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path} cannot be read ({error.strerror or error}); check its permissions")


def _is_dicom_for_sure(path: Path) -> bool:
    try:
        return _begins_as_dicom(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _begins_as_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(132)
    return start[128:] == b"DICM" or _begins_as_dataset(start)


def _is_directory(path: Path) -> bool:
    from pydicom.filereader import read_file_meta_info

    meta: Any = {}
    with suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        meta = read_file_meta_info(path)
    return str(meta.get("MediaStorageSOPClassUID", "")) == DIRECTORY


def _may_be(path: Path) -> bool:
    return path.suffix.lower() not in _OTHER_SUFFIXES


def _begins_as_dataset(start: bytes) -> bool:
    """Whether the first element is one that data sets begin with, in either byte order."""
    if len(start) < 8:
        return False
    orders: tuple[Literal["little", "big"], ...] = ("little", "big")
    for order in orders:
        group = int.from_bytes(start[:2], order)
        element = int.from_bytes(start[2:4], order)
        length = int.from_bytes(start[4:8], order)
        explicit = start[4:6].isalpha() and start[4:6].isupper()
        if group in (2, 8) and element <= 0x70 and (explicit or length <= 128):
            return True
    return False


def _beneath(folder: Path, parts: tuple[str, ...]) -> Path | None:
    """A file below the folder, whatever the case of its name; never one outside."""
    path = folder
    for given in parts:
        part = given
        if part in ("", ".", "..") or set(part) & set("/\\\0"):
            return None
        if not (path / part).exists():
            try:
                names = {entry.name.lower(): entry.name for entry in os.scandir(path)}
            except OSError:
                return None
            part = names.get(part.lower(), part)
        path = path / part
    return path if path.is_file() else None
