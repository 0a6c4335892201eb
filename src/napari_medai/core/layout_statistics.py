"""How objects lie in label images: how many, how large, how long, how close to each other.

Each image is described by itself, since few images are alike: where nuclei are large there are few
of them. What a set of images has is therefore the list of its images' numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from napari_medai.core.errors import InputError
from napari_medai.core.neighbours import ball_diameter, clark_evans, touching_share
from napari_medai.core.objects import numbered
from napari_medai.core.quantiles import LEVELS, quantiles_of

_DIGITS = 5
_INNER = 3
"""Objects that are whole, from which on those cut by the border do not count for shapes."""


class Spread(NamedTuple):
    """Mean and standard deviation."""

    mean: float
    sd: float


@dataclass(frozen=True, slots=True)
class ImageLayout:
    """How the objects of one image lie.

    Shapes are those of the objects that no border cuts, weighted for how often it would, if there
    are three; else of all.

    Parameters
    ----------
    count
        Objects, cut ones included.
    density
        Objects to a pixel.
    diameters
        Quantiles (`LEVELS`) of the diameter of a disk (ball) of the same size, in pixels.
    elongations
        Quantiles of the longest over the shortest axis of the ellipse (ellipsoid) with the same
        moments, 1 or more.
    irregularities
        Quantiles of the share of an object that lies outside that ellipse.
    middle
        Of ellipsoids, where the middle axis lies between the shortest (0) and the longest (1), on
        a scale of logarithms; 0.5 for ellipses.
    alignment
        0 where long axes lie in any direction, 1 where all lie in the same.
    direction
        That direction, of length 1.
    clustering
        The mean distance to the nearest other centre over that of as many random points: below 1
        in clusters, 1 by chance, above 1 where objects keep apart (Clark and Evans 1954, with
        Donnelly's correction for borders); 1 for fewer than three objects.
    touching
        The share of objects that touch another one by a side or a corner.
    """

    count: int
    density: float
    diameters: tuple[float, ...]
    elongations: tuple[float, ...]
    irregularities: tuple[float, ...]
    middle: float
    alignment: float
    direction: tuple[float, ...]
    clustering: float
    touching: float

    @property
    def ndim(self) -> int:
        return len(self.direction)

    @property
    def diameter(self) -> float:
        """The median, in pixels."""
        return self.diameters[LEVELS.index(0.5)]

    @classmethod
    def of(cls, labels: np.ndarray) -> ImageLayout:
        """Measured in a label image with at least one object."""
        size, centre, second, outside = _moments(labels)
        inner = _whole(labels, len(size))
        chosen = inner if inner.sum() >= _INNER else np.ones_like(inner)
        values, axes = np.linalg.eigh(second[chosen])
        diameters = ball_diameter(size[chosen], labels.ndim)
        weights = _weights(diameters, labels.shape) if chosen is inner else np.ones(chosen.sum())
        alignment, direction = _aligned(axes[:, :, -1])
        return cls(
            count=len(size),
            density=_rounded(len(size) / labels.size),
            diameters=_told(diameters, weights),
            elongations=_told(np.sqrt(values[:, -1] / values[:, 0]), weights),
            irregularities=_told(outside[chosen], weights),
            middle=_middle(values),
            alignment=_rounded(alignment),
            direction=tuple(_rounded(part) for part in direction),
            clustering=_rounded(clark_evans(centre, labels.shape)),
            touching=_rounded(touching_share(labels, len(size))),
        )


@dataclass(frozen=True, slots=True)
class LayoutStatistics:
    """How objects lie in the images of a set, one description each; plain numbers."""

    images: tuple[ImageLayout, ...]

    def __post_init__(self) -> None:
        if not self.images or len({image.ndim for image in self.images}) > 1:
            raise InputError(
                "statistics of layouts come from one image or more of the same number of axes, "
                f"got those of {len(self.images)}; give planes or volumes alone"
            )

    @property
    def ndim(self) -> int:
        return self.images[0].ndim

    @property
    def density(self) -> Spread:
        """Objects to a pixel, and how images differ in it."""
        return self._between("density")

    @property
    def clustering(self) -> Spread:
        """As `ImageLayout.clustering`, and how images differ in it."""
        return self._between("clustering")

    @property
    def touching(self) -> Spread:
        """The share of objects that touch, and how images differ in it."""
        return self._between("touching")

    @property
    def diameter(self) -> Spread:
        """In pixels, over all objects."""
        return self._over_objects("diameters")

    @property
    def elongation(self) -> Spread:
        """Longest over shortest axis, over all objects."""
        return self._over_objects("elongations")

    @property
    def irregularity(self) -> Spread:
        """The share of an object outside its ellipse, over all objects."""
        return self._over_objects("irregularities")

    @classmethod
    def of(cls, labels: Sequence[np.ndarray]) -> LayoutStatistics:
        """Measured in label images of planes or volumes; those without an object are left out.

        Raises
        ------
        InputError
            If an image does not hold whole numbers of 0 or more in two or three axes, if axes
            differ in number, or no image holds an object.
        """
        checked = [_checked(image, number) for number, image in enumerate(labels, 1)]
        if not any(image.any() for image in checked):
            raise InputError(
                f"none of {len(checked)} label images holds an object, so there is nothing to "
                "take statistics of; give images with labels of 1 or more"
            )
        return cls(tuple(ImageLayout.of(image) for image in checked if image.any()))

    def thinned(self, most: int) -> LayoutStatistics:
        """The statistics of so many images at most, evenly among all by their density."""
        rising = sorted(self.images, key=lambda image: image.density)
        count = min(most, len(rising))
        return LayoutStatistics(
            tuple(rising[(2 * n + 1) * len(rising) // (2 * count)] for n in range(count))
        )

    def as_dict(self) -> dict[str, Any]:
        """Numbers, texts and lists alone, for JSON and YAML."""
        plain = [asdict(image) for image in self.images]
        return {"images": [{k: _listed(v) for k, v in image.items()} for image in plain]}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> LayoutStatistics:
        """What `as_dict` gave.

        Raises
        ------
        InputError
            If something is missing, or is there that does not belong.
        """
        try:
            rows = [{k: _tupled(v) for k, v in image.items()} for image in plain["images"]]
            return cls(tuple(ImageLayout(**row) for row in rows))
        except (AttributeError, KeyError, TypeError) as error:
            raise InputError(
                f"these are no statistics of layouts ({error}); give what as_dict returned"
            ) from error

    def _between(self, name: str) -> Spread:
        values = np.array([getattr(image, name) for image in self.images])
        return Spread(float(values.mean()), float(values.std()))

    def _over_objects(self, name: str) -> Spread:
        levels = (np.arange(200) + 0.5) / 200
        values = np.array([np.interp(levels, LEVELS, getattr(i, name)) for i in self.images])
        weights = np.array([image.count for image in self.images], float)
        mean = float(np.average(values.mean(axis=1), weights=weights))
        square = float(np.average(((values - mean) ** 2).mean(axis=1), weights=weights))
        return Spread(mean, square**0.5)


def _checked(image: np.ndarray, number: int) -> np.ndarray:
    array = np.asarray(image)
    if array.dtype.kind not in "iu" or array.ndim not in (2, 3):
        raise InputError(
            f"label image {number} must hold whole numbers in 2 or 3 axes, got {array.dtype} "
            f"values of shape {array.shape}; choose a labels layer"
        )
    if array.size and array.min() < 0:
        raise InputError(
            f"label image {number} holds {array.min()}, but labels are 0 (background) or more; "
            "set what is negative to 0"
        )
    return array


def _moments(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of each object its pixels, centre, second moments, and the share outside their ellipse."""
    own = numbered(labels)[1]
    place = np.nonzero(own)
    row, ndim = own[place] - 1, labels.ndim
    size = np.bincount(row).astype(float)
    centre = np.stack([np.bincount(row, along) / size for along in place], axis=1)
    away = np.stack([along - centre[row, axis] for axis, along in enumerate(place)], axis=1)
    second = np.empty((len(size), ndim, ndim))
    for first, other in product(range(ndim), repeat=2):
        second[:, first, other] = np.bincount(row, away[:, first] * away[:, other]) / size
    second += np.eye(ndim) / 12  # a pixel is a square, not a point
    inverse = np.linalg.inv(second)[row]
    far = np.einsum("ni,nij,nj->n", away, inverse, away) > ndim + 2
    return size, centre, second, np.bincount(row, far) / size


def _whole(labels: np.ndarray, count: int) -> np.ndarray:
    """Which objects no border cuts, by rising label."""
    index = numbered(labels)[0]
    cut = [np.unique(labels.take(end, axis)) for axis in range(labels.ndim) for end in (0, -1)]
    return ~np.isin(index, np.concatenate(cut))


def _aligned(directions: np.ndarray) -> tuple[float, np.ndarray]:
    """How much directions agree, without what a few agree by chance, and in which direction."""
    count, ndim = directions.shape
    tensor = directions.T @ directions / count
    direction = np.linalg.eigh(tensor)[1][:, -1]
    direction = direction * np.sign(direction[np.abs(direction).argmax()])
    agreed = ndim / (ndim - 1) * (float((tensor**2).sum()) - 1 / ndim)
    chance = (count * agreed - 1) / (count - 1) if count > 1 else 0.0
    return float(np.clip(chance, 0, 1)) ** 0.5, direction


def _middle(values: np.ndarray) -> float:
    """`ImageLayout.middle`, the mean weighted by how long objects are."""
    if values.shape[1] == 2:
        return 0.5
    long = np.log(values[:, 2] / values[:, 0]).sum()
    return _rounded(float(np.log(values[:, 1] / values[:, 0]).sum() / long)) if long > 0 else 0.5


def _weights(diameters: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """One over the chance that no border cuts an object, for large ones are cut more often.

    After Miles 1974 and Lantuejoul 1978; that chance is taken to be a tenth at least on each axis.
    """
    edges = np.array(shape, float)
    return np.asarray(np.prod(1 / np.maximum(1 - diameters[:, None] / edges, 0.1), axis=1))


def _told(values: np.ndarray, weights: np.ndarray) -> tuple[float, ...]:
    return tuple(_rounded(value) for value in quantiles_of(values, weights))


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else value
