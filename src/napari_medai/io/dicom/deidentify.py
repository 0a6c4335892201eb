"""De-identified copies of DICOM files, by the basic profile of PS3.15 Annex E."""

from __future__ import annotations

import filecmp
import hashlib
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_medai.core.errors import InputError, MedaiError, RunError
from napari_medai.core.steps import Step, Steps
from napari_medai.io.atomic import replacing
from napari_medai.io.dicom.cleaning import clean_dataset
from napari_medai.io.dicom.files import FoundFile
from napari_medai.io.dicom.pseudonyms import Pseudonyms
from napari_medai.io.dicom.risks import PIXELS, burnt_in_sign, refusal
from napari_medai.io.dicom.source import Bounded

if TYPE_CHECKING:
    from pydicom import FileDataset


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file. ``why`` it was not written; ``warning`` about what was."""

    source: FoundFile
    status: Literal["written", "done", "repeated", "skipped", "failed"]
    path: Path | None = None
    why: str = ""
    warning: str = ""


def deidentify_steps(
    sources: Iterable[FoundFile], out: Path, names: Pseudonyms, *, allow_burnt_in: bool = False
) -> Steps[list[Outcome]]:
    """Write a de-identified copy of each file to ``out/<series>/<instance>.dcm``.

    Names of folders and files are the new UIDs. Each step carries the ``outcome`` of a file; a
    broken one does not hold up the others. What is there already is left as it is. Files whose
    pixels may show text are only written with ``allow_burnt_in``.

    Raises
    ------
    RunError
        If a file cannot be written (disk full, ...).
    """
    todo = list(sources)
    outcomes: list[Outcome] = []
    taken: dict[Path, FoundFile] = {}
    for number, source in enumerate(todo):
        yield Step(number, len(todo), source.shown)
        try:
            outcome = _written(source, out, names, taken, allow_burnt_in=allow_burnt_in)
        except InputError as error:
            outcome = Outcome(source, "failed", why=str(error))
        outcomes.append(outcome)
        yield Step(number + 1, len(todo), source.shown, {"outcome": outcome})
    return outcomes


def _written(
    source: FoundFile,
    out: Path,
    names: Pseudonyms,
    taken: dict[Path, FoundFile],
    *,
    allow_burnt_in: bool,
) -> Outcome:
    dataset = read_dicom(source.path)
    with _understood():
        _check_pixels(dataset)
        why = refusal(dataset)
        if why:
            return Outcome(source, "skipped", why=why)
        sign = burnt_in_sign(dataset)
        if sign and not allow_burnt_in:
            why = f"{sign}; add --allow-burnt-in to write it anyway"
            return Outcome(source, "skipped", why=why)
        if not dataset.get("SOPInstanceUID"):
            digest = hashlib.sha256(source.path.read_bytes()).hexdigest()
            dataset.SOPInstanceUID = names.uid(f"file {digest}")
        clean_dataset(dataset, names)
        _renew_header(dataset)
        series = str(dataset.get("SeriesInstanceUID") or "") or names.uid("no series")
        path = out / series / f"{dataset.SOPInstanceUID}.dcm"
    if path in taken:
        return _repeated(source, taken[path])
    taken[path] = source
    if path.exists():
        return Outcome(source, "done", path)
    _write(_encoded(dataset), path)
    return Outcome(source, "written", path, warning=sign)


def read_dicom(path: Path) -> FileDataset:
    """A file's dataset.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    from pydicom import dcmread

    with _understood(), Bounded(path) as file:
        dataset = dcmread(file, force=True)
        # pydicom decodes a value when it is first asked for
        for keyword in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "Modality"):
            dataset.get(keyword)
        if not dataset.get("SOPClassUID") and "MediaStorageSOPClassUID" in dataset.file_meta:
            dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID
    return dataset


@contextmanager
def _understood() -> Iterator[None]:
    """Tells of whatever pydicom raises on a broken file as bad input; its warnings say less."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except MedaiError:
        raise
    except Exception as error:
        raise InputError(
            f"it cannot be understood as DICOM ({' '.join(str(error).split())}); "
            "repair it, or export it again"
        ) from error


def _check_pixels(dataset: FileDataset) -> None:
    """Refuse an image without pixels, and native pixel data that is cut short."""
    from pydicom.pixels.utils import get_expected_length

    if "Rows" in dataset and not any(name in dataset for name in PIXELS):
        raise InputError("its pixel data is missing or cut short; export it again")
    if "PixelData" not in dataset or dataset.file_meta.get("TransferSyntaxUID") is None:
        return
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        return
    if dataset.get("PhotometricInterpretation") == "YBR_FULL_422":
        return
    expected, found = get_expected_length(dataset), len(dataset.PixelData)
    if found < expected:
        raise InputError(
            f"its pixel data is cut short ({found} of {expected} bytes); export it again"
        )


def _renew_header(dataset: FileDataset) -> None:
    """What stands before the dataset: nothing of the old but how the file is encoded."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import (
        PYDICOM_IMPLEMENTATION_UID,
        ExplicitVRBigEndian,
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
    )

    implicit, little = dataset.original_encoding
    found = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = dataset.file_meta.get("TransferSyntaxUID") or (
        ImplicitVRLittleEndian if implicit else found
    )
    if dataset.get("SOPClassUID"):
        meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    dataset.file_meta = meta
    dataset.preamble = b"\0" * 128


def _encoded(dataset: FileDataset) -> memoryview:
    from pydicom import dcmwrite

    buffer = BytesIO()
    with _understood():
        dcmwrite(buffer, dataset, enforce_file_format=bool(dataset.get("SOPClassUID")))
    return buffer.getbuffer()


def _write(encoded: memoryview, path: Path) -> None:
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise RunError(
            f"the folder {path.parent} could not be made ({error.strerror or error}); "
            "make room or choose another folder and try again"
        ) from error
    try:
        with replacing(path) as partial:
            partial.write_bytes(encoded)
    finally:
        with suppress(OSError):
            path.parent.rmdir()  # only where nothing is in it


def _repeated(source: FoundFile, first: FoundFile) -> Outcome:
    """A file with the SOP Instance UID of an earlier one: left out if it is the same."""
    if filecmp.cmp(source.path, first.path, shallow=False):
        return Outcome(source, "repeated")
    raise InputError(
        f"it has the SOP Instance UID of {first.shown}, but another content; "
        "give the two in runs of their own, with a folder for each"
    )
