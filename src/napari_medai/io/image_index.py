"""The images of a folder, found by the names that other files give them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from napari_medai.core.errors import InputError
from napari_medai.io.images import PICTURE_SUFFIXES, find_images, read_image
from napari_medai.io.tiff import image_name
from napari_medai.io.volumes import suffix_of


def _lists() -> dict[str, list[Path]]:
    return defaultdict(list)


@dataclass(frozen=True, slots=True, eq=False)
class ImageIndex:
    """Images by their file names and, where these are not known, by their stems."""

    paths: Sequence[Path]
    _by_name: dict[str, list[Path]] = field(init=False, default_factory=_lists)
    _by_stem: dict[str, list[Path]] = field(init=False, default_factory=_lists)
    _sizes: dict[Path, dict[str, int]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for path in self.paths:
            self._by_name[path.name].append(path)
            for stem in {path.stem, image_name(path)}:
                self._by_stem[stem].append(path)

    @classmethod
    def of(cls, images: str | Path) -> ImageIndex:
        """Those of a folder, or a file alone; `InputError` where there are none."""
        return cls(find_images(images))

    def find(self, name: str) -> Path | None:
        """The image of that name or stem; folders before it are passed over.

        Raises
        ------
        InputError
            If more than one fits.
        """
        last = re.split(r"[\\/]", name)[-1]
        stem = image_name(Path(last)) if last not in ("", ".", "..") else last
        for known in (
            self._by_name.get(last),
            self._by_stem.get(last),
            self._by_stem.get(stem),
        ):
            if known is not None and len(known) > 1:
                raise InputError(
                    f"{', '.join(path.name for path in known[:3])} could all be the image {name!r};"
                    " keep one image of each name"
                )
            if known:
                return known[0]
        return None

    def sizes(self, path: Path) -> dict[str, int]:
        """The length of each axis of an image; of pictures, only the header is read.

        Raises
        ------
        InputError
            If it cannot be read, or the file holds several images.
        """
        if path not in self._sizes:
            self._sizes[path] = _header_sizes(path) or _read_sizes(path)
        return self._sizes[path]


def _header_sizes(path: Path) -> dict[str, int]:
    """Empty where the header does not say, or there is something wrong with it."""
    from PIL import Image

    if suffix_of(path) not in PICTURE_SUFFIXES:
        return {}
    try:
        with Image.open(path) as picture:
            return {"Y": picture.height, "X": picture.width}
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return {}


def _read_sizes(path: Path) -> dict[str, int]:
    found = read_image(path)
    images = [image for image in found if not image.labels] or found
    if len(images) != 1:
        raise InputError(f"{path} holds {len(images)} images; save each as a file of its own")
    return images[0].image.sizes
