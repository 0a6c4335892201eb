"""How real made images are, whether they are training images again, and fit their own labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.core.fields import settle
from napari_medai.core.metrics import Matching, matchings
from napari_medai.core.realism import FEWEST, frechet_distance, kernel_distance
from napari_medai.core.steps import Step, Steps, as_part, finished
from napari_medai.models.settings import VOTES
from napari_medai.tasks.computing import Device
from napari_medai.tasks.copy_check import CopySearch, Described, Describer
from napari_medai.tasks.gallery import Gallery
from napari_medai.tasks.pairs import Pair
from napari_medai.tasks.segment import SegmentParams, segment_steps
from napari_medai.tasks.synthesis_scores import Likeness, SynthesisScores

if TYPE_CHECKING:
    from napari_medai.models.model import Model

JUDGE = "nuclei"
"""The shipped model whose encoder describes images, and which looks for their objects."""
MOST_REFERENCES = 4000
"""Crops of training images, at most, among whose features the nearest one is looked for."""
LOOKING = "comparing features"


@dataclass(frozen=True, slots=True, kw_only=True)
class RealismParams:
    """How made images are compared with real ones."""

    crop: Annotated[
        int,
        {
            "min": 64,
            "max": 1024,
            "step": 64,
            "unit": "px",
            "help": "Edge of the crops that are compared, a multiple of 64",
        },
    ] = 128
    crops: Annotated[
        int, {"min": 16, "max": 5000, "help": "Crops of each set whose features are compared"}
    ] = 1000
    compared: Annotated[
        int,
        {
            "min": 16,
            "max": 5000,
            "help": "Crops of made images, and of training ones, that are looked for among other "
            "training images",
        },
    ] = 300
    seed: Annotated[int, {"min": 0, "max": 2**31 - 1, "help": "Makes the choice repeatable"}] = 0
    device: Device = "auto"

    def __post_init__(self) -> None:
        settle(self)
        if self.crop % 64:
            raise InputError(f"crop must be a multiple of 64, got {self.crop}; use 128")


def evaluate_synthesis(
    synthetic: Sequence[Pair],
    real: Sequence[Pair],
    model: Model,
    params: RealismParams | None = None,
    *,
    training: Sequence[Pair] | None = None,
) -> SynthesisScores:
    """See `evaluate_synthesis_steps`."""
    return finished(evaluate_synthesis_steps(synthetic, real, model, params, training=training))


def evaluate_synthesis_steps(
    synthetic: Sequence[Pair],
    real: Sequence[Pair],
    model: Model,
    params: RealismParams | None = None,
    *,
    training: Sequence[Pair] | None = None,
) -> Steps[SynthesisScores]:
    """Compare made planes with real ones, in crops at their own magnification.

    Parameters
    ----------
    synthetic, real
        Made and real images with their labels, `FEWEST` images of each at least.
    model
        What describes images (the mean and deviation of each channel of its encoder's levels, at
        the brightness that it was trained with), and finds their objects: a model of objects in
        planes, such as `JUDGE`.
    training
        What the images were made from; by default ``real``. To be told whether made images are
        like others of the kind, keep ``real`` apart from these. Crops are looked for among all of
        these images by their pixels, by their features among `MOST_REFERENCES` crops.

    Raises
    ------
    InputError
        If there are too few images, or one does not suit the model, its labels or the crops.
    """
    params = params or RealismParams()
    _check(synthetic, real, training, model)
    yield Step(0, 0, f"loading {model.name}")
    sets = [
        Gallery.of(pairs, model, edge=params.crop)
        for pairs in (synthetic, real, *([] if training is None else [training]))
    ]
    made, known = sets[0], sets[-1]
    rng = np.random.default_rng(params.seed)
    search = CopySearch.drawn(made, known, most=params.compared, rng=rng)
    describer = Describer.of(model, device=params.device)
    total, seen = len(sets) + 3, list[Described]()
    for one in sets:
        most = max(MOST_REFERENCES, params.crops) if one is known else params.crops
        steps = describer.described(one, one.drawn(most, rng))
        seen.append((yield from as_part(steps, done=len(seen), total=total, text=LOOKING)))
    in_features = yield from as_part(
        search.in_features(describer, seen[-1]), done=total - 3, total=total, text=LOOKING
    )
    in_pixels = yield from as_part(
        search.in_pixels(), done=total - 2, total=total, text="looking for copies"
    )
    agreed = yield from as_part(
        _agreements((synthetic, real), model, params),
        done=total - 1,
        total=total,
        text="finding objects",
    )
    likeness, reference = _likenesses([one.at(params.crops) for one in seen], rng)
    return SynthesisScores(
        images=(len(synthetic), len(real), len(known.images)),
        features=_words(model, params),
        made=likeness,
        reference=reference,
        features_copied=in_features,
        pixels_copied=in_pixels,
        agreement=agreed[0],
        real_agreement=agreed[1],
    )


def _likenesses(
    seen: Sequence[Described], rng: np.random.Generator
) -> tuple[Likeness, Likeness | None]:
    """Made from real images, and other real ones from these."""
    made, real, *others = seen
    first = real
    if not others:
        sources = rng.permutation(np.unique(real.sources))
        half = np.isin(real.sources, sources[len(sources) // 2 :])
        if len(sources) >= 2 * FEWEST:
            first, others = real.at(~half), [real.at(half)]
    # As many samples of each, since the distance depends on how many there are.
    count = min(len(one.crops) for one in (made, first, *others))

    def likeness(one: Described, real: Described) -> Likeness:
        sources = (one.sources, real.sources)
        return Likeness(
            kernel_distance(one.vectors, real.vectors, sources=sources, seed=rng),
            frechet_distance(one.vectors[:count], first.vectors[:count]),
        )

    return likeness(made, real), likeness(others[0], first) if others else None


def _agreements(
    sets: Sequence[Sequence[Pair]], model: Model, params: RealismParams
) -> Steps[list[Matching]]:
    """Objects found in the images of each set against those that their labels hold."""
    done, total = 0, sum(map(len, sets))
    agreed = []
    for pairs in sets:
        both = []
        for pair in pairs:
            steps = segment_steps(pair.image, model, SegmentParams(device=params.device))
            found = yield from as_part(steps, done=done, total=total)
            both.append((pair.labels, np.asarray(found.labels)))
            done += 1
        agreed += matchings(both, ious=(0.5,))
    return agreed


def _check(
    synthetic: Sequence[Pair], real: Sequence[Pair], training: Sequence[Pair] | None, model: Model
) -> None:
    if model.decoder != VOTES or len(model.axes) != 3:
        raise InputError(
            f"{model.name} does not find objects in planes, so it cannot judge them; use {JUDGE}"
        )
    sets = {"synthetic": synthetic, "real": real, "training": training}
    for name, pairs in sets.items():
        if pairs is None:
            continue
        count = len({pair.source or at for at, pair in enumerate(pairs)})
        if count < FEWEST:
            raise InputError(
                f"{FEWEST} {name} images at least are needed to compare them, those of one source "
                f"counted once, got {count}; give more"
            )


def _words(model: Model, params: RealismParams) -> str:
    return (
        f"mean and deviation of each channel of the encoder of {model.name} {model.version}, of "
        f"crops of {params.crop} x {params.crop} pixels at their own magnification"
    )
