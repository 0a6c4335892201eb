"""``napari-medai info``: what a file holds, as it will be understood."""

from __future__ import annotations

import argparse
import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from napari_medai.io.box_coco import read_boxes_coco
from napari_medai.io.box_csv import read_boxes_csv
from napari_medai.io.image_data import ImageData
from napari_medai.io.images import find_images, read_image

RDF = "rdf.yaml"
BOX_FILES = {".json": read_boxes_coco, ".csv": read_boxes_csv}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="images, folders, packages, boxes"
    )


def run(parsed: argparse.Namespace) -> int:
    for path in parsed.files:
        if path.name == RDF or (path / RDF).exists() or zipfile.is_zipfile(path):
            print(_package(path), flush=True)
            continue
        if path.is_file() and path.suffix.lower() in BOX_FILES:
            print(_boxes(path), flush=True)
            continue
        for file in find_images(path):
            print(_images(file), flush=True)
    return 0


def _package(path: Path) -> str:
    from napari_medai.commands.models import described
    from napari_medai.models.package import read_model

    return described(read_model(path))


def _boxes(path: Path) -> str:
    """How many boxes of each class a file of annotations holds."""
    file = BOX_FILES[path.suffix.lower()](path)
    kinds = Counter(str(kind) or "no class" for plane in file.planes for kind in plane.boxes.kinds)
    empty = sum(not len(plane.boxes) for plane in file.planes)
    facts = {
        "images": f"{len({plane.image for plane in file.planes})}",
        "planes": f"{len(file.planes)}, {empty} without boxes",
        "boxes": str(kinds.total()),
        "classes": ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items())),
        "note": "; ".join(file.notes),
    }
    return _told(str(path), facts)


def _images(path: Path) -> str:
    images = read_image(path)
    texts = [
        described_image(image, f"{path}" + (f" ({number})" if len(images) > 1 else ""))
        for number, image in enumerate(images, 1)
    ]
    return "\n".join(texts)


def described_image(image: ImageData, title: str) -> str:
    """Axes, shape and all that is known of an image, a line each."""
    first = image.levels[0]
    steps = {
        axis: f"{step:g} {image.units.get(axis, 'pixel')}" for axis, step in image.spacing.items()
    }
    place = {
        axis: f"{start:g} {image.units.get(axis, 'pixel')}" for axis, start in image.origin.items()
    }
    facts = {
        "axes": image.axes + (" (RGB)" if image.rgb else ""),
        "shape": _size(first.shape),
        "dtype": str(first.dtype),
        "spacing": ", ".join(f"{axis} {step}" for axis, step in steps.items()) or "not known",
        "origin": ", ".join(f"{axis} {start}" for axis, start in place.items()),
        "channels": ", ".join(image.names),
        "levels": ", ".join(_size(level.shape) for level in image.levels[1:]),
        "holds": "labels" if image.labels else "",
        "note": "; ".join(image.notes),
    }
    return _told(title, facts)


def _told(title: str, facts: Mapping[str, str]) -> str:
    lines = [f"  {name + ':':<10}{value}" for name, value in facts.items() if value]
    return "\n".join([title, *lines])


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in shape)
