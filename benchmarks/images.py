"""Images to measure on: pairs from folders, and mosaics of any size."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PIECE = 2048
"""Edge of the mosaic that larger images repeat, and of what a bare net is given at once."""


@dataclass(frozen=True)
class Pair:
    image: np.ndarray
    labels: np.ndarray
    kind: str


def read_pairs(images: Path, masks: Path, *, table: Path | None, split: str) -> Iterator[Pair]:
    """Images and masks of the same name; of one split where there is a table of them.

    The table has the columns id (the name), type and split.
    """
    from skimage import io

    labels = {path.stem: path for path in masks.iterdir()}
    kinds: dict[str, str] | None = None
    if table is not None:
        with table.open() as file:
            rows = [row for row in csv.DictReader(file) if split in ("", row["split"])]
        kinds = {row["id"]: row["type"] for row in rows}
    for path in sorted(images.iterdir()):
        if path.stem not in labels or (kinds is not None and path.stem not in kinds):
            continue
        kind = "all" if kinds is None else kinds[path.stem]
        yield Pair(io.imread(path), io.imread(labels[path.stem]).astype(np.int32), kind)


def mosaic(folder: Path, size: int, *, seed: int = 0) -> np.ndarray:
    """The gray images of a folder side by side until ``size`` x ``size`` is full, uint8."""
    from skimage import io

    read = [io.imread(path) for path in sorted(folder.iterdir())]
    gray = [image for image in read if image.ndim == 2]
    if not gray:
        sys.exit(f"{folder} holds no gray images; give a folder that does")
    rng = np.random.default_rng(seed)
    edge = min(PIECE, size)
    height = min(image.shape[0] for image in gray)
    rows = []
    for _ in range(-(-edge // height)):
        row: list[np.ndarray] = []
        while sum(image.shape[1] for image in row) < edge:
            image = gray[rng.integers(len(gray))][:height].astype(np.float32)
            low, high = np.percentile(image, [1, 99.8])
            scaled = (image - low) / max(high - low, 1e-6) * 220
            row.append(np.clip(scaled, 0, 255).astype(np.uint8))
        rows.append(np.concatenate(row, axis=1)[:, :edge])
    piece = np.concatenate(rows)[:edge]
    repeats = -(-size // edge)
    return np.tile(piece, (repeats, repeats))[:size, :size]


class Endless:
    """A square image that repeats a small one and exists only where it is looked at."""

    def __init__(self, piece: np.ndarray, size: int) -> None:
        self.piece = piece
        self.shape = (size, size)
        self.ndim = 2
        self.dtype = piece.dtype
        self.chunks = (min(1024, size),) * 2

    def __getitem__(self, key: tuple[slice, slice]) -> np.ndarray:
        rows, columns = (
            np.arange(*part.indices(n)) % m
            for part, n, m in zip(key, self.shape, self.piece.shape, strict=True)
        )
        return self.piece[np.ix_(rows, columns)]
