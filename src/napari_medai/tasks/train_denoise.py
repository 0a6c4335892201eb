"""Training of models that denoise, from noisy images alone or with clean ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.axes import CHANNEL, AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.steps import Steps
from napari_medai.models.spec import ModelSpec
from napari_medai.tasks.channel_noise import ChannelNoise
from napari_medai.tasks.course import continued, course_steps
from napari_medai.tasks.denoise_models import (
    NETS,
    denoise_spec,
    denoiser_folder,
    package_denoiser,
    space_of,
)
from napari_medai.tasks.own_light import MOST_PLANES, own_light
from napari_medai.tasks.planes import Planes, Position
from napari_medai.tasks.train import TrainParams

if TYPE_CHECKING:
    from napari_medai.models.model import Model
    from napari_medai.nn.denoising import DenoiseObjective
    from napari_medai.nn.shots import Source
    from napari_medai.nn.training import Trained

CROP = {2: (128, 128), 3: (8, 64, 64)}
BATCH = {2: 8, 3: 2}
SHOTS = 2
"""Crops of each held-out plane that choose the weights."""


@dataclass(frozen=True, slots=True, eq=False)
class NoisyPair:
    """A noisy image with any axes and, if there is one, a clean image of the same shape.

    The clean one may have another contrast: it is brought to that of the noisy one. ``name``,
    ``weight`` and ``source`` are as in `napari_medai.tasks.pairs.Pair`.
    """

    image: AxesArray
    clean: AxesArray | None = None
    name: str = "image"
    weight: float | None = None
    source: str = ""


def check_clean(pair: NoisyPair) -> None:
    """Refuse a clean image of another size than the noisy one's."""
    if pair.clean is not None and pair.clean.sizes != pair.image.sizes:
        noisy, clean = (
            ", ".join(f"{axis} {n}" for axis, n in image.sizes.items())
            for image in (pair.image, pair.clean)
        )
        raise InputError(
            f"the clean image of {pair.name} has {clean}, but the noisy one {noisy}; give images "
            "of the same size"
        )


@dataclass(frozen=True, slots=True, eq=False)
class NoisyPlane:
    """One plane of a pair, whose noise is known as its channel's."""

    pair: NoisyPair
    position: Position
    channels: ChannelNoise

    @property
    def source(self) -> str:
        return self.pair.source or self.pair.name


@dataclass(frozen=True, slots=True)
class DenoiseCourse:
    """How a model that denoises is trained; see `napari_medai.tasks.course.Course`."""

    spec: ModelSpec
    space: str

    @property
    def batch(self) -> int:
        return BATCH[len(self.space)]

    @property
    def training_only(self) -> dict[str, Any]:
        return {}

    def examples(self, planes: Sequence[NoisyPlane]) -> list[Source]:
        return [self._source(plane) for plane in planes]

    def objective(self, training: Sequence[Source], held_out: Sequence[Source]) -> DenoiseObjective:
        from napari_medai.nn.denoising import DenoiseObjective

        rng = np.random.default_rng(0)
        crop = CROP[len(self.space)]
        shots = [source.drawn(rng, crop) for source in held_out for _ in range(SHOTS)]
        return DenoiseObjective(training, shots, crop)

    def packaged(
        self,
        folder: Path,
        trained: Trained,
        objective: DenoiseObjective,
        *,
        recipe: dict[str, Any],
        scored: str,
        overwrite: bool,
    ) -> Model:
        return package_denoiser(
            folder, self.spec, trained, recipe=recipe, scored=scored, overwrite=overwrite
        )

    def _source(self, plane: NoisyPlane) -> Source:
        from napari_medai.nn.shots import Split, WithClean

        planes = Planes(plane.pair.image, self.space)
        whole = tuple(slice(0, n) for n in planes.shape)
        own = own_light(planes, plane.channels, plane.position, whole, plane.pair.weight)
        if plane.pair.clean is None:
            return Split(own)
        clean = Planes(plane.pair.clean, self.space).plane(plane.position)
        return WithClean.fitted(own, np.asarray(clean.data, np.float32))


def train_denoise_steps(
    pairs: Sequence[NoisyPair],
    params: TrainParams,
    *,
    name: str,
    start: Model | None = None,
    across: str = "plane",
    checkpoint: Path | None = None,
    overwrite: bool = False,
) -> Steps[Model]:
    """Train a model that denoises; see `napari_medai.tasks.train.train_steps`.

    Where there is no clean image, it learns from the noise split in two. ``across`` is Z or T
    where the net is to see neighbours along that axis as well; of a model to ``start`` from, the
    axes that it sees stay.

    Raises
    ------
    InputError
        If an image does not fit or has no noise, or the name is taken.
    """
    folder = denoiser_folder(name, overwrite=overwrite)
    space = "YX" if across == "plane" else across + "YX"
    if start is not None:
        if across != "plane" and space != space_of(start):
            raise InputError(
                f"{start.name} sees {' '.join(space_of(start))} at once, not {' '.join(space)}; "
                "leave out across, or train from nothing"
            )
        space = space_of(start)
    planes = list(planes_of(pairs, space))
    if start is None:
        kwargs = NETS[len(space)]
        text = f"Denoising in {len(space)}D, trained with napari-medai."
        spec = denoise_spec(name, kwargs, space=space, description=text)
    else:
        spec = continued(name, start)
    steps = course_steps(
        DenoiseCourse(spec, space),
        planes,
        params,
        folder=folder,
        start=start,
        checkpoint=checkpoint,
        overwrite=overwrite,
    )
    return (yield from steps)


def planes_of(pairs: Sequence[NoisyPair], space: str) -> Iterator[NoisyPlane]:
    """Planes spread over each image; those of a channel without noise are left out.

    Raises
    ------
    InputError
        If an image is too small, or of another shape than its clean one, or none has noise.
    """
    if not pairs:
        raise InputError("there is no image to learn from; give one or more")
    found = 0
    for pair in pairs:
        check_clean(pair)
        planes = Planes(pair.image, space)
        least = CROP[len(space)]
        if any(n < c for n, c in zip(planes.shape, least, strict=True)):
            raise InputError(
                f"{pair.name} has planes of {' x '.join(map(str, planes.shape))} pixels, but "
                f"training takes crops of {' x '.join(map(str, least))}; give larger images, or "
                "let denoise learn from the image itself"
            )
        channels = ChannelNoise.of(pair.image, None)
        known = [p for p in planes.positions() if channels.noises[p.get(CHANNEL, 0)] is not None]
        step = max(1, len(known) // MOST_PLANES)
        for position in known[::step][:MOST_PLANES]:
            found += 1
            yield NoisyPlane(pair, position, channels)
    if not found:
        raise InputError("no noise was found in any of the images; there is nothing to learn")
