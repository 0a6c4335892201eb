"""Arrays that know their axes, spacing and units.

Axes are letters, one a dimension, as tifffile and OME name them: ``Z Y X`` are space, ``C`` is
channel (RGB counts as three channels), ``T`` is time; any other capital letter is a series that
is worked through one by one, like time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Protocol, runtime_checkable

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.core.view import View

SPACE = "ZYX"
CHANNEL = "C"
AXIS_WORDS = {
    "depth": "Z",
    "slice": "Z",
    "plane": "Z",
    "height": "Y",
    "row": "Y",
    "width": "X",
    "col": "X",
    "column": "X",
    "channel": "C",
    "channels": "C",
    "ch": "C",
    "time": "T",
    "frame": "T",
}
"""What people and programs call axes, in lower case."""


@runtime_checkable
class ArrayLike(Protocol):
    """What numpy, dask, zarr and tifffile's arrays have in common: a shape, a dtype, slicing."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> Any: ...
    def __getitem__(self, key: Any) -> Any: ...


@dataclass(frozen=True, slots=True, eq=False)
class AxesArray:
    """An n-dimensional image with its axes.

    ``data`` may be lazy (dask, zarr): only what is sliced is read, and it is never written to.
    ``spacing`` is the step from one sample to the next along an axis, in ``units`` of that axis
    (``"micrometer"``, ``"second"``, ...; an axis without a unit counts pixels). ``slant`` is what
    a voxel holds, over the product of its steps: less than 1 where axes lean, as after a gantry
    tilt.

    Raises
    ------
    InputError
        If the axes do not fit the array, or the array's dtype is not a real number or bool.
    """

    data: ArrayLike
    axes: str
    spacing: Mapping[str, float] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    slant: float = 1.0

    def __post_init__(self) -> None:
        check_axes(self.axes, self.data.shape)
        check_dtype(self.data.dtype)
        for axis, step in self.spacing.items():
            if not (np.isfinite(step) and step > 0):
                raise InputError(
                    f"spacing along {axis} must be a positive number, got {step!r}; "
                    "correct the layer's scale"
                )

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(int(n) for n in self.data.shape)

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each axis, in order."""
        return dict(zip(self.axes, self.shape, strict=True))

    @property
    def space(self) -> str:
        """The spatial axes, in array order."""
        return "".join(axis for axis in self.axes if axis in SPACE)

    @property
    def series(self) -> str:
        """The axes that are neither space nor channel, in array order."""
        return "".join(axis for axis in self.axes if axis not in SPACE + CHANNEL)

    def step(self, axis: str) -> float:
        """Spacing along one axis, 1 where none is known."""
        return float(self.spacing.get(axis, 1.0))

    def with_data(self, data: ArrayLike, axes: str | None = None) -> AxesArray:
        """The same place in the world with other values (and fewer axes, if ``axes`` is given)."""
        kept = self.axes if axes is None else axes
        return AxesArray(
            data,
            kept,
            {a: s for a, s in self.spacing.items() if a in kept},
            {a: u for a, u in self.units.items() if a in kept},
            self.slant if set(SPACE) <= set(kept) else 1.0,
        )

    def at(self, **index: int) -> AxesArray:
        """One position along some axes, which disappear: ``image.at(T=3, C=0)``. Stays lazy."""
        key = tuple(index.get(axis, slice(None)) for axis in self.axes)
        axes = "".join(axis for axis in self.axes if axis not in index)
        return self.with_data(_sliceable(self.data)[key], axes)

    def cropped(self, **window: slice) -> AxesArray:
        """A window along some axes: ``image.cropped(Y=slice(0, 64))``. Stays lazy."""
        key = tuple(window.get(axis, slice(None)) for axis in self.axes)
        return self.with_data(_sliceable(self.data)[key])

    def moved_to(self, axes: str) -> AxesArray:
        """The axes in the given order; axes it lacks are added with length 1.

        Raises
        ------
        InputError
            If an axis longer than 1 would be lost.
        """
        kept = self.axes
        if kept == axes:
            return self
        array = _sliceable(self.data)
        for axis in self.axes:
            if axis not in axes:
                if self.sizes[axis] != 1:
                    raise InputError(
                        f"axis {axis} has {self.sizes[axis]} positions and does not fit into "
                        f"axes {axes!r}; choose one position of it"
                    )
                array = array[tuple(0 if a == axis else slice(None) for a in kept)]
                kept = kept.replace(axis, "")
        missing = "".join(axis for axis in axes if axis not in kept)
        array = array[(None,) * len(missing) + (...,)] if missing else array
        kept = missing + kept
        order = tuple(kept.index(axis) for axis in axes)
        if order != tuple(range(len(order))):
            array = array.transpose(order)
        return self.with_data(array, axes)

    def positions(self, axes: str) -> Iterator[dict[str, int]]:
        """Every position along the given axes, the last fastest: ``{"T": 0, "Z": 0}``, ..."""
        for index in product(*(range(self.sizes[axis]) for axis in axes)):
            yield dict(zip(axes, index, strict=True))


def _sliceable(data: ArrayLike) -> Any:
    """What may be sliced, transposed and given new axes without being read."""
    return data if hasattr(data, "transpose") else View.of(data)


def check_axes(axes: str, shape: tuple[int, ...]) -> None:
    """Refuse axes that do not fit a shape."""
    if len(axes) != len(shape):
        raise InputError(
            f"axes {axes!r} name {len(axes)} dimensions, but the array has {len(shape)}; "
            "set the axes, one letter a dimension"
        )
    if len(set(axes)) != len(axes) or not all("A" <= axis <= "Z" for axis in axes):
        raise InputError(
            f"axes {axes!r} must be different capital letters (T time, C channel, Z Y X space)"
        )


def check_dtype(dtype: Any) -> None:
    """Refuse values that are not bool or real numbers of up to 64 bits."""
    try:
        known = np.dtype(dtype)
    except TypeError:
        raise InputError(
            f"the image holds {dtype} values, which numpy does not know; give a numpy array "
            "(of a tensor: tensor.cpu().numpy())"
        ) from None
    if known.kind not in "biuf":
        raise InputError(
            f"the image holds {known} values, but real numbers are needed; "
            "convert it (for complex values: take the magnitude) and try again"
        )
    if known.itemsize > 8:
        raise InputError(
            f"the image holds {known} values, but numbers of at most 64 bits are needed; "
            'convert it with .astype("float64") and try again'
        )


def guessed_axes(shape: tuple[int, ...], *, rgb: bool = False) -> str:
    """The usual axes of an array of this shape: ``YX``, ``ZYX``, ``TZYX``; ``C`` last for RGB.

    Raises
    ------
    InputError
        If the shape has fewer than two spatial dimensions or more than can be guessed.
    """
    space = len(shape) - (1 if rgb else 0)
    if space < 2:
        raise InputError(
            f"an image needs at least two dimensions, got an array of shape {tuple(shape)}"
        )
    if space > 4:
        raise InputError(
            f"axes of an array of shape {tuple(shape)} cannot be guessed; "
            'give them, for example axes="TCZYX"'
        )
    return {2: "YX", 3: "ZYX", 4: "TZYX"}[space] + ("C" if rgb else "")


def looks_rgb(shape: tuple[int, ...]) -> bool:
    """Whether the last axis of an array that says nothing of its axes is taken as colours.

    It is if it has 3 (or, with transparency, 4) positions, and rows and columns are longer.
    """
    return len(shape) >= 3 and shape[-1] in (3, 4) and min(shape[-3:-1]) > 4
