"""Noisy images and the clean ones of the same scenes, from folders."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from napari_medai.core.axes import AxesArray
from napari_medai.core.errors import InputError
from napari_medai.io.images import find_images, read_image
from napari_medai.io.tiff import image_name

NOISY_ENDING = re.compile(r"[-_. ](noisy|low|raw|img|image|input)$", re.IGNORECASE)
CLEAN_ENDING = re.compile(r"[-_. ](clean|high|gt|ground[-_ ]?truth|target)$", re.IGNORECASE)
SHOWN = 3


def find_noisy_pairs(noisy: Path, clean: Path) -> list[tuple[Path, Path]]:
    """The noisy images of a folder, each with its clean one, which has the same name.

    The noisy one's name may end with ``_noisy``, ``_low``, ``_raw`` and the like, the clean one's
    with ``_clean``, ``_high``, ``_gt`` or ``_target``. Both folders may be the same; clean images
    without a noisy one are left out.

    Raises
    ------
    InputError
        If a folder holds no images, an image has no clean one, or more than one fits.
    """
    for folder in (noisy, clean):
        if not folder.is_dir():
            raise InputError(
                f"{folder} is not a folder; give the folder of the noisy or of the clean images"
            )
    taken, wanted = find_images(noisy), find_images(clean)
    if noisy.resolve() == clean.resolve():
        wanted = [path for path in wanted if CLEAN_ENDING.search(image_name(path))]
        taken = [path for path in taken if path not in wanted]
        if not wanted:
            raise InputError(
                f"{clean} holds no clean images beside the noisy ones; name them as these, ending "
                "with _clean, or give their own folder"
            )
    by_name, pairs, alone = _named(wanted, CLEAN_ENDING), [], []
    for name, found in _named(taken, NOISY_ENDING).items():
        fitting = by_name.get(name, [])
        if len(found) > 1 or len(fitting) > 1:
            which = fitting if len(fitting) > 1 else found
            raise InputError(
                f"{', '.join(path.name for path in which)} all belong to {name!r}; "
                "keep one noisy and one clean image of each name"
            )
        if fitting:
            pairs.append((found[0], fitting[0]))
        else:
            alone.append(found[0].name)
    if alone:
        some = ", ".join(alone[:SHOWN]) + (", ..." if len(alone) > SHOWN else "")
        raise InputError(
            f"{len(alone)} of {len(pairs) + len(alone)} noisy images have no clean one in {clean} "
            f"({some}); add some of the same names, or move these images away"
        )
    return pairs


def pixels_of_file(path: Path) -> AxesArray:
    """The first image of a file that is not labels, with all its axes; large ones are lazy."""
    found = read_image(path)
    return next((image for image in found if not image.labels), found[0]).image


def _named(paths: Iterable[Path], ending: re.Pattern[str]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        found[ending.sub("", image_name(path))].append(path)
    return found
