from __future__ import annotations

import gc
import shutil
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.fileset import FileSet

from napari_medai.core.errors import InputError
from napari_medai.io.dicom.files import is_dicom
from napari_medai.io.dicom.reader import read_dicom
from napari_medai.io.images import find_images, read_image
from napari_medai.io.layer_data import get_reader


def test_dicom_is_known_by_what_it_holds(
    series: Callable[..., Path], make: Any, tmp_path: Path
) -> None:
    folder = series(make.phantom())
    file = next(folder.iterdir())
    for path in (folder, str(folder), file, tmp_path):
        assert is_dicom(path)
        assert get_reader(path) is not None
    text = tmp_path / "plain" / "a.dcm"
    text.parent.mkdir()
    text.write_text("no picture at all, but long enough to be looked at" * 9)
    for other in (text, text.parent, tmp_path / "missing", None, 3, "\0", object()):
        assert not is_dicom(other)
        assert get_reader(other) is None


def test_a_large_folder_of_other_files_is_not_searched_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(200):
        (tmp_path / f"{number}").write_bytes(b"something else" * 20)
    opened = []
    true_open = Path.open
    monkeypatch.setattr(Path, "open", lambda p, *a, **k: opened.append(p) or true_open(p, *a, **k))
    assert not is_dicom(tmp_path)
    assert 0 < len(opened) <= 32


def test_a_folder_counts_as_one_image(series: Callable[..., Path], make: Any) -> None:
    folder = series(make.phantom())
    assert find_images(folder) == [folder]
    (image,) = read_image(folder)
    np.testing.assert_array_equal(np.asarray(image.levels[0]), make.phantom())
    file = next(folder.iterdir())
    assert find_images(file) == [file]
    assert not read_image(file)[0].labels


@pytest.mark.parametrize("cut", ["preamble", "meta"])
def test_files_without_preamble_or_meta(
    cut: str, series: Callable[..., Path], make: Any, tmp_path: Path
) -> None:
    for file in series(make.phantom()).iterdir():
        data = file.read_bytes()
        start = 132 if cut == "preamble" else 144 + int.from_bytes(data[140:144], "little")
        (tmp_path / "bare").mkdir(exist_ok=True)
        (tmp_path / "bare" / file.name).write_bytes(data[start:])
    (image,) = read_dicom(tmp_path / "bare")
    np.testing.assert_array_equal(np.asarray(image.levels[0]), make.phantom())
    assert any("does not name its transfer syntax" in n for n in image.notes) == (cut == "meta")


def _directory_of(folder: Path, disc: Path) -> Path:
    """Copy files to a disc with a DICOMDIR; returns the latter."""
    files = FileSet()
    for file in folder.iterdir():
        files.add(file)
    files.write(disc)
    # pydicom leaves its scratch folder to the garbage collector, which would warn in another test.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del files
        gc.collect()
    return disc / "DICOMDIR"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_dicomdir_names_its_files(series: Callable[..., Path], make: Any, tmp_path: Path) -> None:
    folder = series(
        make.phantom(),
        PatientID="1",
        PatientName="a",
        StudyDate="20200101",
        StudyTime="1200",
        StudyID="1",
        SeriesNumber=4,
        AccessionNumber="",
        StudyDescription="",
        StudyInstanceUID="1.2.9",
    )
    directory = _directory_of(folder, tmp_path / "disc")
    assert is_dicom(directory)
    for path in (directory, tmp_path / "disc"):
        (image,) = read_dicom(path)
        assert image.name == "CT 4"
        np.testing.assert_array_equal(np.asarray(image.levels[0]), make.phantom())
        assert not image.notes
    pictures = sorted(p for p in (tmp_path / "disc").rglob("*") if p.is_file() and p != directory)
    pictures[0].unlink()
    notes = read_dicom(directory)[0].notes
    assert "1 of the files that the DICOMDIR names are missing" in notes
    shutil.rmtree(pictures[0].parents[2])
    with pytest.raises(InputError, match="none that it names is there"):
        read_dicom(directory)


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
@pytest.mark.parametrize("name", ["..\\a", "/etc", "a\0b", "", "missing"])
def test_a_dicomdir_names_nothing_elsewhere(name: str, tmp_path: Path) -> None:
    from napari_medai.io.dicom.files import referenced_files

    record, header = Dataset(), Dataset()
    record.ReferencedFileID = ["..", name]
    header.DirectoryRecordSequence = [record]
    assert referenced_files(tmp_path / "DICOMDIR", header) == ([], 1)
    record.ReferencedFileID = name
    assert referenced_files(tmp_path / "DICOMDIR", header)[0] == []


def test_what_is_no_dicom_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no DICOM files"):
        read_dicom(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        read_dicom(tmp_path / "a.dcm")
    with zipfile.ZipFile(tmp_path / "a.dcm", "w") as archive:
        archive.writestr("x", "y")
    with pytest.raises(InputError, match="is a zip archive; unpack it"):
        read_dicom(tmp_path / "a.dcm")
    for name in ("a.zip", "series"):
        shutil.copy(tmp_path / "a.dcm", tmp_path / name)
        with pytest.raises(InputError, match="is a zip archive; unpack it and open the folder"):
            read_image(tmp_path / name)
    for content in (b"", b"\0" * 300, b"hello" * 100, b"\0" * 128 + b"DICM"):
        (tmp_path / "b.dcm").write_bytes(content)
        with pytest.raises(InputError):
            read_dicom(tmp_path / "b.dcm")
