"""Images and the masks that were drawn for them, from folders."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.axes import CHANNEL, AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.space import carried
from napari_medai.io.image_data import ImageData
from napari_medai.io.images import find_images, read_image
from napari_medai.io.tiff import image_name

MASK_ENDING = re.compile(r"[-_. ](cp_)?(masks?|labels?|segmentation|instances?)$", re.IGNORECASE)
IMAGE_ENDING = re.compile(r"[-_. ](img|image|raw)$", re.IGNORECASE)
MODALITY = re.compile(r"_\d{4}$")
"""How nnU-Net ends the names of images, one a modality of a case, but not those of masks."""
SHOWN = 3


def find_pairs(images: Path, masks: Path) -> list[tuple[Path, Path]]:
    """The images of a folder, each with its mask, which has the same name.

    The mask's name may end with ``_mask``, ``_masks``, ``_label``, ``_labels``, ``_cp_masks`` and
    the like, the image's with ``_img``, or with ``_0000`` as in data sets of nnU-Net. Both folders
    may be the same; masks without an image are left out.

    Raises
    ------
    InputError
        If a folder holds no images, an image has no mask, more than one fits, or there are
        several modalities.
    """
    for folder in (images, masks):
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder; give the folder of images or of masks")
    pictures, drawn = _in_folder(images), _in_folder(masks)
    if images.resolve() == masks.resolve():
        drawn = [path for path in drawn if MASK_ENDING.search(image_name(path))]
        pictures = [path for path in pictures if path not in drawn]
        if not drawn:
            raise InputError(
                f"{masks} holds no masks beside its images; name them as the images, ending with "
                "_mask, or give their own folder"
            )
    by_name = _named(drawn, MASK_ENDING)
    pairs, alone = [], []
    for name, found in _cases(_named(pictures, IMAGE_ENDING), by_name, images).items():
        fitting = by_name.get(name, [])
        if len(found) > 1 or len(fitting) > 1:
            which = fitting if len(fitting) > 1 else found
            raise InputError(
                f"{', '.join(path.name for path in which)} all belong to {name!r}; "
                "keep one image and one mask of each name"
            )
        if fitting:
            pairs.append((found[0], fitting[0]))
        else:
            alone.append(found[0].name)
    if alone:
        raise InputError(
            f"{len(alone)} of {len(pairs) + len(alone)} images have no mask in {masks} "
            f"({_some(alone)}); add masks of the same names, or move these images away"
        )
    return pairs


def read_pair(
    image_path: Path, mask_path: Path, *, classes: bool = False
) -> tuple[AxesArray, np.ndarray, str]:
    """An image, its labels (its axes without ``C``) and its name.

    The mask holds a whole number an object or a class, 0 background. Where objects are wanted,
    one with a single other value (0 and 1, 0 and 255) says only where they are: each connected
    part of it becomes an object. Masks of volumes are laid onto the image's voxels.

    Raises
    ------
    InputError
        If a file cannot be read, or the mask does not fit the image or holds other numbers.
    """
    images = read_image(image_path)
    # An OME-Zarr image may bring labels of its own.
    found = _only([one for one in images if not one.labels] or images, image_path)
    image, mask = found.image, _only(read_image(mask_path), mask_path)
    labels = _labels(mask, mask_path, classes=classes)
    if found.grid is not None and mask.grid is not None and labels.ndim == 3:
        try:
            labels = carried(labels, mask.grid, found.grid, [image.sizes[a] for a in "ZYX"])
        except InputError as error:
            raise InputError(f"the mask {mask_path.name}: {error}") from None
    shape = tuple(n for axis, n in image.sizes.items() if axis != CHANNEL)
    if labels.shape != shape:
        raise InputError(
            f"the mask {mask_path.name} is {_size(labels.shape)}, but its image "
            f"{image_path.name} is {_size(shape)}; give a mask of the same size"
        )
    return image, labels, image_name(image_path)


def _in_folder(folder: Path) -> list[Path]:
    # Cellpose leaves these beside its masks: pickles, not images.
    return [path for path in find_images(folder) if not path.name.endswith("_seg.npy")]


def _named(paths: Iterable[Path], ending: re.Pattern[str]) -> dict[str, list[Path]]:
    found = defaultdict(list)
    for path in paths:
        found[ending.sub("", image_name(path))].append(path)
    return found


def _cases(
    pictures: Mapping[str, list[Path]], masks: Mapping[str, list[Path]], folder: Path
) -> dict[str, list[Path]]:
    """Images by the names of their masks, which lack the number of a modality."""
    found: dict[str, list[Path]] = defaultdict(list)
    modalities: dict[str, list[Path]] = defaultdict(list)
    for name, paths in pictures.items():
        case = MODALITY.sub("", name)
        if name in masks or case not in masks:
            case = name
        elif case != name:
            modalities[name.removeprefix(case)] += paths
        found[case] += paths
    if len(modalities) > 1:
        first = [paths[0].name for paths in modalities.values()]
        raise InputError(
            f"{folder} holds {len(modalities)} modalities, by the ends of their names "
            f"({_some(first)}); keep the images of one, or save those of each case as one file "
            "with channels"
        )
    return found


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _only(images: list[ImageData], path: Path) -> ImageData:
    if len(images) != 1:
        raise InputError(
            f"{path} holds {len(images)} images; save each as a file of its own to train on them"
        )
    return images[0]


def _labels(mask: ImageData, path: Path, *, classes: bool) -> np.ndarray:
    from skimage.measure import label

    values = np.asarray(_without_colours(mask, path).levels[0])
    whole = values.dtype.kind in "biu" or (
        values.dtype.kind == "f" and bool(np.isfinite(values).all() and (values % 1 == 0).all())
    )
    if not whole or (values.size and (values.min() < 0 or values.max() > np.iinfo(np.int32).max)):
        raise InputError(
            f"the mask {path.name} must hold whole numbers from 0, got {values.dtype} values; "
            "0 is background, each object has a number"
        )
    labels = values.astype(np.int32)
    top = labels.max(initial=0)
    if not classes and top in (1, 255) and bool(np.isin(labels, (0, top)).all()):
        connected: Any = label
        return np.asarray(connected(labels, connectivity=1)).astype(np.int32)
    return labels


def _without_colours(mask: ImageData, path: Path) -> ImageData:
    """A gray mask that was saved in colour has the same values in every channel."""
    if CHANNEL not in mask.axes:
        return mask
    values = np.moveaxis(np.asarray(mask.levels[0]), mask.axes.index(CHANNEL), 0)
    if not all(np.array_equal(channel, values[0]) for channel in values):
        raise InputError(
            f"the mask {path.name} has colours; save it with one channel, one number an object"
        )
    return replace(mask, levels=(values[0],), axes=mask.axes.replace(CHANNEL, ""), rgb=False)
