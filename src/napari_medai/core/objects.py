"""What is measured of each object of a label image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_medai.core.errors import InputError


def smallest_label_dtype(count: int) -> np.dtype[np.int32] | np.dtype[np.int64]:
    """int32, or int64 if there are more objects than that holds."""
    return np.dtype(np.int32) if count <= np.iinfo(np.int32).max else np.dtype(np.int64)


def object_features(
    labels: np.ndarray,
    *,
    image: np.ndarray | None = None,
    score: Sequence[float] | np.ndarray | None = None,
    spacing: Sequence[float] | None = None,
    axes: str = "YX",
) -> dict[str, np.ndarray]:
    """A table with a row for each object, by rising label.

    Parameters
    ----------
    labels
        Whole numbers, 0 is background. 2D gives ``area``, 3D ``volume``, in units of ``spacing``.
    image
        Of the shape of ``labels``, or with channels behind (RGB: their mean is measured).
    score
        One number for each object, by rising label.
    spacing
        The step along each axis, 1 if not given.

    Returns
    -------
    dict
        ``index`` (the label), ``score`` if given, ``area`` or ``volume``, ``mean_intensity`` if an
        image is given, and ``centroid-y``, ``centroid-x`` ... in pixels of the label image.
    """
    if labels.dtype.kind not in "biu" or len(axes) != labels.ndim:
        raise InputError(
            f"labels must be whole numbers with axes {axes!r}, "
            f"got {labels.dtype} values of shape {labels.shape}"
        )
    where = np.flatnonzero(labels)
    index, row = compact_labels(labels.reshape(-1)[where])
    sizes = np.bincount(row, minlength=len(index))
    features: dict[str, np.ndarray] = {"index": index}
    if score is not None:
        if len(score) != len(index):
            raise InputError(f"{len(index)} objects need as many scores, got {len(score)}")
        features["score"] = np.asarray(score, dtype=np.float32)
    pixel = float(np.prod(spacing if spacing is not None else 1.0))
    features["area" if labels.ndim == 2 else "volume"] = sizes * pixel
    if image is not None:
        sums = np.bincount(
            row, weights=_values_at(image, labels.shape, where), minlength=len(index)
        )
        features["mean_intensity"] = sums / sizes
    for axis, position in zip(axes, _positions(where, labels.shape), strict=True):
        sums = np.bincount(row, weights=position, minlength=len(index))
        features[f"centroid-{axis.lower()}"] = sums / sizes
    return features


def compact_labels(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The labels that occur in a flat array, rising, and for each value its place among them."""
    if values.size == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.intp)
    if values.dtype.kind == "b":
        values = values.view(np.uint8)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 4 * values.size + 65536:  # a table of all labels would be too large
        index, row = np.unique(values, return_inverse=True)
        return index.astype(np.int64), row
    index = np.flatnonzero(np.bincount(values))
    if len(index) == high - low + 1:
        return index, values.astype(np.intp) - low
    place = np.zeros(high + 1, dtype=np.intp)
    place[index] = np.arange(len(index))
    return index, place[values]


def _values_at(image: np.ndarray, shape: tuple[int, ...], where: np.ndarray) -> np.ndarray:
    if image.shape == shape:
        values: np.ndarray = np.asarray(image).reshape(-1)[where]
        return values
    if image.shape[:-1] == shape:
        chosen: np.ndarray = np.asarray(image).reshape(-1, image.shape[-1])[where]
        return np.asarray(chosen.mean(axis=-1, dtype=np.float64))
    raise InputError(
        f"image of shape {image.shape} and labels of shape {shape} do not fit; "
        "they must show the same pixels"
    )


def _positions(where: np.ndarray, shape: tuple[int, ...]) -> list[np.ndarray]:
    """Coordinates of flat indices, one array an axis."""
    result: list[np.ndarray] = []
    for length in reversed(shape[1:]):
        rest = where // length
        result.append(where - rest * length)
        where = rest
    return [where, *reversed(result)]
