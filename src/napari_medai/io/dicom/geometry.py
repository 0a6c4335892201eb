"""Where stacked planes lie: in which order, at which steps, and how evenly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.core.space import Grid
from napari_medai.io.dicom.planes import Plane

SAME_PLACE = 0.005
"""Planes nearer to each other than this, in mm, are at one place."""

_EVEN = 0.01
"""Steps are even if they differ by less than this part of them, or 0.01 mm."""


@dataclass(frozen=True, slots=True, eq=False)
class Placing:
    """The grid of a stack of planes, and sentences on what is uneven in it."""

    grid: Grid
    notes: tuple[str, ...] = ()


def normal_of(plane: Plane) -> np.ndarray:
    """The direction across a plane: rows to columns as x to y, this is z."""
    assert plane.orientation is not None, "only of a plane that is placed"
    return np.cross(plane.orientation[:3], plane.orientation[3:])


def heights(planes: Sequence[Plane]) -> np.ndarray:
    """How far along the normal of the first each plane lies, in mm."""
    return np.array([plane.position for plane in planes], dtype=float) @ normal_of(planes[0])


def placing(planes: Sequence[Plane]) -> Placing | None:
    """The grid of planes sorted by height, one at each; None where pixels have no known size.

    Uneven steps are never resampled: the grid has the median step, and a note says by how much
    the places deviate. A stack that leans (gantry tilt) has a sheared affine.
    """
    start = planes[0]
    if start.spacing is None or start.orientation is None or start.position is None:
        return None
    places = np.array([plane.position for plane in planes], dtype=float)
    column, notes = _step(places, normal_of(start), start.thickness)
    row, down = np.array(start.orientation[:3]), np.array(start.orientation[3:])
    directions = np.stack([row, down, column / np.linalg.norm(column)], axis=1)
    steps = (start.spacing[1], start.spacing[0], float(np.linalg.norm(column)))
    try:
        return Placing(Grid.from_lps(start.position, steps, directions), notes)
    except InputError:
        return None


def _step(
    places: np.ndarray, normal: np.ndarray, thickness: float | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The way from one plane to the next."""
    if len(places) == 1:
        step = thickness if thickness and thickness > 0 else 1.0
        return step * normal, ()
    along = places @ normal
    steps = np.diff(along)
    median = float(np.median(steps))
    whole_way = (places[-1] - places[0]) / (along[-1] - along[0])
    notes = list(_leaning(places, along, whole_way, normal))
    if np.abs(steps - median).max() <= max(_EVEN * median, 0.01):
        return whole_way * steps.mean(), tuple(notes)
    return whole_way * median, (_unevenness(along, steps, median), *notes)


def _leaning(
    places: np.ndarray, along: np.ndarray, whole_way: np.ndarray, normal: np.ndarray
) -> list[str]:
    notes = []
    sideways = places - places[0] - np.outer(along - along[0], whole_way)
    if (off := float(np.linalg.norm(sideways, axis=1).max())) > 0.1:
        notes.append(f"slices lie up to {off:.2f} mm beside a straight line; shown as if on it")
    cosine = float(np.clip(whole_way @ normal / np.linalg.norm(whole_way), -1, 1))
    if (angle := float(np.degrees(np.arccos(cosine)))) > 0.1:
        notes.append(f"the stack leans by {angle:.1f}° (gantry tilt), which its place shows")
    return notes


def _unevenness(along: np.ndarray, steps: np.ndarray, median: float) -> str:
    even = along[0] + median * np.arange(len(along))
    off = float(np.abs(along - even).max())
    gaps = steps / median
    missing = np.rint(gaps) - 1
    only_gaps = (np.abs(gaps - np.rint(gaps)) < 0.05).all() and missing.min() >= 0
    if only_gaps:
        at = ", ".join(str(int(i) + 1) for i in np.flatnonzero(missing)[:5])
        count = int(missing.sum())
        what = f"{count} {'slice is' if count == 1 else 'slices are'} missing (after slice {at})"
    else:
        what = f"slices are {steps.min():.3g} to {steps.max():.3g} mm apart"
    return (
        f"{what}; they are shown {median:.4g} mm apart, not interpolated, "
        f"so places deviate by up to {off:.4g} mm"
    )
