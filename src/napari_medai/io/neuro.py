"""Reading volumes of neuroimaging programs: PAR/REC, MINC and AFNI, by nibabel."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.core.space import Grid
from napari_medai.io.image_data import ImageData
from napari_medai.io.volumes import MOST_DEFLATED, suffix_of, upright_image

_MOST_BYTES = 2**30
"""Of values, as all are read at once."""
_HDF5 = b"\x89HDF\r\n\x1a\n"


def read_neuro(path: Path) -> ImageData:
    """The volume of a file; `napari_medai.io.volumes.read_volume` tells what is wrong with it."""
    import nibabel

    pixels = _pixels_of(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nibabel's, of headers that other programs write
        image: Any = nibabel.load(path)
        _check_size(image, pixels)
        values = np.asanyarray(image.dataobj)
    close = getattr(getattr(image.dataobj, "file_like", None), "close", None)
    if callable(close):
        close()  # of PAR/REC nibabel does not
    if values.ndim == 4 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim not in (3, 4):
        raise InputError(f"it has {values.ndim} axes, but a volume has three, or four with time")
    # MINC has time first, the others last, and all of them the axes of space as in the affine.
    time_first = values.ndim == 4 and suffix_of(path) == ".mnc"
    order = (0, 3, 2, 1) if time_first else tuple(range(values.ndim))[::-1]
    lead = "T" if values.ndim == 4 else ""
    return upright_image(values.transpose(order), Grid.from_ras(image.affine), path, lead=lead)


def _pixels_of(path: Path) -> Path:
    """The file with the values: beside the header, in formats of two files."""
    beside = {".par": (".REC", ".rec"), ".head": (".BRIK", ".BRIK.gz", ".brik", ".brik.gz")}
    suffix = suffix_of(path)
    if suffix not in beside:
        with path.open("rb") as file:
            hdf5 = file.read(len(_HDF5)) == _HDF5
        if hdf5 and find_spec("h5py") is None:
            raise InputError("it is MINC 2, which h5py reads; install h5py, or convert the file")
        return path
    for other in (path.with_suffix(end) for end in beside[suffix]):
        if other.is_file():
            return other
    missing = path.with_suffix(beside[suffix][0]).name
    raise InputError(f"its values are in {missing}, which is missing; put it beside it")


def _check_size(image: Any, pixels: Path) -> None:
    stored = prod(image.shape) * image.get_data_dtype().itemsize
    most = pixels.stat().st_size * (MOST_DEFLATED if pixels.suffix == ".gz" else 1)
    if min(image.shape) < 1 or stored > most or prod(image.shape) * 8 > _MOST_BYTES:
        raise InputError(
            f"its header claims {' x '.join(map(str, image.shape))} voxels ({stored} bytes), but "
            f"{pixels.name} has {pixels.stat().st_size} bytes; copy or export it again, as NIfTI "
            "if it is large"
        )
