"""Learning to denoise from the noisy image itself, without a clean one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.axes import CHANNEL, AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.noise_estimate import LEAST, is_static
from napari_medai.core.steps import Step, Steps
from napari_medai.core.tiling import Window
from napari_medai.tasks.channel_noise import ChannelNoise, channel_of
from napari_medai.tasks.denoise_params import DenoiseParams
from napari_medai.tasks.learning import Learning
from napari_medai.tasks.own_light import MOST_PLANES, own_light
from napari_medai.tasks.planes import Planes
from napari_medai.tasks.previewing import Part, restored_part

if TYPE_CHECKING:
    from napari_medai.nn.runner import ScoreNet
    from napari_medai.nn.shots import Source
    from napari_medai.nn.training import Run, Trained

NETS: dict[int, dict[str, Any]] = {
    2: {"ndim": 2, "widths": [32, 48, 64]},
    3: {"ndim": 3, "widths": [16, 32, 48], "pool": [1, 2, 2]},
}
CROP = {2: (96, 96), 3: (8, 64, 64)}
BATCH = {2: 4, 3: 2}
LEARNING_RATE = 2e-3
CHECK_EVERY = 50
PATIENCE = 8
"""Checks without anything better after which learning ends early."""
SHOWN_EVERY = 1.0
"""Seconds from one preview to the next, where one takes no time."""
SHOWING = 0.2
"""The largest share of the time that previews take."""
EDGE = {2: 1024, 3: 512}
"""The largest part of a plane that is learned from, in pixels a side."""
DEEPEST = 48
"""The most neighbours along Z or T in a part."""
REACH = 5
"""Pixels to either side that are hidden together where noise runs along lines."""


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """A net that learned from an image: its weights and how it came to them."""

    space: str
    kwargs: dict[str, Any]
    trained: Trained
    scheme: str
    seed: int
    device: str
    notes: tuple[str, ...] = ()

    @property
    def described(self) -> dict[str, Any]:
        """For the record."""
        return {
            "scheme": self.scheme,
            "steps": self.trained.steps,
            "seconds_learned": round(self.trained.seconds, 1),
        }

    def score_net(self) -> ScoreNet:
        """The net, ready to restore."""
        from napari_medai.nn.backends import backend_for
        from napari_medai.nn.device import device_for
        from napari_medai.nn.runner import built_net, scorer_of

        net = built_net("napari_medai.nn.unet", "UNet", self.kwargs)
        net.load_state_dict(self.trained.state)
        return scorer_of(net, backend_for(net, device_for(len(self.space), self.device).torch))


def learn_steps(
    planes: Planes,
    channels: ChannelNoise,
    params: DenoiseParams,
    *,
    preview: Part | None = None,
    learning: Learning | None = None,
) -> Steps[Learned]:
    """Let a net learn from parts of the planes, for as long as the parameters say, or until it gets
    no better, or is said to be good enough by ``learning``.

    Each step tells its number (``step``) and the ``loss``, each check the ``score`` (decibels
    gained on what it is compared with, which is noisy itself), and about once a second the
    ``preview`` restored (\\*space).

    Raises
    ------
    InputError
        If the image does not allow what was asked for.
    """
    from napari_medai.nn.denoising import DenoiseObjective
    from napari_medai.nn.device import device_for
    from napari_medai.nn.runner import seeded_net
    from napari_medai.nn.training import Run, Schedule

    scheme, notes = _scheme(planes, channels, params)
    yield Step(0, 0, "reading the image")
    ndim = len(planes.space)
    rng = np.random.default_rng(params.seed)
    sources = _sources(planes, channels, params, scheme, rng)
    kwargs = {**NETS[ndim], "channels_in": 2, "norm": False, "residual": True}
    net = seeded_net("napari_medai.nn.unet", "UNet", kwargs, seed=params.seed)
    crop = _crop(planes.shape, CROP[ndim], net.stride)  # type: ignore[arg-type]
    held_out = [source.drawn(rng, crop) for source in (sources * 8)[:8]]
    run = Run(
        net,
        DenoiseObjective(sources, held_out, crop),
        Schedule(
            steps=params.steps,
            minutes=params.seconds / 60,
            batch=BATCH[ndim],
            learning_rate=LEARNING_RATE,
            validate_every=CHECK_EVERY,
            patience=PATIENCE,
            seed=params.seed,
        ),
        device=device_for(ndim, params.device).torch,
    )
    hold = learning or Learning()
    due = time.monotonic() + SHOWN_EVERY
    try:
        for step in run.steps():
            values: dict[str, Any] = {"step": run.trained.steps, **step.values}
            if preview is not None and (began := time.monotonic()) > due:
                values["preview"] = _previewed(run, planes, preview, channels, params)
                took = time.monotonic() - began
                due = began + max(SHOWN_EVERY, took / SHOWING)
            yield Step(step.done, step.total, f"learning, {step.text}", values)
            run.ended = hold.enough
    finally:
        learned = Learned(
            planes.space, kwargs, run.so_far(), scheme, params.seed, params.device, notes
        )
        hold.learned = learned if run.trained.steps else None
    return learned


def _scheme(
    planes: Planes, channels: ChannelNoise, params: DenoiseParams
) -> tuple[str, tuple[str, ...]]:
    """What is learned from, and what the user should know of the choice."""
    frames = planes.image.sizes.get("T", 1)
    if params.scheme == "frames" and (frames < 2 or "T" in planes.space):
        raise InputError(
            "to learn from frames, the image needs several along T, which the net does not see at "
            f"once, but it has {frames}; set the axes, or choose another scheme"
        )
    if params.lines != "none" and params.scheme not in ("auto", "masked"):
        raise InputError(
            f"noise along {params.lines} is learned by hiding pixels; set the scheme to masked, "
            f"not to {params.scheme}"
        )
    if params.scheme != "auto":
        return params.scheme, ()
    if params.lines != "none":
        return "masked", ()
    if frames > 1 and "T" not in planes.space and _stands_still(planes.image, channels):
        return "frames", ("The scene stands still: its frames were learned from.",)
    return "split", ()


def _stands_still(image: AxesArray, channels: ChannelNoise) -> bool:
    if min(image.sizes["Y"], image.sizes["X"]) < LEAST:
        return False
    known = {c: noise for c, noise in channels.noises.items() if noise is not None}
    for channel, noise in known.items():
        stack = channel_of(image, channel)
        order = "T" + stack.axes.replace("T", "")
        if not is_static(stack.moved_to(order).data, noise):
            return False
    return bool(known)


def _sources(
    planes: Planes,
    channels: ChannelNoise,
    params: DenoiseParams,
    scheme: str,
    rng: np.random.Generator,
) -> list[Source]:
    """Parts of planes spread over the image, as they are learned from."""
    from napari_medai.nn.shots import Frames, Masked, Split

    positions = [p for p in planes.positions() if channels.noises[p.get(CHANNEL, 0)] is not None]
    if scheme == "frames":
        positions = [p for p in positions if p["T"] + 1 < planes.image.sizes["T"]]
    chosen = rng.permutation(len(positions))[:MOST_PLANES]
    sources: list[Source] = []
    for at in sorted(chosen.tolist()):
        position, window = positions[at], _part(planes.shape, rng)
        own = own_light(planes, channels, position, window)
        if scheme == "frames":
            after = {**position, "T": position["T"] + 1}
            sources.append(Frames(own, own_light(planes, channels, after, window)))
        elif scheme == "masked":
            axis = -2 if params.lines == "columns" else -1
            sources.append(Masked(own, axis, 0 if params.lines == "none" else REACH))
        else:
            sources.append(Split(own))
    return sources


def _part(shape: tuple[int, ...], rng: np.random.Generator) -> Window:
    """A window that is at most so large, anywhere in a plane."""
    edge = EDGE[len(shape)]
    most = (DEEPEST,) * (len(shape) - 2) + (edge, edge)
    sizes = [min(n, m) for n, m in zip(shape, most, strict=True)]
    starts = [int(rng.integers(n - s + 1)) for n, s in zip(shape, sizes, strict=True)]
    return tuple(slice(start, start + size) for start, size in zip(starts, sizes, strict=True))


def _crop(
    shape: tuple[int, ...], usual: tuple[int, ...], stride: tuple[int, ...]
) -> tuple[int, ...]:
    """The usual size of a crop, or what the image has, in whole strides."""
    sizes = [min(n, u) // s * s for n, u, s in zip(shape, usual, stride, strict=True)]
    if min(sizes) == 0:
        raise InputError(
            f"to learn from it, an image needs at least {' x '.join(map(str, stride))} pixels, got "
            f"{' x '.join(map(str, shape))}; use a model"
        )
    return tuple(sizes)


def _previewed(
    run: Run, planes: Planes, part: Part, channels: ChannelNoise, params: DenoiseParams
) -> np.ndarray:
    """A part of the image restored by the net as it is now."""
    from napari_medai.nn.backends import TorchBackend
    from napari_medai.nn.runner import scorer_of

    net = scorer_of(run.averaged, TorchBackend(run.averaged, run.device))
    return restored_part(net, planes, part, channels.noises, strength=params.strength)
