"""The files of one image's result: where they go, and how they appear all at once or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from napari_medai.commands.image_files import IMAGE_ENDINGS
from napari_medai.commands.label_files import ENDINGS, TIFF, ZARR
from napari_medai.core.errors import InputError, RunError
from napari_medai.io.atomic import check_free, replacing, swap
from napari_medai.io.tiff import image_name
from napari_medai.models.model import Model
from napari_medai.tasks.record import described_model

ANYWHERE = ("device", "tile", "images")
"""Parameters that do not change the result of an image."""


@dataclass(frozen=True, slots=True)
class Files:
    """The endings of what a task writes for an image.

    Of ``results`` there is one, in the format that suits the image, or each if there are ``all``;
    ``picture`` is drawn if it is asked for. Not every task has a ``table`` or a picture.
    """

    record: str
    results: tuple[str, ...]
    picture: str = ""
    table: str = ""
    all: bool = False


LABELS = Files(
    record="_labels.json",
    results=tuple(f"_labels{ending}" for ending in ENDINGS),
    table="_labels.csv",
    picture="_overlay.png",
)
BOXES = Files(
    record="_boxes_record.json",
    results=("_boxes.json",),
    table="_boxes.csv",
    picture="_boxes.png",
)
CLEAN = Files(
    record="_clean.json",
    results=tuple(f"_clean{ending}" for ending in IMAGE_ENDINGS),
    picture="_clean.png",
)
SYNTHETIC = Files(
    record="_labels.json",
    results=(TIFF, f"_labels{TIFF}"),
    table="_labels.csv",
    all=True,
)


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the results of one image go."""

    source: Path
    folder: Path
    files: Files

    @property
    def stem(self) -> Path:
        return self.folder / image_name(self.source)

    @property
    def record(self) -> Path:
        return self.at(self.files.record)

    @property
    def table(self) -> Path:
        return self.at(self.files.table)

    @property
    def picture(self) -> Path:
        return self.at(self.files.picture)

    @property
    def every(self) -> list[Path]:
        """All that there may be, the record first."""
        pictures = [self.picture] if self.files.picture else []
        return [self.record, *self._results, *self._tables, *pictures]

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
        needed = {self.record, *self._tables} | ({self.picture} if overlay else set())
        results = [path in here for path in self._results]
        whole = all(results) if self.files.all else any(results)
        if not needed <= set(here) or not whole:
            return False
        try:
            found = json.loads(self.record.read_text(encoding="utf-8"))
            return all(_comparable(found, key) == _comparable(wanted, key) for key in wanted)
        except (OSError, ValueError, AttributeError):
            return False

    def at(self, ending: str) -> Path:
        """The file of this ending."""
        return self.stem.with_name(self.stem.name + ending)

    @property
    def _tables(self) -> list[Path]:
        return [self.table] if self.files.table else []

    @property
    def _results(self) -> list[Path]:
        return [self.at(ending) for ending in self.files.results]


@contextmanager
def staged(outputs: Outputs, *, overwrite: bool) -> Iterator[Outputs]:
    """Where to write the results of an image at first: they appear together, when all are there.

    Whatever goes wrong, Ctrl-C too, earlier results stay as they were.
    """
    for path in outputs.every:
        check_free(path, overwrite=overwrite, file=path.suffix != ZARR)
    with writing(outputs):
        spare = TemporaryDirectory(dir=outputs.folder, prefix=".medai-", ignore_cleanup_errors=True)
    with spare:
        partial = Outputs(outputs.source, Path(spare.name), outputs.files)
        try:
            yield partial
        except RunError as error:
            if isinstance(error.__cause__, OSError):
                with writing(outputs):  # not of the hidden folder
                    raise error.__cause__ from None
            raise
        new = reversed(partial.present)  # the record is the last to come, the first to go
        with writing(outputs):
            swap(
                {path: outputs.folder / path.name for path in new},
                gone=outputs.written if overwrite else (),
            )


@contextmanager
def writing(outputs: Outputs) -> Iterator[None]:
    """Says whose results a full disk, say, has kept from being written."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"the results of {outputs.source.name} in {outputs.folder} could not be written "
            f"({error.strerror or error}); make room or choose another folder and try again"
        ) from error


def write_record(
    new: Outputs, record: Mapping[str, Any], *, notes: Sequence[str], more: Mapping[str, Any]
) -> None:
    """Write the record of a result, with the endings of its files, which are there already."""
    stem = new.stem.name  # which may say who it is of
    files = [path.name.removeprefix(stem) for path in (new.record, *new.present)]
    text = json.dumps({**record, "notes": list(notes), "files": files, **more}, indent=2)
    with replacing(new.record) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def wanted_record(
    source: Path, model: Model | str, parameters: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    """What the record of a result must say for it to be the one that is asked for.

    ``model`` is a word where there is no package.
    """
    state = source.stat()
    return {
        "model": described_model(model),
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
    for files in (LABELS, BOXES, CLEAN):
        for ending in (*files.results, files.picture):
            if path.name.endswith(ending):
                stem = path.name.removesuffix(ending)
                return path.with_name(stem + files.record).exists()
    return False


def _comparable(record: Mapping[str, Any], key: str) -> Any:
    value = record.get(key)
    if key == "parameters" and isinstance(value, Mapping):
        return {name: value[name] for name in value if name not in ANYWHERE}
    return value
