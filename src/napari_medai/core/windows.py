"""The usual windows of computed tomography: which Hounsfield units are black and which white.

Levels and widths as in common use (Radiopaedia, *Windowing (CT)*); departments differ by a little.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """A window by its centre (``level``) and ``width``, in Hounsfield units."""

    name: str
    level: float
    width: float

    @property
    def limits(self) -> tuple[float, float]:
        """The values shown as black and as white."""
        return self.level - self.width / 2, self.level + self.width / 2


CT_WINDOWS = (
    Window("Soft tissue", 50, 400),
    Window("Lung", -600, 1500),
    Window("Bone", 400, 1800),
    Window("Brain", 40, 80),
    Window("Stroke", 32, 40),
    Window("Subdural", 75, 215),
    Window("Mediastinum", 50, 350),
    Window("Liver", 30, 150),
    Window("Spine", 50, 250),
    Window("Vessels", 300, 600),
    Window("Temporal bone", 600, 2800),
)


def window_named(name: str) -> Window:
    """The window of this name, whatever its case; `KeyError` if there is none."""
    return {window.name.lower(): window for window in CT_WINDOWS}[name.lower()]
