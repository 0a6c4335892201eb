"""What a widget remembers from one session to the next: a small JSON file."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


def settings_path() -> Path:
    """The file; ``MEDAI_CONFIG`` names another folder for it."""
    folder = os.environ.get("MEDAI_CONFIG")
    if folder is None:
        from platformdirs import user_config_dir

        folder = user_config_dir("napari-medai", appauthor=False)
    return Path(folder) / "widgets.json"


def remembered(widget: str) -> dict[str, Any]:
    """What a widget stored last; nothing if there is no file or it cannot be read."""
    try:
        values = json.loads(settings_path().read_text("utf-8"))[widget]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return dict(values) if isinstance(values, dict) else {}


def remember(widget: str, values: Mapping[str, Any]) -> None:
    """Store what a widget should come up with next time; a folder that is not ours is no error."""
    path = settings_path()
    try:
        stored = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        stored = {}
    stored = stored if isinstance(stored, dict) else {}
    stored[widget] = dict(values)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(stored, indent=2), "utf-8")
        part.replace(path)
    except OSError as error:
        log.warning("settings were not stored in %s: %s", path, error)
