"""What denoising gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.axes import ArrayLike, AxesArray
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

    def residual(self, image: AxesArray) -> ArrayLike:
        """What was taken away from the image (input - output), float32; lazy if either is."""
        return _difference(image.data, self.image)

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


def _difference(noisy: ArrayLike, restored: ArrayLike) -> ArrayLike:
    if isinstance(noisy, np.ndarray) and isinstance(restored, np.ndarray):
        # float64 where float32 does not hold every whole number
        kind = np.result_type(noisy.dtype, np.float32)
        with np.errstate(invalid="ignore"):  # of infinite values nothing is known
            left = np.subtract(noisy, restored, dtype=kind)
        return left.astype(np.float32, copy=False)
    import dask.array as da

    chunks = getattr(restored, "chunks", None) or "auto"
    first, second = (
        part.rechunk(chunks) if isinstance(part, da.Array) else da.from_array(part, chunks)
        for part in (noisy, restored)
    )
    kind = np.result_type(first.dtype, np.float32)
    taken: ArrayLike = (first.astype(kind) - second).astype(np.float32)
    return taken
