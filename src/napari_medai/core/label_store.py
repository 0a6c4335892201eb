"""Label arrays on a disk: made, and written to a window at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.errors import InputError, RunError


def write_labels(array: Any, window: Any, labels: np.ndarray) -> None:
    """Assign to a window of an array that may be on a disk; `RunError` if that is full."""
    try:
        array[window] = labels
    except OSError as error:
        raise RunError(
            f"the result could not be written: {error.strerror or error}; free some space or "
            "choose another folder"
        ) from error


def new_label_store(
    out: Path,
    shape: tuple[int, ...],
    chunks: Sequence[int] | None = None,
    *,
    axes: str | None = None,
    dtype: str = "int32",
) -> Any:
    """A new zarr array of zeros; `InputError` if ``out`` exists or cannot be written.

    Its dimensions are named as the axes, if given.
    """
    if out.exists():
        raise InputError(f"{out} exists and is not overwritten; choose another name or remove it")
    import zarr

    try:
        return zarr.create_array(
            store=str(out),
            shape=shape,
            chunks=tuple(chunks or _chunks(shape)),
            dtype=dtype,
            dimension_names=None if axes is None else tuple(axes.lower()),
        )
    except OSError as error:
        raise InputError(
            f"{out} cannot be written: {error.strerror or error}; choose another folder"
        ) from error


def _chunks(shape: tuple[int, ...]) -> tuple[int, ...]:
    edges = (512, 512)[-len(shape) :] if len(shape) < 3 else (16, 256, 256)
    edges = (1,) * (len(shape) - len(edges)) + edges
    return tuple(max(1, min(n, edge)) for n, edge in zip(shape, edges, strict=True))
