"""Model packages: a folder or zip in BioImage.IO model 0.5 form, read and written safely.

Nothing in a package is ever run or unpickled here; whoever loads the weights does so with
``torch.load(..., weights_only=True)``.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.models.card import card_text
from napari_medai.models.folder import (
    RDF,
    inside,
    new_file,
    new_folder,
    pack,
    package_root,
    sha256_of,
    unpack,
)
from napari_medai.models.model import TESTS, Model, check_checksum, checksum_problems
from napari_medai.models.places import unpacked_dir
from napari_medai.models.rdf import (
    WEIGHTS,
    needed,
    parsed,
    rdf_from_spec,
    referenced_files,
    spec_from_rdf,
    written,
)
from napari_medai.models.spec import ModelSpec, plain

__all__ = ["Export", "Model", "add_export", "copy_model", "export_zip", "read_model", "write_model"]

WEIGHTS_FILE = "weights.pt"
_CARD_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Export:
    """The same net in a form for other programs.

    ``version`` is that of PyTorch for TorchScript, of the operator set for ONNX.
    """

    kind: Literal["torchscript", "onnx"]
    path: Path
    version: str


def read_model(path: Path | str) -> Model:
    """A model from its folder, its ``rdf.yaml`` or a zip (unpacked once, in the user's folder).

    Raises
    ------
    InputError
        If it is no package, is damaged or was changed (SHA-256 of the weights), reaches out of
        its folder, or needs a net that is not ours.
    """
    path = Path(path).expanduser()
    try:
        if path.is_dir():
            return _read_folder(package_root(path))
        if path.name == RDF and path.is_file():
            return _read_folder(path.parent)
        if zipfile.is_zipfile(path):
            return _read_zip(path)
    except InputError as error:
        raise InputError(f"model package {path} cannot be used: {error}") from None
    except OSError as error:
        raise InputError(f"model package {path} cannot be read ({error.strerror})") from error
    kind = "is no model package" if path.exists() else "does not exist"
    raise InputError(f"{path} {kind}; give a folder with {RDF}, or a zip of one")


def write_model(
    folder: Path | str,
    spec: ModelSpec,
    *,
    weights: Path,
    test_input: np.ndarray | None = None,
    test_output: np.ndarray | None = None,
    exports: Sequence[Export] = (),
    overwrite: bool = False,
) -> Model:
    """Write a package, whole or not at all, and read it back.

    ``weights`` is a file that ``torch.save`` wrote of a state dict of tensors; the test tensors
    are ``(batch, channel, *space)``, the input as the user has it (not normalised).

    Raises
    ------
    InputError
        If ``folder`` exists (with ``overwrite``: and is no package), or something does not fit.
    RunError
        If the disk is full.
    """
    folder = Path(folder).expanduser()
    tensors = _checked_tensors(spec, test_input, test_output)
    with new_folder(folder, overwrite=overwrite) as made:
        _copied(weights, made / WEIGHTS_FILE)
        entries: dict[str, dict[str, Any]] = {
            "pytorch_state_dict": _entry(made / WEIGHTS_FILE) | {"pytorch_version": _torch()}
        }
        for export in exports:
            entries[export.kind] = _added(export, made)
        (made / "README.md").write_text(spec.card or card_text(spec), encoding="utf-8")
        for name, tensor in tensors.items():
            np.save(made / name, tensor, allow_pickle=False)
        files = {name: sha256_of(made / name) for name in ("README.md", *tensors)}
        (made / RDF).write_text(
            written(plain(rdf_from_spec(spec, entries, files), RDF)), encoding="utf-8"
        )
        _read_folder(made)
    return read_model(folder)


def export_zip(model: Model, path: Path | str, *, overwrite: bool = False) -> Path:
    """Pack a model into one file, to share; returns its path."""
    path = Path(path).expanduser()
    with new_file(path, overwrite=overwrite) as made:
        pack(model.path, [RDF, *model.files], made)
    return path


def copy_model(model: Model, folder: Path, *, overwrite: bool = False) -> Model:
    """Copy what belongs to a model, every file checked, whole or not at all.

    Raises
    ------
    InputError
        If a file is missing or changed, or ``folder`` exists.
    """
    _check_whole(model)
    with new_folder(folder, overwrite=overwrite) as made:
        _copy_files(model, made)
        _read_folder(made)
    return read_model(folder)


def add_export(model: Model, folder: Path, export: Export) -> Model:
    """A copy of a model that has an export more; the rest as `copy_model`."""
    _check_whole(model)
    with new_folder(folder) as made:
        _copy_files(model, made)
        rdf = parsed((made / RDF).read_text(encoding="utf-8"))
        rdf["weights"][export.kind] = _added(export, made)
        (made / RDF).write_text(written(rdf), encoding="utf-8")
        _read_folder(made)
    return read_model(folder)


def _check_whole(model: Model) -> None:
    problems = checksum_problems(model)
    if problems:
        raise InputError(f"model package {model.path} cannot be used: {problems[0]}")


def _copy_files(model: Model, made: Path) -> None:
    for name in (RDF, *model.files):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(inside(model.path, name), made / name)


def _added(export: Export, made: Path) -> dict[str, Any]:
    """Copy an export into a package; its entry in the description."""
    target = made / f"weights.{'onnx' if export.kind == 'onnx' else 'torchscript.pt'}"
    _copied(export.path, target)
    return _entry(target) | _export_version(export)


def _read_folder(folder: Path) -> Model:
    if not (folder / RDF).exists():
        raise InputError(f"there is no {RDF} in it; choose the folder or zip of a model")
    try:
        text = inside(folder, RDF).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{RDF} is not text; install the model again") from None
    rdf = parsed(text)
    files = referenced_files(rdf)
    spec = spec_from_rdf(rdf, _card(folder, rdf))
    source = needed(rdf, f"{WEIGHTS}.source", str)
    checksum = needed(rdf, f"{WEIGHTS}.sha256", str).lower()
    for name in files:
        inside(folder, name)
    weights = inside(folder, source)
    exports = {
        kind: inside(folder, needed(rdf, f"weights.{kind}.source", str))
        for kind in ("torchscript", "onnx")
        if rdf["weights"].get(kind)
    }
    found = check_checksum(weights, checksum)
    return Model(spec, folder.absolute(), weights, found, files, exports)


def _read_zip(archive: Path) -> Model:
    cached = unpacked_dir() / sha256_of(archive)
    if cached.is_dir():
        try:
            return _read_folder(package_root(cached))
        except InputError:
            shutil.rmtree(cached)
    try:
        with new_folder(cached) as made:
            unpack(archive, made)
            _read_folder(package_root(made))
    except InputError:
        # another process may have unpacked it meanwhile
        if not cached.is_dir():
            raise
    return _read_folder(package_root(cached))


def _card(folder: Path, rdf: Mapping[str, Any]) -> str:
    entry = rdf.get("documentation")
    name = entry.get("source") if isinstance(entry, Mapping) else entry
    if not isinstance(name, str) or name.startswith(("http://", "https://")):
        return ""
    with inside(folder, name).open("rb") as file:
        return file.read(_CARD_BYTES).decode("utf-8", errors="replace")


def _checked_tensors(
    spec: ModelSpec, test_input: np.ndarray | None, test_output: np.ndarray | None
) -> dict[str, np.ndarray]:
    if test_input is None or test_output is None:
        return {}
    pairs = ((test_input, spec.channels_in), (test_output, spec.channels_out))
    for tensor, channels in pairs:
        if tensor.ndim != len(spec.axes) + 1 or tensor.shape[1] != len(channels):
            raise InputError(
                f"a test tensor must be (batch, {len(channels)} channels, {len(spec.stride)} "
                f"spatial axes), got the shape {tensor.shape}"
            )
    return dict(zip(TESTS, (test_input, test_output), strict=True))


def _copied(source: Path, target: Path) -> None:
    if not source.is_file():
        raise InputError(f"the weights file {source} does not exist; save the weights first")
    shutil.copyfile(source, target)


def _entry(path: Path) -> dict[str, Any]:
    return {"source": path.name, "sha256": sha256_of(path)}


def _export_version(export: Export) -> dict[str, Any]:
    parent = {"parent": "pytorch_state_dict"}
    if export.kind == "onnx":
        return {"opset_version": int(export.version)} | parent
    return {"pytorch_version": export.version} | parent


def _torch() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("torch")
    except PackageNotFoundError:
        return "2.4"
