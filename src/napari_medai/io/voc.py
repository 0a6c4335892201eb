"""Boxes as Pascal VOC XML files, one an image."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from napari_medai.core.boxes import Boxes
from napari_medai.core.errors import InputError
from napari_medai.io.box_notes import counted
from napari_medai.io.box_plane import BoxFile, BoxPlane, class_name, corners_of_edges, place
from napari_medai.io.image_index import ImageIndex

LARGEST_XML = 1 << 24
"""Bytes up to which a file is read."""
_EDGES = ("xmin", "ymin", "xmax", "ymax")


def read_voc(annotations: str | Path, images: ImageIndex) -> BoxFile:
    """The boxes in a folder of Pascal VOC files, or in one.

    A file belongs to the image of its own name, else to that which it names. Corners count from
    the corner of the first pixel, as nearly all programs write them, not from 1 as in the first
    challenges. Objects marked as difficult are kept, and noted.

    Raises
    ------
    InputError
        If a file cannot be read or an object does not fit; the text names its number.
    """
    annotations = Path(annotations)
    files = xml_files(annotations) if annotations.is_dir() else [annotations]
    planes, difficult = [], 0
    for path in files:
        plane, marked = _plane(path, images)
        planes.append(plane)
        difficult += marked
    notes = (f"used {counted(difficult, 'object')} marked as difficult like the others",)
    return BoxFile(tuple(planes), notes if difficult else ())


def xml_files(folder: Path) -> list[Path]:
    """The XML files of a folder but for hidden ones."""
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() == ".xml" and path.name[0] != "."
    )


def _plane(path: Path, images: ImageIndex) -> tuple[BoxPlane, int]:
    """The boxes of a file, and how many are marked as difficult."""
    root = _root(path)
    edges, kinds, rows, difficult = [], [], [], 0
    for number, one in enumerate(root.iterfind("object"), start=1):
        try:
            kind = class_name((one.findtext("name") or "").strip())
            if not kind:
                raise InputError("it has no name")
            edges.append([place(one.findtext(f"bndbox/{edge}")) for edge in _EDGES])
        except InputError as error:
            raise InputError(f"object {number} of {path}: {error}; correct or remove it") from error
        kinds.append(kind)
        rows.append(f"object {number}")
        difficult += (one.findtext("difficult") or "").strip() == "1"
    named = (root.findtext("filename") or "").strip()
    name = path.stem if images.find(path.stem) is not None or not named else named
    boxes = Boxes.of(corners_of_edges(edges), kinds)
    return BoxPlane(name, boxes, size=_size(root), source=path, rows=rows), difficult


def _size(root: ElementTree.Element) -> tuple[int, int] | None:
    """Height and width, None where they are missing or 0."""
    try:
        height, width = (int(place(root.findtext(f"size/{side}"))) for side in ("height", "width"))
    except InputError:
        return None
    return (height, width) if height > 0 and width > 0 else None


class _Builder(ElementTree.TreeBuilder):
    """Refuses a document type, and with it entities, which can grow without bounds."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise InputError("it declares a document type, which Pascal VOC does not have")


def _root(path: Path) -> ElementTree.Element:
    try:
        size = path.stat().st_size
        if size > LARGEST_XML:
            raise InputError(
                f"it has {size / 2**20:.0f} MB, and such files are read up to {LARGEST_XML >> 20}"
            )
        parser = ElementTree.XMLParser(target=_Builder())
        root = ElementTree.fromstring(path.read_bytes(), parser=parser)
    except (OSError, ElementTree.ParseError, ValueError, LookupError) as error:
        raise InputError(f"{path} cannot be read as XML ({error}); export it again") from error
    if root.tag != "annotation":
        raise InputError(
            f"{path} is not Pascal VOC; its outermost element must be annotation, got {root.tag}"
        )
    return root
