"""Writing images and labels as OME-Zarr, with pyramids, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.axes import CHANNEL, SPACE
from napari_medai.core.errors import InputError, RunError
from napari_medai.core.space import Grid
from napari_medai.io.atomic import replacing
from napari_medai.io.image_data import ImageData
from napari_medai.io.images import is_zarr
from napari_medai.io.ome_zarr.description import (
    described_channels,
    described_labels,
    described_scale,
)
from napari_medai.io.ome_zarr.host import Host, check_replaceable, found_host
from napari_medai.io.ome_zarr.metadata import LABELS
from napari_medai.io.ome_zarr.pyramid import chunk_shape, copy_level, halve_level, halvings
from napari_medai.io.ome_zarr.version import V05, Version
from napari_medai.io.tiff import image_name

FINEST = "0"
"""The array of the finest level."""

TO_IMAGE = "../../"
_MOST_AXES = 5


def write_zarr(
    path: str | Path,
    image: ImageData,
    *,
    labels: Sequence[ImageData] = (),
    overwrite: bool = False,
) -> Path:
    """Write an image, with labels of it if any, as OME-Zarr 0.5; returns where it is.

    A pyramid is made of the finest level, block by block: a lazy image is never held whole. Axes
    are written as T, C, Z, Y, X; bool becomes uint8; RGB, without transparency, becomes three
    channels that `read_zarr` knows again.

    Labels alone are an OME-Zarr of their own, unless ``path`` is an OME-Zarr image (0.4 or 0.5)
    or lies in its ``labels``: then they are added to that image by their name, in its version, and
    nothing else of it changes.

    Raises
    ------
    InputError
        If OME-Zarr cannot hold it, ``path`` (or the labels' name in it) exists and ``overwrite``
        is false, or what is there holds more than one image, or labels that are not given.
    RunError
        If writing fails; nothing is left behind then.
    """
    path = Path(path)
    whole, *parts = (_prepared(one, image_name(path)) for one in (image, *labels))
    named = {_group_name(part): part for part in parts}
    fit = len(named) == len(parts) and all(part.labels for part in parts)
    if parts and (whole.labels or not fit):
        raise InputError(
            "beside an image its labels are written, each by a name of its own, got "
            f"{', '.join(part.name for part in (whole, *parts))}; rename or leave out some"
        )
    host = found_host(path, _group_name(whole)) if whole.labels else None
    if host is not None:
        return _added(host, whole, overwrite=overwrite)
    check_replaceable(path, named)
    with replacing(path, overwrite=overwrite) as partial:
        _write(partial, whole, V05)
        if parts:
            _write_labels(partial / LABELS, named, V05)
    return path


def finish_labels(folder: Path, labels: ImageData) -> None:
    """Make an OME-Zarr of a folder whose array `FINEST` holds these labels already.

    The coarser levels and the metadata are added. Of labels that lie obliquely, the scale alone
    is told.
    """
    upright = labels.grid is not None and _is_upright(labels.grid)
    placed = replace(
        labels,
        origin=_origin(labels) if upright or labels.grid is None else {},
        grid=labels.grid if upright else None,
    )
    _finish(folder, placed, V05)


def _added(host: Host, image: ImageData, *, overwrite: bool) -> Path:
    target = host.labels / host.name
    if not is_zarr(host.labels):
        with replacing(host.labels) as partial:
            _write_labels(partial, {host.name: image}, host.version)
    else:
        with replacing(target, overwrite=overwrite) as partial:
            _write(partial, image, host.version, source=TO_IMAGE)
        with _told(host.labels):
            host.list_labels()
    with _told(host.folder):
        host.consolidate()
    return target


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(
            f"the metadata of {folder} could not be changed ({error.strerror or error}); make "
            "room, or save the labels to a name of their own"
        ) from error


def _write_labels(folder: Path, named: Mapping[str, ImageData], version: Version) -> None:
    for name, part in named.items():
        _write(folder / name, part, version, source=TO_IMAGE)
    version.new_group(folder, {LABELS: list(named)})


def _write(folder: Path, image: ImageData, version: Version, *, source: str | None = None) -> None:
    values: Any = image.levels[0]
    dtype = np.dtype(values.dtype)
    target = version.new_array(
        folder / FINEST,
        values.shape,
        chunks=chunk_shape(image.axes, values.shape),
        dtype=np.dtype("u1") if dtype.kind == "b" else dtype.newbyteorder("="),
        axes=image.axes,
    )
    copy_level(values, target)
    _finish(folder, image, version, source=source)


def _finish(folder: Path, image: ImageData, version: Version, *, source: str | None = None) -> None:
    import zarr

    level: Any = zarr.open_array(str(folder / FINEST), mode="r")
    factors: list[dict[str, int]] = [{}]
    sizes = dict(zip(image.axes, level.shape, strict=True))
    for halved in halvings(sizes, image.spacing, image.units):
        finer = level
        shape = tuple(
            -(-n // 2) if axis in halved else n
            for axis, n in zip(image.axes, finer.shape, strict=True)
        )
        level = version.new_array(
            folder / str(len(factors)),
            shape,
            chunks=chunk_shape(image.axes, shape),
            dtype=finer.dtype,
            axes=image.axes,
        )
        halve_level(finer, level, [image.axes.index(a) for a in halved], labels=image.labels)
        last = factors[-1]
        factors.append({a: last.get(a, 1) * (2 if a in halved else 1) for a in image.axes})
    paths = [str(number) for number in range(len(factors))]
    told: dict[str, Any] = {"multiscales": [described_scale(image, paths, factors)]}
    if image.labels:
        told["image-label"] = described_labels(image, source=source)
    else:
        told["omero"] = described_channels(image, level)
    version.new_group(folder, told)


def _prepared(image: ImageData, name: str) -> ImageData:
    """An image with axes in the order of OME-Zarr, its place as an origin, and a name."""
    if not {"Y", "X"} <= set(image.axes) or 0 in image.levels[0].shape:
        raise InputError(
            f"an image with axes {image.axes!r} and shape {tuple(image.levels[0].shape)} cannot be "
            "written as OME-Zarr; it needs rows Y and columns X, and no empty axis"
        )
    if image.labels and np.dtype(image.levels[0].dtype).kind not in "biu":
        raise InputError(
            f"labels must be whole numbers, got {image.levels[0].dtype} values; round them first"
        )
    others = "".join(axis for axis in image.axes if axis not in SPACE + "T")
    if len(others) > 1 or len(image.axes) > _MOST_AXES:
        raise InputError(
            "OME-Zarr has room for the axes T, Z, Y, X and one more, but the image has "
            f"{image.axes!r}; choose one position of an axis"
        )
    order = "".join(axis for axis in "T" + others + SPACE if axis in image.axes)
    moved: Any = image.image.moved_to(order).data
    if image.rgb:  # without transparency
        moved = moved[(slice(None),) * order.index(CHANNEL) + (slice(0, 3),)]
    return replace(
        image,
        levels=(moved,),
        axes=order,
        origin=_origin(image),
        name=image.name or name,
        names=image.names if CHANNEL in order else (),
    )


def _origin(image: ImageData) -> dict[str, float]:
    if image.grid is None:
        return dict(image.origin)
    if not _is_upright(image.grid):
        raise InputError(
            "the volume lies obliquely, which OME-Zarr 0.5 has no words for; "
            "save it as .nii.gz, .nrrd or .mha"
        )
    return {**image.origin, **dict(zip(SPACE, image.grid.origin.tolist(), strict=True))}


def _is_upright(grid: Grid) -> bool:
    return bool(np.allclose(grid.direction, np.eye(3), atol=1e-5))


def _group_name(image: ImageData) -> str:
    """A name that a group may have on every disk."""
    kept = "".join(c if c.isalnum() or c in " -_." else "_" for c in image.name).strip(" .")
    return kept or LABELS
