"""What denoising gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_medai.core.axes import ArrayLike
from napari_medai.core.noise import CameraNoise

if TYPE_CHECKING:
    from napari_medai.tasks.self_supervised import Learned


@dataclass(frozen=True, slots=True, eq=False)
class Restoration:
    """An image with less noise.

    ``image`` has the shape, the axes and the units of intensity of what came in: an array, or zarr
    when large. ``noise`` is what each channel was taken to have, by its number (0 without a
    channel axis), ``record`` how the result was made. ``learned`` is the net that learned from the
    image itself, which `napari_medai.tasks.denoise_models.keep` makes a model of.
    """

    image: ArrayLike
    axes: str
    noise: Mapping[int, CameraNoise | None]
    record: dict[str, Any]
    notes: tuple[str, ...] = ()
    learned: Learned | None = None

    @property
    def told(self) -> str:
        """What the noise was, in a few words."""
        found = [noise for noise in self.noise.values() if noise is not None]
        if not found:
            return "no noise to remove"
        parts = [
            f"gain {n.gain:.3g}, read noise {n.read_noise:.3g}, dark {n.offset:.4g}" for n in found
        ]
        return "; ".join(parts)
