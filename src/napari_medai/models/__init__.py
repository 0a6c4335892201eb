"""Model packages: read, write, find, verify.

The package shares its name with the scripting function: ``napari_medai.models()`` lists what is
available, ``napari_medai.models.registry`` is a module, in whatever order they are imported.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_medai.models.model import Model


class _Models(ModuleType):
    def __call__(self, task: str | None = None) -> list[Model]:
        """The available models, all or those for one task."""
        from napari_medai.models.registry import list_models

        return list_models(task)


sys.modules[__name__].__class__ = _Models
