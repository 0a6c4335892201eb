"""Where models lie: those that ship with the package, and the user's own."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def shipped_dir() -> Path:
    """The folder of the models in the installed package."""
    return Path(__file__).resolve().parent / "zoo"


def user_models_dir() -> Path:
    """The folder of own and downloaded models; the variable MEDAI_MODELS overrides it."""
    own = os.environ.get("MEDAI_MODELS")
    return Path(own).expanduser() if own else Path(_data_dir()) / "models"


def unpacked_dir() -> Path:
    """Where packages given as a zip are unpacked, by their SHA-256."""
    return user_models_dir() / ".unpacked"


def _data_dir() -> str:
    return platformdirs.user_data_dir("napari-medai", appauthor=False)
