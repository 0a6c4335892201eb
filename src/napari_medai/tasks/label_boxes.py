"""Labels to boxes: the boxes around the objects of a label image."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from napari_medai.core.axes import SPACE, AxesArray
from napari_medai.core.boxes import Boxes, label_boxes
from napari_medai.tasks.detection import Candidates, Detection, Grid
from napari_medai.tasks.train_classes import COLOURS

TASK = "labels to boxes"


def boxes_of_labels(labels: AxesArray, names: Mapping[int, str]) -> Detection:
    """The boxes around labels, of every plane, or volume where there is Z.

    ``names`` are the classes of labels, nothing where there is none. ``index`` in the features is
    the label; nobody said how sure a box is.

    Raises
    ------
    InputError
        If the labels are not whole numbers.
    """
    space = "".join(axis for axis in SPACE if axis in labels.axes)
    lead = "".join(axis for axis in labels.axes if axis not in space)
    corners, numbers, places = [np.zeros((0, 2, len(space)))], [], []
    for position in labels.positions(lead):
        boxes, own = label_boxes(np.asarray(labels.at(**position).moved_to(space).data))
        corners.append(boxes.corners)
        numbers += own.tolist()
        places += [list(position.values())] * len(own)
    kinds = [names.get(number, "") for number in numbers]
    found = Boxes.of(np.concatenate(corners), kinds, ndim=len(space))
    where = np.array(places, dtype=np.int64).reshape(len(found), len(lead))
    grid = Grid.of(labels, lead=lead, space=space)
    classes = dict(zip(dict.fromkeys(sorted(set(kinds))), _colours(len(set(kinds))), strict=True))
    return Detection(
        boxes=found,
        places=where,
        features=grid.features(found, where) | {"index": np.array(numbers, dtype=np.int64)},
        record={"task": TASK, "image": {"axes": labels.axes, "shape": list(labels.shape)}},
        candidates=Candidates(found, where, None, grid),
        classes=classes,
        wanted=tuple(classes),
        which=np.arange(len(found)),
    )


def _colours(count: int) -> list[str]:
    return [COLOURS[at % len(COLOURS)] for at in range(count)]
