"""Models by name: find, list, install and remove them."""

from __future__ import annotations

import difflib
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from napari_medai.core.errors import InputError, RunError
from napari_medai.models.folder import RDF, package_root, unpack
from napari_medai.models.package import Model, copy_model, read_model
from napari_medai.models.places import shipped_dir, user_models_dir
from napari_medai.models.spec import check_name, is_name

__all__ = [
    "BrokenModel",
    "broken_models",
    "find_model",
    "install_model",
    "list_models",
    "own_folder",
    "remove_model",
    "shipped_dir",
    "user_models_dir",
]


@dataclass(frozen=True, slots=True)
class BrokenModel:
    """A package that cannot be used, and why, in one sentence."""

    name: str
    path: Path
    problem: str


def list_models(task: str | None = None) -> list[Model]:
    """Every model that can be used, shipped ones first; see `broken_models` for the rest."""
    models = [found for found in _packages() if isinstance(found, Model)]
    return [model for model in models if task in (None, model.task)]


def broken_models() -> list[BrokenModel]:
    """Every package that cannot be used."""
    return [found for found in _packages() if isinstance(found, BrokenModel)]


def find_model(name: str | Path, task: str | None = None) -> Model:
    """A model by name, or by the path of its folder, ``rdf.yaml`` or zip.

    Where a task is said, a model for it may also go by its ``alias``, which models for other
    tasks may have as their name.

    Raises
    ------
    InputError
        If there is none of this name (the message names the nearest), it cannot be used, or it
        is for another task.
    """
    try:
        model = _found(name)
    except InputError:
        if (called := _called(name, task)) is None:
            raise
        return called
    if task not in (None, model.task):
        if (called := _called(name, task)) is not None:
            return called
        others = ", ".join(other.name for other in list_models(task)) or "none yet"
        raise InputError(
            f"model {model.name!r} is made to {model.task}, not to {task}; "
            f"models that {task}: {others}"
        )
    return model


def own_folder(name: str, *, overwrite: bool = False) -> Path:
    """Where a user's model of this name is to be written; asked before the work starts.

    Raises
    ------
    InputError
        If the name is malformed, belongs to a shipped model, or (without ``overwrite``) is taken.
    """
    check_name(name)
    if (shipped_dir() / name).exists():
        raise InputError(f"{name!r} is the name of a model that ships; choose another name")
    folder = user_models_dir() / name
    if folder.exists() and not overwrite:
        raise InputError(
            f"there is a model {name!r} already ({folder}); choose another name, remove it, "
            "or allow it to be overwritten"
        )
    return folder


def install_model(package: Path | str, *, overwrite: bool = False) -> Model:
    """Copy a checked package (folder or zip) to the user's models, under its own name."""
    package = Path(package).expanduser()
    if not zipfile.is_zipfile(package):
        model = read_model(package)
        return copy_model(model, own_folder(model.name, overwrite=overwrite), overwrite=overwrite)
    with tempfile.TemporaryDirectory(prefix="medai-") as spare:
        try:
            unpack(package, Path(spare))
        except InputError as error:
            raise InputError(f"model package {package} cannot be used: {error}") from None
        except OSError as error:
            raise RunError(f"{package} could not be unpacked ({error.strerror})") from error
        return install_model(package_root(Path(spare)), overwrite=overwrite)


def remove_model(name: str) -> None:
    """Delete one of the user's models.

    Raises
    ------
    InputError
        If there is none of this name, or it ships with the package.
    """
    check_name(name)
    folder = user_models_dir() / name
    if folder.is_symlink():
        folder.unlink()
    elif folder.is_dir():
        shutil.rmtree(folder)
    elif (shipped_dir() / name).exists():
        raise InputError(f"model {name!r} ships with napari-medai and cannot be removed")
    else:
        raise InputError(_unknown(name))


def _found(name: str | Path) -> Model:
    text = str(name)
    if isinstance(name, Path) or set("/\\") & set(text) or text.endswith((".zip", RDF)):
        return read_model(name)
    for folder in (shipped_dir(), user_models_dir()):
        if is_name(text) and (folder / text).is_dir():
            found = _read(folder / text)
            if isinstance(found, BrokenModel):
                raise InputError(found.problem)
            return found
    if Path(text, RDF).is_file():
        return read_model(text)
    if text and Path(text).is_dir():
        raise InputError(f"{_unknown(text)}; the folder {text} here holds no {RDF}")
    raise InputError(_unknown(text))


def _called(name: str | Path, task: str | None) -> Model | None:
    """The model for a task with this alias."""
    known = list_models(task) if task is not None and isinstance(name, str) else []
    return next((model for model in known if model.config.get("alias") == name), None)


def _packages() -> Iterator[Model | BrokenModel]:
    shipped = shipped_dir()
    for place in (shipped, user_models_dir()):
        for folder in sorted(place.iterdir()) if place.is_dir() else ():
            if folder.name.startswith((".", "_")) or not folder.is_dir():
                continue
            if place != shipped and (shipped / folder.name).is_dir():
                problem = (
                    f"{folder} has the name of a model that ships, which is used instead; rename it"
                )
                yield BrokenModel(folder.name, folder, problem)
            else:
                yield _read(folder)


def _read(folder: Path) -> Model | BrokenModel:
    try:
        model = read_model(folder)
    except InputError as error:
        return BrokenModel(folder.name, folder, str(error))
    if model.name != folder.name:
        problem = (
            f"the folder {folder} holds a model named {model.name!r}; "
            "give the folder that name, or install the package"
        )
        return BrokenModel(folder.name, folder, problem)
    return model


def _unknown(name: str) -> str:
    names = [model.name for model in list_models()]
    near = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else "."
    return f"there is no model named {name!r}{hint} Available: {', '.join(names) or 'none'}"
