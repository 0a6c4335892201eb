"""A model on disk that was checked: what the rest of the program holds on to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.models.card import summary_line
from napari_medai.models.folder import inside, sha256_of
from napari_medai.models.spec import Architecture, ModelSpec

TESTS = ("test_input.npy", "test_output.npy")


@dataclass(frozen=True, slots=True)
class Model:
    """A package on disk whose description and weights were checked.

    ``path`` is its folder, ``sha256`` the checksum of ``weights_path``, a file for
    ``torch.load(..., weights_only=True)``; ``files`` are all its files with their stated
    checksums.
    """

    spec: ModelSpec
    path: Path
    weights_path: Path
    sha256: str
    files: Mapping[str, str | None] = field(hash=False, repr=False)
    exports: Mapping[str, Path] = field(hash=False, repr=False)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def version(self) -> str:
        return self.spec.version

    @property
    def task(self) -> str:
        return self.spec.task

    @property
    def axes(self) -> str:
        """Of one input image, ``"CYX"`` or ``"CZYX"``."""
        return self.spec.axes

    @property
    def decoder(self) -> str:
        """What turns the net's maps into results."""
        return str(self.spec.config.get("decoder", ""))

    @property
    def channels(self) -> int:
        """Input channels."""
        return len(self.spec.channels_in)

    @property
    def architecture(self) -> Architecture:
        return self.spec.architecture

    @property
    def licence(self) -> str:
        return self.spec.licence

    @property
    def config(self) -> dict[str, Any]:
        """The settings under ``config: medai:``."""
        return {"name": self.name, "task": self.task, **self.spec.config}

    @property
    def card(self) -> str:
        """What the model is for and how well it does, in markdown."""
        return self.spec.card

    @property
    def summary(self) -> str:
        """One line that tells models apart."""
        return summary_line(self.spec)

    def test_tensors(self) -> tuple[np.ndarray, np.ndarray] | None:
        """A raw input and the output it gives, ``(batch, channel, *space)``; None without."""
        if not all(name in self.files for name in TESTS):
            return None
        first, second = (np.load(inside(self.path, n), allow_pickle=False) for n in TESTS)
        return first, second

    def describe(self) -> dict[str, Any]:
        """Everything a person may want to know, as plain values."""
        spec = self.spec
        return {
            "name": self.name,
            "version": self.version,
            "task": self.task,
            "description": spec.description,
            "axes": self.axes,
            "channels": list(spec.channels_in),
            "output": list(spec.channels_out),
            **spec.config,
            "licence": spec.licence,
            "authors": [author["name"] for author in spec.authors],
            "cite": [dict(entry) for entry in spec.cite],
            "tags": list(spec.tags),
            "net": f"{self.architecture.import_from}.{self.architecture.callable}",
            "net arguments": dict(self.architecture.kwargs),
            "weights": f"{self.weights_path.stat().st_size / 1e6:.1f} MB",
            "sha256": self.sha256,
            "exports": sorted(self.exports),
            "path": str(self.path),
        }


def checksum_problems(model: Model) -> list[str]:
    """What is missing or differs from its SHA-256, one sentence a file."""
    problems = []
    for name, checksum in model.files.items():
        try:
            check_checksum(inside(model.path, name), checksum)
        except InputError as error:
            problems.append(str(error))
    return problems


def check_checksum(path: Path, checksum: str | None) -> str:
    """The file's SHA-256; refused if another was stated."""
    found = sha256_of(path)
    if checksum not in (None, found):
        raise InputError(
            f"the file {path.name} is corrupt or was tampered with (its SHA-256 is "
            f"{found[:12]}…, not {str(checksum)[:12]}…); install the model again"
        )
    return found
