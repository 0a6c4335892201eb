"""The boxes of a file that images are segmented in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.axes import CHANNEL, AxesArray
from napari_medai.core.boxes import Boxes
from napari_medai.core.errors import InputError
from napari_medai.io.box_coco import read_boxes_coco
from napari_medai.io.box_csv import read_boxes_csv
from napari_medai.io.box_plane import BoxFile, BoxPlane
from napari_medai.io.image_index import ImageIndex
from napari_medai.scripting.inside import within
from napari_medai.tasks.inside_boxes import PlacedBoxes


@dataclass(frozen=True, slots=True, eq=False)
class BoxesInFile:
    """What a file says of boxes in images; ``single`` says that each holds one object."""

    path: Path
    file: BoxFile
    single: bool

    @classmethod
    def read(cls, path: Path, *, single: bool) -> BoxesInFile:
        """From COCO JSON, or a table (any other ending)."""
        coco = path.suffix.lower() == ".json"
        return cls(path, read_boxes_coco(path) if coco else read_boxes_csv(path), single)

    @property
    def record(self) -> Mapping[str, Any]:
        """What must be the same for a result to be the one that is asked for."""
        digest = hashlib.sha256(self.path.read_bytes()).hexdigest()
        return {"sha256": digest, "single": self.single}

    def check(self, sources: Sequence[Path]) -> None:
        """Refuse a file that does not say whose its boxes are, where there are several images."""
        if self.file.unnamed and len(sources) > 1:
            raise InputError(
                f"{self.path} has no column image and there are {len(sources)} images; give that "
                "image alone"
            )

    def placed(self, source: Path, image: AxesArray) -> PlacedBoxes:
        """The boxes of an image.

        Raises
        ------
        InputError
            If there are none, or they do not say in which of its planes they are.
        """
        index = ImageIndex([source])
        planes = [
            plane
            for plane in self.file.planes
            if len(plane.boxes) and (self.file.unnamed or index.find(plane.image) is not None)
        ]
        if not planes:
            raise InputError(f"{self.path} has no boxes in {source.name}; leave that image out")
        space = "YX" if planes[0].boxes.ndim == 2 else "ZYX"
        if not set(space) <= set(image.axes):
            raise InputError(
                f"the boxes of {source.name} are those of volumes, but it has the axes "
                f"{image.axes}; give boxes of planes"
            )
        lead = "".join(axis for axis in image.axes if axis not in space and axis != CHANNEL)
        places = [_place(plane, lead, image) for plane in planes for _ in plane.boxes.kinds]
        boxes = Boxes.of(
            np.concatenate([plane.boxes.corners for plane in planes]),
            np.concatenate([plane.boxes.kinds for plane in planes]),
            np.concatenate([plane.boxes.scores for plane in planes]),
        )
        where = np.array(places, dtype=np.int64).reshape(len(boxes), len(lead))
        return within(PlacedBoxes(boxes, where, lead, space), dict(image.sizes))


def _place(plane: BoxPlane, lead: str, image: AxesArray) -> list[int]:
    for axis in lead:
        if axis not in plane.position and image.sizes[axis] > 1:
            raise InputError(
                f"the boxes of {plane.image} do not say where along {axis} they are, and there are "
                f"{image.sizes[axis]} positions; give boxes of its planes"
            )
    return [plane.position.get(axis, 0) for axis in lead]
