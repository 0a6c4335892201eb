"""The state of a training that was stopped, and whose it is: a small JSON file beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_medai.core.errors import InputError
from napari_medai.io.atomic import replacing
from napari_medai.models.model import Model
from napari_medai.models.registry import find_model, user_models_dir
from napari_medai.tasks.pairs import BoxPair, Pair
from napari_medai.tasks.train_denoise import NoisyPair


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint file, and the note of what is trained: ``name``, ``start`` and ``images``.

    The note also has the ``model`` that the training has made so far, by its checksum.
    """

    path: Path

    @property
    def note(self) -> Path:
        return self.path.with_name(self.path.name + ".medai.json")

    def read(self) -> dict[str, Any]:
        """What the note says, nothing if there is none."""
        if not self.note.exists():
            return {}
        try:
            found = json.loads(self.note.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self.note} cannot be read ({error}); delete it and the checkpoint to begin again"
            ) from error
        return dict(found) if isinstance(found, Mapping) else {}

    def made(self, name: str) -> bool:
        """Whether the model of this name is what this training has made so far."""
        told = self.read()
        if told.get("name") != name or "model" not in told:
            return False
        try:
            model = find_model(user_models_dir() / name)
        except InputError:
            return False
        return bool(model.sha256 == told["model"])

    def check(self, training: Mapping[str, Any]) -> None:
        """Refuse to go on with anything but the training that is noted.

        A checkpoint of a script has no note, and can be told by its net alone.
        """
        told = self.read()
        for key, value in training.items():
            if key in told and told[key] != value:
                raise InputError(
                    f"the checkpoint {self.path} belongs to another training ({key}: "
                    f"{_shown(told[key])}, not {_shown(value)}); give what it was begun with, or "
                    "choose another file"
                )

    def write(self, training: Mapping[str, Any], *, model: Model | None = None) -> None:
        """Note what is trained, and what came of it."""
        made = {} if model is None else {"model": model.sha256}
        text = json.dumps({**self.read(), **training, **made}, indent=2)
        with replacing(self.note, overwrite=True) as partial:
            partial.write_text(text + "\n", encoding="utf-8")

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def told_pairs(pairs: Sequence[Pair] | Sequence[BoxPair] | Sequence[NoisyPair]) -> str:
    """What tells some pairs from others: their number, and a sum over names and shapes."""
    names = "\n".join(f"{pair.name} {_shape(pair)}" for pair in pairs)
    return f"{len(pairs)} ({hashlib.sha256(names.encode()).hexdigest()[:12]})"


def _shape(pair: Pair | BoxPair | NoisyPair) -> tuple[int, ...]:
    if isinstance(pair, NoisyPair):
        return pair.image.shape
    return pair.labels.shape if isinstance(pair, Pair) else pair.boxes.corners.shape


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)
