"""Finding image files and reading them, whatever their format."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.axes import guessed_axes, looks_rgb
from napari_medai.core.errors import InputError
from napari_medai.io.dicom.files import DICOM_SUFFIXES, check_no_archive, is_dicom
from napari_medai.io.image_data import ImageData
from napari_medai.io.label_names import says_labels
from napari_medai.io.tiff import LAZY_BYTES, read_tiff
from napari_medai.io.volumes import VOLUME_SUFFIXES, read_volume, suffix_of

TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8", ".lsm", ".svs")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
IMAGE_SUFFIXES = (*TIFF_SUFFIXES, *PICTURE_SUFFIXES, *VOLUME_SUFFIXES, ".npy", ".zarr")


def read_image(path: str | Path) -> list[ImageData]:
    """The images of a file, usually one; large ones are lazy.

    TIFF and its relatives, PNG, JPEG, BMP, NIfTI, MGH, NRRD, MetaImage, PAR/REC, MINC, AFNI,
    NumPy (``.npy``), Zarr folders, and DICOM: files, folders with their subfolders, DICOMDIRs.
    Transparency is dropped.
    An integer image whose name says *labels*, *masks* or *seg* counts as labels, but for DICOM,
    which says so itself.

    Raises
    ------
    InputError
        If the file is missing, of another format, or broken.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path")
    suffix = suffix_of(path)
    if suffix in VOLUME_SUFFIXES:
        return read_volume(path)
    if suffix in TIFF_SUFFIXES:
        images = read_tiff(path)
    elif suffix in PICTURE_SUFFIXES:
        images = [_read_picture(path)]
    elif suffix == ".npy":
        images = [_read_numpy(path)]
    elif is_zarr(path):
        from napari_medai.io.ome_zarr.reader import read_zarr

        images = read_zarr(path)
    elif path.is_dir() or suffix in DICOM_SUFFIXES or is_dicom(path):
        from napari_medai.io.dicom.reader import read_dicom

        return read_dicom(path)
    else:
        check_no_archive(path)
        raise _unknown_format(path)
    return [_with_labels_told(image, path) for image in images]


def find_images(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    """The image files meant by files, folders (not their subfolders) and ``*`` patterns.

    Sorted within each folder as people count (``2`` before ``10``), each file once, hidden files
    left out. A folder of DICOM files counts as one.

    Raises
    ------
    InputError
        If one is missing, of an unknown format, or a folder without images.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    found: dict[Path, None] = {}
    for path in (Path(one) for one in given):
        if path.is_dir() and not is_zarr(path):
            matches = _images_in(path)
        elif path.exists():
            if not _is_image(path):
                raise _unknown_format(path)
            matches = [path]
        else:
            matches = sorted((p for p in map(Path, glob(str(path))) if _is_image(p)), key=_counting)
            if not matches:
                raise InputError(f"{path} does not exist; check the path")
        found.update(dict.fromkeys(matches))
    if not found:
        raise InputError("no images were given; name files or a folder")
    return list(found)


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr array or group."""
    return any((path / name).is_file() for name in ("zarr.json", ".zarray", ".zgroup"))


def _is_image(path: Path) -> bool:
    suffix = suffix_of(path)
    if path.is_dir():
        return is_zarr(path)
    return (suffix in IMAGE_SUFFIXES and suffix != ".zarr") or is_dicom(path)


def _images_in(folder: Path) -> list[Path]:
    try:
        files = [p for p in folder.iterdir() if not p.name.startswith(".")]
        matches = [p for p in files if suffix_of(p) in IMAGE_SUFFIXES and _is_image(p)]
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({error.strerror or error})") from error
    if not matches and is_dicom(folder):
        return [folder]
    if not matches:
        raise InputError(
            f"the folder {folder} holds no images; looked for {', '.join(IMAGE_SUFFIXES)} and DICOM"
        )
    headers = {p.with_suffix("") for p in matches if p.suffix.lower() == ".hdr"}
    pixels = [p for p in matches if p.suffix.lower() == ".img" and p.with_suffix("") in headers]
    return sorted((p for p in matches if p not in pixels), key=_counting)


def _counting(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", path.name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _unknown_format(path: Path) -> InputError:
    return InputError(
        f"{path} is not of a format that can be read; "
        f"convert it to one of {', '.join(IMAGE_SUFFIXES)} or DICOM"
    )


def _read_picture(path: Path) -> ImageData:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            foreign = picture.mode in ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV", "RGBX")
            array = np.asarray(picture.convert("RGB") if foreign else picture)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(
            f"{path} cannot be read ({error}); if another program opens it, save it as TIFF there"
        ) from error
    if array.ndim == 3 and array.shape[-1] in (2, 4):
        array = array[..., :-1]
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    rgb = array.ndim == 3
    return ImageData((array,), guessed_axes(array.shape, rgb=rgb), name=path.stem, rgb=rgb)


def _read_numpy(path: Path) -> ImageData:
    try:
        lazy = path.stat().st_size > LAZY_BYTES
        array: Any = np.load(path, mmap_mode="r" if lazy else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"{path} cannot be read ({error}); save it again with numpy.save"
        ) from error
    rgb = looks_rgb(array.shape)
    array = array[..., :3] if rgb else array
    return ImageData((array,), guessed_axes(array.shape, rgb=rgb), name=path.stem, rgb=rgb)


def _with_labels_told(image: ImageData, path: Path) -> ImageData:
    whole = np.dtype(image.levels[0].dtype).kind in "biu" and "C" not in image.axes
    told = image.labels or says_labels(path.stem)
    return replace(image, labels=whole and told)
