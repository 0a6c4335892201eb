"""Denoise: an image with less noise, in its own units.

The whole recipe: know the camera's noise, bring values to where it is alike everywhere, let a net
take it away (one that ships, or one that learns from the image itself), bring values back, and
give back what it took of the slow changes, which are not noise. Arrays in, a `Restoration` out;
napari is not needed.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from napari_medai.core.axes import CHANNEL, AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.fields import suited
from napari_medai.core.steps import Step, Steps, as_part
from napari_medai.models.settings import LIGHT
from napari_medai.tasks.channel_noise import ChannelNoise
from napari_medai.tasks.denoise_models import space_of
from napari_medai.tasks.denoise_params import SELF, DenoiseParams
from napari_medai.tasks.denoising import Restoration
from napari_medai.tasks.image_store import ImageStore
from napari_medai.tasks.learning import Learning
from napari_medai.tasks.planes import Planes
from napari_medai.tasks.previewing import Part
from napari_medai.tasks.record import run_record
from napari_medai.tasks.restoring import Restorer
from napari_medai.tasks.self_supervised import Learned, learn_steps
from napari_medai.tasks.suitable import loaded_net

if TYPE_CHECKING:
    from napari_medai.models.model import Model
    from napari_medai.nn.runner import ScoreNet

__all__ = ["SELF", "DenoiseParams", "denoise_steps"]


def denoise_steps(
    image: AxesArray,
    model: Model | None,
    params: DenoiseParams,
    *,
    out: Path | None = None,
    preview: Part | None = None,
    learning: Learning | None = None,
) -> Steps[Restoration]:
    """Take the noise out of every plane and channel of an image.

    Parameters
    ----------
    model
        None lets a net learn from the image itself first.
    out
        A folder to be made for the result (zarr), for one larger than memory; without it, such a
        one goes to a temporary folder.
    preview
        A small part of the image, which steps show restored (``values["preview"]``) about once a
        second while a net learns.
    learning
        A hold on the net that learns: to end that early, and to keep it after a cancel.

    Raises
    ------
    InputError
        If the image or the parameters do not suit; its text says what to do.
    """
    began = time.perf_counter()
    if 0 in image.shape:
        raise InputError(
            f"the image is empty (shape {image.shape}); choose a layer or region with pixels"
        )
    planes = Planes(image, params.space if model is None else space_of(model))
    yield Step(0, 0, "estimating the noise")
    channels = ChannelNoise.of(image, params.noise)
    net: ScoreNet | None = None
    learned: Learned | None = None
    # before anything is learned: the folder may be taken
    store = ImageStore.of(image, out=out, same_dtype=params.dtype == "same")
    try:
        if model is not None:
            yield Step(0, 0, f"loading {model.name}")
            net = loaded_net(model, device=params.device)
        elif channels.any_noise and params.strength:
            learned = yield from learn_steps(
                planes, channels, params, preview=preview, learning=learning
            )
            net = learned.score_net()
        said, net = yield from _restored(planes, net, channels, params, store)
    except BaseException:
        store.discard()
        raise
    finally:
        if net is not None:
            net.close()
    own = () if learned is None else learned.notes
    record = run_record(
        "denoise",
        SELF if model is None else model,
        suited(params, SELF if model is None else LIGHT),
        image,
        device="none" if net is None else f"{net.device.type}, {net.backend.name}",
        seconds=time.perf_counter() - began,
        found={**channels.described, **({} if learned is None else learned.described)},
    )
    notes = (*channels.notes, *own, *said, *store.notes)
    return Restoration(store.array, image.axes, channels.noises, record, notes, learned)


def _restored(
    planes: Planes,
    net: ScoreNet | None,
    channels: ChannelNoise,
    params: DenoiseParams,
    store: ImageStore,
) -> Steps[tuple[tuple[str, ...], ScoreNet | None]]:
    """Write every plane, restored, and return what the user should know, a sentence each, and the
    net at the end: one on another device, where memory did not suffice.
    """
    notes: dict[str, None] = {}
    for done, position in enumerate(planes.positions()):
        plane = planes.plane(position)
        noise = channels.noises[position.get(CHANNEL, 0)]
        restorer = Restorer(net, noise, params.strength, tile=params.tile, block=params.block)
        work = restorer.steps(plane, store.writer(planes, position))
        words = ", ".join(f"{axis.lower()} {at}" for axis, at in position.items())
        text = "denoising" + (f": {words}" if words else "")
        said, net = yield from as_part(work, done=done, total=planes.count, text=text)
        notes |= dict.fromkeys(said)
    return tuple(notes), net
