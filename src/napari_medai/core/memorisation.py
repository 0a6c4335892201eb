"""Whether made samples are training samples come again: nearer than real ones are to each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.core.realism import check_features

UNLIKELY = 0.01
AT_ONCE = 512
"""Samples whose distances are held at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Nearest:
    """Of each sample how far the nearest reference is, and which: ``distances``, ``indices``."""

    distances: np.ndarray
    indices: np.ndarray


def nearest(
    samples: np.ndarray,
    references: np.ndarray,
    *,
    apart: tuple[np.ndarray, np.ndarray] | None = None,
) -> Nearest:
    """The nearest reference of each sample, by Euclidean distance.

    Parameters
    ----------
    samples
        (n, features), or (n, views, features), of which the nearest view counts.
    references
        (m, features).
    apart
        The sources of the samples and of the references, where those of one source are not to be
        compared; a sample without any other has an infinite distance.
    """
    views = samples if samples.ndim == 3 else samples[:, None]
    flat, references = check_features(views.reshape(-1, views.shape[-1]), references, least=1)
    views, lengths = flat.reshape(views.shape), np.square(references).sum(1)
    indices = np.empty(len(views), np.int64)
    distances = np.empty(len(views))
    for start in range(0, len(views), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        seen = views[rows]
        same = None if apart is None else np.asarray(apart[0])[rows, None] == apart[1]
        closest = np.full((len(seen), len(references)), np.inf)
        for view in np.moveaxis(seen, 1, 0):
            squares = np.square(view).sum(1)[:, None] + lengths - 2 * view @ references.T
            np.minimum(closest, squares, out=closest)
        if same is not None:
            closest[same] = np.inf
        indices[rows] = closest.argmin(1)
        # Again, from the difference itself: of a copy nothing but rounding would be left.
        gaps = np.linalg.norm(seen - references[indices[rows]][:, None], axis=2).min(1)
        distances[rows] = np.where(np.isfinite(closest.min(1)), gaps, np.inf)
    return Nearest(distances, indices)


@dataclass(frozen=True, slots=True)
class Memorisation:
    """Whether made samples are nearer to real ones than real ones are to each other.

    ``limit`` is the distance below which ``percent`` of the ``references`` real samples have a
    real one of another source; ``smallest`` is that of the made sample nearest to a real one,
    ``below`` counts those nearer than the limit, of ``samples``. ``real_smallest`` is the smallest
    among real ones; ``medians`` are those of made and of real samples; ``closest`` is the nearest
    made sample and the real one that it is near to.
    """

    percent: float
    limit: float
    smallest: float
    real_smallest: float
    below: int
    samples: int
    references: int
    medians: tuple[float, float]
    closest: tuple[int, int]

    @property
    def share(self) -> float:
        """Of the made samples, the part below the limit: ``percent`` where all are as real ones."""
        return self.below / self.samples

    @property
    def suspicious(self) -> bool:
        """Whether real samples would hardly be so near.

        As many below the limit, or more, would be by chance in one of 100 sets of real ones; or one
        is nearer than half of what is the least among real ones.
        """
        from scipy.stats import binom

        by_chance = float(binom.sf(self.below - 1, self.samples, self.percent / 100))
        return by_chance < UNLIKELY or self.smallest < self.real_smallest / 2

    @property
    def sentence(self) -> str:
        some = f"{self.below} of {self.samples} are" if self.below else f"none of {self.samples} is"
        expected = self.percent / 100 * self.samples
        return (
            f"{some} nearer to a training image than the nearest {self.percent:g} % of real ones "
            f"to another ({expected:.2g} of as many real ones would be): {self.smallest:.3g} at "
            f"the least, {self.real_smallest:.3g} among real ones, the limit is {self.limit:.3g}"
        )


def memorised(synthetic: Nearest, real: Nearest, *, percent: float = 1.0) -> Memorisation:
    """Compare how near made samples are to training ones with how near these are to each other.

    Parameters
    ----------
    synthetic
        Of each made sample the nearest training sample.
    real
        Of training samples the nearest one of another source (``apart``).
    percent
        Which percentile of the latter is the limit.

    Raises
    ------
    InputError
        If there are no samples, or no training sample has one of another source.
    """
    known = real.distances[np.isfinite(real.distances)]
    if not known.size or not synthetic.distances.size:
        raise InputError(
            f"{synthetic.distances.size} made samples were to be compared with {known.size} real "
            "ones that have another to be near to; give images that show something, two at least"
        )
    limit = float(np.percentile(known, percent))
    at = int(synthetic.distances.argmin())
    return Memorisation(
        percent=float(percent),
        limit=limit,
        smallest=float(synthetic.distances[at]),
        real_smallest=float(known.min()),
        below=int((synthetic.distances < limit).sum()),
        samples=len(synthetic.distances),
        references=len(known),
        medians=(float(np.median(synthetic.distances)), float(np.median(known))),
        closest=(at, int(synthetic.indices[at])),
    )
