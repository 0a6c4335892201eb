"""Models that paint objects: what they know beside their weights, and their packages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.core.layout_statistics import ImageLayout, LayoutStatistics
from napari_medai.core.looks import OBJECT_TRAITS, TRAITS, Look, TraitScale
from napari_medai.core.paint_maps import CHANNELS
from napari_medai.core.quantiles import LEVELS
from napari_medai.models.settings import PAINTING
from napari_medai.models.spec import Architecture, ModelSpec
from napari_medai.tasks.trained import write_trained

if TYPE_CHECKING:
    from napari_medai.models.model import Model
    from napari_medai.nn.training import Trained

NETS: dict[int, dict[str, Any]] = {
    2: {"ndim": 2, "widths": [16, 32, 64, 96]},
    3: {"ndim": 3, "widths": [16, 32, 48], "pool": [1, 2, 2]},
}
MOST_LOOKS = 128
"""Images of a training whose looks and layouts a model keeps: numbers, no pixels."""

_WANTED = f"{len(TRAITS)} and {len(OBJECT_TRAITS)}"


@dataclass(frozen=True, slots=True, eq=False)
class Knowledge:
    """What a painter knows of the images it learned from, image by image.

    ``looks`` and the images of ``layouts`` belong together; ``scales`` are those of the traits of
    images and of objects, ``dtype`` is that of the images.
    """

    scales: tuple[TraitScale, TraitScale]
    looks: tuple[Look, ...]
    layouts: LayoutStatistics
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, model: Model) -> Knowledge:
        """What a model of task synthesize knows.

        Raises
        ------
        InputError
            If its package does not say so, or what it says does not fit together.
        """
        try:
            known = cls._read(json.loads(model.config["learned"]))
            problem = known._problem(ndim=len(model.axes) - 1)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise InputError(
                f"what {model.name} says of its images cannot be read ({_reason(error)}); install "
                "the model again"
            ) from error
        if problem:
            raise InputError(f"{model.name} has {problem}; install the model again")
        return known

    @classmethod
    def _read(cls, told: Mapping[str, Any]) -> Knowledge:
        images, objects = told["scales"]
        return cls(
            scales=(TraitScale.from_dict(images), TraitScale.from_dict(objects)),
            looks=tuple(Look.from_dict(look) for look in told["looks"]),
            layouts=LayoutStatistics.from_dict(told["layouts"]),
            dtype=np.dtype(told["dtype"]),
        )

    def _problem(self, *, ndim: int) -> str:
        """What does not fit together, for images of so many axes; else nothing."""
        if len(self.looks) != len(self.layouts.images):
            return f"{len(self.looks)} looks for {len(self.layouts.images)} layouts"
        if self.layouts.ndim != ndim:
            return f"layouts of {self.layouts.ndim} axes for images of {ndim}"
        counts = tuple(len(scale.mean) for scale in self.scales)
        if counts != (len(TRAITS), len(OBJECT_TRAITS)):
            return f"scales of {counts[0]} and {counts[1]} traits, not of {_WANTED}"
        if self.dtype.kind not in "iuf":
            return f"images of {self.dtype}, not of numbers"
        broken = [at for at, image in enumerate(self.layouts.images) if not _is_sound(image)]
        return f"numbers in layout {broken[0]} that no layout has" if broken else ""

    def as_config(self) -> dict[str, Any]:
        """For a package: one text, as a thousand numbers in a list each take long to read."""
        told = {
            "scales": [scale.as_dict() for scale in self.scales],
            "looks": [look.as_dict() for look in self.looks],
            "layouts": self.layouts.as_dict(),
            "dtype": self.dtype.name,
        }
        return {"learned": json.dumps(told, separators=(",", ":"))}

    def thinned(self, most: int = MOST_LOOKS) -> Knowledge:
        """With so many images at most, spread evenly."""
        if len(self.looks) <= most:
            return self
        chosen = np.linspace(0, len(self.looks) - 1, most).round().astype(int).tolist()
        layouts = LayoutStatistics(tuple(self.layouts.images[at] for at in chosen))
        return replace(self, looks=tuple(self.looks[at] for at in chosen), layouts=layouts)


def painter_spec(
    name: str, ndim: int, *, description: str, config: Mapping[str, Any], **more: Any
) -> ModelSpec:
    """The description of a model that paints objects; ``config`` holds its `Knowledge`."""
    from napari_medai.nn.synthesis_net import Painter

    kwargs = {**NETS[ndim], "channels_in": len(CHANNELS), "channels_out": 1}
    net = Painter(**kwargs)
    return ModelSpec(
        name=name,
        description=description,
        task="synthesize",
        architecture=Architecture("napari_medai.nn.synthesis_net", "Painter", kwargs),
        channels_in=CHANNELS,
        channels_out=("image",),
        stride=net.stride,
        halo=net.halo,
        axes="CYX" if ndim == 2 else "CZYX",
        config={"decoder": PAINTING, "intensity": {"unchanged": True}, **config},
        **more,
    )


def package_painter(
    folder: Path,
    spec: ModelSpec,
    trained: Trained,
    *,
    recipe: Mapping[str, Any],
    scores: Mapping[str, Any] | None = None,
    scored: str = "held out",
    overwrite: bool = False,
) -> Model:
    """The best weights of a training as a model package.

    ``scores`` are figures on images that training did not see; without them, the card shows those
    of the training, on images that were ``scored``.
    """
    from napari_medai.nn.runner import built_net
    from napari_medai.nn.synthesis import COLLAPSED

    net = built_net(*spec.architecture)
    net.load_state_dict(trained.state)
    distance = {
        f"distance of patches, {scored}": round(-trained.best.get("score", 0.0), 4),
        f"variety, {scored}": round(trained.best.get("variety", 0.0), 3),
    }
    config = {**spec.config, "recipe": dict(recipe), "scores": scores or distance}
    if trained.best.get("variety", 1.0) < COLLAPSED:
        config["notice"] = (
            f"Its images hardly differ from each other ({trained.best['variety']:.0%} of what "
            "photographs do): the training has collapsed. Train again, with more images."
        )
    described = replace(spec, config=config)
    return write_trained(folder, described, net, script=False, overwrite=overwrite)


def knowledge_of(
    looks: Sequence[Look],
    layouts: LayoutStatistics,
    objects: np.ndarray,
    dtype: np.dtype[Any],
) -> Knowledge:
    """Of images with these looks and layouts; ``objects`` (n, 2) are the traits of all objects."""
    scales = (
        TraitScale.of(np.stack([look.traits for look in looks])),
        TraitScale.of(objects),
    )
    return Knowledge(scales, tuple(looks), layouts, dtype)


def _is_sound(image: ImageLayout) -> bool:
    """Whether the numbers of a layout can be drawn from."""
    rows = (image.diameters, image.elongations, image.irregularities)
    shares = (image.middle, image.alignment, image.clustering, image.touching)
    numbers = [*shares, *image.direction, *(value for row in rows for value in row)]
    return (
        bool(np.isfinite(numbers).all())
        and all(len(row) == len(LEVELS) for row in rows)
        and 0 < image.density <= 1
        and min(image.diameters) > 0
    )


def _reason(error: Exception) -> str:
    """What an error says, without what is to be done."""
    return str(error).split("; ")[0] or type(error).__name__
