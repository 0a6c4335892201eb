"""Images and the boxes that were drawn for them, whatever the files they are in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from napari_medai.core.axes import CHANNEL
from napari_medai.core.boxes import Boxes, usable_boxes
from napari_medai.core.errors import InputError
from napari_medai.io.box_coco import read_boxes_coco
from napari_medai.io.box_csv import read_boxes_csv
from napari_medai.io.box_notes import counted, counted_files, skipped_notes
from napari_medai.io.box_plane import BoxFile, BoxPlane
from napari_medai.io.image_index import ImageIndex
from napari_medai.io.voc import read_voc, xml_files
from napari_medai.io.yolo import label_files, looks_yolo, read_yolo

_HEAD = 4096
"""Bytes by which the format of a file is told."""


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedImage:
    """A plane or volume of an image file with its boxes, none where it holds no object.

    All boxes have an area within the image. ``position`` is the index along each axis of the file
    that the boxes lack, but for channels.
    """

    path: Path
    boxes: Boxes
    position: Mapping[str, int] = field(default_factory=dict)


def read_annotated(
    images: str | Path, annotations: str | Path, *, split: str | None = None
) -> tuple[list[AnnotatedImage], tuple[str, ...]]:
    """The images of a folder with their boxes, and notes, a sentence for each thing left out.

    ``annotations`` is a COCO JSON file, a table (`read_boxes_csv`), a folder of YOLO text files or
    one of Pascal VOC files; which, its content tells. Images are found by file name or stem. Boxes
    without an area or outside their image are skipped, those partly outside are cut at its edge.
    Images that are not named are left out; in YOLO, they are images without objects. ``split``
    is a part of a table with a column of that name.

    Raises
    ------
    InputError
        If a file cannot be read, names images that are not there or planes they do not have, or
        an entry does not fit; the text names the file and the row.
    """
    index, source = ImageIndex.of(images), Path(annotations)
    file = _read(source, index, split)
    planes = _alone(file, index) if file.unnamed else list(file.planes)
    paths = _paths(planes, index, source)
    notes = [*file.notes, *_odd_sizes(planes, paths, index)]
    annotated, skipped, cut = [], {}, 0
    for plane, path in zip(planes, paths, strict=True):
        used = usable_boxes(plane.boxes, _shape(plane, path, index))
        annotated.append(AnnotatedImage(path, used.boxes, dict(plane.position)))
        skipped[plane] = used
        cut += int(used.cut.sum())
    notes += skipped_notes(skipped)
    if cut:
        notes.append(f"cut {counted(cut, 'box')} at the edges of images, beyond which they reached")
    silent = _silent(index, paths, file)
    if silent and file.silent_is_empty:
        notes.append(
            f"took {counted_files(silent, 'image')} without a label file to have no objects"
        )
        annotated += [_empty(path, index, source) for path in silent]
    elif silent:
        notes.append(f"left out {counted_files(silent, 'image')} that {source.name} does not name")
    order = {path: at for at, path in enumerate(index.paths)}
    annotated.sort(key=lambda one: (order[one.path], *one.position.values()))
    return annotated, tuple(notes)


def _read(path: Path, index: ImageIndex, split: str | None) -> BoxFile:
    kind = _kind(path)
    if split is not None and kind != "csv":
        raise InputError(f"a split is a part of a table, but {path} is none; leave the split out")
    if kind == "coco":
        return read_boxes_coco(path)
    if kind == "csv":
        return read_boxes_csv(path, split=split)
    return read_yolo(path, index) if kind == "yolo" else read_voc(path, index)


def _kind(path: Path) -> str:
    """``coco``, ``csv``, ``yolo`` or ``voc``, by what a file or folder holds."""
    try:
        if path.is_dir():
            kinds = {"yolo": bool(label_files(path)), "voc": bool(xml_files(path))}
            if sum(kinds.values()) == 1:
                return max(kinds, key=lambda kind: kinds[kind])
            raise InputError(
                f"the folder {path} holds {'both' if all(kinds.values()) else 'neither'} .txt "
                "(YOLO) and .xml files (Pascal VOC); give a folder with one kind, or a file of "
                "COCO JSON or CSV"
            )
        with path.open("rb") as file:
            head = file.read(_HEAD).decode("utf-8-sig", errors="replace").lstrip()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error})") from error
    if head.startswith(("{", "[")) or path.suffix.lower() == ".json":
        return "coco"
    if head.startswith("<") or path.suffix.lower() == ".xml":
        return "voc"
    lone = path.suffix.lower() == ".txt" and not head
    return "yolo" if lone or looks_yolo(head.partition("\n")[0]) else "csv"


def _alone(file: BoxFile, index: ImageIndex) -> list[BoxPlane]:
    """The planes of a file that does not say whose they are: of its own name, or the only image."""
    planes = list(file.planes)
    if all(index.find(plane.image) is not None for plane in planes):
        return planes
    if len(index.paths) != 1:
        raise InputError(
            f"{planes[0].source} has no column image and there are {len(index.paths)} images; name "
            "it as its image, or give that image alone"
        )
    return [replace(plane, image=index.paths[0].name) for plane in planes]


def _paths(planes: Sequence[BoxPlane], index: ImageIndex, source: Path) -> list[Path]:
    """The file of each plane."""
    found = [(plane, index.find(plane.image)) for plane in planes]
    missing = list(dict.fromkeys(plane.image for plane, path in found if path is None))
    if missing:
        count = len({plane.image for plane in planes})
        raise InputError(
            f"{len(missing)} of {count} images that {source} names are missing "
            f"({', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''}); add them to the "
            "folder of images, or remove them from the annotations"
        )
    seen: dict[tuple[object, ...], BoxPlane] = {}
    for plane, path in found:
        key = (path, *sorted(plane.position.items()))
        if key in seen:
            raise InputError(
                f"{seen[key].image} and {plane.image} in {source} are the same image; "
                "keep one of them"
            )
        seen[key] = plane
    return [path for _, path in found if path is not None]


def _shape(plane: BoxPlane, path: Path, index: ImageIndex) -> list[int]:
    """The pixels of a plane or volume along the axes of its boxes.

    Raises
    ------
    InputError
        If the image has no such plane, or has more of them and the file does not say which.
    """
    sizes = {axis: n for axis, n in index.sizes(path).items() if axis != CHANNEL}
    for axis, at in plane.position.items():
        if at >= index.sizes(path).get(axis, 0):
            raise InputError(
                f"{plane.source} has boxes at {axis} {at} of {plane.image}, but {path.name} has "
                f"{index.sizes(path).get(axis, 'no')} positions along {axis}; give the image that "
                "they were drawn on"
            )
    space = "YX" if plane.boxes.ndim == 2 else "ZYX"
    rest = [axis for axis in sizes if axis not in plane.position and axis not in space]
    many = [f"{axis} {sizes[axis]}" for axis in rest if sizes[axis] > 1]
    if many or not set(space) <= set(sizes):
        raise InputError(
            f"{path.name} is a stack ({', '.join(many) or 'no ' + space}), but {plane.source} does "
            "not say for which of its planes its boxes are; add a column a axis, or give planes"
        )
    return [sizes[axis] for axis in space]


def _empty(path: Path, index: ImageIndex, source: Path) -> AnnotatedImage:
    plane = BoxPlane(path.name, Boxes.of([]), source=source)
    _shape(plane, path, index)
    return AnnotatedImage(path, plane.boxes)


def _odd_sizes(planes: Sequence[BoxPlane], paths: Sequence[Path], index: ImageIndex) -> list[str]:
    """A note on images that are not of the size that the file says."""
    odd = []
    for plane, path in zip(planes, paths, strict=True):
        sizes = index.sizes(path)
        known = tuple(sizes.get(axis) for axis in "ZYX"[-plane.boxes.ndim :])
        if plane.size is not None and plane.size != known:
            odd.append(path)
    odd = list(dict.fromkeys(odd))
    return (
        [f"found {counted_files(odd, 'image')} of another size than the annotations say"]
        if odd
        else []
    )


def _silent(index: ImageIndex, paths: Sequence[Path], file: BoxFile) -> list[Path]:
    """The images that a file does not name at all."""
    other = {index.find(name) for name in file.elsewhere}
    known = {*paths, *other}
    return [path for path in index.paths if path not in known]
