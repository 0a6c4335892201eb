"""Where a header says that a volume lies: the first of its statements that can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.core.space import Grid


def centred(steps: Sequence[float], shape: Sequence[int]) -> np.ndarray:
    """What nibabel takes where only spacing is known: radiological, the origin in the middle."""
    if not all(np.isfinite(n) and n > 0 for n in steps[: len(shape)]):
        raise InputError(f"the spacing must be positive numbers, got {list(steps)}")
    whole = [*steps[: len(shape)], 1.0, 1.0, 1.0][:3]
    affine = np.diag([-whole[0], whole[1], whole[2], 1.0])
    sizes = np.array([*shape[:3], 1, 1, 1][:3])
    affine[:3, 3] = -affine[:3, :3] @ ((sizes - 1) / 2)
    return affine


def first_valid(choices: dict[str, Callable[[], Any]]) -> tuple[np.ndarray, tuple[str, ...]]:
    """The first affine that is one, and a note where it is not the first of all."""
    wrong: dict[str, str] = {}
    for name, affine in choices.items():
        try:
            found = np.array(affine(), dtype=float)
            Grid.from_ras(found)
        except Exception as error:  # nibabel raises several kinds
            wrong[name] = str(error).split(";")[0]
            continue
        if not wrong:
            return found, ()
        first, reason = next(iter(wrong.items()))
        return found, (f"its {first} is not valid ({reason}); {name} is used instead",)
    reasons = ", ".join(f"{name}: {reason}" for name, reason in wrong.items())
    raise InputError(f"no place or spacing in its header is valid ({reasons}); correct the header")
