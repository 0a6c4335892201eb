"""Noisy images, with clean ones or without, to learn from or to be scored by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.io.images import find_images
from napari_medai.io.noisy_pairs import find_noisy_pairs, pixels_of_file
from napari_medai.io.tiff import image_name
from napari_medai.scripting.sources import array_of, listed, source_of
from napari_medai.tasks.train_denoise import NoisyPair


def noisy_pairs(noisy: Any, clean: Any = None, *, axes: str | None = None) -> list[NoisyPair]:
    """Noisy images and the clean ones of the same scenes, if there are any, as `train` takes them.

    Folders (or files, without clean images), or lists of layers, arrays and files.

    Raises
    ------
    InputError
        If a file cannot be read, or not every noisy image has one clean one.
    """
    if isinstance(noisy, str | Path) and (clean is None or isinstance(clean, str | Path)):
        return list(read_noisy_pairs(noisy_files(noisy, clean)))
    images = listed(noisy, "clean images")
    others = [None] * len(images) if clean is None else listed(clean, "clean images")
    if len(images) != len(others):
        raise InputError(
            f"{len(images)} noisy images and {len(others)} clean ones were given; give one clean "
            "image for each, or none at all"
        )
    return [
        NoisyPair(
            _image(image, axes),
            None if other is None else _image(other, axes),
            _name(image, number),
            source=f"{number}: {_name(image, number)}",
        )
        for number, (image, other) in enumerate(zip(images, others, strict=True), 1)
    ]


def noisy_files(noisy: str | Path, clean: str | Path | None) -> list[tuple[Path, Path | None]]:
    """The files of a folder of noisy images, each with its clean one if there are any."""
    images = Path(noisy).expanduser()
    if clean is None:
        return [(path, None) for path in find_images(images)]
    return [(one, other) for one, other in find_noisy_pairs(images, Path(clean).expanduser())]


def read_noisy_pairs(files: list[tuple[Path, Path | None]]) -> Iterator[NoisyPair]:
    """Their pixels, one after the other."""
    for noisy, clean in files:
        other = None if clean is None else pixels_of_file(clean)
        yield NoisyPair(pixels_of_file(noisy), other, image_name(noisy), source=str(noisy))


def _image(given: Any, axes: str | None) -> AxesArray:
    if isinstance(given, str | Path):
        return pixels_of_file(Path(given).expanduser())
    axes = axes.upper() if axes else None
    return array_of(source_of(given, axes=axes), axes)


def _name(image: Any, number: int) -> str:
    if isinstance(image, str | Path):
        return Path(image).name
    return str(getattr(image, "name", "") or f"image {number}")
