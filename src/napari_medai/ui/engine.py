"""The doors to models and tasks; what is behind them is imported when one is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_medai.core.axes import AxesArray
from napari_medai.core.steps import Steps

if TYPE_CHECKING:
    from napari_medai.models.package import Model
    from napari_medai.tasks.detect import DetectParams
    from napari_medai.tasks.detection import Detection
    from napari_medai.tasks.inside_boxes import PlacedBoxes
    from napari_medai.tasks.segment import SegmentParams
    from napari_medai.tasks.segmentation import Segmentation


def segmentation_models() -> list[Model]:
    """The models for segmenting, shipped ones first."""
    from napari_medai.models.registry import list_models

    return list(list_models("segment"))


def params_class() -> type[SegmentParams]:
    """The parameters of segmenting."""
    from napari_medai.tasks.segment import SegmentParams

    return SegmentParams


def segment_steps(image: AxesArray, model: Model, params: SegmentParams) -> Steps[Segmentation]:
    """Segment an image; called in a thread."""
    from napari_medai.ui.preload import smooth_imports

    with smooth_imports():
        import napari_medai.nn.runner  # noqa: F401  (the task will want it)
        from napari_medai.tasks.segment import segment_steps as steps

    return (yield from steps(image, model, params, keep_scores=True))


def redecoded(segmentation: Segmentation, params: SegmentParams) -> Segmentation:
    """The kept scores of a result, decoded with other parameters; called in a thread."""
    from napari_medai.tasks.segment import redecoded as decoded

    return decoded(segmentation, params)


def detection_models() -> list[Model]:
    """The models for detecting, shipped ones first."""
    from napari_medai.models.registry import list_models

    return list(list_models("detect"))


def detect_params_class() -> type[DetectParams]:
    """The parameters of detecting."""
    from napari_medai.tasks.detect import DetectParams

    return DetectParams


def detect_live() -> tuple[str, ...]:
    """The parameters of detecting that need no new run."""
    from napari_medai.tasks.detect import LIVE

    return LIVE


def detect_steps(image: AxesArray, model: Model, params: DetectParams) -> Steps[Detection]:
    """Find the objects of an image; called in a thread."""
    from napari_medai.ui.preload import smooth_imports

    with smooth_imports():
        import napari_medai.nn.box_scorer  # noqa: F401  (the task will want it)
        from napari_medai.tasks.detect import detect_steps as steps

    return (yield from steps(image, model, params))


def rethresholded(detection: Detection, params: DetectParams) -> Detection:
    """The kept candidates of a result with other thresholds; called in a thread."""
    from napari_medai.tasks.detect import rethresholded as again

    return again(detection, params)


def model_classes(model: Model) -> dict[str, str]:
    """The colours of the classes that a model for detecting knows, by name."""
    from napari_medai.tasks.detect import model_classes as known

    return known(model)


def segment_inside_steps(
    image: AxesArray,
    model: Model,
    params: SegmentParams,
    placed: PlacedBoxes,
    *,
    single: bool,
) -> Steps[Segmentation]:
    """Segment what lies in boxes; called in a thread."""
    from napari_medai.ui.preload import smooth_imports

    with smooth_imports():
        import napari_medai.nn.runner  # noqa: F401  (the task will want it)
        from napari_medai.tasks.inside_boxes import segment_inside_steps as steps

    return (yield from steps(image, model, params, placed, single=single))
