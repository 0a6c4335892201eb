"""The figures of an evaluation as a file of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_medai.core.errors import InputError
from napari_medai.io.atomic import check_free, replacing


def check_figures_file(path: Path | None, *, overwrite: bool) -> None:
    """Refuse, before the work, a file that cannot be written."""
    if path is None:
        return
    check_free(path, overwrite=overwrite, file=True)
    if not path.parent.is_dir():
        raise InputError(f"the folder {path.parent} does not exist; create it first")


def write_figures(path: Path | None, figures: Mapping[str, Any], *, overwrite: bool) -> None:
    """Write figures, if there is a file for them."""
    if path is None:
        return
    with replacing(path, overwrite=overwrite) as partial:
        partial.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
