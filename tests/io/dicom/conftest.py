"""Series made by hand: every voxel has a value of its own, so that its place can be told."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

KINDS = {
    "CT": CTImageStorage,
    "MR": MRImageStorage,
    "PT": PositronEmissionTomographyImageStorage,
    "US": UltrasoundMultiFrameImageStorage,
}
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def header(modality: str = "CT", **tags: Any) -> Dataset:
    """What every picture has; ``tags`` by keyword, None leaves one out."""
    dataset = Dataset()
    dataset.SOPClassUID = KINDS.get(modality, CTImageStorage)
    dataset.SOPInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = dataset.StudyInstanceUID = "1.2.3"
    dataset.Modality = modality
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 0
    for keyword, value in tags.items():
        if value is not None:
            setattr(dataset, keyword, value)
        elif keyword in dataset:
            delattr(dataset, keyword)
    return dataset


def save(path: Path, dataset: Dataset, pixels: np.ndarray | None = None) -> Path:
    """A file with preamble and meta information."""
    if pixels is not None:
        dataset.Rows, dataset.Columns = pixels.shape[-2:]
        if dataset.SamplesPerPixel == 3:
            dataset.Rows, dataset.Columns = pixels.shape[-3:-1]
            dataset.PlanarConfiguration = 0
        dataset.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
        dataset["PixelData"].VR = "OW" if pixels.itemsize > 1 else "OB"
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset(str(path), dataset, preamble=b"\0" * 128, file_meta=meta)
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save_as(path, enforce_file_format=True)
    return path


def phantom(depth: int = 4, rows: int = 6, columns: int = 5) -> np.ndarray:
    """Numbers from 1 on, with a bright letter F and a dot, so that one sees how it lies."""
    data = np.arange(1, depth * rows * columns + 1, dtype=np.uint16).reshape(depth, rows, columns)
    data[:, 1:5, 1] += 1000
    data[:, 1, 1:4] += 1000
    data[:, 3, 1:3] += 1000
    data[0, 5, 4] += 3000
    return data


def positions(
    depth: int, orientation: Iterable[float], step: float | np.ndarray, origin: Iterable[float]
) -> np.ndarray:
    """Where slices lie that follow each other along their normal, or along a vector ``step``."""
    o = np.array(tuple(orientation))
    way = step if isinstance(step, np.ndarray) else step * np.cross(o[:3], o[3:])
    return np.array(tuple(origin)) + np.arange(depth)[:, None] * way


@pytest.fixture
def series(tmp_path: Path) -> Callable[..., Path]:
    """Write a volume as single files whose names say nothing of their order."""

    def write(
        volume: np.ndarray,
        *,
        folder: Path | str = "series",
        modality: str = "CT",
        orientation: Iterable[float] = AXIAL,
        spacing: tuple[float, float] = (0.7, 1.1),
        step: float | np.ndarray = 2.5,
        origin: Iterable[float] = (-30.0, 12.5, 7.0),
        places: np.ndarray | None = None,
        **tags: Any,
    ) -> Path:
        target = tmp_path / folder
        at = positions(len(volume), orientation, step, origin) if places is None else places
        for number, (picture, place) in enumerate(zip(volume, at, strict=True)):
            own = {k: v[number] if isinstance(v, list) else v for k, v in tags.items()}
            dataset = header(
                modality,
                ImagePositionPatient=[f"{n:.8g}" for n in place],
                ImageOrientationPatient=[f"{n:.9g}"[:16] for n in orientation],
                PixelSpacing=list(spacing),
                InstanceNumber=number + 1,
            )
            for keyword, value in own.items():
                if value is None:
                    if keyword in dataset:
                        delattr(dataset, keyword)
                else:
                    setattr(dataset, keyword, value)
            count = len(list(target.glob("*"))) if target.exists() else 0
            save(target / f"{(count * 7919) % 1009:04d}_{count}", dataset, picture)
        return target

    return write


@pytest.fixture
def make() -> Any:
    """Headers, files and the phantom, for tests that need no series."""

    class Make:
        header = staticmethod(header)
        save = staticmethod(save)
        phantom = staticmethod(phantom)
        positions = staticmethod(positions)

    return Make


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of all real files, where it is."""
    beside = Path(__file__).parents[4] / "shared" / "data"
    folder = Path(os.environ.get("MEDAI_TEST_DATA", beside)) / "fixtures_dicom"
    if not folder.is_dir():
        pytest.skip("the folder shared/data is not beside the repository; set MEDAI_TEST_DATA")
    return folder
