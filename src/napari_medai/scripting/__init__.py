"""The Python API: a layer or an array goes in, a layer comes out.

No Qt is needed: everything works without a screen, with napari's layers alone.
"""

from __future__ import annotations

from napari_medai.scripting.denoising import denoise
from napari_medai.scripting.embed import embed
from napari_medai.scripting.layers import boxes, detect, measure, models, script, segment
from napari_medai.scripting.synthesize import synthesize
from napari_medai.scripting.training import train

__all__ = [
    "boxes",
    "denoise",
    "detect",
    "embed",
    "measure",
    "models",
    "script",
    "segment",
    "synthesize",
    "train",
]
