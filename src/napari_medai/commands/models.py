"""``napari-medai models``: what is installed, and whether it is sound."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from napari_medai.commands.messages import told
from napari_medai.core.errors import InputError
from napari_medai.models.model import Model
from napari_medai.models.registry import (
    broken_models,
    find_model,
    install_model,
    list_models,
    remove_model,
    shipped_dir,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    one = actions.add_parser("list", help="the models that can be used")
    one.add_argument("--task", help="only those for this task")
    one = actions.add_parser("show", help="a model's card")
    one.add_argument("name", metavar="NAME")
    one.add_argument("--json", action="store_true", help="everything, for programs")
    one = actions.add_parser("verify", help="check every file and the description")
    one.add_argument("names", nargs="*", metavar="NAME", help="all of them, if none is named")
    one = actions.add_parser("install", help="copy a package, a folder or zip, to one's models")
    one.add_argument("path", type=Path, metavar="PATH")
    one.add_argument("--overwrite", action="store_true", help="replace a model of this name")
    one = actions.add_parser("remove", help="delete one of one's own models")
    one.add_argument("name", metavar="NAME")
    one = actions.add_parser(
        "export", help="pack a model into one file, to share, with TorchScript"
    )
    one.add_argument("name", metavar="NAME")
    one.add_argument("path", type=Path, metavar="ZIP")
    one.add_argument("--overwrite", action="store_true", help="replace the file")


def run(parsed: argparse.Namespace) -> int:
    actions = {
        "list": _list,
        "show": _show,
        "verify": _verify,
        "install": _install,
        "remove": _remove,
        "export": _export,
    }
    return actions[parsed.action](parsed)


def described(model: Model) -> str:
    """A model's summary, place, checksum and card."""
    facts = [model.summary, f"path: {model.path}", f"sha256: {model.sha256}"]
    return "\n".join([*facts, "", model.card.strip()]).rstrip()


def _list(parsed: argparse.Namespace) -> int:
    models = list_models(parsed.task)
    for model in models:
        own = "" if model.path.is_relative_to(shipped_dir()) else f"  [{model.path}]"
        print(model.summary + own)
    if not models:
        told("no model is installed; train one, or install a package", status=0)
    for broken in broken_models():
        told(f"{broken.name} cannot be used: {broken.problem}", status=0)
    return 0


def _show(parsed: argparse.Namespace) -> int:
    model = find_model(parsed.name)
    print(json.dumps(model.describe(), indent=2) if parsed.json else described(model))
    return 0


def _verify(parsed: argparse.Namespace) -> int:
    from napari_medai.tasks.verify import full_check

    names = parsed.names or [
        *(model.name for model in list_models()),
        *(str(broken.path) for broken in broken_models()),
    ]
    if not names:
        raise InputError("no model is installed; name a package to verify")
    status = 0
    for name in names:
        problems = full_check(name)
        print(f"{name}: {'ok' if not problems else '; '.join(problems)}", flush=True)
        status = 2 if problems else status
    return status


def _install(parsed: argparse.Namespace) -> int:
    model = install_model(parsed.path, overwrite=parsed.overwrite)
    print(f"{model.summary}\ninstalled in {model.path}")
    return 0


def _remove(parsed: argparse.Namespace) -> int:
    remove_model(parsed.name)
    print(f"{parsed.name} was removed")
    return 0


def _export(parsed: argparse.Namespace) -> int:
    from napari_medai.tasks.trained import share_model

    path = share_model(find_model(parsed.name), parsed.path, overwrite=parsed.overwrite)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    return 0
