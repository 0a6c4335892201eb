"""OME-Zarr images that are there already: labels are added to them, or they are replaced."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_medai.core.errors import InputError
from napari_medai.io.images import is_zarr
from napari_medai.io.ome_zarr.metadata import LABELS, ome_attributes
from napari_medai.io.ome_zarr.version import VERSIONS, Version


@dataclass(frozen=True, slots=True)
class Host:
    """An OME-Zarr image that labels of a name are added to."""

    folder: Path
    version: Version
    name: str

    @property
    def labels(self) -> Path:
        return self.folder / LABELS

    def list_labels(self) -> None:
        """Name the labels, which are there, in the list of the image's labels.

        They are removed if that fails.
        """
        group = _opened(self.labels, mode="r+")
        told = ome_attributes(group)
        names = list(told.get(LABELS) or ())
        if self.name in names:
            return
        try:
            group.attrs.update(self.version.attributes({**told, LABELS: [*names, self.name]}))
        except BaseException:
            shutil.rmtree(self.labels / self.name, ignore_errors=True)
            raise

    def consolidate(self) -> None:
        """Renew the image's copy of all metadata, where it has one: others look only there."""
        import zarr

        if (
            _opened(self.folder).metadata.consolidated_metadata is not None
            or (self.folder / ".zmetadata").is_file()
        ):
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", module="zarr")  # it is no part of Zarr 3 yet
                zarr.consolidate_metadata(str(self.folder))


def found_host(path: Path, name: str) -> Host | None:
    """The image that labels for ``path`` belong to, None where they stand alone.

    Raises
    ------
    InputError
        If the image is of a version that is not written.
    """
    inside = path.parent.name == LABELS
    folder, own = (path.parent.parent, path.name) if inside else (path, name)
    told = _told(folder) if is_zarr(folder) else {}
    if "multiscales" not in told or "image-label" in told:
        return None
    return Host(folder, _version(folder, told), own)


def check_replaceable(path: Path, labels: Collection[str] = ()) -> None:
    """Refuse to replace a Zarr folder that holds more than one image and these labels of it."""
    if not is_zarr(path):
        return
    scales = _told(path).get("multiscales") or ()
    datasets = [one for scale in scales for one in scale.get("datasets") or ()]
    own = {str(one.get("path")).split("/")[0] for one in datasets}
    more = sorted(p.name for p in path.iterdir() if p.name not in own and is_zarr(p))
    if LABELS in more and set(_told(path / LABELS).get(LABELS) or ()) <= set(labels):
        more.remove(LABELS)
    if more:
        raise InputError(
            f"{path} holds more than one image ({', '.join(more[:3])}), which would all be lost; "
            "choose another name, or remove it first"
        )


def _version(folder: Path, told: Any) -> Version:
    name = str(told.get("version") or told["multiscales"][0].get("version"))
    version = VERSIONS.get(name[:3])
    if version is None:
        raise InputError(
            f"{folder} is OME-Zarr of version {name}, but labels are added to versions "
            f"{' and '.join(VERSIONS)}; write them to a name of their own"
        )
    return version


def _told(folder: Path) -> Any:
    import zarr

    try:
        node = zarr.open(folder, mode="r", use_consolidated=False)
    except Exception as error:  # whatever broken metadata provokes
        raise InputError(f"{folder} cannot be read as Zarr ({error}); remove it first") from error
    return ome_attributes(node) if isinstance(node, zarr.Group) else {}


def _opened(folder: Path, *, mode: Any = "r") -> Any:
    import zarr

    return zarr.open_group(str(folder), mode=mode)
