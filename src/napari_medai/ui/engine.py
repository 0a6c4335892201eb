"""The doors to models and tasks; what is behind them is imported when one is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.axes import AxesArray
from napari_medai.core.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_medai.core.noise import CameraNoise
    from napari_medai.models.package import Model
    from napari_medai.tasks.channel_noise import ChannelNoise
    from napari_medai.tasks.denoise_params import DenoiseParams
    from napari_medai.tasks.denoising import Restoration
    from napari_medai.tasks.detect import DetectParams
    from napari_medai.tasks.detection import Detection
    from napari_medai.tasks.inside_boxes import PlacedBoxes
    from napari_medai.tasks.learning import Learning
    from napari_medai.tasks.previewing import Part
    from napari_medai.tasks.segment import SegmentParams
    from napari_medai.tasks.segmentation import Segmentation
    from napari_medai.tasks.self_supervised import Learned
    from napari_medai.tasks.synthesize import Kind
    from napari_medai.tasks.synthetic import Synthetic
    from napari_medai.tasks.synthetic_preview import Trial


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


def denoising_models() -> list[Model]:
    """The models for denoising, shipped ones first."""
    from napari_medai.models.registry import list_models

    return list(list_models("denoise"))


def denoise_params_class() -> type[DenoiseParams]:
    """The parameters of denoising."""
    from napari_medai.tasks.denoise_params import DenoiseParams

    return DenoiseParams


def own_name() -> str:
    """What a record says in place of a model's name where a net learned from the image itself."""
    from napari_medai.tasks.denoise_params import SELF

    return SELF


def denoise_steps(
    image: AxesArray,
    model: Model | None,
    params: DenoiseParams,
    *,
    preview: Part | None = None,
    learning: Learning | None = None,
) -> Steps[Restoration]:
    """Take the noise out of an image; called in a thread."""
    from napari_medai.ui.preload import smooth_imports

    with smooth_imports():
        import napari_medai.nn.denoising
        import napari_medai.nn.runner  # noqa: F401  (the task will want both)
        from napari_medai.tasks.denoise import denoise_steps as steps

    return (yield from steps(image, model, params, preview=preview, learning=learning))


def told_noise(image: AxesArray) -> ChannelNoise:
    """The noise of an image, told from it; called in a thread."""
    from napari_medai.tasks.channel_noise import ChannelNoise

    return ChannelNoise.of(image, None)


def seen_axes(model: Model | None, params: DenoiseParams) -> str:
    """The axes of an image that the net sees at once."""
    from napari_medai.tasks.denoise_models import space_of

    return params.space if model is None else space_of(model)


def part_values(image: AxesArray, part: Part, space: str) -> np.ndarray:
    """A part (\\*space) of an image as it is; called in a thread."""
    from napari_medai.tasks.planes import Planes
    from napari_medai.tasks.previewing import part_of

    return np.asarray(part_of(Planes(image, space), part).data)


def restored_part(
    image: AxesArray,
    part: Part,
    space: str,
    model: Model,
    noises: Mapping[int, CameraNoise | None],
    params: DenoiseParams,
) -> np.ndarray:
    """A part (\\*space) of an image restored by a model; called in a thread."""
    from napari_medai.ui.preload import smooth_imports

    with smooth_imports():
        import napari_medai.nn.runner  # noqa: F401  (the task will want it)
        from napari_medai.tasks import previewing
        from napari_medai.tasks.planes import Planes
        from napari_medai.tasks.suitable import loaded_net

    net, planes = loaded_net(model, device=params.device), Planes(image, space)
    return previewing.restored_part(net, planes, part, noises, strength=params.strength)


def keep(learned: Learned, name: str) -> Model:
    """Make a model of a net that learned from an image; called in a thread."""
    from napari_medai.tasks import denoise_models

    return denoise_models.keep(learned, name)


def self_check(result: Restoration, image: AxesArray) -> str:
    """Whether what was taken away looks like noise, in one sentence; called in a thread."""
    from napari_medai.tasks import self_check as check

    return check.self_check(result, image)


def synthesis_models() -> list[Model]:
    """The models that paint images, shipped ones first."""
    from napari_medai.models.registry import list_models

    return list(list_models("synthesize"))


def grown_kind() -> Kind:
    """What is synthesized without a model."""
    from napari_medai.tasks.synthesize import GROWN

    return GROWN


def synthesis_kind(model: Model | None) -> Kind:
    """What a model synthesizes, or what needs none."""
    from napari_medai.tasks.synthesize import painted_by

    return grown_kind() if model is None else painted_by(model)


def usual_shape(ndim: int) -> tuple[int, ...]:
    """The shape of what is synthesized where none is said."""
    from napari_medai.tasks.synthetic import SHAPES

    return SHAPES[ndim]


def layout_params() -> tuple[str, ...]:
    """The parameters of synthesizing that mean nothing where labels are given."""
    from napari_medai.tasks.object_params import LAYOUT

    return LAYOUT


def trial_of(
    kind: Kind, shape: Sequence[int], params: Any, labels: AxesArray | None = None
) -> Trial:
    """What a preview of synthetic images makes; called in a thread."""
    from napari_medai.tasks import synthetic_preview

    return synthetic_preview.trial_of(kind, shape, params, labels=labels)


def synthesize_steps(
    model: Model | None, params: Any, *, shape: tuple[int, ...] | None, **given: Any
) -> Steps[list[Synthetic]]:
    """Make images and their truth; called in a thread.

    ``given`` are labels, style, scale and units, as a script gives them.
    """
    from napari_medai.ui.preload import smooth_imports

    with smooth_imports():
        if model is not None:
            import napari_medai.nn.runner  # noqa: F401  (the task will want it)
        from napari_medai.scripting.synthesize import order_of
        from napari_medai.tasks.synthesize import synthesize_steps as steps

    name = grown_kind().name if model is None else model
    order = order_of(name, shape=shape, ndim=None, **given)
    ground = order.ground
    return (
        yield from steps(
            order.kind, ground.shape, params, spacing=ground.spacing, units=ground.units
        )
    )
