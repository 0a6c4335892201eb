"""Whether made images are training images again: by their features, and by their pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medai.core.copies import nearest_parts
from napari_medai.core.errors import InputError
from napari_medai.core.memorisation import Nearest, memorised, nearest
from napari_medai.core.steps import Steps, as_part
from napari_medai.tasks.gallery import VIEWS, Gallery
from napari_medai.tasks.synthesis_scores import CopyCheck

if TYPE_CHECKING:
    from napari_medai.models.model import Model


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """Crops of a gallery, by their number and source, and their ``vectors`` (n, features)."""

    crops: np.ndarray
    sources: np.ndarray
    vectors: np.ndarray

    def at(self, which: Any) -> Described:
        """Some of them; a whole number means so many of the first."""
        rows = slice(which) if isinstance(which, int) else which
        return Described(self.crops[rows], self.sources[rows], self.vectors[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Describer:
    """The encoder of a model on a device: what it makes of crops is compared."""

    net: Any
    device: Any

    @classmethod
    def of(cls, model: Model, *, device: str) -> Describer:
        from napari_medai.nn.device import chosen_device
        from napari_medai.nn.runner import built_net, load_weights

        chosen = chosen_device(device).torch
        net: Any = built_net(*model.architecture)
        load_weights(net, model.weights_path)
        return cls(net.eval().to(chosen), chosen)

    def described(self, gallery: Gallery, crops: np.ndarray) -> Steps[Described]:
        """Some crops of a gallery as vectors."""
        vectors = yield from gallery.features(self.net, crops, device=self.device)
        return Described(crops, gallery.sources_of(crops), vectors[:, 0])

    def turned(self, gallery: Gallery, crops: np.ndarray) -> Steps[np.ndarray]:
        """The vectors (n, `VIEWS`, features) of crops turned and mirrored in every way."""
        steps = gallery.features(self.net, crops, device=self.device, views=VIEWS)
        return (yield from steps)


@dataclass(frozen=True, slots=True, eq=False)
class CopySearch:
    """Crops of made images and of training images, to be looked for among the latter."""

    made: Gallery
    known: Gallery
    made_crops: np.ndarray
    known_crops: np.ndarray

    @classmethod
    def drawn(
        cls, made: Gallery, known: Gallery, *, most: int, rng: np.random.Generator
    ) -> CopySearch:
        """So many crops of each at most, of those that show enough to be told from others.

        Raises
        ------
        InputError
            If there are none.
        """
        chosen = [gallery.drawn(most, rng, full=True) for gallery in (made, known)]
        for kind, crops in zip(("synthetic", "training"), chosen, strict=True):
            if not len(crops):
                raise InputError(
                    f"no crop of a {kind} image shows enough objects to be told from others; "
                    "give a larger crop, or images with more objects"
                )
        return cls(made, known, *chosen)

    def in_features(self, describer: Describer, references: Described) -> Steps[CopyCheck]:
        """Whether crops of made images, turned in any way, have the features of training ones."""
        ours = yield from as_part(
            describer.turned(self.made, self.made_crops), done=0, total=2, text="comparing features"
        )
        theirs = yield from as_part(
            describer.turned(self.known, self.known_crops),
            done=1,
            total=2,
            text="comparing features",
        )
        apart = (self.known.sources_of(self.known_crops), references.sources)
        images = self.known.corners[references.crops, 0]
        return self._told(
            nearest(ours, references.vectors),
            nearest(theirs, references.vectors, apart=apart),
            images,
        )

    def in_pixels(self) -> Steps[CopyCheck]:
        """Whether crops of made images are found again anywhere in training images."""
        made, known = self.made.shrunken(), self.known.shrunken()
        looking = "looking for copies"
        steps = nearest_parts(self.made.parts(made, self.made_crops), known)
        ours = yield from as_part(steps, done=0, total=2, text=looking)
        apart = (self.known.sources_of(self.known_crops), self.known.sources)
        steps = nearest_parts(self.known.parts(known, self.known_crops), known, apart=apart)
        theirs = yield from as_part(steps, done=1, total=2, text=looking)
        return self._told(ours, theirs, np.arange(len(known)))

    def _told(self, ours: Nearest, theirs: Nearest, images: np.ndarray) -> CopyCheck:
        """``images`` are those that the references are of."""
        found = memorised(ours, theirs)
        crop, reference = found.closest
        made = self.made.names[self.made.corners[self.made_crops[crop], 0]]
        return CopyCheck(found, made, self.known.names[images[reference]])
