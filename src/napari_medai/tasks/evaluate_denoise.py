"""How well noise is taken out of images, whose clean versions are known or not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.axes import CHANNEL, ArrayLike, AxesArray
from napari_medai.core.errors import InputError
from napari_medai.core.restoration import psnr, scale_invariant_psnr, ssim
from napari_medai.core.ring_correlation import LEAST as SMALLEST
from napari_medai.core.ring_correlation import resolution, ring_correlation
from napari_medai.core.steps import Step, Steps, as_part, finished
from napari_medai.core.whiteness import Whiteness
from napari_medai.tasks.denoise import DenoiseParams, denoise_steps
from napari_medai.tasks.planes import Planes
from napari_medai.tasks.self_check import taken_away
from napari_medai.tasks.train_denoise import NoisyPair, check_clean

if TYPE_CHECKING:
    from napari_medai.models.model import Model
    from napari_medai.tasks.denoising import Restoration

LEAST = 7
"""Rows and columns of a plane below which SSIM tells nothing."""
METRICS = {"PSNR": psnr, "SSIM": ssim, "scale-invariant PSNR": scale_invariant_psnr}


@dataclass(frozen=True, slots=True)
class ImageScores:
    """Figures of one image, each the mean over its planes and channels.

    Where a clean image is known: how near to it the ``noisy`` and the ``restored`` one are (PSNR
    in decibel, SSIM, PSNR after the best scale and offset). Where it is not: what the
    ``residual`` (noisy - restored) is like, see `napari_medai.core.whiteness.Whiteness`, and, where
    there are frames, on what detail the means of the even and of the odd ones agree (``resolution``
    in pixels, by Fourier ring correlation), noisy and restored.
    """

    name: str
    noisy: Mapping[str, float]
    restored: Mapping[str, float]
    residual: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class RestorationScores:
    """The figures of each image."""

    images: tuple[ImageScores, ...]

    @property
    def means(self) -> ImageScores:
        """Over the images that have them."""
        return ImageScores(
            "all",
            _mean([one.noisy for one in self.images]),
            _mean([one.restored for one in self.images]),
            _mean([one.residual for one in self.images]),
        )

    def described(self) -> dict[str, Any]:
        """Plain values, None where a figure is not finite."""
        return {
            "images": len(self.images),
            **_plain(self.means),
            "each": {one.name: _plain(one) for one in self.images},
        }


def restoration_scores(
    model: Model | None, pairs: Iterable[NoisyPair], params: DenoiseParams | None = None
) -> RestorationScores:
    """See `restoration_scores_steps`."""
    return finished(restoration_scores_steps(model, pairs, params))


def restoration_scores_steps(
    model: Model | None,
    pairs: Iterable[NoisyPair],
    params: DenoiseParams | None = None,
    *,
    total: int = 0,
) -> Steps[RestorationScores]:
    """Take the noise out of every image and compare it with the clean one, if there is one.

    Without a ``model``, a net learns from each image. Images may be read as they come; ``total``
    is their number, where ``pairs`` do not tell.

    Raises
    ------
    InputError
        If there are no images, a clean one is of another size, or nothing can be told of one.
    """
    params = params or DenoiseParams()
    total = total or (len(pairs) if isinstance(pairs, Sized) else 0)
    found: list[ImageScores] = []
    for pair in pairs:
        check_clean(pair)
        steps = denoise_steps(pair.image, model, params)
        if total:
            steps = as_part(steps, done=len(found), total=total, text=pair.name)
        result = yield from steps
        found.append(_compared(pair, result) if pair.clean else _judged(pair, result))
    if not found:
        raise InputError("there are no images to score the model on; give one or more")
    yield Step(len(found), len(found), "comparing images")
    return RestorationScores(tuple(found))


def _compared(pair: NoisyPair, result: Restoration) -> ImageScores:
    """A noisy and a restored image against the clean one, plane by plane."""
    assert pair.clean is not None, "there is a clean image to compare with"
    clean = Planes(pair.clean, "YX")
    before: list[dict[str, float]] = []
    after: list[dict[str, float]] = []
    for position, noisy, restored in _planes(pair, result):
        truth = np.asarray(clean.plane(position).data)
        where = np.isfinite(noisy) & np.isfinite(restored) & np.isfinite(truth)
        if min(truth.shape) < LEAST or not where.any() or np.ptp(truth[where]) == 0:
            continue
        for rows, plane in ((before, noisy), (after, restored)):
            rows.append({n: tell(plane, truth, where=where) for n, tell in METRICS.items()})
    if not before:
        raise InputError(
            f"{pair.name} has no plane of at least {LEAST} x {LEAST} pixels whose clean image "
            "holds more than one value, so nothing can be compared; leave it out"
        )
    return ImageScores(pair.name, _mean(before), _mean(after), {})


def _judged(pair: NoisyPair, result: Restoration) -> ImageScores:
    """What was taken out of an image, plane by plane, where there was noise."""
    rows = []
    for position, noisy, restored in _planes(pair, result):
        noise = result.noise[position.get(CHANNEL, 0)]
        found = None if noise is None else taken_away(noisy, restored, noise)
        if found is not None:
            rows.append(_told(found))
    restored_image = pair.image.with_data(result.image)
    before, after = (_resolutions(image) for image in (pair.image, restored_image))
    return ImageScores(pair.name, before, after, _mean(rows))


def _resolutions(image: AxesArray) -> dict[str, float]:
    """The detail on which the halves of the frames agree, the mean over other axes."""
    if image.sizes.get("T", 1) < 2 or min(image.sizes["Y"], image.sizes["X"]) < SMALLEST:
        return {}
    planes = Planes(image, "TYX")
    found = []
    for position in planes.positions():
        frames = planes.plane(position).data
        halves = [_mean_frame(frames, first) for first in (0, 1)]
        if all(np.isfinite(half).all() and np.ptp(half) for half in halves):
            found.append(resolution(ring_correlation(*halves)))
    return {"resolution": float(np.mean(found))} if found else {}


def _mean_frame(frames: ArrayLike, first: int) -> np.ndarray:
    """Of every other frame (Y, X), read one at a time."""
    chosen = range(first, frames.shape[0], 2)
    total = sum(np.asarray(frames[at], np.float64) for at in chosen)
    return np.asarray(total / len(chosen))


def _planes(
    pair: NoisyPair, result: Restoration
) -> Iterator[tuple[dict[str, int], np.ndarray, np.ndarray]]:
    """Each position with its noisy and its restored plane."""
    noisy, restored = (
        Planes(image, "YX") for image in (pair.image, pair.image.with_data(result.image))
    )
    for position in noisy.positions():
        yield (
            position,
            np.asarray(noisy.plane(position).data),
            np.asarray(restored.plane(position).data),
        )


def _told(found: Whiteness) -> dict[str, float]:
    down, along = found.correlations
    return {
        "correlation along rows": along,
        "correlation along columns": down,
        "coarse": found.coarse,
        "mean": found.mean,
        "white": float(found.white),
    }


def _mean(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Each figure's mean over the rows that have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {n: float(np.mean([row[n] for row in rows if n in row])) for n in names}


def _plain(one: ImageScores) -> dict[str, dict[str, float | None]]:
    parts = {"noisy": one.noisy, "restored": one.restored, "residual": one.residual}
    return {
        part: {n: round(v, 4) if math.isfinite(v) else None for n, v in row.items()}
        for part, row in parts.items()
        if row
    }
