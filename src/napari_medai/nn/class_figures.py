"""How well classes were found: Dice, Hausdorff distance and surface Dice, by MONAI."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from napari_medai.core.errors import InputError

FIGURES = ("Dice", "HD95_mm", "NSD")


def class_figures(
    true: np.ndarray,
    found: np.ndarray,
    *,
    classes: Sequence[str],
    spacing: Sequence[float],
    tolerance: float = 1.0,
) -> dict[str, dict[str, float]]:
    """The figures of one volume, by the names of its classes 1, 2, ...

    ``Dice``; ``HD95_mm``, the 95th percentile of the distances between the surfaces, both ways;
    ``NSD``, the part of both surfaces that lies within ``tolerance`` of the other (normalised
    surface Dice). They are NaN for a class that neither holds.

    Parameters
    ----------
    true, found
        Numbers of classes (\\*space), 0 background, of one shape.
    spacing, tolerance
        Millimetres; ``spacing`` along each axis.

    Raises
    ------
    InputError
        If the two differ in shape, or MONAI is not installed.
    """
    if true.shape != found.shape:
        raise InputError(
            f"labels of shape {true.shape} and {found.shape} cannot be compared; "
            "give labels of the same image"
        )
    try:
        from monai.metrics.hausdorff_distance import compute_hausdorff_distance
        from monai.metrics.meandice import compute_dice
        from monai.metrics.surface_dice import compute_surface_dice
    except ImportError as error:
        raise InputError(
            'these figures need MONAI; pip install "napari-medai[evaluate]"'
        ) from error
    given, seen = (_one_hot(labels, len(classes)) for labels in (found, true))
    steps = [float(step) for step in spacing]
    limits = [tolerance] * len(classes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that one of the two lacks
        columns = (
            compute_dice(given, seen, include_background=False)[0],
            compute_hausdorff_distance(given, seen, percentile=95, spacing=steps)[0],
            compute_surface_dice(given, seen, limits, spacing=steps)[0],
        )
    return {
        name: {figure: float(column[i]) for figure, column in zip(FIGURES, columns, strict=True)}
        for i, name in enumerate(classes)
    }


def mean_figures(
    rows: Sequence[Mapping[str, Mapping[str, float]]],
) -> dict[str, dict[str, float]]:
    """The means over volumes that have a class, and their number, rounded to be read."""
    means: dict[str, dict[str, float]] = {}
    for name in rows[0]:
        table = np.array([[row[name][figure] for figure in FIGURES] for row in rows])
        held = table[np.isfinite(table).all(axis=1)]
        values = held.mean(axis=0) if len(held) else np.full(len(FIGURES), np.nan)
        figures = zip(FIGURES, values, strict=True)
        means[name] = {f: round(float(v), 2 if f == "HD95_mm" else 3) for f, v in figures}
        means[name]["images"] = len(held)
    return means


def _one_hot(labels: np.ndarray, count: int) -> Tensor:
    """(1, 1 + count, \\*space) float32."""
    maps = np.stack([np.asarray(labels) == number for number in range(1 + count)])
    return torch.from_numpy(maps)[None].float()
