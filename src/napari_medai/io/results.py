"""Writing what is not an image: feature tables and pictures to look at."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.axes import ArrayLike
from napari_medai.core.boxes import Boxes
from napari_medai.core.errors import InputError
from napari_medai.io.atomic import replacing

_PICTURE_EDGE = 4096


def write_features_csv(
    path: str | Path, features: Mapping[str, Sequence[Any] | np.ndarray], *, overwrite: bool = False
) -> Path:
    """Write a features table as CSV, a column a feature, numbers in full precision.

    Raises
    ------
    InputError
        If ``path`` exists and ``overwrite`` is false, or the columns differ in length.
    RunError
        If writing fails; nothing is left behind then.
    """
    path = Path(path)
    columns = {name: np.asarray(column).tolist() for name, column in features.items()}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"all columns of a features table must be equally long, got {lengths}")
    with (
        replacing(path, overwrite=overwrite) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def write_overlay_png(
    path: str | Path,
    image: ArrayLike,
    labels: ArrayLike,
    *,
    colour: tuple[int, int, int] = (255, 220, 0),
    overwrite: bool = False,
) -> Path:
    """Write a picture of an image, (y, x) or (y, x, 3), with the outlines of its labels (y, x).

    Intensities are stretched from their 1st to their 99.8th percentile; images with an edge above
    4096 pixels are thinned out.

    Raises
    ------
    InputError
        If ``path`` exists and ``overwrite`` is false, or image and labels do not fit.
    RunError
        If writing fails; nothing is left behind then.
    """
    from skimage.segmentation import find_boundaries

    if len(labels.shape) != 2 or tuple(image.shape[:2]) != tuple(labels.shape):
        raise InputError(
            f"an image of shape {tuple(image.shape)} and labels of shape {tuple(labels.shape)} "
            "do not fit; give one plane of each"
        )
    picture, step = _picture(image)
    outlines: Any = find_boundaries
    picture[outlines(np.asarray(labels[::step, ::step]), mode="inner")] = colour
    return _write_png(path, picture, overwrite=overwrite)


def write_boxes_png(
    path: str | Path,
    image: ArrayLike,
    boxes: Boxes,
    *,
    colours: Mapping[str, str],
    overwrite: bool = False,
) -> Path:
    """Write a picture of an image, (y, x) or (y, x, 3), with its boxes in the colours of classes.

    ``colours`` are ``"#rrggbb"`` by class; boxes of others are yellow. Lines run along the pixels
    at the edge of a box. Otherwise as `write_overlay_png`.
    """
    picture, step = _picture(image)
    edge = np.array(picture.shape[:2]) - 1
    lines = [colours.get(str(kind), "").lstrip("#") or "ffdc00" for kind in boxes.kinds]
    low = np.clip(np.ceil(boxes.corners[:, 0]) // step, 0, edge).astype(int)
    high = np.clip(np.floor(boxes.corners[:, 1]) // step, 0, edge).astype(int)
    for (top, left), (bottom, right), line in zip(low, high, lines, strict=True):
        colour = tuple(bytes.fromhex(line))
        picture[[top, bottom], left : right + 1] = colour
        picture[top : bottom + 1, [left, right]] = colour
    return _write_png(path, picture, overwrite=overwrite)


def write_beside_png(
    path: str | Path, image: ArrayLike, other: ArrayLike, *, overwrite: bool = False
) -> Path:
    """Write a picture of two images of one shape, (y, x) or (y, x, 3), side by side.

    Both are stretched alike, by the intensities of the second; otherwise as `write_overlay_png`.

    Raises
    ------
    InputError
        If ``path`` exists and ``overwrite`` is false, or their shapes differ.
    RunError
        If writing fails; nothing is left behind then.
    """
    if tuple(image.shape) != tuple(other.shape):
        raise InputError(
            f"images of the shapes {tuple(image.shape)} and {tuple(other.shape)} are not shown "
            "side by side; give two of one shape"
        )
    step = max(1, math.ceil(max(image.shape[:2]) / _PICTURE_EDGE))
    planes = [np.asarray(plane[::step, ::step]) for plane in (image, other)]
    limits = _limits(planes[1])
    return _write_png(
        path,
        np.concatenate([_stretched(plane, limits) for plane in planes], axis=1),
        overwrite=overwrite,
    )


def _picture(image: ArrayLike) -> tuple[np.ndarray, int]:
    """The image as uint8 (y, x, 3), and the pixels of it that one of the picture stands for."""
    step = max(1, math.ceil(max(image.shape[:2]) / _PICTURE_EDGE))
    grey = _stretched(np.asarray(image[::step, ::step]))
    return (grey if grey.ndim == 3 else np.repeat(grey[..., None], 3, axis=-1)), step


def _write_png(path: str | Path, picture: np.ndarray, *, overwrite: bool) -> Path:
    from PIL import Image

    path = Path(path)
    with replacing(path, overwrite=overwrite) as partial:
        Image.fromarray(picture).save(partial, format="PNG")
    return path


def _limits(image: np.ndarray) -> tuple[float, float]:
    """What is shown as black and as white."""
    values = np.nan_to_num(image.astype(np.float32), posinf=0, neginf=0)
    low, high = np.percentile(values, (1, 99.8))
    return float(low), float(high)


def _stretched(image: np.ndarray, limits: tuple[float, float] | None = None) -> np.ndarray:
    values = np.nan_to_num(image.astype(np.float32), posinf=0, neginf=0)
    low, high = limits or _limits(image)
    scaled = (values - low) * (255 / (high - low) if high > low else 0)
    picture: np.ndarray = np.clip(scaled, 0, 255).astype(np.uint8)
    return picture
