"""Deep learning on the layers you have open.

A layer or an array goes in, a layer comes out::

    import napari_medai as medai

    viewer.add_layer(medai.segment(viewer.layers[0], model="nuclei"))
    viewer.add_layer(medai.detect(viewer.layers[1], model="blood-cells"))
    viewer.add_layer(medai.denoise(viewer.layers[2], model="self"))

The walk of one layer::

    napari layer ──── ui.layers.array_from_layer ────▶ AxesArray (axes, spacing, units; no copy)
                                                            │
    form · command line · script ──▶ SegmentParams          │
                                          │                 ▼
    models.find_model("nuclei") ──────────┴──▶ tasks.segment.segment_steps
                                               │   core: intensity, tiles and blocks
                                               │   nn:   scores of each tile ──▶ objects
                                               │   core: stitched labels, features
                                               ▼
    napari layer ◀──── ui.layers.labels_layer ──── Segmentation (labels, features, record)

`detect` walks the same way by tasks.detect.detect_steps and ui.box_layers.shapes_layer, `denoise`
by tasks.denoise.denoise_steps and ui.image_layers.image_layer. `synthesize` begins with nothing:
tasks.synthesize.synthesize_steps makes images and their truth, ui.synthetic_layers the layers.

Nothing is imported before it is used: ``import napari_medai`` loads no torch, napari, Qt or
numpy. `napari_medai.tasks` holds the same tasks on plain arrays, without napari.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_medai import tasks
    from napari_medai.core.axes import AxesArray
    from napari_medai.core.errors import InputError, MedaiError, RunError
    from napari_medai.core.steps import Step, finished
    from napari_medai.models.model import Model
    from napari_medai.scripting import (
        boxes,
        denoise,
        detect,
        embed,
        measure,
        models,
        script,
        segment,
        synthesize,
        train,
    )
    from napari_medai.tasks.denoise_params import DenoiseParams
    from napari_medai.tasks.denoising import Restoration
    from napari_medai.tasks.detect import DetectParams
    from napari_medai.tasks.detection import Detection
    from napari_medai.tasks.object_params import ObjectParams
    from napari_medai.tasks.segment import SegmentParams
    from napari_medai.tasks.segmentation import Segmentation
    from napari_medai.tasks.synthetic import Synthetic
    from napari_medai.tasks.vessel_params import VesselParams

    __version__: str

_HOMES = {
    "AxesArray": "core.axes",
    "DenoiseParams": "tasks.denoise_params",
    "DetectParams": "tasks.detect",
    "Detection": "tasks.detection",
    "InputError": "core.errors",
    "MedaiError": "core.errors",
    "Model": "models.model",
    "Restoration": "tasks.denoising",
    "RunError": "core.errors",
    "SegmentParams": "tasks.segment",
    "Segmentation": "tasks.segmentation",
    "Step": "core.steps",
    "Synthetic": "tasks.synthetic",
    "ObjectParams": "tasks.object_params",
    "VesselParams": "tasks.vessel_params",
    "boxes": "scripting",
    "denoise": "scripting",
    "detect": "scripting",
    "embed": "scripting",
    "finished": "core.steps",
    "measure": "scripting",
    "models": "",
    "script": "scripting",
    "segment": "scripting",
    "synthesize": "scripting",
    "tasks": "",
    "train": "scripting",
}
"""Where each public name lives; a name without a home is a subpackage (models may be called)."""

__all__ = [
    "AxesArray",
    "DenoiseParams",
    "DetectParams",
    "Detection",
    "InputError",
    "MedaiError",
    "Model",
    "ObjectParams",
    "Restoration",
    "RunError",
    "SegmentParams",
    "Segmentation",
    "Step",
    "Synthetic",
    "VesselParams",
    "boxes",
    "denoise",
    "detect",
    "embed",
    "finished",
    "measure",
    "models",
    "script",
    "segment",
    "synthesize",
    "tasks",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    from importlib import import_module, metadata

    if name == "__version__":
        value: Any = metadata.version("napari-medai")
    elif name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    elif home := _HOMES[name]:
        value = getattr(import_module(f"{__name__}.{home}"), name)
    else:
        value = import_module(f"{__name__}.{name}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
