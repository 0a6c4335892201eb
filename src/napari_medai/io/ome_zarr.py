"""Reading Zarr folders: plain arrays and OME-Zarr images (0.4 and 0.5)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_medai.core.axes import guessed_axes, looks_rgb
from napari_medai.core.errors import InputError
from napari_medai.io.image_data import ImageData
from napari_medai.io.units import unit_word


def read_zarr(path: str | Path) -> list[ImageData]:
    """The images of a Zarr folder, lazily; OME-Zarr keeps axes, pixel size, units and names.

    Raises
    ------
    InputError
        If it is no Zarr folder, or a group that holds no image.
    """
    import zarr

    path = Path(path)
    try:
        node: Any = zarr.open(path, mode="r")
        if isinstance(node, zarr.Array):
            return [_plain(_lazy(node), path.stem)]
        groups = [group for name, group in sorted(node.groups()) if name.isdecimal()]
        images = [image for group in (node, *groups) for image in _images(group, path)]
    except InputError:
        raise
    except Exception as error:  # zarr and its codecs raise whatever broken metadata provokes
        raise InputError(f"{path} cannot be read as Zarr ({error}); write it again") from error
    if not images:
        raise InputError(f"{path} is a Zarr group without an image; choose an array inside it")
    return images


def _plain(array: Any, name: str) -> ImageData:
    rgb = looks_rgb(array.shape)
    array = array[..., :3] if rgb else array
    return ImageData((array,), guessed_axes(array.shape, rgb=rgb), name=name, rgb=rgb)


def _images(group: Any, path: Path) -> list[ImageData]:
    attributes = dict(group.attrs)
    attributes = attributes.get("ome", attributes)
    names = _channel_names(attributes.get("omero"))
    return [_image(group, scale, names, path) for scale in attributes.get("multiscales") or ()]


def _image(group: Any, scale: Mapping[str, Any], names: tuple[str, ...], path: Path) -> ImageData:
    levels = [_lazy(group[dataset["path"]]) for dataset in scale["datasets"]]
    shape = levels[0].shape
    named = [a if isinstance(a, dict) else {"name": a} for a in scale.get("axes") or "tczyx"]
    axes = "".join(str(axis["name"])[:1].upper() for axis in named)
    steps = [1.0] * len(axes)
    for change in (
        *scale["datasets"][0].get("coordinateTransformations", ()),
        *scale.get("coordinateTransformations", ()),
    ):
        if change.get("type") == "scale":
            steps = [a * float(b) for a, b in zip(steps, change["scale"], strict=True)]
    units = {a: unit_word(n.get("unit")) for a, n in zip(axes, named, strict=True)}
    kept = [axis for axis in axes if axis != "C"]
    fits = "C" in axes and len(names) == shape[axes.index("C")]
    return ImageData(
        levels=tuple(levels),
        axes=axes,
        spacing={a: s for a, s in zip(axes, steps, strict=True) if a in kept and s > 0},
        units={a: unit for a, unit in units.items() if unit is not None and a in kept},
        names=names if fits else (),
        name=str(scale.get("name") or "").strip("/") or path.name.split(".")[0],
    )


def _channel_names(omero: Any) -> tuple[str, ...]:
    channels = omero.get("channels", ()) if isinstance(omero, dict) else ()
    names = tuple(str(channel.get("label") or "") for channel in channels)
    return names if any(names) else ()


def _lazy(array: Any) -> Any:
    import dask.array

    return dask.array.from_zarr(array)
