"""Headers of FreeSurfer's MGH volumes."""

from __future__ import annotations

import struct
from math import prod
from pathlib import Path

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.io.places import centred, first_valid
from napari_medai.io.voxels import Header

_START = 24
_KINDS = (0, 1, 3, 4)
_MOST = 2**33


def mgh_header(path: Path) -> Header:
    """What the header says of the voxels.

    Raises
    ------
    InputError
        If it claims what cannot be, or has no valid place or spacing.
    """
    from nibabel.freesurfer.mghformat import MGHHeader
    from nibabel.openers import ImageOpener

    with ImageOpener(str(path)) as file:
        _check_start(file.read(_START))
        file.seek(0)
        found = MGHHeader.from_fileobj(file, check=False)
    steps = [float(n) for n in found["delta"]]
    affine, notes = first_valid(
        {
            "direction": found.get_affine,
            "spacing": lambda: centred(steps, found.get_data_shape()),
        }
    )
    shape = tuple(int(n) for n in found.get_data_shape())
    time = float(found["tr"])
    return Header(
        path,
        shape,
        found.get_data_dtype(),
        int(found.get_data_offset()),
        1.0,
        0.0,
        affine,
        step=(time, "millisecond") if np.isfinite(time) and time > 0 else None,
        notes=notes,
    )


def _check_start(start: bytes) -> None:
    """Refuse what nibabel would seek for at impossible places: version, sizes and kind of value."""
    version, *sizes, kind = struct.unpack(">6i", start.ljust(_START, b"\0"))
    if version != 1 or kind not in _KINDS:
        raise InputError(
            f"it is not of the MGH format (version {version}, kind {kind}); export it again"
        )
    if min(sizes) < 1 or prod(sizes) > _MOST:
        raise InputError(
            f"its header claims {' x '.join(map(str, sizes))} voxels, which cannot be; "
            "export it again"
        )
