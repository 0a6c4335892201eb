"""The boxes of a Shapes layer, in the pixels of an image layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_medai.io.drawn_boxes import DrawnBoxes, drawn_boxes
from napari_medai.scripting.inside import within
from napari_medai.ui.region import in_layer

if TYPE_CHECKING:
    from napari.layers import Image, Shapes

    from napari_medai.core.axes import AxesArray
    from napari_medai.tasks.inside_boxes import PlacedBoxes


def boxes_of_layer(shapes: Shapes, image: Image, axes: str) -> PlacedBoxes:
    """The boxes around the shapes of a layer, with the class and score of its features.

    ``axes`` are the image's. Rectangles with one ``index`` and the same edges on adjacent slices
    are one box of a volume; a layer of fewer dimensions than the image stands for all positions
    along the others. What lies outside of the image is left out, and so are lines.

    Raises
    ------
    InputError
        If nothing lies within the image, or a shape runs through several planes.
    """
    axes = axes[: image.ndim]
    sizes = dict(zip(axes, _shape(image), strict=False))
    return within(_drawn(shapes, outlines_on(shapes, image), axes, sizes), sizes)


def boxes_on_array(shapes: Shapes, image: AxesArray) -> PlacedBoxes:
    """As `boxes_of_layer`, of shapes that were drawn in the pixels of an array."""
    sizes = dict(image.sizes)
    return within(_drawn(shapes, *padded_outlines(shapes, image), sizes), sizes)


def outlines_on(shapes: Shapes, image: Image) -> list[np.ndarray]:
    """The corners (k, axes) of each shape in the pixels of an image layer, whatever its units.

    Along axes that the shapes lack they are 0.
    """
    unit = np.vstack([np.zeros(shapes.ndim), np.eye(shapes.ndim)])
    world = [shapes.data_to_world(point) for point in unit]
    probes = in_layer(world, image, shapes.units)
    matrix, origin = probes[1:] - probes[0], probes[0]
    return [np.asarray(points) @ matrix + origin for points in shapes.data]


def padded_outlines(shapes: Shapes, image: AxesArray) -> tuple[list[np.ndarray], str]:
    """The corners of shapes drawn in the pixels of an array, along its axes but for channels."""
    axes = "".join(axis for axis in image.axes if axis != "C")
    lacking = max(0, len(axes) - shapes.ndim)
    outlines = [np.asarray(points, dtype=float)[:, -len(axes) :] for points in shapes.data]
    return [np.pad(points, ((0, 0), (lacking, 0))) for points in outlines], axes


def _drawn(
    shapes: Shapes, outlines: list[np.ndarray], axes: str, sizes: dict[str, int]
) -> DrawnBoxes:
    lacking = axes[: max(0, len(axes) - shapes.ndim)]
    return drawn_boxes(
        outlines,
        shapes.shape_type,
        shapes.features,
        axes=axes,
        everywhere={axis: sizes[axis] for axis in lacking},
    )


def _shape(image: Image) -> tuple[int, ...]:
    return tuple(int(n) for n in (image.data[0] if image.multiscale else image.data).shape)
