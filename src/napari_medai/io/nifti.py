"""Reading NIfTI (1 and 2, one file or a pair), Analyze and MGH volumes, by nibabel."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.core.space import Grid
from napari_medai.io.image_data import ImageData
from napari_medai.io.mgh import mgh_header
from napari_medai.io.places import centred, first_valid
from napari_medai.io.volumes import suffix_of, upright_image
from napari_medai.io.voxels import Header, Voxels, check_size, spatial_shape, turned

LABEL_INTENT = 1002
_CIFTI_INTENTS = range(3000, 3100)
_HEADER_BYTES = 540
_EXTENSION_BYTES = 2**20
_LABEL = re.compile(rb'<Label Key="(\d{1,9})"[^<>]*><!\[CDATA\[([^\]]{1,64})\]\]></Label>')
_MILLIMETERS = {1: 1000.0, 2: 1.0, 3: 0.001}
_TIMES = {8: "second", 16: "millisecond", 24: "microsecond"}


def read_nibabel(path: Path) -> ImageData:
    """The volume of a file; `napari_medai.io.volumes.read_volume` tells what is wrong with it."""
    from nibabel import imageglobals

    with imageglobals.LoggingOutputSuppressor():
        header = mgh_header(path) if suffix_of(path) in (".mgh", ".mgz") else _nifti(path)
    shape = spatial_shape(header.shape)
    check_size(header, shape)
    rgb = header.dtype.names is not None
    voxels = Voxels(header, shape)
    data = turned(voxels, rgb=rgb)
    lead = ("C" if rgb or len(shape) == 5 else "") + ("T" if len(shape) > 3 else "")
    if len(shape) == 5 and shape[3] == 1:
        data, lead = data[:, 0], "C"
    return upright_image(
        data,
        Grid.from_ras(header.affine),
        path,
        lead=lead,
        rgb=rgb,
        step=header.step,
        label_intent=header.label_intent,
        label_names=header.label_names,
        contrast=header.contrast,
        notes=header.notes,
    )


def _nifti(path: Path) -> Header:
    import nibabel
    from nibabel.openers import ImageOpener

    paired = suffix_of(path) in (".hdr", ".img")
    said, pixels = _pair(path) if paired else (path, path)
    with ImageOpener(str(said)) as file:
        block = file.read(_HEADER_BYTES)
        behind = b"" if paired else file.read(_EXTENSION_BYTES)
    kinds: tuple[tuple[Any, Any], ...] = (
        (nibabel.Nifti1Pair, nibabel.Nifti1Image),
        (nibabel.Nifti2Pair, nibabel.Nifti2Image),
    )
    for pair, single in kinds:
        header_class = (pair if paired else single).header_class
        size = header_class.template_dtype.itemsize
        if len(block) >= size and pair.header_class.may_contain_header(block):
            found = header_class(block[:size], check=False)
            behind = block[size:] + behind
            return _nifti_header(found, pixels, behind[: max(int(found["vox_offset"]) - size, 0)])
    if paired:
        return _analyze(said, pixels)
    raise InputError(f"{path} is no NIfTI file; check its name or export it again")


def _pair(path: Path) -> tuple[Path, Path]:
    """The header and the pixels, whichever of the two is named."""
    same = path.suffix.isupper()
    header, pixels = (path.with_suffix(s.upper() if same else s) for s in (".hdr", ".img"))
    for one in (header, pixels):
        if not one.exists():
            raise InputError(
                f"{path} belongs to a pair of files, but {one.name} is missing; put it beside it"
            )
    return header, pixels


def _nifti_header(found: Any, pixels: Path, extensions: bytes) -> Header:
    intent = int(found["intent_code"])
    if intent in _CIFTI_INTENTS:
        raise InputError(
            f"{pixels} is a CIFTI matrix of a brain's surface, not a volume; "
            "convert it to a NIfTI volume with wb_command"
        )
    steps = [float(n) for n in found["pixdim"][1:4]]
    dims = [int(n) for n in found["dim"][1:4]]
    choices: dict[str, Callable[[], Any]] = {}
    if int(found["sform_code"]) != 0:
        choices["sform"] = found.get_sform
    if int(found["qform_code"]) != 0:
        choices["qform"] = lambda: _qform(found)
    choices["pixdim"] = lambda: centred(steps, dims[: max(int(found["dim"][0]), 0)])
    affine, notes = first_valid(choices)
    code = int(found["xyzt_units"])
    factor = _MILLIMETERS.get(code & 7, 1.0)
    affine[:3] *= factor
    slope, inter = found.get_slope_inter()
    low, high = float(found["cal_min"]), float(found["cal_max"])
    time = float(found["pixdim"][4])
    return Header(
        pixels,
        found.get_data_shape(),
        found.get_data_dtype(),
        int(found.get_data_offset()),
        1.0 if slope is None else float(slope),
        0.0 if inter is None else float(inter),
        affine,
        step=(time, _TIMES.get(code & 56)) if np.isfinite(time) and time > 0 else None,
        label_intent=intent == LABEL_INTENT,
        label_names=_label_names(extensions),
        contrast=(low, high) if np.isfinite([low, high]).all() and low < high else None,
        notes=notes,
    )


def _label_names(extensions: bytes) -> dict[int, str]:
    """The names in a table of labels as Caret and TotalSegmentator write it."""
    return {
        int(key): name.decode("utf-8", "replace")
        for key, name in _LABEL.findall(extensions)
        if int(key) > 0
    }


def _qform(found: Any) -> Any:
    fixed = found.copy()
    if fixed["pixdim"][0] not in (-1, 1):
        fixed["pixdim"][0] = 1  # as nibabel and the standard say of 0
    return fixed.get_qform()


def _analyze(said: Path, pixels: Path) -> Header:
    import nibabel

    image: Any = nibabel.load(said)
    if not isinstance(image, nibabel.spatialimages.SpatialImage):
        raise InputError(f"{said} is no header of a volume; export it again as NIfTI")
    steps = [float(n) for n in image.header.get_zooms()[:3]]
    affine, notes = first_valid(
        {"header": lambda: image.affine, "pixdim": lambda: centred(steps, image.shape[:3])}
    )
    header: Any = image.header
    slope, inter = header.get_slope_inter()
    return Header(
        pixels,
        image.shape,
        image.get_data_dtype(),
        int(header.get_data_offset()),
        1.0 if slope is None else float(slope),
        0.0 if inter is None else float(inter),
        affine,
        notes=notes,
    )
