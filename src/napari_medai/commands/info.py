"""``napari-medai info``: what a file holds, as it will be understood."""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path

from napari_medai.io.image_data import ImageData
from napari_medai.io.images import find_images, read_image

RDF = "rdf.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="images, folders, packages"
    )


def run(parsed: argparse.Namespace) -> int:
    for path in parsed.files:
        if path.name == RDF or (path / RDF).exists() or zipfile.is_zipfile(path):
            print(_package(path), flush=True)
            continue
        for file in find_images(path):
            print(_images(file), flush=True)
    return 0


def _package(path: Path) -> str:
    from napari_medai.commands.models import described
    from napari_medai.models.package import read_model

    return described(read_model(path))


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
    lines = [f"  {name + ':':<10}{value}" for name, value in facts.items() if value]
    return "\n".join([title, *lines])


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in shape)
