"""Models that denoise: their nets, what they say of themselves, and their packages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_medai.core.axes import CHANNEL
from napari_medai.core.errors import InputError
from napari_medai.models.registry import own_folder
from napari_medai.models.settings import LIGHT
from napari_medai.models.spec import Architecture, ModelSpec
from napari_medai.tasks.denoise_params import SELF
from napari_medai.tasks.trained import write_trained

if TYPE_CHECKING:
    from napari_medai.models.model import Model
    from napari_medai.nn.training import Trained
    from napari_medai.tasks.self_supervised import Learned

NETS: dict[int, dict[str, Any]] = {
    2: {"ndim": 2, "widths": [24, 48, 96, 128]},
    3: {"ndim": 3, "widths": [24, 48, 64], "pool": [1, 2, 2]},
}


def denoise_spec(
    name: str,
    kwargs: Mapping[str, Any],
    *,
    space: str,
    description: str,
    config: Mapping[str, Any] | None = None,
    **more: Any,
) -> ModelSpec:
    """The description of a model that denoises.

    ``kwargs`` are those of `napari_medai.nn.unet.UNet` but its channels; ``space`` the axes of an
    image that the net sees at once.
    """
    from napari_medai.nn.unet import UNet

    whole = {**kwargs, "channels_in": 2, "channels_out": 1, "norm": False, "residual": True}
    net = UNet(**whole)
    return ModelSpec(
        name=name,
        description=description,
        task="denoise",
        architecture=Architecture("napari_medai.nn.unet", "UNet", whole),
        channels_in=("stabilised values", "noise level"),
        channels_out=("stabilised values",),
        stride=net.stride,
        halo=net.halo,
        axes=CHANNEL + "ZYX"[-net.ndim :],
        config={
            "decoder": LIGHT,
            "intensity": {"unchanged": True},
            **({"seen": space} if space == "TYX" else {}),
            **(config or {}),
        },
        **more,
    )


def space_of(model: Model) -> str:
    """The axes of an image that a model that denoises sees at once."""
    return str(model.config.get("seen", model.axes.replace(CHANNEL, "")))


def denoiser_folder(name: str, *, overwrite: bool = False) -> Path:
    """Where a user's model that denoises is to be written; asked before the work starts.

    Raises
    ------
    InputError
        If the name is none, taken, or the word for learning from the image itself.
    """
    if name == SELF:
        raise InputError(
            f"{SELF!r} is the word for learning from the image itself; choose another name"
        )
    return own_folder(name, overwrite=overwrite)


def package_denoiser(
    folder: Path,
    spec: ModelSpec,
    trained: Trained,
    *,
    recipe: Mapping[str, Any],
    scores: Mapping[str, Any] | None = None,
    scored: str = "held out",
    script: bool = True,
    overwrite: bool = False,
) -> Model:
    """The best weights of a training as a model package.

    ``scores`` are figures on images that training did not see; without them, the card shows those
    of the training, on images that were ``scored``. Without a ``script`` there is no TorchScript.
    """
    from napari_medai.nn.runner import built_net

    net = built_net(*spec.architecture)
    net.load_state_dict(trained.state)
    gained = {f"gain in dB, {scored}": round(trained.best.get("score", 0.0), 2)}
    config = {**spec.config, "recipe": dict(recipe), "scores": scores or gained}
    described = replace(spec, config=config)
    return write_trained(folder, described, net, script=script, overwrite=overwrite)


def keep(learned: Learned, name: str, *, overwrite: bool = False) -> Model:
    """Make a model, found by its name at once, of a net that learned from an image.

    Raises
    ------
    InputError
        If the name is none, or taken.
    """
    folder = denoiser_folder(name, overwrite=overwrite)
    spec = denoise_spec(
        name,
        {k: v for k, v in learned.kwargs.items() if k not in ("channels_in", "norm", "residual")},
        space=learned.space,
        description="Denoising, learned from a noisy image itself with napari-medai.",
        config={"training_data": "One noisy image of one's own; no clean one."},
    )
    recipe = {**learned.described, "seed": learned.seed}
    scored = "of noise against noise"
    return package_denoiser(
        folder, spec, learned.trained, recipe=recipe, scored=scored, overwrite=overwrite
    )
