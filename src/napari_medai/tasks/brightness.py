"""Which values are dark and bright in what is worked through together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from napari_medai.core.axes import ArrayLike, AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.intensity import Range
from napari_medai.tasks.suitable import image_range

if TYPE_CHECKING:
    from napari_medai.models.model import Model
    from napari_medai.tasks.assembly import Layout


def stack_range(
    layout: Layout, position: Mapping[str, int], model: Model, plane: AxesArray | None = None
) -> tuple[Range, tuple[str, ...]]:
    """The intensity range of a stack; a frame of a series may be without any value.

    ``plane`` is the stack where it has been read already, and is no more than that.
    """
    read = None if plane is None or layout.linked else plane.data
    try:
        return image_range(_stack_of(layout, position) if read is None else read, model), ()
    except InputError:
        if layout.count == 1 or not layout.series:
            raise
        where = ", ".join(f"{a.lower()} {position[a]}" for a in layout.series)
        return Range(0, 0), (f"{where} holds no finite value and was left empty",)


def _stack_of(layout: Layout, position: Mapping[str, int]) -> ArrayLike:
    """What shares one intensity range with a plane: all its slices, or itself."""
    return layout.image.at(**{a: at for a, at in position.items() if a in layout.series}).data
