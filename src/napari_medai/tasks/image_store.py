"""Where a restored image goes: memory, or a disk where it is large."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.axes import AxesArray
from napari_medai.core.label_store import new_label_store, write_labels
from napari_medai.core.tiling import Window
from napari_medai.tasks.assembly import CHUNK, temporary_store
from napari_medai.tasks.planes import Planes, Position

LARGEST_IN_MEMORY = {True: 1 << 31, False: 1 << 28}
"""Bytes beyond which a result is written to disk: of images in memory, and of lazy ones."""


def goes_to_disk(image: AxesArray, *, same_dtype: bool) -> bool:
    """Whether the result for an image is too large for memory."""
    itemsize = _stored_type(image, same_dtype=same_dtype).itemsize
    return prod(image.shape) * itemsize > LARGEST_IN_MEMORY[isinstance(image.data, np.ndarray)]


@dataclass(slots=True)
class ImageStore:
    """An array shaped as an image, float32 or of its own dtype, written window by window."""

    array: Any
    folder: Path | None
    clipped: int = 0

    @classmethod
    def of(cls, image: AxesArray, *, out: Path | None, same_dtype: bool) -> ImageStore:
        """A new one; ``out`` is a folder to be made (zarr).

        Raises
        ------
        InputError
            If ``out`` exists or cannot be written.
        """
        dtype = _stored_type(image, same_dtype=same_dtype)
        if out is None and goes_to_disk(image, same_dtype=same_dtype):
            out = temporary_store("image")
        if out is None:
            return cls(np.zeros(image.shape, dtype), None)
        chunks = [min(n, CHUNK) if axis in "YX" else 1 for axis, n in image.sizes.items()]
        store = new_label_store(out, image.shape, chunks, axes=image.axes, dtype=str(dtype))
        return cls(store, out)

    def writer(self, planes: Planes, position: Position) -> Callable[[Window, np.ndarray], None]:
        """Writes windows of one plane."""

        def write(window: Window, values: np.ndarray) -> None:
            key, laid = planes.placed(position, window, self._converted(values))
            write_labels(self.array, key, laid)

        return write

    @property
    def notes(self) -> tuple[str, ...]:
        if not self.clipped:
            return ()
        if np.dtype(self.array.dtype).kind == "f":
            return (
                f"{self.clipped} values lay beyond {self.array.dtype} and became infinite; the "
                "image's own kind of numbers (dtype same) keeps them.",
            )
        return (
            f"{self.clipped} values lay beyond {self.array.dtype} and were clipped; "
            "float32 keeps them.",
        )

    def discard(self) -> None:
        """Remove what a run that did not end wrote to disk."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _converted(self, values: np.ndarray) -> np.ndarray:
        dtype = np.dtype(self.array.dtype)
        if values.dtype == dtype:
            return values
        if dtype.kind == "f":
            with np.errstate(over="ignore"):
                found = values.astype(dtype)
            self.clipped += int(np.count_nonzero(np.isfinite(values) & ~np.isfinite(found)))
            return found
        low, high = (0.0, 1.0) if dtype.kind == "b" else _limits(dtype)
        rounded = np.rint(np.nan_to_num(values.astype(np.float64)))
        self.clipped += int(np.count_nonzero((rounded < low) | (rounded > high)))
        return rounded.clip(low, high).astype(dtype)


def _limits(dtype: np.dtype[Any]) -> tuple[float, float]:
    """The least and the highest whole number of a kind that float64 has too."""
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    # float64 rounds the highest of 64 bits up, to one too many
    return float(low), float(high if int(float(high)) <= high else np.nextafter(float(high), 0))


def _stored_type(image: AxesArray, *, same_dtype: bool) -> np.dtype[Any]:
    return np.dtype(image.data.dtype) if same_dtype else np.dtype(np.float32)
