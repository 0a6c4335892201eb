"""Versions of OME-Zarr that are written, and the groups and arrays of Zarr below them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Version:
    """A version of OME-Zarr, and that of Zarr that it is written in."""

    name: str
    zarr_format: int

    def new_group(self, folder: Path, told: Mapping[str, Any]) -> None:
        """Make a group of a folder, with these metadata."""
        import zarr

        zarr.create_group(
            store=str(folder), zarr_format=self._format, attributes=self.attributes(told)
        )

    def new_array(
        self, folder: Path, shape: Sequence[int], *, chunks: Sequence[int], dtype: Any, axes: str
    ) -> Any:
        """A new array of zeros on disk, compressed, its dimensions named as the axes."""
        import zarr
        from zarr.codecs import BloscCodec

        own: dict[str, Any] = {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
        if self._format == 3:
            codec = BloscCodec(cname="zstd", clevel=3, shuffle="shuffle")
            own = {"compressors": codec, "dimension_names": tuple(axes.lower())}
        return zarr.create_array(
            store=str(folder),
            shape=tuple(shape),
            chunks=tuple(chunks),
            dtype=np.dtype(dtype),
            zarr_format=self._format,
            **own,
        )

    def attributes(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Metadata as they are laid in a group: from 0.5 on under ``ome``."""
        if self._format == 3:
            return {"ome": {"version": self.name, **told}}
        scales = [{"version": self.name, **one} for one in told.get("multiscales", ())]
        versioned: dict[str, Any] = {"multiscales": scales} if scales else {}
        if "image-label" in told:
            versioned["image-label"] = {"version": self.name, **told["image-label"]}
        return {**told, **versioned}

    @property
    def _format(self) -> Any:
        return self.zarr_format


V04 = Version("0.4", 2)
V05 = Version("0.5", 3)
VERSIONS = {version.name: version for version in (V04, V05)}
