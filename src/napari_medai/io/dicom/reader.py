"""Whatever is given, a file, a folder or a DICOMDIR: an image for each series."""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_medai.core.errors import InputError
from napari_medai.io.dicom.facts import kind_of, modality
from napari_medai.io.dicom.files import (
    DIRECTORY,
    check_no_archive,
    find_files,
    referenced_files,
)
from napari_medai.io.dicom.planes import planes_of
from napari_medai.io.dicom.seg import SEGMENTATIONS, read_segmentation
from napari_medai.io.dicom.seg_writer import SourceSeries
from napari_medai.io.dicom.series import Arrangement, arranged
from napari_medai.io.dicom.source import Source, quiet, read_source
from napari_medai.io.dicom.tags import items, value, whole, word
from napari_medai.io.dicom.volume import image_of
from napari_medai.io.dicom.wsi import read_slide
from napari_medai.io.image_data import ImageData

SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
NO_SOURCE = (*SEGMENTATIONS, SLIDE)
_FEW = 8
_WORDS = {
    "SR": "structured report",
    "KO": "list of key objects",
    "PR": "presentation state",
    "RTSTRUCT": "set of RT structures (contours)",
    "RTPLAN": "RT plan",
    "ECG": "waveform",
    "REG": "registration",
    "DOC": "document (encapsulated)",
}


def read_dicom(path: str | Path) -> list[ImageData]:
    """The images of a DICOM file, a folder with its subfolders, or a DICOMDIR, one a series.

    Headers are read now; pixels are lazy, a plane a chunk. What could not be read beside images,
    and what is odd in them, is said in their notes.

    Raises
    ------
    InputError
        If there is no DICOM, nothing that is a picture, or nothing that can be read.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path")
    with quiet(), _uncollected():
        sources, notes = _sources(path)
        images, more = _images(sources, path)
    notes += more
    images[0] = replace(images[0], notes=(*images[0].notes, *notes))
    return images


def source_series(path: str | Path) -> list[SourceSeries]:
    """The series of volumes at a path as what segmentations refer to; no pixel is read.

    Of one with several volumes (times, echoes) the first.

    Raises
    ------
    InputError
        If there is no DICOM.
    """
    with quiet():
        sources, _ = _sources(Path(path))
        groups: dict[Hashable, list[Source]] = defaultdict(list)
        for source in sources:
            if source.keyword and str(value(source.header, "SOPClassUID")) not in NO_SOURCE:
                groups[_series_of(source)].append(source)
        planes = ([p for source in group for p in planes_of(source)] for group in groups.values())
        found = [_as_source(one) for group in planes for one in arranged(group)]
    return [one for one in found if one is not None]


def _as_source(arrangement: Arrangement) -> SourceSeries | None:
    """What a segmentation of these planes refers to; None if they are no volume in a patient."""
    if arrangement.placing is None or arrangement.depth is None:
        return None
    planes = arrangement.planes[: arrangement.depth]
    headers = list({id(plane.source): plane.source.header for plane in planes}.values())
    if len(headers) not in (1, len(planes)):
        return None
    shape = (len(planes), whole(headers[0], "Rows") or 0, whole(headers[0], "Columns") or 0)
    positions = [plane.position for plane in planes if plane.position is not None]
    return SourceSeries(headers, arrangement.placing.grid, shape, positions)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without looking for garbage: headers are many small objects that stay, and would be gone
    through again and again, which takes a quarter of the time.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _sources(path: Path) -> tuple[list[Source], list[str]]:
    if path.is_dir():
        files = find_files(path)
        if not files:
            raise InputError(f"the folder {path} holds no DICOM files; choose another folder")
        return _headers(files)
    check_no_archive(path)
    source = read_source(path)
    if not items(source.header, "DirectoryRecordSequence") and not _is_directory(source):
        return [source], []
    files, missing = referenced_files(path, source.header)
    if not files:
        raise InputError(
            f"{path} is a directory of DICOM files, but none that it names is there; "
            "copy them along with it, or open their folder"
        )
    sources, notes = _headers(files)
    if missing:
        notes.append(f"{missing} of the files that the DICOMDIR names are missing")
    return sources, notes


def _is_directory(source: Source) -> bool:
    meta = getattr(source.header, "file_meta", None)
    return str(value(meta, "MediaStorageSOPClassUID") or "") == DIRECTORY


def _headers(files: Sequence[Path]) -> tuple[list[Source], list[str]]:
    """The headers of many files; those that fail are counted, unless all do."""

    def attempt(file: Path) -> Source | InputError:
        try:
            return read_source(file)
        except InputError as error:
            return error

    if len(files) > _FEW:
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(attempt, files))
    else:
        results = [attempt(file) for file in files]
    sources = [result for result in results if isinstance(result, Source)]
    errors = [result for result in results if isinstance(result, InputError)]
    if not sources:
        raise errors[0]
    if not errors:
        return sources, []
    what = "1 file" if len(errors) == 1 else f"{len(errors)} files"
    return sources, [f"{what} of {len(files)} cannot be read and {_are(len(errors))} left out"]


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _images(sources: Sequence[Source], path: Path) -> tuple[list[ImageData], list[str]]:
    """The images of all series, and sentences on what is none."""
    pictures: dict[Hashable, list[Source]] = defaultdict(list)
    others: dict[str, int] = defaultdict(int)
    for source in sources:
        if source.keyword:
            pictures[_series_of(source)].append(source)
        else:
            others[_told(source.header)] += 1
    images: list[ImageData] = []
    errors: list[InputError] = []
    for series in sorted(pictures.values(), key=_order):
        try:
            images.extend(_read_series(series))
        except InputError as error:
            errors.append(error)
    if not images:
        raise errors[0] if errors else _no_picture(others, path)
    notes = [f"{count} × {what}: no image, left out" for what, count in others.items()]
    if errors:
        notes.append(f"{len(errors)} of {len(pictures)} series cannot be read and are left out")
    return images, notes


def _series_of(source: Source) -> Hashable:
    """What files of one series share: its UID, or where that was taken out, folder and number."""
    series = value(source.header, "SeriesInstanceUID")
    if series:
        return str(series), modality(source.header)
    number = whole(source.header, "SeriesNumber")
    return str(source.path.parent), number, modality(source.header)


def _read_series(sources: Sequence[Source]) -> list[ImageData]:
    kind = str(value(sources[0].header, "SOPClassUID") or "")
    if kind in SEGMENTATIONS:
        return [image for source in sources for image in read_segmentation(source)]
    if kind == SLIDE:
        return read_slide(sources)
    planes = [plane for source in sources for plane in planes_of(source)]
    return [image_of(arrangement) for arrangement in arranged(planes)]


def _order(sources: Sequence[Source]) -> tuple[Any, ...]:
    header = sources[0].header
    return word(header, "StudyInstanceUID"), whole(header, "SeriesNumber") or 0


def _told(header: Any) -> str:
    """What an object without pixels is, in words."""
    kind, told = kind_of(header), modality(header)
    if "Encapsulated" in kind:
        return f"encapsulated document ({kind.split()[1]})"
    if "SR" in kind.split() or told == "SR":
        return _WORDS["SR"]
    if "Waveform" in kind:
        return "waveform"
    if kind.endswith("Image"):
        return f"{kind} without pixels"
    return _WORDS.get(told) or (f"{kind} object" if kind else "object of an unknown kind")


def _no_picture(others: dict[str, int], path: Path) -> InputError:
    kinds = list(others)
    if len(kinds) == 1 and not path.is_dir():
        article = "an" if kinds[0].startswith((*"aeioAEIO", "RT ")) else "a"
        return InputError(f"{path} is {article} {kinds[0]}, which holds no image; choose a picture")
    return InputError(
        f"{path} holds no image, only {', '.join(kinds)}; choose a folder with pictures"
    )
