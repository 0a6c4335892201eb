"""The record of a run: enough to make the result again, and nothing about a patient."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from napari_medai.core.axes import AxesArray

if TYPE_CHECKING:
    from napari_medai.models.model import Model

PACKAGES = ("napari-medai", "torch", "openvino", "numpy", "scipy")


def run_record(
    task: str,
    model: Model | str,
    parameters: Mapping[str, Any],
    image: AxesArray,
    *,
    device: str,
    seconds: float,
    found: Mapping[str, Any],
) -> dict[str, Any]:
    """What goes into ``metadata["medai"]`` of a result: plain values only.

    ``model`` is a word where there is no package; ``found`` is what the run decided or counted by
    itself. The image is described by its axes and shape alone; names and headers of its file stay
    out.
    """
    return {
        "task": task,
        "model": described_model(model),
        "parameters": dict(parameters),
        "image": {
            "axes": image.axes,
            "shape": list(image.shape),
            "dtype": str(image.data.dtype),
            "spacing": dict(image.spacing),
            "units": dict(image.units),
        },
        "found": dict(found),
        "device": device,
        "seconds": round(seconds, 3),
        "partial": False,
        "packages": dict(_versions()),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def described_model(model: Model | str) -> dict[str, str]:
    """What tells a model; a word is one without a package."""
    if isinstance(model, str):
        return {"name": model}
    return {"name": model.name, "version": model.version, "sha256": model.sha256}


@lru_cache(maxsize=1)
def _versions() -> Mapping[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
