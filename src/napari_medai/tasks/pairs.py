"""Images with labels or boxes to train on, and what they must have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from napari_medai.core.axes import CHANNEL, SPACE, AxesArray
from napari_medai.core.boxes import Boxes
from napari_medai.core.errors import InputError

if TYPE_CHECKING:
    from napari_medai.models.spec import ModelSpec

Example = TypeVar("Example")

FEWEST = 2
"""Pairs below which there is nothing to hold out."""
NAMELESS = "object"
"""The class of boxes that have none."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """An image and its labels (0 background): a number an object, or a class.

    ``name`` is for messages.

    ``weight`` is how often it is drawn, relative to others; None: as the task thinks best.
    Pairs of one ``source`` (frames of a movie, say) are trained on or held out together;
    ``synthetic`` ones are never held out.
    """

    image: AxesArray
    labels: np.ndarray
    name: str = "pair"
    weight: float | None = None
    source: str = ""
    synthetic: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class BoxPair:
    """An image and the boxes of its objects, in its spatial axes; the rest as in `Pair`."""

    image: AxesArray
    boxes: Boxes
    name: str = "image"
    weight: float | None = None
    source: str = ""


def named(boxes: Boxes) -> Boxes:
    """The same boxes, those without a class of the class `NAMELESS`."""
    kinds = [str(kind) or NAMELESS for kind in boxes.kinds]
    return Boxes.of(boxes.corners, kinds, boxes.scores, ndim=boxes.ndim)


def check_pairs(pairs: Sequence[Pair]) -> None:
    """Refuse pairs that cannot be learned from."""
    if len(pairs) < FEWEST:
        raise InputError(
            f"training needs at least {FEWEST} images with labels, got {len(pairs)}; add more"
        )
    for pair in pairs:
        shape = tuple(n for axis, n in pair.image.sizes.items() if axis != CHANNEL)
        if pair.labels.shape != shape:
            raise InputError(
                f"the labels of {pair.name} have shape {pair.labels.shape}, but its image has "
                f"{shape}; give labels of the same size"
            )
        if pair.labels.dtype.kind not in "biu" or int(pair.labels.min(initial=0)) < 0:
            raise InputError(
                f"the labels of {pair.name} must be whole numbers from 0, got {pair.labels.dtype} "
                "values; 0 is background, each object has a number"
            )
    if not any(pair.labels.any() for pair in pairs):
        raise InputError("none of the labels holds an object; draw some first")


def common_axes(pairs: Sequence[Pair]) -> tuple[str, int]:
    """The spatial axes and the number of channels that the pairs share."""
    check_pairs(pairs)
    return common_images(pairs)


def common_images(pairs: Sequence[Pair] | Sequence[BoxPair]) -> tuple[str, int]:
    """The spatial axes and the number of channels that the images share."""
    spaces = {pair.image.space for pair in pairs}
    others = "".join(sorted({axis for pair in pairs for axis in pair.image.series}))
    if others:
        raise InputError(
            f"training images may have channels and the axes Z, Y, X only, got {others} as well; "
            "give one frame at a time"
        )
    if len(spaces) != 1:
        raise InputError(
            f"training images must all be 2D or all be 3D, got axes {sorted(spaces)}; "
            "train a model for each"
        )
    channels = {pair.image.sizes.get(CHANNEL, 1) for pair in pairs}
    if len(channels - {1}) > 1:
        raise InputError(
            f"training images must have the same number of channels (or one), got "
            f"{sorted(channels)}; choose the channel that shows the objects"
        )
    return spaces.pop(), max(channels)


def each(
    pairs: Sequence[Pair],
    spec: ModelSpec,
    made: Callable[[Pair, np.ndarray, np.ndarray], Example],
) -> list[Example]:
    """What is made of each pair, its image (channels, \\*space) and its labels (\\*space).

    Both come in the axes of a model; errors name the pair.
    """
    order = CHANNEL + "".join(axis for axis in SPACE if axis in spec.axes)
    found = []
    for pair in pairs:
        image = pixels_of(pair, spec)
        space = pair.image.axes.replace(CHANNEL, "")
        labels = pair.labels.transpose([space.index(axis) for axis in order[1:]])
        try:
            found.append(made(pair, image, labels))
        except InputError as error:
            raise InputError(f"{pair.name}: {error}") from None
    return found


def pixels_of(pair: Pair | BoxPair, spec: ModelSpec) -> np.ndarray:
    """The image (channels, \\*space) of a pair in the axes of a model."""
    order = CHANNEL + "".join(axis for axis in SPACE if axis in spec.axes)
    image = np.asarray(pair.image.moved_to(order).data)
    if image.shape[0] not in {1, len(spec.channels_in)}:
        raise InputError(
            f"{pair.name} has {image.shape[0]} channels, but the model takes "
            f"{len(spec.channels_in)}; choose one channel"
        )
    return image
