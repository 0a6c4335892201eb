"""Noise taken out of layers and arrays, from a script."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_medai.core.errors import InputError
from napari_medai.core.fields import checked_params, left_out
from napari_medai.io.calibration import Scale, Units
from napari_medai.models.settings import LIGHT
from napari_medai.scripting.sources import Subject, drained, model_for
from napari_medai.tasks.denoise_params import SELF

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_medai.models.model import Model
    from napari_medai.tasks.denoising import Restoration


def denoise(
    image: Any,
    model: str | Path | Model = "fluorescence",
    *,
    axes: str | None = None,
    scale: Scale | None = None,
    units: Units | None = None,
    window: Mapping[str, Any] | None = None,
    channel: int | None = None,
    out: str | Path | None = None,
    keep: str = "",
    **params: Any,
) -> Image:
    """Take the noise out of an image; a new Image layer in the image's own units, with a record.

    Parameters
    ----------
    image
        A napari image layer, whose place in the world and whose looks the result takes, or an
        array (numpy, dask, zarr, a multiscale list of them, `AxesArray`). Lazy ones stay lazy.
    model
        Its name, the path of its package, or the model itself; ``"self"`` learns from the image.
    axes, scale, units, window, channel
        As of `segment`. All channels are restored, each by itself, if none is chosen.
    out
        A folder to be made for the result (zarr), for results larger than memory.
    keep
        With ``model="self"``: the name under which what was learned is kept as a model.
    **params
        The fields of `napari_medai.DenoiseParams`: ``strength``, ``gain``, ``read_noise``,
        ``dark``, ``dtype``; with ``model="self"`` also ``seconds``, ``steps``, ``scheme``, ...

    Raises
    ------
    InputError
        If something does not fit; its text says what to do.
    """
    from napari_medai.tasks.denoise import denoise_steps
    from napari_medai.tasks.denoise_params import DenoiseParams
    from napari_medai.ui.image_layers import image_layer

    chosen = checked_params(DenoiseParams, params)
    found = denoiser_for(model)
    check_keep(keep, found)
    name, decoder = (SELF, SELF) if found is None else (found.name, LIGHT)
    if note := left_out(chosen, decoder, model=name):
        warnings.warn(note, stacklevel=2)
    subject = Subject.of(image, axes=axes, scale=scale, units=units, window=window, channel=channel)
    folder = None if out is None else Path(out)
    result: Restoration = drained(denoise_steps(subject.image, found, chosen, out=folder))
    for note in (*result.notes, *kept_notes(result, keep)):
        warnings.warn(note, stacklevel=2)
    return image_layer(result, subject.source, axes=subject.axes, window=subject.window)


def denoiser_for(model: str | Path | Model) -> Model | None:
    """A model that denoises; None for ``"self"``, which learns from the image."""
    return None if model == SELF else model_for("denoise", model)


def check_keep(name: str, model: Model | None, *, overwrite: bool = False) -> None:
    """Refuse, before the work, a name under which what is learned cannot be kept."""
    from napari_medai.tasks.denoise_models import denoiser_folder

    if not name:
        return
    if model is not None:
        raise InputError(
            f"{model.name} is a model already, so there is nothing to keep as {name!r}; leave "
            f"out keep, or learn from the image with the model {SELF!r}"
        )
    denoiser_folder(name, overwrite=overwrite)


def kept_notes(result: Restoration, name: str, *, overwrite: bool = False) -> tuple[str, ...]:
    """Keep what was learned as a model, if a name is given; what the user should know."""
    from napari_medai.tasks.denoise_models import keep

    if not name:
        return ()
    if result.learned is None:
        return (f"Nothing was learned, so there is no model {name}.",)
    keep(result.learned, name, overwrite=overwrite)
    return ()
