"""The files of one segmented image: labels, features, record, and a picture to look at."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from napari_medai.commands.label_files import ENDINGS, ZARR, labels_of, write_label_file
from napari_medai.core.axes import CHANNEL, AxesArray
from napari_medai.core.errors import InputError, RunError
from napari_medai.core.steps import Steps
from napari_medai.io.atomic import check_free, replacing, swap
from napari_medai.io.image_data import ImageData
from napari_medai.io.ome_zarr.writer import FINEST, finish_labels
from napari_medai.io.results import write_features_csv, write_overlay_png
from napari_medai.io.tiff import image_name
from napari_medai.models.model import Model
from napari_medai.models.settings import CLASSES
from napari_medai.tasks import assembly
from napari_medai.tasks.segment import SegmentParams, segment_steps
from napari_medai.tasks.segmentation import Segmentation

ANYWHERE = ("device", "tile")
"""Parameters that do not change a result."""
MOST_TIFF_AXES = 5


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the results of one image go."""

    source: Path
    folder: Path

    @property
    def stem(self) -> Path:
        return self.folder / image_name(self.source)

    @property
    def labels(self) -> Path:
        """What the labels are named, without the ending that tells their format."""
        return self._named("_labels")

    @property
    def zarr(self) -> Path:
        return self._named("_labels" + ZARR)

    @property
    def features(self) -> Path:
        return self._named("_labels.csv")

    @property
    def record(self) -> Path:
        return self._named("_labels.json")

    @property
    def overlay(self) -> Path:
        return self._named("_overlay.png")

    @property
    def every(self) -> list[Path]:
        """All that there may be, the record first."""
        return [self.record, *self._label_files, self.features, self.overlay]

    @property
    def _label_files(self) -> list[Path]:
        return [self._named("_labels" + ending) for ending in ENDINGS]

    @property
    def present(self) -> list[Path]:
        """Those that exist."""
        return [path for path in self.every if path.exists()]

    @property
    def written(self) -> list[Path]:
        """Those that exist and that the record beside them names."""
        try:
            record = json.loads(self.record.read_text(encoding="utf-8"))
            files = {self.stem.name + str(ending) for ending in record["files"]}
        except (OSError, ValueError, KeyError, TypeError):
            return []
        return [path for path in self.present if path.name in files]

    def hold(self, wanted: Mapping[str, Any], *, overlay: bool) -> bool:
        """Whether a complete result, made in the way that is wanted, is here."""
        here = self.present
        needed = {self.record, self.features} | ({self.overlay} if overlay else set())
        if not needed <= set(here) or not {*self._label_files} & {*here}:
            return False
        try:
            found = json.loads(self.record.read_text(encoding="utf-8"))
            return all(_comparable(found, key) == _comparable(wanted, key) for key in wanted)
        except (OSError, ValueError, AttributeError):
            return False

    def _named(self, ending: str) -> Path:
        return self.stem.with_name(self.stem.name + ending)


@contextmanager
def staged(outputs: Outputs, *, overwrite: bool) -> Iterator[Outputs]:
    """Where to write the results of an image at first: they appear together, when all are there.

    Whatever goes wrong, Ctrl-C too, earlier results stay as they were.
    """
    for path in outputs.every:
        check_free(path, overwrite=overwrite, file=path != outputs.zarr)
    with _told(outputs):
        spare = TemporaryDirectory(dir=outputs.folder, prefix=".medai-", ignore_cleanup_errors=True)
    with spare:
        partial = Outputs(outputs.source, Path(spare.name))
        try:
            yield partial
        except RunError as error:
            if isinstance(error.__cause__, OSError):
                with _told(outputs):  # not of the hidden folder
                    raise error.__cause__ from None
            raise
        new = reversed(partial.present)  # the record is the last to come, the first to go
        with _told(outputs):
            swap(
                {path: outputs.folder / path.name for path in new},
                gone=outputs.written if overwrite else (),
            )


@contextmanager
def _told(outputs: Outputs) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(
            f"the results of {outputs.source.name} in {outputs.folder} could not be written "
            f"({error.strerror or error}); make room or choose another folder and try again"
        ) from error


def written_steps(
    image: ImageData,
    model: Model,
    params: SegmentParams,
    outputs: Outputs,
    *,
    notes: Mapping[str, Any],
    overlay: bool = False,
    overwrite: bool = False,
) -> Steps[Segmentation]:
    """Segment an image and write what was found, all of it or nothing.

    Labels are written in the format that the image came in. ``notes`` are added to the record.
    Labels too large for memory, or of more axes than OME-TIFF has, go to OME-Zarr.
    """
    array = image.image
    with staged(outputs, overwrite=overwrite) as new:
        if _is_large(array, 1 if model.decoder == CLASSES else 4):
            store = new.zarr / FINEST
            result = yield from segment_steps(array, model, params, out=store)
            labels = _opened(store)
            with _told(new):
                finish_labels(new.zarr, labels_of(result, image, new.zarr.stem))
        else:
            result = yield from segment_steps(array, model, params)
            labels = result.labels
            said = write_label_file(new.labels, result, image, outputs.source)
            result = replace(result, notes=(*result.notes, *said))
        write_features_csv(new.features, result.features)
        if overlay:
            shown = AxesArray(labels, result.axes)
            write_overlay_png(new.overlay, *middle_planes(array, shown))
        with replacing(new.record) as partial:
            stem = new.stem.name  # which may say who it is of
            files = [path.name.removeprefix(stem) for path in (new.record, *new.present)]
            record = {**result.record, "notes": list(result.notes), "files": files, **notes}
            partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return result


def wanted_record(
    source: Path, model: Model, parameters: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    """What the record of a result must say for it to be the one that is asked for."""
    state = source.stat()
    return {
        "model": {"name": model.name, "version": model.version, "sha256": model.sha256},
        "parameters": dict(parameters),
        "options": dict(options),
        "input": {"bytes": state.st_size, "modified": round(state.st_mtime, 3)},
    }


def check_apart(outputs: Sequence[Outputs]) -> None:
    """Refuse images whose results would go to the same files."""
    owners: dict[Path, Path] = {}
    for one in outputs:
        first = owners.setdefault(one.stem, one.source)
        if first != one.source:
            raise InputError(
                f"the results of {first} and {one.source} would have the same name; "
                "rename one of them, or give them in two runs with a folder for each"
            )


def is_result(path: Path) -> bool:
    """Whether a file was written by an earlier run: its record lies beside it."""
    for ending in (*(f"_labels{ending}" for ending in ENDINGS), "_overlay.png"):
        if path.name.endswith(ending):
            stem = path.name.removesuffix(ending)
            return path.with_name(f"{stem}_labels.json").exists()
    return False


def middle_planes(image: AxesArray, labels: AxesArray) -> tuple[np.ndarray, np.ndarray]:
    """One plane of each, from the middle: (y, x) or (y, x, 3), and (y, x)."""
    middle = {a: n // 2 for a, n in labels.sizes.items() if a not in "YX"}
    colours = image.sizes.get(CHANNEL) == 3
    first = {} if colours or CHANNEL not in image.axes else {CHANNEL: 0}
    plane = image.at(**middle, **first).moved_to("YX" + (CHANNEL if colours else ""))
    drawn = labels.at(**middle).moved_to("YX")
    return plane.data, drawn.data  # type: ignore[return-value]


def _comparable(record: Mapping[str, Any], key: str) -> Any:
    value = record.get(key)
    if key == "parameters" and isinstance(value, Mapping):
        return {name: value[name] for name in value if name not in ANYWHERE}
    return value


def _is_large(image: AxesArray, itemsize: int) -> bool:
    sizes = [n for axis, n in image.sizes.items() if axis != CHANNEL]
    return itemsize * prod(sizes) > assembly.LARGEST_IN_MEMORY or len(sizes) > MOST_TIFF_AXES


def _opened(path: Path) -> Any:
    import zarr

    return zarr.open_array(str(path), mode="r")
