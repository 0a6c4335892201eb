"""Finding DICOM files, which no name ending tells."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any, Literal

from napari_medai.core.errors import InputError

_OLD_STARTS = (b"\x08\x00", b"\x02\x00", b"\x00\x08")
"""The first group of files without the 128 bytes and the letters DICM, in either byte order."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file, and what it is called before the user: relative to the folder that was given."""

    path: Path
    shown: str


@dataclass(frozen=True, slots=True)
class Found:
    """The DICOM files, and how many other files lay among them."""

    sources: tuple[Source, ...]
    others: int
    directories: int


def find_dicom(given: Iterable[str | Path], *, out: Path) -> Found:
    """The DICOM files in files, folders (with all in them) and ``*`` patterns, in order.

    Other files in folders, DICOMDIRs, hidden files, and all in ``out`` are left out.

    Raises
    ------
    InputError
        If a path is missing or a file is not DICOM, if there is no DICOM file at all, or if
        ``out`` is one of the folders.
    """
    sources: dict[Path, Source] = {}
    others = directories = 0
    for one in _matches(given):
        if one.is_dir() and one.resolve() == out.resolve():
            raise InputError(f"{one} is both input and output; choose another folder with --out")
        inside = one.is_dir()
        for path in _walked(one, out) if inside else [one]:
            kind = _kind(path)
            if kind == "other" and not inside:
                raise InputError(f"{path} is not a DICOM file; name DICOM files or a folder")
            others += kind == "other"
            directories += kind == "directory"
            if kind == "image":
                shown = Path(one.name) / path.relative_to(one) if inside else Path(one.name)
                sources.setdefault(path.resolve(), Source(path, shown.as_posix()))
    if not sources:
        raise InputError(
            f"there is no DICOM file to de-identify ({others} other files were found); "
            "name DICOM files or a folder that holds some"
        )
    return Found(tuple(sources.values()), others, directories)


def _matches(given: Iterable[str | Path]) -> list[Path]:
    found: list[Path] = []
    for one in map(Path, given):
        matches = [one] if one.exists() else [Path(name) for name in sorted(glob(str(one)))]
        if not matches:
            raise InputError(f"{one} does not exist; check the path")
        found.extend(matches)
    return found


def _walked(folder: Path, out: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename} cannot be read ({error.strerror or error})") from error

    found: list[Path] = []
    for place, folders, files in os.walk(folder, onerror=refuse):
        here = Path(place)
        folders[:] = sorted(
            n for n in folders if n[0] != "." and (here / n).resolve() != out.resolve()
        )
        found.extend(here / name for name in sorted(files) if name[0] != ".")
    return found


def _kind(path: Path) -> Literal["image", "directory", "other"]:
    """Whether a file looks like DICOM, from its first bytes."""
    try:
        with path.open("rb") as file:
            start = file.read(132)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error})") from error
    if start[128:] != b"DICM":
        return "image" if start[:2] in _OLD_STARTS and _is_old_dicom(path) else "other"
    return "directory" if path.name.upper() == "DICOMDIR" or _is_directory(path) else "image"


def _is_directory(path: Path) -> bool:
    meta: Any = {}
    from pydicom.filereader import read_file_meta_info

    with suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        meta = read_file_meta_info(path)
    return str(meta.get("MediaStorageSOPClassUID", "")) == "1.2.840.10008.1.3.10"


def _is_old_dicom(path: Path) -> bool:
    from pydicom import dcmread

    with suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = dcmread(path, force=True, specific_tags=["SOPClassUID", "Rows"])
        return "SOPClassUID" in dataset or "Rows" in dataset
    return False
