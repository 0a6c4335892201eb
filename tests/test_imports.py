"""Imports go one way, heavy ones wait until they are used, and all are declared."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest

import napari_medai

PACKAGE = Path(napari_medai.__file__).parent
ALL = frozenset({"cli", "core", "io", "models", "nn", "scripting", "tasks", "ui"})

# What a part of the package may import from the others, at once and inside functions.
MAY_IMPORT = {
    "core": frozenset({"core"}),
    "nn": frozenset({"core", "nn"}),
    "models": frozenset({"core", "models"}),
    "io": frozenset({"core", "io"}),
    "tasks": frozenset({"core", "models", "nn", "tasks"}),
    "ui": ALL - {"cli"},
    "commands": ALL - {"cli"} | {"commands"},
    "cli": ALL | {"commands"},
    "scripting": ALL - {"cli"},
    "__init__": ALL - {"cli"},
    "__main__": ALL,
}
# Parts that may import these only inside functions.
ONLY_LAZILY = {
    "tasks": frozenset({"nn"}),
    "cli": frozenset({"nn", "ui"}),
    "commands": frozenset({"nn", "ui"}),
    "scripting": frozenset({"nn", "ui"}),
}
# Where packages from outside belong.
HOMES = {
    "torch": frozenset({"nn"}),
    "openvino": frozenset({"nn"}),
    "napari": frozenset({"ui", "scripting", "commands"}),
    "magicgui": frozenset({"ui"}),
    "qtpy": frozenset({"ui"}),
    "superqt": frozenset({"ui"}),
}


def _imports(tree: ast.AST, *, lazy: bool = False) -> Iterator[tuple[str, bool]]:
    """Every module a file imports, and whether it is imported only when a function runs."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, lazy) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where a thing comes from"
            module = node.module or ""
            whole = module == "napari_medai"
            names = [f"{module}.{alias.name}" for alias in node.names] if whole else [module]
            yield from ((name, lazy) for name in names)
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from _imports(node, lazy=lazy or inside)


def _part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_only_what_its_part_may(path: Path) -> None:
    part = _part(path)
    for module, lazy in _imports(ast.parse(path.read_text(encoding="utf-8"))):
        top, _, rest = module.partition(".")
        if top == "napari_medai" and rest:
            other = rest.split(".")[0]
            assert other in MAY_IMPORT[part] | {"__version__"}, f"{part} imports {module}"
            assert lazy or other not in ONLY_LAZILY.get(part, ()), f"{module} at the top"
        elif top in HOMES:
            assert part in HOMES[top], f"{part} imports {module}"
            assert lazy or part in {"nn", "ui"}, f"{module} at the top"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_import_from_outside_is_declared() -> None:
    named = (re.match(r"[\w.-]+", line) for line in requires("napari-medai") or ())
    declared = {_normal(name[0]) for name in named if name}
    owners = packages_distributions()
    missing = set()
    for path in FILES:
        for module, _ in _imports(ast.parse(path.read_text(encoding="utf-8"))):
            top = module.split(".")[0]
            if top in sys.stdlib_module_names or top == "napari_medai":
                continue
            found = {_normal(owner) for owner in owners.get(top, [top])}
            if len(found) > 1:  # a namespace: bioimageio.spec, bioimageio.core
                found = {_normal(".".join(module.split(".")[:2]))}
            if not found & declared:
                missing.add((path.name, module))
    assert not missing, "add these to pyproject.toml"


def _run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert not done.stderr
    return done.stdout.strip()


def test_importing_the_package_is_free_and_silent() -> None:
    heavy = {"dask", "magicgui", "napari", "numpy", "PyQt6", "PySide6", "qtpy", "scipy", "torch"}
    code = (
        "import sys, os; before = dict(os.environ); import napari_medai; "
        f"print(sorted({heavy} & set(sys.modules)), os.environ == before)"
    )
    assert _run(code) == "[] True"


def test_importing_the_package_loads_next_to_nothing() -> None:
    code = (
        "import typing, importlib.metadata, sys; before = set(sys.modules); import napari_medai; "
        "print(len(set(sys.modules) - before))"
    )
    assert int(_run(code)) < 20


def test_plain_arrays_need_no_napari() -> None:
    code = (
        "import sys, napari_medai.tasks.segment; "
        "print(sorted({'napari', 'qtpy', 'torch'} & set(sys.modules)))"
    )
    assert _run(code) == "[]"


def test_public_names_resolve() -> None:
    assert set(napari_medai.__all__) <= set(dir(napari_medai))
    for name in (*napari_medai.__all__, "__version__"):
        assert getattr(napari_medai, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = napari_medai.nonsense


@pytest.mark.parametrize("first", ["napari_medai", "napari_medai.models.registry"])
def test_models_can_be_called_whatever_was_imported_first(first: str) -> None:
    code = (
        f"import {first}, napari_medai as medai; from napari_medai.models import registry; "
        "print(medai.models() == registry.list_models(), medai.models.registry is registry)"
    )
    assert _run(code) == "True True"
