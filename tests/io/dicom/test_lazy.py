"""Headers first, pixels when they are looked at."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest

from napari_medai.core.errors import InputError
from napari_medai.io.dicom import pixels
from napari_medai.io.dicom.pixels import Recent
from napari_medai.io.dicom.reader import read_dicom


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The frames decoded, in order."""
    seen: list[int] = []
    true = pixels.decoded

    def counted(source: Any, index: int) -> np.ndarray:
        seen.append(index)
        return true(source, index)

    monkeypatch.setattr(pixels, "decoded", counted)
    return seen


def test_reading_decodes_nothing(
    series: Callable[..., Path], make: Any, decodes: list[int]
) -> None:
    data = make.phantom(30)
    (image,) = read_dicom(series(data))
    assert decodes == []
    assert image.levels[0].chunks == ((1,) * 30, (6,), (5,))
    with dask.config.set(scheduler="synchronous"):
        np.testing.assert_array_equal(np.asarray(image.levels[0][7]), data[7])
        assert len(decodes) == 1
        np.testing.assert_array_equal(np.asarray(image.levels[0][7, 2:4]), data[7, 2:4])
        assert len(decodes) == 1  # it was kept
        np.testing.assert_array_equal(np.asarray(image.levels[0][::-2, 1, ::2]), data[::-2, 1, ::2])
        assert len(decodes) == 15  # slice 7 was kept


def test_contrast_needs_one_picture(
    series: Callable[..., Path], make: Any, decodes: list[int]
) -> None:
    read_dicom(series(make.phantom(9), modality="MR"))
    assert len(decodes) == 1


def test_pixels_travel_to_other_processes(series: Callable[..., Path], make: Any) -> None:
    (image,) = read_dicom(series(make.phantom()))
    again = pickle.loads(pickle.dumps(image.levels[0]))
    np.testing.assert_array_equal(np.asarray(again), make.phantom())


def test_a_file_that_goes_away_is_an_error_when_it_is_looked_at(
    series: Callable[..., Path], make: Any
) -> None:
    folder = series(make.phantom())
    (image,) = read_dicom(folder)
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(InputError, match="cannot be decoded"):
        np.asarray(image.levels[0])


def test_recent_pictures_are_bounded() -> None:
    recent = Recent(limit=1000)
    for number in range(20):
        recent.put(number, np.zeros(100, np.uint8))
    kept = [number for number in range(20) if recent.get(number) is not None]
    assert kept == list(range(10, 20))
    recent.put("large", np.zeros(900, np.uint8))
    assert recent.get("large") is None


def test_many_headers_are_one_series(make: Any, tmp_path: Path) -> None:
    for number in range(600):
        dataset = make.header(
            ImagePositionPatient=[0, 0, number],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            PixelSpacing=[1, 1],
        )
        make.save(tmp_path / f"{number}.dcm", dataset, np.full((2, 3), number, np.uint16))
    (image,) = read_dicom(tmp_path)
    assert image.image.shape == (600, 2, 3)


@pytest.mark.filterwarnings("ignore:The value length")
@pytest.mark.parametrize("size", [10, 60_000, 66_000, 300_000])
def test_long_headers_are_read_to_their_end(size: int, make: Any, tmp_path: Path) -> None:
    dataset = make.header(WindowCenter=40, WindowWidth=400)
    dataset.add_new(0x00324000, "UT", "x" * size)  # behind the others, before the pixels
    path = make.save(tmp_path / "a.dcm", dataset, make.phantom()[0])
    (image,) = read_dicom(path)
    np.testing.assert_array_equal(np.asarray(image.levels[0]), make.phantom()[0])
    assert image.metadata["windows"] == [(40, 400)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (" 1.5 ", (1.5,)),
        ("1e1\\ 2 \\-3", (10.0, 2.0, -3.0)),
        ("", None),
        ("abc", None),
        ("1\\\\2", None),
        ("nan", None),
    ],
)
def test_numbers_are_taken_from_what_the_file_says(
    text: str, found: tuple[float, ...] | None
) -> None:
    from pydicom import Dataset
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    from napari_medai.io.dicom.tags import numbers

    tag, value = Tag("WindowCenter"), text.encode()
    raw = RawDataElement(tag, "DS", len(value), value, 0, False, True)
    assert numbers(Dataset({tag: raw}), "WindowCenter") == found


@pytest.mark.parametrize("before", [True, False])
def test_garbage_is_collected_afterwards_as_before(before: bool, tmp_path: Path) -> None:
    was = gc.isenabled()
    try:
        (gc.enable if before else gc.disable)()
        with pytest.raises(InputError):
            read_dicom(tmp_path)
        assert gc.isenabled() == before
    finally:
        (gc.enable if was else gc.disable)()
