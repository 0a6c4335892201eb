"""Volumes of radiology that are not DICOM: NIfTI, MGH, NRRD, MetaImage, ..., laid upright."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.axes import check_dtype
from napari_medai.core.errors import InputError
from napari_medai.core.space import Grid
from napari_medai.io.image_data import ImageData
from napari_medai.io.label_names import says_labels
from napari_medai.io.tiff import image_name

NIBABEL_SUFFIXES = (".nii", ".nii.gz", ".hdr", ".img", ".mgh", ".mgz")
ITK_SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")
NEURO_SUFFIXES = (".par", ".mnc", ".head")
VOLUME_SUFFIXES = (*NIBABEL_SUFFIXES, *ITK_SUFFIXES, *NEURO_SUFFIXES)

MOST_DEFLATED = 1032
"""How many bytes one compressed byte may stand for, at most, in zlib and gzip."""

_MOST_LABELS = 256
_SAMPLE_EDGE = 64


def suffix_of(path: Path) -> str:
    """The suffix that tells the format, in lower case: of ``a.nii.gz`` it is ``.nii.gz``."""
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()


def read_volume(path: str | Path) -> list[ImageData]:
    """The volume of a NIfTI, MGH, NRRD, MetaImage, PAR/REC, MINC or AFNI file, upright.

    Large ones are lazy, but for the last three.

    Axes are ``ZYX``, with ``T`` and ``C`` in front where there are several times or components
    (``C`` last for RGB). Only pixels, places and time steps are taken over: texts of a header may
    name a patient.

    Raises
    ------
    InputError
        If the file is missing, broken, claims more than it can hold, or has no valid geometry.
    """
    path = Path(path)
    with _told(path):
        path.stat()
        if suffix_of(path) in ITK_SUFFIXES:
            from napari_medai.io.itk import read_itk

            return [read_itk(path)]
        if suffix_of(path) in NEURO_SUFFIXES:
            from napari_medai.io.neuro import read_neuro

            return [read_neuro(path)]
        from napari_medai.io.nifti import read_nibabel

        return [read_nibabel(path)]


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        if str(path) in str(error):
            raise
        raise InputError(f"{path} cannot be read: {error}") from error
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror or error}); check the path and the file"
        ) from error
    except Exception as error:  # the libraries raise whatever a broken file provokes
        reason = " ".join((str(error).splitlines() or [""])[-1].split()) or type(error).__name__
        raise InputError(
            f"{path} cannot be read as a volume ({reason}); copy or export it again"
        ) from error


def upright_image(
    data: Any,
    grid: Grid,
    path: Path,
    *,
    lead: str = "",
    rgb: bool = False,
    step: tuple[float, str | None] | None = None,
    label_intent: bool = False,
    label_names: Mapping[int, str] | None = None,
    contrast: tuple[float, float] | None = None,
    notes: Sequence[str] = (),
) -> ImageData:
    """An image whose data, ``lead`` + ``ZYX`` as stored, lie on a grid.

    ``step`` are the spacing and unit of ``T``; of RGB, ``C`` leads, too, and is put last here.
    ``label_names`` are those of the labels, if these are any.
    """
    check_dtype(data.dtype)
    if 0 in data.shape:
        raise InputError(
            f"{path} holds an empty volume of shape {tuple(data.shape)}; export it again"
        )
    way = grid.upright(data.shape[-3:])
    laid = way.laid(data)
    axes = lead + "ZYX"
    few = "C" not in lead and np.dtype(data.dtype).kind in "biu"
    sample = sampled(laid) if not rgb else None
    labels = few and (label_intent or says_labels(image_name(path))) and _is_few(sample)
    if contrast is None and sample is not None and not labels:
        contrast = spread(sample)
    if rgb:
        laid = laid.transpose((*range(1, laid.ndim), 0))
        axes = axes[1:] + "C"
    spacing = dict(zip("ZYX", way.grid.spacing, strict=True))
    units = dict.fromkeys("ZYX", "millimeter")
    if step is not None and "T" in axes:
        spacing["T"] = step[0]
        units |= {"T": step[1]} if step[1] else {}
    return ImageData(
        levels=(laid,),
        axes=axes,
        spacing=spacing,
        units=units,
        name=image_name(path),
        rgb=rgb,
        labels=bool(labels),
        grid=way.grid,
        stored=way,
        contrast=contrast,
        features=_named(label_names, laid) if labels and label_names else {},
        notes=tuple(notes),
    )


def _named(names: Mapping[int, str], data: Any) -> dict[str, list[Any]]:
    """A row a label with its name; only of labels that occur, where all values are at hand."""
    there = set(np.unique(data).tolist()) if isinstance(data, np.ndarray) else set(names)
    rows = [(index, name) for index, name in sorted(names.items()) if index in there]
    return {"index": [row[0] for row in rows], "class": [row[1] for row in rows]} if rows else {}


def sampled(data: Any) -> np.ndarray:
    """Some of the values, from all over an array; of a lazy one from the middle plane alone."""
    if not isinstance(data, np.ndarray):
        data = data[tuple(n // 2 for n in data.shape[:-2])]
    thin = tuple(slice(None, None, max(1, n // _SAMPLE_EDGE)) for n in data.shape)
    return np.asarray(data[thin])


def spread(values: np.ndarray) -> tuple[float, float] | None:
    """The 1st and 99.5th percentile of the finite values, None where they are the same."""
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values.ravel()
    if not finite.size:
        return None
    low, high = (float(n) for n in np.percentile(finite.astype(float), (1, 99.5)))
    if not low < high:
        low, high = float(finite.min()), float(finite.max())
    return (low, high) if low < high else None


def _is_few(sample: np.ndarray | None) -> bool:
    if sample is None or sample.min() < 0:
        return False
    return sample.dtype.itemsize == 1 or np.unique(sample).size <= _MOST_LABELS
