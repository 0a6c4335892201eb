"""Training on one's own images, from a script."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_medai.core.errors import InputError
from napari_medai.core.fields import checked_params, fields_of
from napari_medai.scripting.box_pairs import box_pairs
from napari_medai.scripting.label_pairs import label_pairs
from napari_medai.scripting.noisy_pairs import noisy_pairs
from napari_medai.scripting.sources import drained, model_for
from napari_medai.tasks.denoise_params import DenoiseParams

if TYPE_CHECKING:
    from napari_medai.models.model import Model

TRAINABLE = ("segment", "detect", "denoise", "synthesize")
PAINTER = "nuclei"
"""The model whose synthetic images are mixed in, where none is named."""


def train(
    task: str,
    images: Any,
    labels: Any = None,
    *,
    name: str,
    start: str | Path | Model | None = None,
    classes: str | Sequence[str] = (),
    window: tuple[float, float] | None = None,
    mirror: str = "",
    across: str = "plane",
    synthetic: int = 0,
    painter: str | Path | Model = PAINTER,
    axes: str | None = None,
    checkpoint: str | Path | None = None,
    overwrite: bool = False,
    **params: Any,
) -> Model:
    """Train a model on one's own images; it can be used by its name at once.

    Parameters
    ----------
    task
        ``"segment"``, ``"detect"``, ``"denoise"`` or ``"synthesize"``.
    images, labels
        To segment: two folders, whose files are matched by name, or two equally long lists of
        layers, arrays or files. To detect: a folder and the file or folder that holds its boxes
        (COCO JSON, CSV, YOLO, Pascal VOC), or images and as many Shapes layers, Labels layers or
        label arrays (the boxes around their objects), `Boxes`, or arrays (n, 4) of top, left,
        bottom, right in pixels whose centres are whole numbers; classes are those of a layer's
        features. Frames of a time series count as images of their own. To denoise: noisy images,
        and in place of labels the clean ones of the same scenes, in any contrast, or none; two
        folders whose files are matched by name, or two lists of layers, arrays or files. To
        synthesize: as to segment objects, 5 images or more.
    start
        A model to go on from.
    classes
        To segment: names of the classes 1, 2, ... in the labels, such as ``["liver", "tumour"]``,
        63 at most; without them, labels number objects. To detect: those to learn; without them,
        all that boxes have.
    window
        For classes: the two values that become dark and bright in every image, as CT in Hounsfield
        units needs; without it, each image counts by its own mean and deviation.
    mirror
        For classes: axes, such as ``"X"``, along which a mirrored image is as good as another.
    across
        To denoise: ``"Z"`` or ``"T"`` lets the net see neighbours along that axis as well.
    synthetic, painter
        To segment objects: so many synthetic images are trained on beside the real ones, made by
        this model (see `synthesize`).
    axes
        Of the images, where they are arrays or layers with other axes than the usual ones.
    checkpoint
        A file to go on from if it exists, and to keep the state of the training in.
    **params
        ``minutes``, ``steps``, ``held_out``, ``batch``, ``learning_rate``, ``seed``, ``device``.

    Raises
    ------
    InputError
        If something does not fit; its text says what to do.
    """
    from napari_medai.tasks.train import TrainParams, finds_classes, train_steps
    from napari_medai.tasks.train_boxes import train_boxes_steps
    from napari_medai.tasks.train_classes import check_classes
    from napari_medai.tasks.train_denoise import train_denoise_steps
    from napari_medai.tasks.train_synthesize import train_synthesize_steps

    if task not in TRAINABLE:
        raise InputError(f"models for {task!r} cannot be trained, only for {', '.join(TRAINABLE)}")
    chosen = checked_params(TrainParams, params)
    names = (classes,) if isinstance(classes, str) and classes else tuple(classes)
    check_options(
        task, classes=names, window=window, mirror=mirror, across=across, synthetic=synthetic
    )
    check_classes(names)
    begin = None if start is None else model_for(task, start)
    how: dict[str, Any] = {
        "name": name,
        "start": begin,
        "checkpoint": None if checkpoint is None else Path(checkpoint),
        "overwrite": overwrite,
    }
    if task == "denoise":
        noisy = noisy_pairs(images, labels, axes=axes)
        return _model(train_denoise_steps(noisy, chosen, across=across, **how))
    if task == "detect":
        pairs, notes = box_pairs(images, labels, axes=axes, classes=names)
        for note in notes:
            warnings.warn(note, stacklevel=2)
        return _model(train_boxes_steps(pairs, chosen, **how))
    by_class = finds_classes(names, begin)
    drawn = label_pairs(images, labels, axes=axes, classes=by_class)
    if task == "synthesize":
        return _warned(_model(train_synthesize_steps(drawn, chosen, **how)))
    if synthetic:
        how |= {"synthetic": synthetic, "painter": model_for("synthesize", painter)}
    how |= {"classes": names, "window": window, "mirror": mirror}
    return _model(train_steps(drawn, chosen, **how))


def check_options(
    task: str,
    *,
    classes: Sequence[str],
    window: Any,
    mirror: str,
    across: str,
    synthetic: int = 0,
) -> None:
    """Refuse what means nothing to models for a task."""
    if task in ("denoise", "synthesize") and (classes or window is not None or mirror):
        raise InputError(
            "classes, window and mirror are for segmentation and detection; leave them out to "
            f"train models that {task}"
        )
    if synthetic and (task != "segment" or classes):
        raise InputError(
            "synthetic images are for segmentation of objects; leave out synthetic to train "
            + ("classes" if classes else f"models that {task}")
        )
    if task == "detect" and (window is not None or mirror):
        raise InputError(
            "window and mirror are for segmentation of classes; leave them out to train detection"
        )
    if task != "denoise" and across != "plane":
        raise InputError(f"across is for denoising; leave it out to train models that {task}")
    fields_of(DenoiseParams)["across"].checked(across)


def _model(steps: Any) -> Model:
    model: Model = drained(steps)
    return model


def _warned(model: Model) -> Model:
    if "notice" in model.config:
        warnings.warn(f"{model.name}: {model.config['notice']}", stacklevel=3)
    return model
