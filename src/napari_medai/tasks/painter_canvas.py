"""What a painter is given of a scene, window by window, and its painting as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.label_maps import REACH
from napari_medai.core.looks import OBJECT_TRAITS, Look
from napari_medai.core.paint_maps import given_maps, noise_maps
from napari_medai.core.quantiles import drawn_values
from napari_medai.core.tiling import Window
from napari_medai.tasks.painter_models import Knowledge

if TYPE_CHECKING:
    from napari_medai.tasks.synthesize_objects import Scene


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """Gives a painter what it is to paint, window by window."""

    labels: np.ndarray
    objects: np.ndarray
    traits: np.ndarray
    noise: np.ndarray

    @classmethod
    def of(
        cls,
        scene: Scene,
        known: Knowledge,
        variation: float,
        looking: np.random.Generator,
        painting: np.random.Generator,
    ) -> Canvas:
        count = len(scene.numbers) - 1
        images, objects = known.scales
        traits = images.normal(scene.look.traits)
        traits = traits + variation * looking.standard_normal(len(traits)).astype(np.float32)
        drawn = [drawn_values(getattr(scene.look, name), count, looking) for name in OBJECT_TRAITS]
        own = np.zeros((count + 1, len(OBJECT_TRAITS)))
        own[1:] = np.stack(drawn, axis=1)
        return cls(
            scene.labels,
            objects.normal(own),
            np.clip(traits, -3, 3),
            noise_maps(scene.labels.shape, painting),
        )

    def read(self, window: Window) -> np.ndarray:
        """Maps (`CHANNELS`, \\*space) of a window, float32."""
        around = tuple(
            slice(max(0, part.start - REACH - 1), part.stop + REACH + 1) for part in window
        )
        inner = tuple(
            slice(part.start - whole.start, part.stop - whole.start)
            for part, whole in zip(window, around, strict=True)
        )
        given = given_maps(self.labels[around], self.objects, self.traits)
        return np.concatenate([given[(slice(None), *inner)], self.noise[(slice(None), *window)]])


def painted_values(painted: np.ndarray, look: Look, dtype: np.dtype[Any]) -> np.ndarray:
    """A painting in the values of the look's window, within those that the dtype has."""
    low, high = look.window
    # float32 has no room for whole numbers of more than 24 bits
    fine = np.float64 if dtype.kind in "iu" and dtype.itemsize > 2 else np.float32
    values = painted * fine(high - low) + fine(low)
    if dtype.kind not in "iu":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    most = fine(limits.max)
    if int(most) > limits.max:  # rounded up, for want of digits
        most = np.nextafter(most, fine(0))
    return np.clip(np.rint(values), fine(limits.min), most).astype(dtype)
