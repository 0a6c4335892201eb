"""What a run of synthesis is given beside its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_medai.core.axes import SPACE, AxesArray
from napari_medai.core.errors import InputError
from napari_medai.ui.layers import Place, array_from_layer, place_of, placed_record

if TYPE_CHECKING:
    from napari.layers import Image, Labels, Layer


@dataclass(frozen=True, slots=True, eq=False)
class Sized:
    """A shape, and the size of its pixels by axis; nothing where they are just pixels."""

    shape: tuple[int, ...]
    scale: Mapping[str, float] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, layer: Layer, ndim: int) -> Sized:
        """As a layer is, along the last two or three axes of space.

        Raises
        ------
        InputError
            If it has other axes.
        """
        image = array_from_layer(layer)
        axes = SPACE[-ndim:]
        if missing := [axis for axis in axes if axis not in image.axes]:
            raise InputError(
                f"layer {layer.name!r} has no axis {missing[0]}; choose another layer, or give the "
                "edges"
            )
        return cls(
            tuple(image.sizes[axis] for axis in axes),
            {axis: image.step(axis) for axis in axes},
            {axis: image.units[axis] for axis in axes if axis in image.units},
        )


@dataclass(frozen=True, slots=True, eq=False)
class Painted:
    """The labels of a layer, and where it lies."""

    layer: Labels
    labels: AxesArray
    place: Place

    @classmethod
    def of(cls, layer: Labels) -> Painted:
        return cls(layer, array_from_layer(layer), place_of(layer))


@dataclass(frozen=True, slots=True, eq=False)
class Styled:
    """The image whose look is followed, and the name of its layer."""

    image: AxesArray
    name: str

    @classmethod
    def of(cls, layer: Image) -> Styled:
        return cls(array_from_layer(layer), layer.name)


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """A size or labels, and maybe a style."""

    on: Sized | Painted
    style: Styled | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.on.shape if isinstance(self.on, Sized) else self.on.labels.shape

    @property
    def labels(self) -> AxesArray | None:
        return self.on.labels if isinstance(self.on, Painted) else None

    @property
    def place(self) -> Place | None:
        return self.on.place if isinstance(self.on, Painted) else None

    @property
    def style_name(self) -> str:
        return "" if self.style is None else self.style.name

    def arguments(
        self, shape: tuple[int, ...] | None = None, labels: AxesArray | None = None
    ) -> dict[str, Any]:
        """The keyword arguments of a script; of another shape or other labels, if they are said."""
        style = None if self.style is None else self.style.image
        if isinstance(self.on, Painted):
            return {"shape": None, "labels": labels or self.labels, "style": style}
        size = {"scale": self.on.scale or None, "units": self.on.units or None}
        return {"shape": shape or self.shape, "style": style, **size}

    def record(self, model: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """How what is made of it would be told."""
        words = {"labels": self.labels, "style": self.style}
        told = {
            "task": "synthesize",
            "model": model,
            "parameters": {"shape": list(self.shape), **parameters},
            "given": [word for word, value in words.items() if value is not None],
            "source": {"style": self.style_name} if self.style is not None else {},
        }
        if isinstance(self.on, Painted):
            return placed_record(told, self.on.place)
        return told | {"image": {"spacing": dict(self.on.scale), "units": dict(self.on.units)}}
