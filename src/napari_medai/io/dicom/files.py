"""Finding DICOM files: by what they hold, never by their names alone."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from napari_medai.core.errors import InputError
from napari_medai.io.dicom.tags import items, words

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
DICOMDIR = "DICOMDIR"

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
        with path.open("rb") as file:
            start = file.read(132)
    except OSError:
        return False
    return start[128:] == b"DICM" or _begins_as_dataset(start)


def find_files(folder: Path) -> list[Path]:
    """The DICOM files in a folder and its subfolders, without directory files."""
    return sorted(
        path for path in _walk(folder) if path.name.upper() != DICOMDIR and holds_dicom(path)
    )


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


def _walk(folder: Path) -> Iterator[Path]:
    """Files, those of a folder before those of its subfolders; hidden ones are left out."""
    todo, seen = deque([folder]), set()
    while todo:
        here = todo.popleft()
        real = os.path.realpath(here)
        if real in seen:
            continue
        seen.add(real)
        try:
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                if not entry.name.lower().endswith(".zarr"):
                    todo.append(Path(entry.path))
            elif entry.is_file():
                yield Path(entry.path)


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
        if part in ("", ".", "..") or "/" in part or "\\" in part:
            return None
        if not (path / part).exists():
            try:
                names = {entry.name.lower(): entry.name for entry in os.scandir(path)}
            except OSError:
                return None
            part = names.get(part.lower(), part)
        path = path / part
    return path if path.is_file() else None
