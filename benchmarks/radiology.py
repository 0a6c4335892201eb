"""How soon a large CT is seen: from `viewer.open` to the first picture drawn, and in what memory.

    python benchmarks/radiology.py [--slices 600] [--size 512] [--like FOLDER] [--scratch DIR]

Writes a CT as a DICOM series of single files, plain and compressed (JPEG 2000), and as ``.nii``
and ``.nii.gz``: slices of the sample CT, or of the series of one size in ``--like``, whose headers
are kept as well, over and over. Each is opened in a new process with a napari viewer on a screen
(on Linux without one: ``xvfb-run -a``), in two ways: *cold*, the first thing after the viewer has
come up, and *warm*, after another small file of its kind. Scratch needs some 700 MB. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

FEW = 3
"""Slices of the small file that warms up."""
NOISE = 12.0
"""Standard deviation, in HU, added so that slices do not compress as copies do."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--slices", type=int, default=600)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--like", type=Path, help="a folder with a DICOM series")
    parser.add_argument("--scratch", type=Path, help="where to write (default: the usual place)")
    parser.add_argument("--open", type=Path, nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.open:
        print(json.dumps(measured(*options.open)))
        return
    print(f"{options.size} x {options.size} x {options.slices}, {os.cpu_count()} cores, ", end="")
    print(f"load {os.getloadavg()[0]:.1f}\n")
    print("| what | on disk (MB) | | layer (s) | picture (s) | CPU (s) | memory (MB) | of it new |")
    print("|---|--:|---|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        for what, large, small in written(Path(scratch), options):
            size = sum(f.stat().st_size for f in [large, *large.glob("*")] if f.is_file()) / 1e6
            for how, paths in (("cold", [large]), ("warm", [large, small])):
                row = in_new_process(paths)
                times = f"{row['open']:.2f} | {row['drawn']:.2f} | {row['busy']:.2f}"
                print(f"| {what} | {size:.0f} | {how} | {times} ", end="")
                print(f"| {row['peak']:.0f} | {row['more']:.0f} |", flush=True)


def written(scratch: Path, options: argparse.Namespace) -> Iterator[tuple[str, Path, Path]]:
    """Each kind of file, large and small; one is there at a time."""
    import shutil

    headers, pictures = slices_like(options.like, size=options.size)
    for what, compressed in (("DICOM", False), ("DICOM, JPEG 2000", True)):
        for count, name in ((options.slices, "large"), (FEW, "small")):
            write_series(scratch / name, headers, pictures, count=count, compressed=compressed)
        yield what, scratch / "large", scratch / "small"
        for name in ("large", "small"):
            shutil.rmtree(scratch / name)
    for suffix in (".nii", ".nii.gz"):
        for count, name in ((options.slices, "large"), (FEW, "small")):
            write_nifti(scratch / f"{name}{suffix}", pictures, count=count)
        yield f"NIfTI ({suffix})", scratch / f"large{suffix}", scratch / f"small{suffix}"
        (scratch / f"large{suffix}").unlink()


def slices_like(folder: Path | None, *, size: int) -> tuple[list[Any], list[np.ndarray]]:
    """Headers, and pictures of HU to go with them."""
    import pydicom

    from napari_medai.io.samples import ct_abdomen

    if folder is None:
        (volume, _, _), _ = ct_abdomen()
        repeats = [-(-size // n) for n in volume.shape[1:]]
        return [plain_header()], [np.tile(one, repeats)[:size, :size] for one in volume]
    headers, pictures = [], []
    for path in sorted(folder.iterdir()):
        with suppress(pydicom.errors.InvalidDicomError):
            dataset = pydicom.dcmread(path)
            slope, intercept = float(dataset.RescaleSlope), float(dataset.RescaleIntercept)
            picture = dataset.pixel_array * slope + intercept
            repeats = [-(-size // n) for n in picture.shape]
            pictures.append(np.tile(picture, repeats)[:size, :size].astype(np.int16))
            del dataset.PixelData
            headers.append(dataset)
    return headers, pictures


def plain_header() -> Any:
    from pydicom import Dataset

    header = Dataset()
    header.Modality, header.SeriesNumber = "CT", 1
    header.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    header.PixelSpacing, header.SliceThickness = [0.7, 0.7], 1
    header.WindowCenter, header.WindowWidth = 40, 400
    header.StudyInstanceUID = header.SeriesInstanceUID = header.FrameOfReferenceUID = "1.2.3"
    return header


def repeated(pictures: list[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """Pictures over and over, each with noise of its own, as int16 of HU."""
    rng = np.random.default_rng(0)
    for picture in islice(cycle(pictures), count):
        noise = rng.normal(0, NOISE, picture.shape)
        yield np.clip(picture + noise, -1024, 3071).astype(np.int16)


def write_series(
    folder: Path,
    headers: list[Any],
    pictures: list[np.ndarray],
    *,
    count: int,
    compressed: bool,
) -> None:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEG2000Lossless, generate_uid

    folder.mkdir()
    order = np.random.default_rng(1).permutation(count)  # names say nothing of the order
    both = zip(cycle(headers), repeated(pictures, count), strict=False)
    for number, (header, picture) in enumerate(both):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.TransferSyntaxUID = JPEG2000Lossless if compressed else ExplicitVRLittleEndian
        path = folder / f"{order[number]:05}"
        dataset = FileDataset(str(path), dict(header), preamble=b"\0" * 128, file_meta=meta)
        dataset.SOPClassUID = CTImageStorage
        dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.InstanceNumber = number + 1
        dataset.ImagePositionPatient = [-170, -170, number]
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
        dataset.Rows, dataset.Columns = picture.shape
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit, dataset.PixelRepresentation = 15, 1
        set_pixels(dataset, picture, compressed=compressed)
        dataset.save_as(path, enforce_file_format=True)


def set_pixels(dataset: Any, picture: np.ndarray, *, compressed: bool) -> None:
    from pydicom.encaps import encapsulate

    if not compressed:
        dataset.PixelData = picture.tobytes()
        dataset["PixelData"].VR = "OW"
        return
    import imagecodecs

    coded = imagecodecs.jpeg2k_encode(picture, codecformat="j2k", reversible=True, level=0)
    dataset.PixelData = encapsulate([coded])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True


def write_nifti(path: Path, pictures: list[np.ndarray], *, count: int) -> None:
    import nibabel

    volume = np.stack(list(repeated(pictures, count)))
    nibabel.save(nibabel.Nifti1Image(volume.transpose(), np.diag([-0.7, -0.7, 1, 1])), path)


def in_new_process(paths: list[Path]) -> dict[str, float]:
    command = [sys.executable, __file__, "--open", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measured(large: Path, small: Path | None = None) -> dict[str, float]:
    """Seconds until the layer is there and until it is drawn; memory at its peak, and how much of
    it is new.
    """
    import napari

    viewer = napari.Viewer()
    viewer.screenshot(flash=False)
    if small is not None:
        import dask.array  # noqa: F401  (small volumes are read at once, and need it not)

        viewer.open(small, plugin="napari-medai")
        viewer.screenshot(flash=False)
        viewer.layers.clear()
    before = memory("VmRSS")
    began, used = time.perf_counter(), time.process_time()
    (layer,) = viewer.open(large, plugin="napari-medai")
    opened = time.perf_counter()
    picture = viewer.screenshot(flash=False)
    drawn, busy = time.perf_counter() - began, time.process_time() - used
    assert layer.data.ndim == 3, "one volume"
    assert picture[..., 0].std() > 0, "a picture is drawn"
    peak = memory("VmHWM")
    viewer.close()
    spent = {"open": opened - began, "drawn": drawn, "busy": busy}
    return {**spent, "peak": peak, "more": peak - before}


def memory(kind: str) -> float:
    """Memory of this process in MB: ``VmRSS`` now, ``VmHWM`` at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(kind)).split()[1]) / 1e3


if __name__ == "__main__":
    main()
