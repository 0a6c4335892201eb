"""A hold on a net while it learns from an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_medai.tasks.self_supervised import Learned


@dataclass(slots=True, eq=False)
class Learning:
    """For whoever started the learning, also from another thread.

    ``enough`` set to True ends the learning at its next step, as if its time were up. ``learned``
    is the best net once the learning has ended, however it did: also cancelled, or failed.
    """

    enough: bool = False
    learned: Learned | None = None
